"""The suite of 2.0b against a small VTN that does everything right: nothing is wrong there, nothing is left behind."""

import asyncio
import fnmatch
from pathlib import Path

import pytest
from mutants.faults20b import FAULTS, faults20b_of, unused_patterns20b
from mutants.front20b import Fault20b, front20b
from mutants.harness20b import SIGNED, prove_all20b
from oadr_conformance import Check, Outcome, Run
from oadr_conformance.v20b.checks import ALL20B
from oadr_conformance.v20b.examination import run20b
from oadr_conformance.v20b.hostile import document, hostile_checks
from oadr_conformance.v20b.standing import BASES20B, RULINGS20B


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
    assert {key.partition("/")[0] for key in wrong} == set(SIGNED), wrong
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


def test_every_check_rests_on_something() -> None:
    """On a sentence of the profile, or on a ruling that says why not; and each of both names a check."""
    assert [check.key for check in ALL20B if not check.ruling and not check.basis] == []
    names = {name for check in ALL20B for name in (*check.requirements, check.key)}
    stray = [pattern for pattern in (*BASES20B, *RULINGS20B) if not fnmatch.filter(names, pattern)]
    assert stray == []


def test_every_check_has_a_fault_it_exists_for() -> None:
    """Without one nobody knows whether it can fail; and a pattern that names no check is a check that got lost."""
    assert [check.key for check in ALL20B if not faults20b_of(check.key)] == []
    assert unused_patterns20b(check.key for check in ALL20B) == []


def test_every_fault_is_seen_by_a_check_that_exists_for_it(tmp_path: Path) -> None:
    """One check per fault; `scripts/conformance --mutation --profile 2.0b` proves all."""
    plan: dict[str, tuple[Check, list[Fault20b]]] = {}
    for fault in FAULTS:
        check = next(check for check in ALL20B if fault in faults20b_of(check.key))
        plan.setdefault(check.key, (check, []))[1].append(fault)
    checks = [check for check, _ in plan.values()]
    proofs = asyncio.run(prove_all20b(tmp_path, checks, lambda key: plan[key][1]))
    assert {verdict.key: verdict.why_not for verdict in proofs if not verdict.good} == {}
