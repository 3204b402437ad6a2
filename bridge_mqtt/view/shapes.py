"""The shapes of the answers that the original's clients read (panel-contract 11.2), as types that also describe them.

Powers are kW, instants aware and written with ``Z``. A member is null where the bridge does not know.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct, field


class CamelAnswer(Struct, frozen=True, kw_only=True, rename="camel"):
    """An answer whose members are written in camelCase."""


class EventAnswer(CamelAnswer, frozen=True, kw_only=True):
    """An event. ``actualReductionKw`` is the mean below the baseline from its start until now or its end (no. 15)."""

    id: str
    status: str
    start_time: datetime | None
    end_time: datetime | None
    requested_reduction_kw: float | None
    actual_reduction_kw: float | None
    program_id: str
    name: str | None
    state: str
    reason: str | None
    is_final: bool
    modified_at: datetime
    received_at: datetime
    withdrawn_at: datetime | None


class EventMetricsAnswer(CamelAnswer, frozen=True, kw_only=True):
    """Hold how an event goes now: ``currentReductionKw`` sums the latest measurement of each panel that holds it."""

    current_reduction_kw: float | None
    vens_responding: int
    avg_response_ms: int | None


class CurrentEventAnswer(EventAnswer, frozen=True, kw_only=True):
    """An active event and how it goes now."""

    current_reduction_kw: float | None
    vens_responding: int
    avg_response_ms: int | None


class RespondingVen(CamelAnswer, frozen=True, kw_only=True):
    """A panel's part in an event. ``status`` is responded, rejected, no answer, waiting or excluded (no. 16)."""

    ven_id: str
    ven_name: str | None
    shed_kw: float | None
    status: str


class PerformanceOfVen(CamelAnswer, frozen=True, kw_only=True):
    """Hold what a panel delivered: its frozen baseline minus its mean power, over the event as far as it has gone."""

    ven_id: str
    requested_kw: float
    baseline_kw: float | None
    mean_power_kw: float | None
    delivered_kw: float | None
    delivered_kwh: float | None
    percent: float | None
    samples: int
    answered: bool
    response_ms: int | None


class PerformanceAnswer(CamelAnswer, frozen=True, kw_only=True):
    """Hold what an event asked for and what was delivered, altogether and by panel."""

    event_id: str
    status: str
    start: datetime | None
    until: datetime | None
    requested_kw: float | None
    delivered_kw: float | None
    delivered_kwh: float | None
    percent: float | None
    avg_response_ms: int | None
    longest_response_ms: int | None
    vens: tuple[PerformanceOfVen, ...]


class CurtailedCircuit(Struct, frozen=True, kw_only=True):
    """A circuit of an acknowledgment, in the members that pages read: numbers and a name are always there."""

    id: str
    name: str
    breaker_amps: float
    original_kw: float
    curtailed_kw: float
    final_kw: float
    critical: bool


class VenEventAnswer(CamelAnswer, frozen=True, kw_only=True):
    """An acknowledgment as the history of a panel's events shows it: camelCase outside, snake_case inside."""

    id: int
    ven_id: str
    event_id: str | None
    correlation_id: str | None
    op: str
    status: str
    timestamp: datetime
    requested_shed_kw: float | None
    actual_shed_kw: float | None
    circuits_curtailed: tuple[CurtailedCircuit, ...] | None


class LoadAnswer(CamelAnswer, frozen=True, kw_only=True):
    """A circuit as it was last measured. ``shedCapabilityKw`` is what the panel's program would shed of it (no. 33)."""

    id: str
    name: str | None
    type: str
    capacity_kw: float | None
    current_power_kw: float | None
    shed_capability_kw: float
    enabled: bool | None
    priority: float | None
    critical: bool


class Location(Struct, frozen=True, kw_only=True):
    """A place in degrees."""

    lat: float = field()
    lon: float = field()


class VenMetrics(CamelAnswer, frozen=True, kw_only=True):
    """A panel's power now; ``shedAvailabilityKw`` is what it could shed, ``shedLoadIds`` what it does (no. 33)."""

    current_power_kw: float | None
    shed_availability_kw: float
    active_event_id: str | None
    shed_load_ids: tuple[str, ...]


class VenAnswer(CamelAnswer, frozen=True, kw_only=True):
    """A panel. ``status`` is online, offline or disabled."""

    id: str
    name: str
    status: str
    location: Location | None
    metrics: VenMetrics
    created_at: datetime | None
    last_seen: datetime | None
    loads: tuple[LoadAnswer, ...]


class VenSummaryAnswer(CamelAnswer, frozen=True, kw_only=True):
    """A panel in one line; ``responseTime`` are the ms of its last answer."""

    id: str
    name: str
    location: Location | None
    status: str
    controllable_power: float
    current_power: float | None
    address: str | None
    last_seen: datetime | None
    response_time: int | None


class TelemetryPoint(CamelAnswer, frozen=True, kw_only=True):
    """One sample of a panel, as measured."""

    timestamp: datetime
    used_power_kw: float | None
    shed_power_kw: float | None
    requested_reduction_kw: float | None
    event_id: str | None
    baseline_power_kw: float | None
    battery_soc: float | None


class TelemetryAnswer(CamelAnswer, frozen=True, kw_only=True):
    """Samples of a panel, newest first; ``nextBefore`` asks for those before them."""

    ven_id: str
    telemetry: tuple[TelemetryPoint, ...]
    total_count: int
    next_before: str | None


class CircuitSnapshotAnswer(CamelAnswer, frozen=True, kw_only=True):
    """One circuit at one moment."""

    timestamp: datetime
    load_id: str
    name: str | None
    type: str | None
    capacity_kw: float | None
    current_power_kw: float | None
    shed_capability_kw: float | None
    enabled: bool | None
    priority: float | None


class CircuitHistoryAnswer(CamelAnswer, frozen=True, kw_only=True):
    """Circuits over time, newest first (no. 32); ``totalCount`` counts those in this answer."""

    ven_id: str
    load_id: str | None
    snapshots: tuple[CircuitSnapshotAnswer, ...]
    total_count: int
    next_before: str | None


class HistoryPoint(CamelAnswer, frozen=True, kw_only=True):
    """Mean power of one step of time, which begins at ``timestamp``."""

    timestamp: datetime
    used_power_kw: float | None
    shed_power_kw: float | None
    event_id: str | None
    requested_reduction_kw: float | None


class HistoryAnswer(CamelAnswer, frozen=True, kw_only=True):
    """Power over time, oldest first; ``stepS`` is longer than was asked for if that would take too many readings."""

    points: tuple[HistoryPoint, ...]
    step_s: int


class BaselineAnswer(CamelAnswer, frozen=True, kw_only=True):
    """A panel's mean power before an event, or before now: what a shed is measured against."""

    ven_id: str
    event_id: str | None
    baseline_kw: float | None
    circuits_kw: dict[str, float]
    samples: int
    frozen_at: datetime | None
    seconds: float


class ShedCapacityAnswer(CamelAnswer, frozen=True, kw_only=True):
    """Hold what a panel could shed now, by circuit, in the order of its program; critical circuits are never shed."""

    ven_id: str
    total_load_kw: float | None
    available_shed_kw: float
    essential_load_kw: float
    sheddable_circuits: tuple[LoadAnswer, ...]


class NetworkStatsAnswer(CamelAnswer, frozen=True, kw_only=True):
    """The fleet now. ``potentialLoadReductionKw`` is what panels that are online could shed more than they do."""

    ven_count: int
    controllable_power_kw: float
    potential_load_reduction_kw: float
    household_usage_kw: float
    online_vens: int
    current_load_reduction_kw: float
    network_efficiency: float | None
    average_house_power: float | None
    total_house_power_today: float | None


class LoadTypeAnswer(CamelAnswer, frozen=True, kw_only=True):
    """All circuits of one type."""

    type: str
    total_capacity_kw: float
    total_shed_capability_kw: float
    current_usage_kw: float


class ShadowAnswer(CamelAnswer, frozen=True, kw_only=True):
    """The device shadow of a panel: what it reported itself (``panel``), or what its metering says (``bridge``)."""

    state: dict[str, Any]
    source: str
    received_at: datetime | None
