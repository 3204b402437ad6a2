"""The intervals of a 2.0b signal: contiguous, in whole seconds, without gaps and overlaps (B-EVT-025 … B-EVT-028)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from openadr_profiles.v20b.projection.losses import NoForm, NoFormKind

_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Placed:
    """A value from ``start`` to ``end`` (excluded; None: open), in whole seconds of UTC."""

    start: datetime
    end: datetime | None
    value: float


@dataclass(frozen=True, slots=True)
class Grid:
    """The durations of contiguous intervals in seconds, the last 0 if it is open, and their values.

    ``filled`` counts the gaps that were given a value.
    """

    durations_s: tuple[int, ...]
    values: tuple[float, ...]
    filled: int = 0


def whole_second(moment: datetime) -> datetime:
    """Return the second that a moment lies in."""
    return moment.astimezone(UTC).replace(microsecond=0)


def contiguous(
    placed: Sequence[Placed], start: datetime, end: datetime | None, *, gaps: str, rest: float | None
) -> Grid | NoForm:
    """Return the intervals of one signal over the whole active period; NoForm if values overlap or a gap stays.

    ``placed`` is in the order of starts. ``gaps`` is the program's policy; ``rest`` is the value that always fills gaps
    (0 for SIMPLE: nothing is asked), None if there is none.
    """
    durations: list[int] = []
    values: list[float] = []
    filled = 0
    at: datetime | None = start

    def fill(until: datetime | None) -> NoForm | None:
        nonlocal filled
        value = rest
        if value is None and gaps == "zero":
            value = 0.0
        elif value is None and gaps == "repeat" and values:
            value = values[-1]
        if value is None:
            why = "the program refuses to fill it" if gaps == "refuse" else "there is no earlier value to repeat"
            return NoForm(NoFormKind.GAP, f"there is no value at {at}, and {why} (OADR20B_GAPS)")
        filled += 1
        _append(durations, values, _length_s(at or start, until), value)
        return None

    for each in placed:
        if at is None or each.start < at:
            return NoForm(NoFormKind.OVERLAP, f"two intervals of one payload type hold at {each.start}")
        if each.start > at and (refused := fill(each.start)) is not None:
            return refused
        _append(durations, values, _length_s(each.start, each.end), each.value)
        at = each.end
    if (at is not None and at != end) and (refused := fill(end)) is not None:
        return refused
    return Grid(tuple(durations), tuple(values), filled)


def _length_s(start: datetime, end: datetime | None) -> int:
    return 0 if end is None else (end - start) // _SECOND


def _append(durations: list[int], values: list[float], length_s: int, value: float) -> None:
    durations.append(length_s)
    values.append(value)
