"""Name the ways to tell what would have been drawn without an event.

A method either averages similar days before the event (X of Y), or takes the power just before it, or what the
participant reported as its BASELINE. An average may be adjusted to the day of the event by the hours before it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final


class Pick(StrEnum):
    """Name the days that count, of those that were looked at."""

    HIGHEST = "high"
    LOWEST = "low"
    MIDDLE = "mid"
    NEWEST = "newest"


class AdjustmentKind(StrEnum):
    """Name how an average is moved to the level of the event's day: by a factor, or by so many kW."""

    MULTIPLICATIVE = "multiplicative"
    ADDITIVE = "additive"


@dataclass(frozen=True, slots=True)
class SimilarDays:
    """Average ``take`` of the last ``of`` days of the event day's kind within ``look_back_days``.

    Days with an event, or with a gap where it is needed, do not count. Fewer than ``at_least`` are too few.
    """

    take: int
    of: int
    pick: Pick = Pick.HIGHEST
    look_back_days: int = 45
    at_least: int = 1
    skip_event_days: bool = True


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Move an average by what was drawn from ``begins_before`` to ``ends_before`` before the event.

    ``cap`` bounds the change as a share of the average, None leaves it unbounded. ``only_up`` never lowers it.
    """

    kind: AdjustmentKind
    begins_before: timedelta = timedelta(hours=4)
    ends_before: timedelta = timedelta(hours=1)
    cap: Decimal | None = None
    only_up: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """Name a method with its parts: of ``days``, ``before`` and ``reported`` exactly one is given."""

    name: str
    text: str
    days: SimilarDays | None = None
    adjustment: Adjustment | None = None
    before: timedelta | None = None
    """The time before the event whose mean power is the baseline."""
    after: timedelta | None = None
    """With ``before``: the time after the event that counts as well."""
    apart: timedelta = timedelta(0)
    """With ``before``: the time between that and the event, which does not count."""
    reported: bool = False


_TWENTY_PERCENT: Final = Decimal("0.2")
_FOUR_HOURS: Final = timedelta(hours=4)
_TWO_HOURS: Final = timedelta(hours=2)

METHODS: Final = {
    method.name: method
    for method in (
        Method(
            "10-of-10",
            "mean of the last 10 similar days, times 0.8 to 1.2 by the hours -4 to -1 (California ISO)",
            days=SimilarDays(10, 10, Pick.NEWEST, at_least=5),
            adjustment=Adjustment(AdjustmentKind.MULTIPLICATIVE, cap=_TWENTY_PERCENT),
        ),
        Method(
            "high-5-of-10",
            "mean of the 5 highest of the last 10 similar days, times 0.8 to 1.2 by the hours -4 to -2 (NYISO)",
            days=SimilarDays(5, 10, Pick.HIGHEST, at_least=5),
            adjustment=Adjustment(AdjustmentKind.MULTIPLICATIVE, _FOUR_HOURS, _TWO_HOURS, cap=_TWENTY_PERCENT),
        ),
        Method(
            "high-4-of-5",
            "mean of the 4 highest of the last 5 similar days, plus the difference in the hours -4 to -1 (PJM)",
            days=SimilarDays(4, 5, Pick.HIGHEST, at_least=4),
            adjustment=Adjustment(AdjustmentKind.ADDITIVE),
        ),
        Method(
            "high-3-of-5",
            "mean of the 3 highest of the last 5 similar days, plus the difference in the hours -4 to -1 if it is more",
            days=SimilarDays(3, 5, Pick.HIGHEST, at_least=3),
            adjustment=Adjustment(AdjustmentKind.ADDITIVE, only_up=True),
        ),
        Method("meter-before", "mean power of the hour before the event", before=timedelta(hours=1)),
        Method(
            "meter-before-after",
            "mean power of the hours before and after the event",
            before=timedelta(hours=1),
            after=timedelta(hours=1),
        ),
        Method(
            "same-day-3-2",
            "mean power of 3 hours before and 2 hours after the event, each with an hour between (PJM, same day)",
            before=timedelta(hours=3),
            after=_TWO_HOURS,
            apart=timedelta(hours=1),
        ),
        Method("reported", "what the participant reports as its BASELINE", reported=True),
    )
}
"""The methods that have a name; `parsed` knows more."""

_X_OF_Y: Final = re.compile(r"(?:(high|low|mid|newest)-)?([1-9][0-9]?)-of-([1-9][0-9]?)")
_ADJUSTED: Final = re.compile(r"(add|mul)(?::([1-9][0-9]?|100)%)?(:up)?")


def parsed(text: str) -> Method:
    """Return a method by its name or as ``[high|low|mid|newest-]X-of-Y[+add|+mul[:CAP%][:up]]``.

    A name alone is that of `METHODS`; an X of Y that is none has no adjustment unless it says one. Raises ValueError.
    """
    if (named := METHODS.get(text)) is not None:
        return named
    days, _, adjusted = text.partition("+")
    found = _X_OF_Y.fullmatch(days)
    how = _ADJUSTED.fullmatch(adjusted) if adjusted else None
    if found is None or (how is None and "+" in text):
        known = ", ".join(METHODS)
        raise ValueError(f"{text[:80]!r}: expected one of {known}, or X-of-Y such as high-3-of-5+add:20%:up")
    take, of = int(found[2]), int(found[3])
    if take > of:
        raise ValueError(f"{text[:80]!r}: {take} of {of} days cannot be taken")
    pick = Pick(found[1]) if found[1] else Pick.NEWEST
    adjustment = None
    if how is not None:
        adjustment = Adjustment(
            AdjustmentKind.ADDITIVE if how[1] == "add" else AdjustmentKind.MULTIPLICATIVE,
            cap=Decimal(how[2]) / 100 if how[2] else None,
            only_up=how[3] is not None,
        )
    return Method(text, "as its name says", days=SimilarDays(take, of, pick, at_least=take), adjustment=adjustment)
