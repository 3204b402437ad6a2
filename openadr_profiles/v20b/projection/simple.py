"""The levels of the SIMPLE signal that stands beside others: when these ask for less load (B-EVT-032)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from openadr_profiles.v20b.projection.projection import SignalPart

Asks = tuple[SignalPart, Callable[[float], bool] | None]
"""A signal, and what says of a value of it that it asks for less load; None if no value does."""


def simple_levels(signals: Sequence[Asks]) -> list[tuple[int, float]]:
    """Return lengths in seconds with levels: 1 while some signal asks for less load, else 0.

    All signals are equally long. If they are open, the length of the last interval says nothing.
    """
    changes = {0: 0}
    for part, reduces in signals:
        at_s, before = 0, False
        for length_s, value in zip(part.durations_s, part.values, strict=True):
            asks = reduces is not None and reduces(value)
            if asks != before:
                changes[at_s] = changes.get(at_s, 0) + (1 if asks else -1)
            at_s, before = at_s + length_s, asks
    total_s = sum(signals[0][0].durations_s)
    starts: list[int] = []
    levels: list[float] = []
    count = 0
    for at_s in sorted(changes):
        count += changes[at_s]
        level = 1.0 if count else 0.0
        if not levels or levels[-1] != level:
            starts.append(at_s)
            levels.append(level)
    ends = [*starts[1:], total_s]
    return [(end - start, level) for start, end, level in zip(starts, ends, levels, strict=True)]
