"""Programs over HTTP."""

from __future__ import annotations

from tests.vtn.harness import VtnUnderTest


async def test_business_logic_makes_a_program(vtn: VtnUnderTest) -> None:
    """PROG-001, MATRIX-004, MATRIX-005, GEN-018: the answer is the whole object with its metadata."""
    answer = await vtn.bl.post("/programs", {"programName": "P"})

    program = answer.ok(201)
    assert program["objectType"] == "PROGRAM"
    assert program["programName"] == "P"
    assert program["targets"] == []
    assert program["createdDateTime"] == program["modificationDateTime"] == "2026-06-01T12:00:00.000000Z"
    assert answer.headers["Location"] == f"/openadr3/3.1.0/programs/{program['id']}"
    assert (await vtn.bl.get(f"/programs/{program['id']}")).ok() == program
