"""Make charts of the values in reports: a series for each resource, gaps where nothing is said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from openadr_profiles.fleet.report_values import report_values
from openadr_profiles.v31 import AGGREGATED_REPORT, Report

SERIES: Final = 6
"""Resources in one chart; more cannot be told apart."""
_POINTS: Final = 2000
_KINDS: Final = {"BASELINE": "baseline", "DELIVERED_SHED": "delivered", "REQUESTED_SHED": "requested"}


def chart_of(reports: Iterable[Report], payload_type: str) -> dict[str, Any]:
    """Return a chart of one type of values: of equal times the report that changed last counts.

    The resources with most values are shown, at most six; a value holds from its start to its end, and where the next
    one begins later there is a gap.
    """
    found: dict[tuple[str, str], dict[datetime, tuple[datetime | None, float]]] = {}
    units: dict[tuple[str, str], str] = {}
    newest = None
    for report in sorted(reports, key=lambda one: one.modification_date_time):
        newest = report.modification_date_time
        for each in report_values(report):
            if each.payload_type != payload_type or each.start is None or each.number is None:
                continue
            key = report.client_name, each.resource
            found.setdefault(key, {})[each.start] = (each.end, each.number)
            units[key] = each.units
    chosen = sorted(found, key=lambda key: (-len(found[key]), key))[:SERIES]
    times = sorted({moment for key in chosen for moment in _moments(found[key])})[-_POINTS:]
    series = [
        {
            "label": key[0] if key[1] == AGGREGATED_REPORT else f"{key[0]} {key[1]}",
            "unit": units[key] or payload_type,
            "values": _held(found[key], times),
            "kind": _KINDS.get(payload_type, "other") if len(chosen) == 1 else "other",
            "stepped": True,
        }
        for key in chosen
    ]
    return {"times": [at.timestamp() for at in times], "series": series, "source": _source(found, newest)}


def _moments(values: dict[datetime, tuple[datetime | None, float]]) -> Iterable[datetime]:
    """Yield the times at which a series has a point: starts, and ends after which nothing follows at once."""
    for start, (end, _) in values.items():
        yield start
        if end is not None and end > start and end not in values:
            yield end - timedelta(seconds=1)
            yield end


def _held(values: dict[datetime, tuple[datetime | None, float]], times: list[datetime]) -> list[float | None]:
    """Return the value that holds at each time; None where none does."""
    starts = sorted(values)
    held: list[float | None] = []
    place = -1
    for at in times:
        while place + 1 < len(starts) and starts[place + 1] <= at:
            place += 1
        if place < 0:
            held.append(None)
            continue
        start = starts[place]
        end, number = values[start]
        is_over = at > start and (end is None or at >= end)
        held.append(None if is_over else number)
    return held


def _source(found: dict[tuple[str, str], Any], newest: datetime | None) -> str:
    if newest is None:
        return "No report has such values."
    left_out = len(found) - SERIES
    more = f"; {left_out} more resources are not drawn, choose a VEN to see them" if left_out > 0 else ""
    return f"From reports of VENs, the newest changed at {newest:%Y-%m-%d %H:%M:%S} UTC{more}."
