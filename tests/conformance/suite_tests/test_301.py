"""The suite as it examines VTNs of OpenADR 3.0.1: our own, and one that is wrong in each way the checks are for."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from mutants.handlers import Fault
from mutants.harness import prove, rig
from mutants.table import faults_of, unused_patterns
from mutants.wrong_301 import WRONG_301
from oadr_conformance import ALL, ALL_301, Check, Outcome, Result, Standing, Subject, run
from oadr_conformance.basis import Source
from oadr_conformance.checks.of_301 import LEFT_OUT, why_left_out
from vtns.ours import at_version

OWN = tuple(check for check in ALL_301 if check.area == "V301")


def _asked() -> list[Check]:
    """Return every check of what only 3.0.1 has, and the first of each other requirement: all have the same dialect."""
    first = {check.requirement: check.key for check in reversed(ALL_301)}
    wanted = {check.key for check in OWN} | set(first.values())
    return [check for check in ALL_301 if check.key in wanted]


REQUIREMENTS = tuple(dict.fromkeys(check.requirement for check in _asked()))


@pytest.fixture(scope="module")
def run_of_301(vtn_on_sqlite: Subject) -> Mapping[str, Sequence[Result]]:
    """Return what came of the suite."""
    by_requirement: dict[str, list[Result]] = {}
    done = asyncio.run(run(at_version(vtn_on_sqlite, "3.0.1"), _asked(), profile_name="3.0.1"))
    assert done.profile == "3.0.1"
    for result in done.results:
        by_requirement.setdefault(result.check.requirement, []).append(result)
    return by_requirement


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_our_vtn_keeps_to_the_requirement_on_301(run_of_301: Mapping[str, Sequence[Result]], requirement: str) -> None:
    """Every check passes; only one that belongs to other settings is skipped."""
    results = run_of_301[requirement]
    wrong = [result for result in results if result.outcome in {Outcome.FAIL, Outcome.BLOCKED}]
    assert not wrong, "\n".join(
        f"{one.check.key}: expected {one.expected}, got {one.got}\n{one.request}\n{one.response}" for one in wrong[:3]
    )
    assert not [text for result in results for text in result.leftovers]
    assert requirement in SKIPPED or not [result.why for result in results if result.outcome is Outcome.SKIP]


SKIPPED = frozenset({"GEN-001", "PRIV-EX-17"})
"""What belongs to other settings, or asks for the second path of 3.1."""


def test_what_is_left_out_is_left_out_for_a_reason() -> None:
    """No pattern names nothing, and nothing that 3.0.1 has is left out by accident."""
    left = [check for check in ALL if why_left_out(check)]
    idle = [
        pattern for pattern in LEFT_OUT if not any(why_left_out(check) and _named(check, pattern) for check in left)
    ]
    assert idle == []
    assert len(ALL_301) == len(ALL) - len(left) + len(OWN)
    assert len(ALL_301) > 1400


def _named(check: Check, pattern: str) -> bool:
    return check.matches([pattern])


def test_no_check_of_301_rests_on_the_definition_of_31() -> None:
    """What only that says is a ruling here; so is object privacy, which 3.0.1 does not have."""
    sources = {basis.source for check in ALL_301 for basis in check.basis}
    assert sources == {Source.OPENAPI_301, Source.RFC}
    assert all(check.standing is Standing.RULING for check in ALL_301 if check.area == "PRIV")
    assert {check.requirement for check in OWN if check.standing is Standing.MUST} >= {
        "V301-002",
        "V301-005",
        "V301-010",
        "V301-013",
        "V301-015",
        "V301-028",
        "V301-029",
        "V301-040",
    }


def test_every_check_of_301_has_a_fault_it_exists_for() -> None:
    """Those of 3.1 have theirs; of 3.0.1 alone there is a table of its own, without a line for nothing."""
    assert [check.key for check in ALL_301 if not faults_of(check.key)] == []
    assert unused_patterns([check.key for check in ALL_301], WRONG_301) == []


def test_every_fault_of_301_is_seen(tmp_path: Path) -> None:
    """One check for each fault, and one fault for each question, against our VTN behind the proxy that breaks it."""
    plan: dict[str, tuple[Check, list[Fault]]] = {}
    planned: set[str] = set()
    questions: set[tuple[str, str]] = set()
    for check in OWN:
        question = check.requirement, check.question
        for fault in faults_of(check.key):
            if fault.name not in planned or question not in questions:
                planned.add(fault.name)
                questions.add(question)
                plan.setdefault(check.key, (check, []))[1].append(fault)
    assert planned == {fault.name for fault in WRONG_301}
    assert questions == {(check.requirement, check.question) for check in OWN}

    async def tried() -> dict[str, str]:
        async with rig(tmp_path, {}, standard="3.0.1") as (session, proxy):
            proofs = await prove(session, proxy, [check for check, _ in plan.values()], lambda key: plan[key][1])
        return {proof.key: proof.why_not for proof in proofs if not proof.good}

    assert asyncio.run(tried()) == {}


SHARED = ("PAGE-003", "PAGE-008", "GEN-015", "GEN-018", "PROBLEM-001", "PROG-002", "EVT-013", "REPORT-012", "OBJ-015")


def test_shared_checks_fail_on_301_too(tmp_path: Path) -> None:
    """They are asked in another shape: one of each of some requirements, on the faults it has in 3.1."""
    checks = [next(check for check in ALL_301 if check.requirement == name) for name in SHARED]

    async def tried() -> dict[str, str]:
        async with rig(tmp_path, {}, standard="3.0.1") as (session, proxy):
            proofs = await prove(session, proxy, checks)
        return {proof.key: proof.why_not for proof in proofs if not proof.good}

    assert asyncio.run(tried()) == {}


def test_without_object_privacy_its_checks_are_not_made(vtn_on_sqlite: Subject) -> None:
    """A VTN of 3.0.1 may show everything to everybody; whether it protects is declared by a switch."""
    subject = replace(at_version(vtn_on_sqlite, "3.0.1"), profile=replace(vtn_on_sqlite.profile, protected=False))
    checks = [check for check in ALL_301 if check.requirement in {"PRIV-EX-10", "REPORT-012", "PAGE-003"}]
    done = asyncio.run(run(subject, checks, profile_name="3.0.1"))
    why = {result.check.requirement: result.why for result in done.results}
    assert why == {"PRIV-EX-10": WHY, "REPORT-012": WHY, "PAGE-003": ""}
    assert set(done.switches) == {"rulings.binding=true", "privacy.of_301=false"}


WHY = "applies where privacy.of_301 is on"
