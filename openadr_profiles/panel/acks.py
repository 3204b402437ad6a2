"""Acknowledgments: the canonical form, and the tolerant reader that makes it out of any dialect (rules R1 to R18)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct, field

from openadr_profiles.panel import reading
from openadr_profiles.panel.dialects import outcome_of
from openadr_profiles.panel.identity import MAX_CORRELATION_ID, panel_of_topic, wire_event_id
from openadr_profiles.panel.reading import Unreadable
from openadr_profiles.panel.vocabulary import AckStatus, canonical_op

_EVENT_ID = ("event_id", "eventId", "data.event_id", "data.eventId")
_CORRELATION_ID = ("correlationId", "correlation_id", "corrId")
_REQUESTED = (
    "requested_shed_kw",
    "requestedShedKw",
    "requestedReductionKw",
    "data.requestedReductionKw",
    "data.requested_kw",
    "data.reduceKw",
    "data.amountKw",
)
_ACTUAL = ("actual_shed_kw", "actualShedKw", "data.acceptedReduceKw", "data.shedAmount", "actualReductionKw")
_TIME = ("ts", "timestamp", "data.ts")
_ERROR = ("error", "data.error", "message")
_CIRCUITS = ("circuits_curtailed", "circuitsCurtailed", "data.circuits_curtailed")

_INVENTED_EVENT_ID = re.compile(r"(?:evt-|backend_)\d{10}", re.ASCII)
_MAX_OP = 50
_MAX_ID = 255
_MAX_ERROR = 1000
_TOLERANCE_KW = Decimal("0.02")


class CircuitCurtailment(Struct, frozen=True, kw_only=True):
    """The curtailment of one circuit as a panel reports it."""

    id: str
    name: str | None = None
    breaker_amps: float | None = field(name="breakerAmps", default=None)
    original_kw: float | None = field(name="originalKw", default=None)
    curtailed_kw: float | None = field(name="curtailedKw", default=None)
    final_kw: float | None = field(name="finalKw", default=None)
    critical: bool | None = None


class KnownCommand(Struct, frozen=True, kw_only=True):
    """The members of a command we sent that are needed to read its acknowledgment."""

    correlation_id: str
    ven_id: str
    op: str
    event_id: str | None
    requested_shed_kw: float | None
    sent_at: datetime | None
    deadline_at: datetime | None


class Ack(Struct, frozen=True, kw_only=True):
    """An acknowledgment in canonical form, with the names our API uses; ``dialect`` is the name of one, if it shows.

    ``payload_hash`` is of the whole message, ``raw_payload`` holds its first 4 KiB.
    """

    ven_id: str = field(name="venId")
    event_id: str | None = field(name="eventId")
    correlation_id: str | None = field(name="correlationId")
    op: str
    status: AckStatus
    error: str | None
    matched: bool
    late: bool
    requested_shed_kw: float | None = field(name="requestedShedKw")
    actual_shed_kw: float | None = field(name="actualShedKw")
    circuits_curtailed: tuple[CircuitCurtailment, ...] | None = field(name="circuitsCurtailed")
    panel_timestamp: datetime | None = field(name="panelTimestamp")
    received_at: datetime = field(name="receivedAt")
    response_ms: int | None = field(name="responseMs")
    dialect: str | None
    payload_hash: str = field(name="payloadHash")
    raw_payload: str = field(name="rawPayload")
    warnings: tuple[str, ...]

    @property
    def timestamp(self) -> datetime:
        """Return the panel's own time of the answer if it is plausible, else the time of receipt (rule R9)."""
        return self.panel_timestamp or self.received_at


FindCommand = Callable[[str], KnownCommand | None]


def read_ack(topic: str, payload: bytes, received_at: datetime, find_command: FindCommand) -> Ack | Unreadable:
    """Read what a panel answered, whatever its dialect; pure and never raising.

    ``find_command`` gives the command of a correlation id if we sent one. The answer is Unreadable only if the bytes
    are no JSON object of bearable size or the topic names no panel; everything else is an Ack, with what could not be
    used left out and named in ``warnings``.
    """
    ven_id = panel_of_topic(topic)
    document = reading.read_document(payload)
    if ven_id is None or isinstance(document, str):
        reason = document if isinstance(document, str) else "the topic names no panel"
        return reading.unreadable(topic, ven_id, reason, payload)
    members, warnings = document.members, document.warnings
    _check_panel(members, ven_id, warnings)

    correlation_id = reading.text_at(members, _CORRELATION_ID, MAX_CORRELATION_ID, warnings)
    command = _matching(correlation_id, ven_id, find_command, warnings)
    op = command.op if command else _op(members, warnings)
    error = reading.text_at(members, _ERROR, _MAX_ERROR, warnings)
    status, dialect = outcome_of(members, op, error, warnings)
    circuits = circuits_of(members, warnings)
    requested = reading.number_at(members, _REQUESTED, warnings, most=reading.MOST_PANEL_KW)
    late = bool(command and command.deadline_at and received_at > command.deadline_at)
    return Ack(
        ven_id=ven_id,
        event_id=_event_id(members, command, warnings),
        correlation_id=correlation_id,
        op=op,
        status=status,
        error=error,
        matched=command is not None,
        late=late,
        requested_shed_kw=command.requested_shed_kw if requested is None and command else requested,
        actual_shed_kw=_actual(members, circuits, warnings),
        circuits_curtailed=circuits,
        panel_timestamp=reading.instant_at(members, _TIME, received_at, warnings),
        received_at=received_at,
        response_ms=_response_ms(command, received_at),
        dialect=dialect,
        payload_hash=reading.payload_hash(payload),
        raw_payload=reading.printable(payload[: reading.KEPT_OF_ACK_BYTES]),
        warnings=tuple(warnings),
    )


def _check_panel(members: Mapping[str, Any], ven_id: str, warnings: list[str]) -> None:
    claimed = reading.text_at(members, ("venId", "ven_id"), _MAX_ID, warnings)
    if claimed is not None and claimed != ven_id:
        warnings.append(f"the payload says panel {claimed!r}, the topic {ven_id!r}; the topic counts")


def _matching(
    correlation_id: str | None, ven_id: str, find_command: FindCommand, warnings: list[str]
) -> KnownCommand | None:
    command = find_command(correlation_id) if correlation_id is not None else None
    if command is not None and command.ven_id != ven_id:
        warnings.append(f"the correlationId belongs to a command for panel {command.ven_id!r}; not matched")
        return None
    return command


def _op(members: Mapping[str, Any], warnings: list[str]) -> str:
    text = reading.text_at(members, ("op",), _MAX_OP, warnings)
    return canonical_op(text) if text and text.strip() else "unknown"


def _event_id(members: Mapping[str, Any], command: KnownCommand | None, warnings: list[str]) -> str | None:
    told = reading.text_at(members, _EVENT_ID, _MAX_ID, warnings)
    if command is None or command.event_id is None:
        return told
    if told is not None and told not in {command.event_id, wire_event_id(command.event_id)}:
        kind = "invented an event id" if _INVENTED_EVENT_ID.fullmatch(told) else "names another event"
        warnings.append(f"the panel {kind}, {told!r}; ours counts")
    return command.event_id


def circuits_of(members: Mapping[str, Any], warnings: list[str]) -> tuple[CircuitCurtailment, ...] | None:
    """Return the circuits that an acknowledgment lists, in either item form; None if it lists none (rule R10)."""
    if all(reading.member(members, path) is None for path in _CIRCUITS):
        return None
    circuits = []
    for item in reading.circuits_at(members, _CIRCUITS, warnings):
        name = reading.text_at(item, ("name",), _MAX_ID, warnings)
        identity = reading.text_at(item, ("id", "loadId", "load_id"), _MAX_ID, warnings) or name
        if identity is None:
            warnings.append("a circuit has neither id nor name; dropped")
            continue
        critical = item.get("critical")
        circuits.append(
            CircuitCurtailment(
                id=identity,
                name=name,
                breaker_amps=reading.number_at(item, ("breaker_amps", "breakerAmps"), warnings),
                original_kw=_circuit_kw(item, ("original_kw", "originalKw"), warnings),
                curtailed_kw=_circuit_kw(item, ("curtailed_kw", "curtailedKw", "shedKw", "shed_kw"), warnings),
                final_kw=_circuit_kw(item, ("final_kw", "finalKw"), warnings),
                critical=critical if isinstance(critical, bool) else None,
            )
        )
    return tuple(circuits)


def _circuit_kw(item: Mapping[str, Any], paths: tuple[str, ...], warnings: list[str]) -> float | None:
    return reading.number_at(item, paths, warnings, most=reading.MOST_CIRCUIT_KW)


def _actual(
    members: Mapping[str, Any], circuits: tuple[CircuitCurtailment, ...] | None, warnings: list[str]
) -> float | None:
    told = reading.number_at(members, _ACTUAL, warnings, most=reading.MOST_PANEL_KW)
    parts = [Decimal(str(c.curtailed_kw)) for c in circuits or () if c.curtailed_kw is not None]
    if circuits is None or (circuits and not parts):
        return told
    total = sum(parts, Decimal(0))
    if told is None:
        return float(total)
    if abs(Decimal(str(told)) - total) > _TOLERANCE_KW * max(len(parts), 1):
        warnings.append(f"the circuits add up to {total} kW, the panel says {told} kW; the panel's figure is kept")
    return told


def _response_ms(command: KnownCommand | None, received_at: datetime) -> int | None:
    if command is None or command.sent_at is None:
        return None
    return max(0, (received_at - command.sent_at) // timedelta(milliseconds=1))
