"""Our VTN before the suite: all of it on SQLite, every question on PostgreSQL, and what turned switches change.

`scripts/conformance` makes all checks on both databases.
"""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
from oadr_conformance import ALL, Check, Outcome, Result, Subject, run, select
from vtns.ours import GUARDED

REQUIREMENTS = tuple(dict.fromkeys(check.requirement for check in ALL))
_SWITCHED = ("PRIV", "REPORT", "AUTH-00*", "TOKEN-001", "PROBLEM-00*bad token", "MATRIX-001/bad token*", *GUARDED)
SWITCHED = tuple(
    check
    for check in select(ALL, _SWITCHED)
    if check.requirement != "MATRIX-001" or "bad token" in check.case or "/reports" in check.case
)
"""Of the matrix, which rests on AUTH-00* everywhere, only what the switches are about."""
SWITCHED_REQUIREMENTS = tuple(dict.fromkeys(check.requirement for check in SWITCHED))
_TURNED_ONLY = frozenset({"PRIV-EX-17", *GUARDED})
"""What is skipped with the usual switches and has to pass with them turned."""

_STORED = ("ETAG", "EVT", "PAGE", "PRIV", "PROG", "REPORT", "RES", "SUBS", "TIME-*/active*", "VEN")
"""What depends on which objects the database finds, and in which order; the rest on the request, or on one object."""


def _on_postgresql() -> list[Check]:
    """Return every check of what is stored, and the first of each other question."""
    stored = {check.key for check in select(ALL, _STORED)}
    first = {(check.requirement, check.question): check.key for check in reversed(ALL)}
    asked = stored.union(first.values())
    return [check for check in ALL if check.key in asked]


Results = Mapping[str, Sequence[Result]]


def _results(subject: Subject, checks: Sequence[Check]) -> Results:
    by_requirement: dict[str, list[Result]] = {}
    for result in asyncio.run(run(subject, checks)).results:
        by_requirement.setdefault(result.check.requirement, []).append(result)
    return by_requirement


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def results(request: pytest.FixtureRequest) -> Results:
    """Return what came of the suite."""
    checks = {"sqlite": ALL, "postgresql": _on_postgresql()}[request.param]
    return _results(request.getfixturevalue(f"vtn_on_{request.param}"), checks)


@pytest.fixture(scope="module")
def turned_results(turned_vtn: Subject) -> Results:
    """Return what came of those checks whose answers hang on a switch."""
    return _results(turned_vtn, SWITCHED)


@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_vtn_keeps_to_the_requirement(results: Results, requirement: str) -> None:
    """Every check of the requirement passes; none is skipped unless it belongs to other settings."""
    _judge(results[requirement], may_skip=requirement in _TURNED_ONLY)


@pytest.mark.parametrize("requirement", SWITCHED_REQUIREMENTS)
def test_vtn_keeps_to_the_requirement_with_its_switches_turned(turned_results: Results, requirement: str) -> None:
    """A switch changes what it says and nothing else."""
    _judge(turned_results[requirement], may_skip=requirement not in _TURNED_ONLY)


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
