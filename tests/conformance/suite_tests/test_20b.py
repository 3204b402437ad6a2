"""The suite of 2.0b against a small VTN that does everything right: nothing is wrong there, nothing is left behind."""

import asyncio
from pathlib import Path

import pytest
from mutants.front20b import front20b
from oadr_conformance import Outcome, Run
from oadr_conformance.v20b.checks import ALL20B
from oadr_conformance.v20b.examination import run20b
from oadr_conformance.v20b.hostile import document, hostile_checks

SIGNED = frozenset({"B-SEC-008", "B-SEC-009", "B-SEC-010", "B-SEC-011"})


def _wrong(result: Run) -> dict[str, str]:
    return {
        one.check.key: f"{one.outcome}: expected {one.expected}, got {one.got} {one.why}"
        for one in result.results
        if one.outcome is not Outcome.PASS
    }


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return what came of all checks, and of some generated documents."""

    async def examine() -> Run:
        async with front20b(tmp_path_factory.mktemp("vtn20b")) as (front, subject):
            result = await run20b(subject, (*ALL20B, *hostile_checks(100, 1)))
            assert [ven.registration for ven in front.vtn.vens.values()] == ["", ""]  # as before the run
            assert not front.vtn.events.programs
            return result

    return asyncio.run(examine())


def test_nothing_is_wrong_with_a_right_vtn(usual: Run) -> None:
    """Every check passes; only those of signatures are skipped, for this VTN demands none."""
    wrong = _wrong(usual)
    assert {key.partition("/")[0] for key in wrong} == SIGNED, wrong
    assert usual.conforms()
    assert not usual.leftovers


def test_a_vtn_that_demands_signatures_gets_them(tmp_path: Path) -> None:
    """B-SEC-008 to 011: it verifies them with a library of its own (signxml)."""
    checks = [check for check in ALL20B if check.area == "B-SEC" or check.requirement == "B-REG-007"]

    async def examine() -> Run:
        async with front20b(tmp_path, signed=True) as (_, subject):
            return await run20b(subject, checks)

    wrong = _wrong(asyncio.run(examine()))
    assert set(wrong) == {"B-SEC-012/signature not agreed"}, wrong


def test_generated_documents_come_again() -> None:
    """The same number and seed break a message in the same way, so that a failure can be looked at."""
    for number in range(50):
        one, other = (document(number, 7, "VEN") for _ in range(2))
        assert (one[0], len(one[1])) == (other[0], len(other[1]))
    assert len({document(number, 7, "VEN")[1] for number in range(50)}) > 40
