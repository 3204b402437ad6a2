"""Our VTN before the suite: the whole of it on each database, and what the switches change with the switches turned."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from oadr_conformance import ALL, Outcome, Result, Subject, run, select

REQUIREMENTS = tuple(dict.fromkeys(check.requirement for check in ALL))
_SWITCHED = ("PRIV", "REPORT", "AUTH-00*", "TOKEN-001", "PROBLEM-00*bad token", "MATRIX-001/bad token*")
SWITCHED_REQUIREMENTS = tuple(dict.fromkeys(check.requirement for check in select(ALL, _SWITCHED)))
_NOT_YET = frozenset({"MATRIX-001", "AUTH-039"})
"""What has checks about notifiers, which our VTN does not offer."""
_TURNED_ONLY = frozenset({"PRIV-EX-17"})
"""What is skipped with the usual switches and has to pass with them turned."""

Results = Mapping[str, Sequence[Result]]


def _results(subject: Subject, patterns: Sequence[str] = ()) -> Results:
    by_requirement: dict[str, list[Result]] = {}
    for result in asyncio.run(run(subject, select(ALL, patterns))).results:
        by_requirement.setdefault(result.check.requirement, []).append(result)
    return by_requirement


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def results(request: pytest.FixtureRequest) -> Results:
    """Return what came of the whole suite."""
    return _results(request.getfixturevalue(f"vtn_on_{request.param}"))


@pytest.fixture(scope="module")
def turned_results(turned_vtn: Subject) -> Results:
    """Return what came of those checks whose answers hang on a switch."""
    return _results(turned_vtn, _SWITCHED)


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_vtn_keeps_to_the_requirement(results: Results, requirement: str) -> None:
    """Every check of the requirement passes; none is skipped unless it belongs to other settings."""
    _judge(results[requirement], may_skip=requirement in _TURNED_ONLY | _NOT_YET)


@pytest.mark.parametrize("requirement", SWITCHED_REQUIREMENTS)
def test_vtn_keeps_to_the_requirement_with_its_switches_turned(turned_results: Results, requirement: str) -> None:
    """A switch changes what it says and nothing else."""
    _judge(turned_results[requirement], may_skip=requirement not in _TURNED_ONLY)


def test_vtn_offers_no_notifiers_yet(vtn_on_sqlite: Subject) -> None:
    """Remove `_NOT_YET` here and in `vtns/ours.py` and `NOT_MADE` when this fails: then rows M33..M45 are checked."""
    told = replace(vtn_on_sqlite, profile=replace(vtn_on_sqlite.profile, notifiers=True))
    results = asyncio.run(run(told, select(ALL, ["MATRIX-001/topics for business logic: M33*"]))).results
    assert [result.got for result in results] == ["status 404"]


def _judge(results: Sequence[Result], *, may_skip: bool) -> None:
    wrong = [result for result in results if result.outcome in {Outcome.FAIL, Outcome.BLOCKED}]
    assert not wrong, "\n".join(
        f"{result.check.key}: expected {result.expected}, got {result.got}\n{result.request}\n{result.response}"
        for result in wrong[:3]
    )
    skipped = [f"{result.check.key}: {result.why}" for result in results if result.outcome is Outcome.SKIP]
    assert may_skip or not skipped, skipped
    left = [text for result in results for text in result.leftovers]
    assert not left, left
