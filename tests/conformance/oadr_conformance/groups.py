"""Results as a reader wants them: by requirement, and failures of one kind together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oadr_conformance.registry import MUST, Level
from oadr_conformance.runner import Outcome, Result


@dataclass(frozen=True)
class Cluster:
    """Cases of one question that failed in the same way; the first stands for all."""

    question: str
    expected: str
    got: str
    results: Sequence[Result]

    @property
    def example(self) -> Result:
        """The case whose exchange is shown."""
        return self.results[0]

    def cases(self, most: int) -> str:
        """What the cases are called; empty when the question has but one."""
        names = [result.check.case.partition(": ")[2] for result in self.results]
        names = [name for name in names if name]
        more = f" and {len(names) - most} more" if len(names) > most else ""
        return ", ".join(names[:most]) + more


@dataclass(frozen=True)
class Group:
    """The results of the checks that one requirement decides."""

    requirement: str
    results: Sequence[Result]

    @property
    def level(self) -> Level:
        """How binding the requirement is."""
        return self.results[0].check.level

    @property
    def outcome(self) -> Outcome:
        """A failure decides, and a skip counts only where nothing passed."""
        outcomes = {result.outcome for result in self.results}
        return next(outcome for outcome in (Outcome.FAIL, Outcome.PASS, Outcome.SKIP) if outcome in outcomes)

    def count(self, outcome: Outcome) -> int:
        """How many of its checks ended so."""
        return sum(result.outcome is outcome for result in self.results)

    @property
    def clusters(self) -> list[Cluster]:
        """Its failures."""
        found: dict[tuple[str, str, str], list[Result]] = {}
        for result in self.results:
            if result.outcome is Outcome.FAIL:
                found.setdefault((result.check.question, result.expected, result.got), []).append(result)
        return [Cluster(*what, results) for what, results in found.items()]


def groups_of(results: Iterable[Result]) -> list[Group]:
    """By requirement, in the order of the catalogue."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.check.requirement, []).append(result)
    return [Group(requirement, group) for requirement, group in found.items()]


def failed(groups: Iterable[Group]) -> list[Group]:
    """Those with a failure: what decides comes first."""
    return sorted((one for one in groups if one.outcome is Outcome.FAIL), key=lambda one: one.level is not MUST)


def reasons(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """Why checks were skipped -> which, the most frequent reason first."""
    found: dict[str, list[Result]] = {}
    for result in results:
        if result.outcome is Outcome.SKIP:
            found.setdefault(result.why, []).append(result)
    return sorted(found.items(), key=lambda one: -len(one[1]))


def counted(number: int, what: str) -> str:
    """`1 requirement`, `2 requirements`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def total(groups: Iterable[Group]) -> str:
    """`N passed, N failed, N skipped`, of requirements."""
    counts = Counter(group.outcome for group in groups)
    return f"{counts[Outcome.PASS]} passed, {counts[Outcome.FAIL]} failed, {counts[Outcome.SKIP]} skipped"
