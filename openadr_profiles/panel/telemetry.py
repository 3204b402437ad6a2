"""Metering messages and load lists of panels, read into one form for every panel program."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct, field

from openadr_profiles.panel import reading
from openadr_profiles.panel.dialects import dialect_of_sample
from openadr_profiles.panel.identity import panel_of_topic
from openadr_profiles.panel.load import Load
from openadr_profiles.panel.reading import Unreadable

_EVENT_ID = ("event_id", "eventId", "data.event_id", "data.eventId", "active_event")
_LOCAL_EVENT = "ui-evt-"
_MAX_ID = 255
_MAX_ERROR = 1000


class Telemetry(Struct, frozen=True, kw_only=True, gc=False):
    """One sample of a panel. ``shed_power_kw`` is the panel's own claim, not a measurement.

    ``dialect`` is the name of the dialect that the sample shows, None if it could be of any (rule C9).
    ``tells_event`` is False for programs that never say which event they follow, so that their silence means nothing.
    """

    ven_id: str = field(name="venId")
    panel_timestamp: datetime | None = field(name="panelTimestamp")
    received_at: datetime = field(name="receivedAt")
    message_num: int | None = field(name="messageNum")
    dialect: str | None
    used_power_kw: float | None = field(name="usedPowerKw")
    shed_power_kw: float | None = field(name="shedPowerKw")
    requested_reduction_kw: float | None = field(name="requestedReductionKw")
    baseline_power_kw: float | None = field(name="baselinePowerKw")
    event_id: str | None = field(name="eventId")
    tells_event: bool = field(name="tellsEvent")
    battery_soc: float | None = field(name="batterySoc")
    loads: tuple[Load, ...]
    error: str | None
    warnings: tuple[str, ...]

    @property
    def timestamp(self) -> datetime:
        """Return the panel's own time of the sample if it is plausible, else the time of receipt (rule R9)."""
        return self.panel_timestamp or self.received_at

    @property
    def is_local_event(self) -> bool:
        """Return True if the panel follows an event that was started at the panel itself."""
        return self.event_id is not None and self.event_id.startswith(_LOCAL_EVENT)


def read_telemetry(topic: str, payload: bytes, received_at: datetime) -> Telemetry | Unreadable:
    """Read a message of ``volttron/metering``, ``ven/telemetry/{venId}`` or ``ven/loads/{venId}``; never raises.

    The panel is the third topic level, or the payload's ``venId`` on the shared topic (rule R1).
    """
    ven_id = panel_of_topic(topic)
    document = reading.read_document(payload)
    if isinstance(document, str):
        return reading.unreadable(topic, ven_id, document, payload)
    members, warnings = document.members, document.warnings
    claimed = reading.text_at(members, ("venId", "ven_id"), _MAX_ID, warnings)
    if ven_id is None:
        ven_id = claimed
    elif claimed is not None and claimed != ven_id:
        warnings.append(f"the payload says panel {claimed!r}, the topic {ven_id!r}; the topic counts")
    if ven_id is None:
        return reading.unreadable(topic, None, "neither topic nor payload names a panel", payload)
    return Telemetry(
        ven_id=ven_id,
        panel_timestamp=reading.instant_at(members, ("ts", "timestamp", "data.ts"), received_at, warnings),
        received_at=received_at,
        message_num=reading.whole_at(members, ("message_num", "messageNum"), warnings),
        dialect=dialect_of_sample(topic, members),
        used_power_kw=reading.number_at(
            members, ("usedPowerKw", "power_kw", "powerKw"), warnings, most=reading.MOST_PANEL_KW
        ),
        shed_power_kw=reading.number_at(members, ("shedPowerKw", "shed_kw"), warnings, most=reading.MOST_PANEL_KW),
        requested_reduction_kw=reading.number_at(
            members, ("requestedReductionKw",), warnings, most=reading.MOST_PANEL_KW
        ),
        baseline_power_kw=reading.number_at(
            members, ("baselinePowerKw", "base_power_kw", "baselineKw"), warnings, most=reading.MOST_PANEL_KW
        ),
        event_id=reading.text_at(members, _EVENT_ID, _MAX_ID, warnings),
        tells_event=any(name in members for name in _EVENT_ID),
        battery_soc=_battery_soc(members, warnings),
        loads=_loads(members, warnings),
        error=reading.text_at(members, ("error", "data.error", "message"), _MAX_ERROR, warnings),
        warnings=tuple(warnings),
    )


def _battery_soc(members: Mapping[str, Any], warnings: list[str]) -> float | None:
    """Battery state as 0..1; above 1 it is a percentage (rule R20)."""
    value = reading.number_at(members, ("batterySoc", "batterySOC", "battery_soc"), warnings)
    if value is None:
        return None
    share = value / 100 if value > 1 else value
    if 0 <= share <= 1:
        return round(share, 6)
    warnings.append(f"battery state {value} is neither 0..1 nor 0..100; read as null")
    return None


def _loads(members: Mapping[str, Any], warnings: list[str]) -> tuple[Load, ...]:
    loads: dict[str, Load] = {}
    for item in reading.circuits_at(members, ("loads", "circuits"), warnings):
        name = reading.text_at(item, ("name",), _MAX_ID, warnings)
        identity = reading.text_at(item, ("id", "loadId", "load_id"), _MAX_ID, warnings) or name
        if identity is None:
            warnings.append("a load has neither id nor name; dropped")
            continue
        if identity in loads:
            warnings.append(f"load {identity!r} is there twice; the first one counts")
            continue
        enabled = item.get("enabled")
        loads[identity] = Load(
            id=identity,
            name=name,
            type=reading.text_at(item, ("type",), _MAX_ID, warnings),
            capacity_kw=_circuit_kw(item, ("capacityKw", "capacity_kw"), warnings),
            current_power_kw=_circuit_kw(item, ("currentPowerKw", "current_power_kw", "current_kw"), warnings),
            shed_capability_kw=_circuit_kw(item, ("shedCapabilityKw", "shed_capability_kw"), warnings),
            enabled=enabled if isinstance(enabled, bool) else None,
            priority=reading.number_at(item, ("priority",), warnings),
        )
    return tuple(loads.values())


def _circuit_kw(item: Mapping[str, Any], paths: tuple[str, ...], warnings: list[str]) -> float | None:
    return reading.number_at(item, paths, warnings, most=reading.MOST_CIRCUIT_KW)
