"""Results as a reader wants them: by requirement, and failures of one kind together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oadr_conformance.registry import Level, Standing
from oadr_conformance.results import Outcome, Result, counts_text


@dataclass(frozen=True)
class Cluster:
    """Cases of one question that failed in the same way; the first stands for all."""

    question: str
    expected: str
    got: str
    results: Sequence[Result]

    @property
    def example(self) -> Result:
        """Return the case whose exchange is shown."""
        return self.results[0]

    def cases(self, most: int) -> str:
        """Return the names of the cases; empty if there is only one."""
        names = [result.check.case.partition(": ")[2] for result in self.results]
        names = [name for name in names if name]
        more = f" and {len(names) - most} more" if len(names) > most else ""
        return ", ".join(names[:most]) + more


_DECIDES = (Outcome.FAIL, Outcome.BLOCKED, Outcome.PASS, Outcome.SKIP, Outcome.NOT_ASKED)


@dataclass(frozen=True)
class Group:
    """The results of the checks that one requirement decides."""

    requirement: str
    results: Sequence[Result]

    @property
    def level(self) -> Level:
        """Return the level of the requirement."""
        return self.results[0].check.level

    @property
    def outcome(self) -> Outcome:
        """Return the outcome: a failure decides, then a question that could not be asked, then a pass, then a skip."""
        outcomes = {result.outcome for result in self.results}
        return next(outcome for outcome in _DECIDES if outcome in outcomes)

    @property
    def standing(self) -> Standing:
        """Return the standing of its failures, else of all its checks; a MUST of the standard comes before others."""
        failed = [result.check.standing for result in self.results if result.outcome is Outcome.FAIL]
        standings = failed or [result.check.standing for result in self.results]
        return next(standing for standing in Standing if standing in standings)

    def count(self, outcome: Outcome) -> int:
        """Return the number of its checks with this outcome."""
        return sum(result.outcome is outcome for result in self.results)

    @property
    def clusters(self) -> list[Cluster]:
        """Return its failures, and the questions that could not be asked."""
        found: dict[tuple[str, str, str], list[Result]] = {}
        for result in self.results:
            if result.outcome in {Outcome.FAIL, Outcome.BLOCKED}:
                found.setdefault((result.check.question, result.expected, result.got), []).append(result)
        return [Cluster(*what, results) for what, results in found.items()]


def groups_of(results: Iterable[Result]) -> list[Group]:
    """Group results by requirement, in the order of the catalogue."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.check.requirement, []).append(result)
    return [Group(requirement, group) for requirement, group in found.items()]


def failed(groups: Iterable[Group]) -> list[Group]:
    """Return those with a failure, MUSTs of the standard first; then those with a question that could not be asked."""
    order = list(Standing)
    wrong = [one for one in groups if one.outcome in {Outcome.FAIL, Outcome.BLOCKED}]
    return sorted(wrong, key=lambda one: (one.outcome is not Outcome.FAIL, order.index(one.standing)))


def reasons(results: Iterable[Result]) -> list[tuple[str, list[Result]]]:
    """Return the reasons why checks were skipped or not asked, with the checks; the most frequent reason first."""
    found: dict[str, list[Result]] = {}
    for result in results:
        if result.outcome in {Outcome.SKIP, Outcome.NOT_ASKED}:
            found.setdefault(result.why, []).append(result)
    return sorted(found.items(), key=lambda one: -len(one[1]))


def counted(number: int, what: str) -> str:
    """`1 requirement`, `2 requirements`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def total(groups: Iterable[Group]) -> str:
    """`N passed, N failed, N skipped`, of requirements."""
    found = [group.outcome for group in groups]
    return counts_text({outcome: found.count(outcome) for outcome in Outcome})
