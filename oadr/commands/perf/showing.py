"""Show what an event delivered: for people, as JSON, and as CSV for settlement."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from oadr.terminal.output import plain, show_json, show_rows, wants_json
from oadr.terminal.text import visible
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.performance import (
    FleetPerformanceStep,
    ParticipantPerformance,
    PerformanceDifference,
    PerformanceResult,
    PerformanceSums,
    PerformanceValues,
)

_ROWS: Final = {
    "participant": "Participant",
    "requestedKwh": "Requested kWh",
    "deliveredKwh": "Delivered kWh",
    "shortfallKwh": "Short kWh",
    "performance": "Factor",
    "gaps": "Gaps",
    "notes": "Notes",
}
_RESULTS: Final = {
    "id": "Result",
    "eventID": "Event",
    "method": "Baseline",
    "step": "Step",
    "zone": "Days of",
    "state": "State",
    "madeBy": "By",
    "madeAt": "Made",
    "frozenAt": "Frozen",
}
_DIFFERENCES: Final = {
    "participant": "Participant",
    "wasKwh": "Was kWh",
    "nowKwh": "Would now be kWh",
    "wasShortKwh": "Was short",
    "nowShortKwh": "Now short",
}


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Hold what an event delivered. ``result`` is the one that the VTN keeps, None where it was worked out here."""

    event_id: str
    event_name: str | None
    start: datetime
    end: datetime
    method: str
    step: timedelta
    inputs_sha256: str
    sums: PerformanceSums
    participants: Sequence[ParticipantPerformance]
    result: PerformanceResult | None = None


def show_evaluated(found: Evaluated, *, as_csv: bool, as_json: bool, everything: bool) -> None:
    """Print what an event delivered."""
    if as_csv:
        write_csv(found)
    elif wants_json(as_json):
        show_json(_as_json(found))
    else:
        sums = found.sums
        known = f"{sums.participants_known:,} of {sums.participants:,} participants known"
        title = visible(
            f"Event {found.event_name or found.event_id}, {local_time(found.start)} to {local_time(found.end)}, "
            f"baseline {found.method}: {_kwh(sums.delivered_kwh)} delivered of {_kwh(sums.requested_kwh)} ({known})"
        )
        show_rows(
            [plain(one) for one in found.participants],
            _ROWS,
            as_json=False,
            title=title,
            empty="the event reaches no VEN",
            everything=everything,
            least_needed=("gaps", "shortfallKwh"),
        )


def write_csv(found: Evaluated) -> None:
    """Print a line for each participant and step."""
    from vtn.performance.settlement import settlement_head, settlement_lines

    sys.stdout.write(settlement_head())
    for one in found.participants:
        sys.stdout.write(
            settlement_lines(found.event_id, one, found.step, method=found.method, inputs_sha256=found.inputs_sha256)
        )


def show_results(found: Sequence[PerformanceResult], *, as_json: bool, everything: bool) -> None:
    """Print a list of results."""
    rows = [plain(one) | {"step": f"{one.step_s // 60} min"} for one in found]
    show_rows(
        rows,
        _RESULTS,
        as_json=as_json,
        title="Results",
        empty="no results are kept; `oadr perf freeze EVENT` makes one",
        everything=everything,
        least_needed=("zone", "step", "madeBy"),
    )


def show_differences(
    was: PerformanceResult, now: PerformanceResult, found: Sequence[PerformanceDifference], *, as_json: bool
) -> None:
    """Print of whom a result would say something else now."""
    if wants_json(as_json):
        sums = {"was": _sums(was), "now": _sums(now)}
        show_json({"result": was.id, **sums, "differences": [plain(one) for one in found]})
        return
    rows = [
        {
            "participant": one.participant,
            "wasKwh": _of(one.was, "delivered_kwh"),
            "nowKwh": _of(one.now, "delivered_kwh"),
            "wasShortKwh": _of(one.was, "shortfall_kwh"),
            "nowShortKwh": _of(one.now, "shortfall_kwh"),
        }
        for one in found
    ]
    show_rows(
        rows,
        _DIFFERENCES,
        as_json=False,
        title=f"Result {was.id}: {len(rows):,} participants would now be different",
        empty="nothing would be different now",
    )


def _as_json(found: Evaluated) -> dict[str, Any]:
    kept = {} if found.result is None else {"result": found.result.id, "state": found.result.state}
    sums = plain(found.sums)
    sums.pop("curve", None)
    return kept | {
        "eventID": found.event_id,
        "eventName": found.event_name,
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "method": found.method,
        "stepS": int(found.step.total_seconds()),
        "inputsSha256": found.inputs_sha256,
        "sums": sums,
        "curve": [_curve(one) for one in found.sums.curve],
        "participants": [plain(one) for one in found.participants],
    }


def _curve(one: FleetPerformanceStep) -> dict[str, Any]:
    return plain(one.whole) | {"known": plain(one.known), "participantsKnown": one.participants_known}


def _sums(result: PerformanceResult) -> dict[str, Any]:
    sums = plain(result.sums) if isinstance(result.sums, PerformanceSums) else {}
    sums.pop("curve", None)
    return sums | {"inputsSha256": result.inputs_sha256}


def _of(values: PerformanceValues | None, name: str) -> float | None:
    found: float | None = None if values is None else getattr(values, name)
    return found


def _kwh(value: float | None) -> str:
    return "an unknown number of kWh" if value is None else f"{value:,.3f} kWh"
