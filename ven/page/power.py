"""Turn the trace of power into the chart and the file of the page. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import dropwhile
from typing import Any, Final

from openadr_profiles.v31 import format_instant
from ven.panel.power_trace import PowerPoint, PowerTrace

_MINUTE: Final = timedelta(minutes=1)
SPANS: Final = {
    "1h": (timedelta(hours=1), _MINUTE),
    "24h": (timedelta(hours=24), _MINUTE),
    "7d": (timedelta(days=7), 10 * _MINUTE),
}
"""The spans that can be looked at, each with the length of a step of the chart."""
_MOST_SHADES: Final = 100


@dataclass(frozen=True, slots=True)
class Shade:
    """Hold the time of an event that was or is taken part in; ``end`` None is open."""

    start: datetime
    end: datetime | None
    label: str


def chart(trace: PowerTrace, shades: Iterable[Shade], now: datetime, span: str, zone: str) -> str:
    """Return the chart of a span until now as JSON: instants in s since 1970, powers in kW, gaps as null.

    ``zone`` names the time zone in which the instants are shown.
    """
    length, step = SPANS[span]
    start = now - length
    points = list(trace.points(start, now, step))
    within = [each for each in shades if each.start < now and (each.end is None or each.end > start)]
    told: dict[str, Any] = {
        "times": [int(each.at.timestamp()) for each in points],
        "series": [
            _series("Drawn", "other", [each.drawn_kw for each in points]),
            _series("May be drawn", "requested", [each.target_kw for each in points]),
        ],
        "shades": [
            {
                "from": int(max(each.start, start).timestamp()),
                "to": int((now if each.end is None else min(each.end, now)).timestamp()),
                "label": each.label,
            }
            for each in within[-_MOST_SHADES:]
        ],
        "source": f"Measured by this VEN: means of {step // _MINUTE} min, all circuits together, in kW.",
        "zone": zone,
    }
    return json.dumps(told, separators=(",", ":"))


def table(points: Iterable[PowerPoint]) -> str:
    """Return the minutes as CSV; what is not known is empty."""
    rows = ["time,drawn_kw,may_be_drawn_kw"]
    rows += (f"{format_instant(each.at)},{_text(each.drawn_kw)},{_text(each.target_kw)}" for each in points)
    return "\r\n".join(rows) + "\r\n"


def minutes(trace: PowerTrace, now: datetime, span: str) -> str:
    """Return the minutes of a span until now as CSV, from the first of which anything is known."""
    return table(dropwhile(_is_unknown, trace.points(now - SPANS[span][0], now, _MINUTE)))


def _is_unknown(point: PowerPoint) -> bool:
    return point.drawn_kw is None and point.target_kw is None


def _series(label: str, kind: str, values: Sequence[float | None]) -> dict[str, Any]:
    return {"label": label, "unit": "kW", "kind": kind, "values": values}


def _text(kw: float | None) -> str:
    return "" if kw is None else f"{kw:.3f}"
