"""The chart of the fleet's power as rows of characters: what is used, what was delivered, what was asked. No I/O.

A column is a stretch of time. It is filled up to what is used, and above it, up to the baseline, with what was
delivered. A line marks where the use should be: the baseline minus what was asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from oadr.demo.view import Plan, Power

Ink = Literal["used", "delivered", "asked", "planned"]

_EIGHTHS: Final = 8
_HALF: Final = 4
_NICE: Final = (1, 2, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000)


@dataclass(frozen=True)
class Glyphs:
    """The characters that a terminal can show. ``parts`` fill a cell from below by eighths, ``line`` is a mark in the
    lower, middle and upper third of a cell, and ``bar`` is a whole, a half and an empty cell of a bar."""

    parts: str
    used: str
    delivered: str
    line: tuple[str, str, str]
    bar: str
    corner: str
    across: str
    up: str
    tick: str
    done: str
    now: str
    ahead: str
    bad: str
    dash: str


BLOCKS: Final = Glyphs(
    parts=" ▁▂▃▄▅▆▇█",
    used="█",
    delivered="░",
    line=("▁", "─", "▔"),
    bar="━╸─",
    corner="└",
    across="─",
    up="│",
    tick="┴",
    done="✓",
    now="▶",
    ahead="·",
    bad="✗",
    dash="–",
)
ASCII: Final = Glyphs(
    parts="    ####" + "#",
    used="#",
    delivered=":",
    line=("_", "-", "-"),
    bar="==.",
    corner="+",
    across="-",
    up="|",
    tick="+",
    done="+",
    now=">",
    ahead=".",
    bad="!",
    dash="-",
)


@dataclass(frozen=True)
class Cell:
    """One character with its colour and the colour behind it."""

    glyph: str = " "
    ink: Ink | None = None
    paper: Ink | None = None


@dataclass(frozen=True)
class Axis:
    """The kW at the bottom and at the top of the chart, and between two of its labels."""

    floor_kw: float
    top_kw: float
    step_kw: float


def columns(power: Sequence[Power], start: datetime, end: datetime, width: int) -> list[Power | None]:
    """Spread samples over ``width`` columns from ``start`` to ``end``: the mean of each; None after the last sample.

    A column without a sample repeats the one before it.
    """
    length = (end - start).total_seconds()
    gathered: list[list[Power]] = [[] for _ in range(width)]
    for sample in power:
        place = math.floor((sample.at - start).total_seconds() / length * width) if length > 0 else 0
        if 0 <= place < width:
            gathered[place].append(sample)
    last = max((place for place, samples in enumerate(gathered) if samples), default=-1)
    found: list[Power | None] = []
    for place, samples in enumerate(gathered):
        if samples:
            found.append(_mean(samples))
        else:
            found.append(found[-1] if found and place < last else None)
    return found


def plateau(power: Sequence[Power]) -> Power | None:
    """Give the mean of the second half of the last step, when everybody follows; None before the event."""
    last = next((sample.asked_kw for sample in reversed(power) if sample.asked_kw > 0), None)
    step = [sample for sample in power if last is not None and sample.asked_kw == last]
    return _mean(step[len(step) // 2 :]) if step else None


def axis(power: Sequence[Power], most_asked_kw: float) -> Axis:
    """Choose what the chart shows: all of the baseline's movement, with room for what is asked below it."""
    highest = max((sample.baseline_kw for sample in power), default=10.0)
    lowest = min((min(sample.used_kw, sample.baseline_kw - most_asked_kw) for sample in power), default=0.0)
    step = next((nice for nice in _NICE if (highest - lowest) / nice <= 4), _NICE[-1])
    top = math.ceil(highest / step) * step
    floor = max(0, math.floor((lowest - step / 2) / step) * step)
    return Axis(float(floor), float(max(top, floor + step)), float(step))


def draw(
    shown: Sequence[Power | None],
    ahead_kw: Sequence[float | None],
    scale: Axis,
    height: int,
    glyphs: Glyphs,
    *,
    colour: bool,
) -> list[list[Cell]]:
    """Draw the columns, highest row first. ``ahead_kw`` is the use that is planned where nothing is known yet."""
    unit = (scale.top_kw - scale.floor_kw) / height
    rows = []
    for row in range(height):
        bottom = scale.floor_kw + (height - 1 - row) * unit
        rows.append(
            [
                _cell(sample, bottom, unit, glyphs, colour=colour) if sample else _ahead(planned, bottom, unit, glyphs)
                for sample, planned in zip(shown, ahead_kw, strict=True)
            ]
        )
    return rows


def planned_kw(shown: Sequence[Power | None], plan: Plan, end: datetime, vens_in: int) -> list[float | None]:
    """Give, by column, the use that the event asks for in the future, from the last baseline seen; None outside it."""
    baseline = next((sample.baseline_kw for sample in reversed(shown) if sample), None)
    length = (end - plan.issued) / max(1, len(shown))
    planned: list[float | None] = []
    for place, sample in enumerate(shown):
        asked = plan.asked_kw(plan.issued + length * (place + 0.5)) * vens_in
        planned.append(None if sample or baseline is None or not asked else baseline - asked)
    return planned


def label_rows(scale: Axis, height: int) -> dict[int, str]:
    """Give the labels of the axis by row: the kW at the lower edge of the row."""
    unit = (scale.top_kw - scale.floor_kw) / height
    labels: dict[int, str] = {}
    value = scale.floor_kw
    while value < scale.top_kw:
        row = height - 1 - round((value - scale.floor_kw) / unit)
        if 0 <= row < height:
            labels[row] = f"{value:g}"
        value += scale.step_kw
    return labels


def bar(share: float, width: int, glyphs: Glyphs) -> tuple[str, str]:
    """Give the filled and the empty part of a bar; a share above 1 fills it."""
    whole, half = divmod(round(min(max(share, 0.0), 1.0) * width * 2), 2)
    filled = glyphs.bar[0] * whole + glyphs.bar[1] * half
    return filled, glyphs.bar[2] * (width - len(filled))


def _cell(sample: Power, bottom: float, unit: float, glyphs: Glyphs, *, colour: bool) -> Cell:
    used = _filled(sample.used_kw, bottom, unit)
    whole = _filled(max(sample.baseline_kw, sample.used_kw), bottom, unit)
    if sample.asked_kw > 0 and (mark := _mark(sample.baseline_kw - sample.asked_kw, bottom, unit, glyphs)):
        paper: Ink | None = "used" if used >= _HALF else "delivered" if whole >= _HALF else None
        return Cell(mark, "asked", paper)
    if colour:
        return _coloured(used, whole, glyphs)
    if whole > used and used < _HALF:  # without colours a cell shows what fills most of it
        return Cell(glyphs.delivered, "delivered") if whole >= _HALF else Cell()
    return Cell(glyphs.parts[used], "used") if used else Cell()


def _coloured(used: int, whole: int, glyphs: Glyphs) -> Cell:
    """A cell whose lowest eighths are used and whose next ones, up to ``whole``, were delivered."""
    if used == _EIGHTHS:
        return Cell(glyphs.used, "used", "used")
    if whole == _EIGHTHS:
        return Cell(glyphs.parts[used], "used", "delivered") if used else Cell(glyphs.used, "delivered", "delivered")
    if used > 0 and 2 * used >= whole:
        return Cell(glyphs.parts[used], "used")
    return Cell(glyphs.parts[whole], "delivered") if whole else Cell()


def _ahead(planned: float | None, bottom: float, unit: float, glyphs: Glyphs) -> Cell:
    mark = None if planned is None else _mark(planned, bottom, unit, glyphs)
    return Cell(mark, "planned") if mark else Cell()


def _filled(kw: float, bottom: float, unit: float) -> int:
    return min(max(round((kw - bottom) / unit * _EIGHTHS), 0), _EIGHTHS)


def _mark(kw: float, bottom: float, unit: float, glyphs: Glyphs) -> str | None:
    height = (kw - bottom) / unit
    return glyphs.line[min(2, math.floor(height * 3))] if 0 <= height < 1 else None


def _mean(samples: Sequence[Power]) -> Power:
    def mean(values: Sequence[float]) -> float:
        return sum(values) / len(values)

    return Power(
        samples[-1].at,
        mean([sample.baseline_kw for sample in samples]),
        mean([sample.asked_kw for sample in samples]),
        mean([sample.delivered_kw for sample in samples]),
    )
