"""The curve of an event for charts, files and paper: requested, baseline and delivered kW, with its gaps. No I/O."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import pairwise
from statistics import median
from typing import Any, Final

from vtn.store.facts.results import CurvePoint

_KINDS: Final = ("requested", "baseline", "delivered")
_LABELS: Final = {"requested": "Requested", "baseline": "Baseline", "delivered": "Delivered"}
_LEAST_GAP: Final = timedelta(seconds=25)
_SPACINGS: Final = 2.5
_HEADROOM: Final = 1.05
_WIDTH: Final = 1000
_HEIGHT: Final = 280


def with_gaps(points: Sequence[CurvePoint]) -> Iterator[CurvePoint]:
    """Yield the points, and an empty one wherever moments are missing, so that no line is drawn across.

    A moment is missing where two points are further apart than two and a half times what they usually are.
    """
    if len(points) < 2:
        yield from points
        return
    usual = median((later.at - earlier.at).total_seconds() for earlier, later in pairwise(points))
    longest = max(timedelta(seconds=usual * _SPACINGS), _LEAST_GAP)
    for earlier, later in pairwise(points):
        yield earlier
        if later.at - earlier.at > longest:
            yield CurvePoint(earlier.at + (later.at - earlier.at) / 2, None, None, None, 0, 0)
    yield points[-1]


def chart(
    points: Sequence[CurvePoint],
    *,
    start: datetime | None,
    end: datetime | None,
    now: datetime,
    zone: tzinfo,
    name: str,
) -> dict[str, Any]:
    """Return the curve as the charts of pages read it; the time of the event is shaded (until now if it is open)."""
    drawn = list(with_gaps(points))
    last = points[-1] if points else None
    shades = [] if start is None else [_shade(start, end or max(now, start), name)]
    return {
        "times": [each.at.timestamp() for each in drawn],
        "series": [
            {
                "label": _LABELS[kind],
                "unit": "kW",
                "kind": kind,
                "values": [getattr(each, f"{kind}_kw") for each in drawn],
            }
            for kind in _KINDS
        ],
        "shades": shades,
        "source": _source(last),
        "zone": str(zone),
    }


def _shade(start: datetime, end: datetime, label: str) -> dict[str, Any]:
    return {"from": start.timestamp(), "to": end.timestamp(), "label": label}


def _source(last: CurvePoint | None) -> str:
    if last is None:
        return "Sums are noted while the event is active, once participants report."
    return (
        f"Sums of the latest status reports of {last.reporting:,} of {last.taking_part:,} participants, noted while "
        f"the event is active; the last at {last.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC. What one reported stands "
        "until its next report; moments without a note stay gaps."
    )


def curve_csv(points: Iterable[CurvePoint], zone: tzinfo) -> str:
    """Return the curve as CSV: a row for each moment that was noted, an empty cell for what is not known."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    columns = ("time_utc", "time_local", "requested_kw", "baseline_kw", "delivered_kw", "reporting", "taking_part")
    writer.writerow(columns)
    for each in points:
        utc = each.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        local = each.at.astimezone(zone).isoformat(timespec="milliseconds")
        powers = (each.requested_kw, each.baseline_kw, each.delivered_kw)
        writer.writerow((utc, local, *("" if kw is None else kw for kw in powers), each.reporting, each.taking_part))
    return file.getvalue()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a drawing: its kind and the coordinates of each unbroken piece."""

    kind: str
    label: str
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """The curve as lines on paper: 1000 wide, 280 high, from 0 kW (or the least) at the bottom to ``most_kw``."""

    lines: tuple[Line, ...]
    least_kw: float
    most_kw: float
    since: datetime
    until: datetime
    zero_y: float
    shade: tuple[float, float] | None
    width: int = _WIDTH
    height: int = _HEIGHT


def drawing(points: Sequence[CurvePoint], *, start: datetime | None, end: datetime | None) -> Drawing | None:
    """Return the curve as lines; None if nothing of it is known."""
    drawn = list(with_gaps(points))
    known = [kw for each in points for kind in _KINDS if (kw := getattr(each, f"{kind}_kw")) is not None]
    if not known:
        return None
    since, until = points[0].at, points[-1].at
    length = max((until - since).total_seconds(), 1.0)
    least, most = min(0.0, *known), max(0.0, *known) * _HEADROOM
    height_kw = (most - least) or 1.0

    def x(at: datetime) -> float:
        share = float((at - since).total_seconds() / length)
        return float(round(min(max(share, 0.0), 1.0) * _WIDTH, 1))

    def y(kw: float) -> float:
        return float(round((most - kw) / height_kw * _HEIGHT, 1))

    lines = []
    for kind in _KINDS:
        pieces: list[list[str]] = [[]]
        for each in drawn:
            kw = getattr(each, f"{kind}_kw")
            if kw is None:
                pieces.append([])
            else:
                pieces[-1].append(f"{x(each.at)},{y(kw)}")
        lines.append(Line(kind, _LABELS[kind], tuple(" ".join(piece) for piece in pieces if piece)))
    shade = None if start is None else (x(start), max(x(end or until) - x(start), 0.0))
    return Drawing(tuple(lines), least, most, since, until, y(0.0), shade)
