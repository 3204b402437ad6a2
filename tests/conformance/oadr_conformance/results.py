"""Results of checks and of whole runs, whatever version of the standard was examined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from oadr_conformance.registry import Check, Level, Standing


class Outcome(StrEnum):
    """Outcome of a check."""

    PASS = "pass"
    FAIL = "fail"
    BLOCKED = "blocked"
    """The VTN refuses the plain data that the check needs, so its question could not be asked."""
    SKIP = "skip"
    """Something is missing on our side, as an expired token, or the check belongs to other settings."""
    NOT_ASKED = "not asked"
    """A ruling of ours, in a run that holds the VTN to the standard alone."""

    @property
    def word(self) -> str:
        """Return the word of totals: `passed`."""
        return _WORDS[self]


_WORDS = {
    Outcome.PASS: "passed",
    Outcome.FAIL: "failed",
    Outcome.BLOCKED: "blocked",
    Outcome.SKIP: "skipped",
    Outcome.NOT_ASKED: "not asked",
}


@dataclass(frozen=True)
class Result:
    """Result of one check; texts contain no secret."""

    check: Check
    outcome: Outcome
    expected: str = ""
    got: str = ""
    why: str = ""
    request: str = ""
    response: str = ""
    exchanges: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    seconds: float = 0.0
    in_doubt: bool = False
    """The VTN was silent or refused a token meanwhile, so that perhaps no check can be made any more."""

    @property
    def decides(self) -> bool:
        """Return True if this result makes the VTN non-conformant."""
        return self.outcome is Outcome.FAIL and self.check.standing is Standing.MUST


@dataclass(frozen=True)
class Run:
    """All results of one run, and what was examined."""

    url: str
    product: str
    version: str
    profile: str
    started: datetime
    seconds: float
    results: Sequence[Result] = field(default_factory=tuple)
    warnings: Sequence[str] = field(default_factory=tuple)
    """Changes that the run could not undo."""
    of: int = 0
    """Number of all checks; only some of them may have been chosen."""
    cut_short: str = ""
    """Reason why the last checks were not made."""
    switches: Sequence[str] = ()
    """Declared configuration of the VTN, where it differs from the defaults."""

    def count(self, outcome: Outcome, standing: Standing | None = None) -> int:
        """Return the number of checks with this outcome; of one standing, if that is given."""
        return sum(result.outcome is outcome and standing in {None, result.check.standing} for result in self.results)

    def answered(self) -> tuple[int, int]:
        """Return how many MUSTs of the standard the VTN answered, and how many were chosen."""
        musts = Counter(result.outcome for result in self.results if result.check.standing is Standing.MUST)
        return musts[Outcome.PASS] + musts[Outcome.FAIL], musts.total()

    @property
    def leftovers(self) -> list[str]:
        """Return the objects that checks created and could not delete."""
        return [text for result in self.results for text in result.leftovers]

    @property
    def total(self) -> str:
        """`N passed, N failed, N skipped`, with `N blocked` and `N not asked` where there are any."""
        return counts_text({outcome: self.count(outcome) for outcome in Outcome})

    @property
    def totals(self) -> dict[Standing, dict[Outcome, int]]:
        """Return the same for MUSTs and SHOULDs of the standard and for our rulings, as far as they were chosen."""
        chosen = {result.check.standing for result in self.results}
        return {
            standing: {outcome: self.count(outcome, standing) for outcome in Outcome}
            for standing in Standing
            if standing in chosen
        }

    def flaw(self, *, strict: bool = False) -> str:
        """Return why the VTN does not conform, or why that is unknown; empty if it conforms.

        A failed MUST of the standard decides, then a failed ruling of a run that asks for rulings. Where the VTN
        answered not even half of the MUSTs that were chosen, or refused the plain data that one needs, nobody knows.
        `strict` counts a failed SHOULD and a skipped MUST too.
        """
        answered, chosen = self.answered()
        failed = [result.check for result in self.results if result.outcome is Outcome.FAIL]
        skipped = [result.check for result in self.results if result.outcome is Outcome.SKIP]
        rulings = any(check.standing is Standing.RULING and check.level is Level.MUST for check in failed)
        flaws = {
            "does not conform": any(check.standing is Standing.MUST for check in failed),
            "keeps to the standard, but not to our rulings": rulings,
            "incomplete": bool(self.cut_short),
            "nothing passed": not self.count(Outcome.PASS),
            "undecided: it refuses plain data that questions need": self.count(Outcome.BLOCKED, Standing.MUST) > 0,
            f"undecided: it answered {answered} of {chosen} MUSTs of the standard": 2 * answered < chosen,
            "does not conform: a SHOULD failed": strict and bool(failed),
            "does not conform: a MUST was skipped": strict and any(check.level is Level.MUST for check in skipped),
        }
        return next((flaw for flaw, found in flaws.items() if found), "")

    def conforms(self, *, strict: bool = False) -> bool:
        """Return True if the VTN has no flaw."""
        return not self.flaw(strict=strict)

    def complete(self) -> bool:
        """Return True if every MUST of the standard that was chosen has an answer, and all were chosen."""
        answered, chosen = self.answered()
        return answered == chosen and len(self.results) >= self.of

    def verdict(self, *, strict: bool = False) -> str:
        """Return the same in words, with what it cannot say."""
        word = self.flaw(strict=strict) or "conforms"
        answered, chosen = self.answered()
        if word == "conforms" and answered < chosen:
            word = f"conforms, as far as {answered} of {chosen} MUSTs of the standard tell"
        made = len(self.results)
        return word if made >= self.of else f"{word}{',' if ',' not in word else ' and'} {_OF.format(made, self.of)}"


_OF = "as far as {} of {} checks tell"


def counts_text(counts: Mapping[Outcome, int]) -> str:
    """`N passed, N failed, N skipped`, with `N blocked` and `N not asked` where there are any."""
    always = {Outcome.PASS, Outcome.FAIL, Outcome.SKIP}
    return ", ".join(f"{counts[outcome]} {outcome.word}" for outcome in Outcome if outcome in always or counts[outcome])
