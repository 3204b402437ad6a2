"""Tell business logic of results: their rows as the wire has them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from openadr_profiles.performance import (
    ParticipantPerformance,
    PerformanceDifference,
    PerformanceResult,
    PerformanceSums,
    PerformanceValues,
)
from vtn.performance.kept import in_thousands, kept_steps


def result_of(row: Mapping[str, Any]) -> PerformanceResult:
    """Return a result as it is told to business logic."""
    sums = row.get("sums")
    return PerformanceResult(
        id=row["id"],
        event_id=row["event_id"],
        event_name=row["event_name"],
        program_id=row["program_id"],
        start=datetime.fromisoformat(row["starts_at"]),
        end=datetime.fromisoformat(row["ends_at"]),
        method=row["method"],
        step_s=row["step_s"],
        zone=row["zone"],
        holidays=msgspec.json.decode(row["holidays"], type=tuple[date, ...]),
        circuits=row["circuits"],
        state=row["state"],
        vens=row["vens"],
        vens_done=row["vens_done"],
        trouble=row["trouble"],
        inputs_sha256=row["inputs_sha256"],
        made_by=row["made_by"],
        made_at=datetime.fromisoformat(row["made_at"]),
        frozen_by=row["frozen_by"],
        frozen_at=row["frozen_at"] and datetime.fromisoformat(row["frozen_at"]),
        sums=None if sums is None else msgspec.json.decode(sums, type=PerformanceSums),
    )


def participant_of(
    row: Mapping[Any, Any], starts_at: str, step: timedelta, *, with_steps: bool = True
) -> ParticipantPerformance:
    """Return a participant as it is told to business logic; ``starts_at`` is that of the event."""
    details = msgspec.json.decode(row["details"])
    return ParticipantPerformance(
        position=row["position"],
        client_id=row["client_id"],
        resource=row["resource"],
        participant=row["name"],
        requested_kwh=in_thousands(row["requested_wh"]),
        delivered_kwh=in_thousands(row["delivered_wh"]),
        shortfall_kwh=in_thousands(row["shortfall_wh"]),
        performance=in_thousands(row["performance_permille"]),
        gaps=row["gaps"],
        notes=tuple(details["notes"]),
        baseline_days=tuple(date.fromisoformat(day) for day in details["days"]),
        adjustment=details["adjustment"],
        steps=kept_steps(details["steps"], starts_at, step) if with_steps else (),
    )


def difference_of(row: Mapping[Any, Any]) -> PerformanceDifference:
    """Return what two results say of a participant."""
    return PerformanceDifference(
        client_id=row["client_id"],
        resource=row["resource"],
        participant=row["name"],
        was=_values(row, "was_"),
        now=_values(row, ""),
    )


def _values(row: Mapping[Any, Any], prefix: str) -> PerformanceValues | None:
    if row[f"{prefix}gaps"] is None:
        return None
    return PerformanceValues(
        requested_kwh=in_thousands(row[f"{prefix}requested_wh"]),
        delivered_kwh=in_thousands(row[f"{prefix}delivered_wh"]),
        shortfall_kwh=in_thousands(row[f"{prefix}shortfall_wh"]),
        gaps=row[f"{prefix}gaps"],
    )
