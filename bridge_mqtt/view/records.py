"""Commands, acknowledgments and messages put aside, as plain values with the names of docs/panel-contract.md."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from bridge_mqtt.explaining import explain
from bridge_mqtt.model import Command
from bridge_mqtt.store import acks, commands, events, quarantine
from bridge_mqtt.store.acks import AckQuery, StoredAck
from bridge_mqtt.view.shapes import CurtailedCircuit, VenEventAnswer
from bridge_mqtt.view.sources import Sources, leisurely
from openadr_profiles.panel import CircuitCurtailment, Op


class RecordView:
    """Answers questions about what was received and could not be used."""

    def __init__(self, sources: Sources) -> None:
        self._store = sources.store

    async def acks(self, query: AckQuery) -> list[dict[str, Any]]:
        """Return one page of acknowledgments in canonical form, newest first."""
        async with self._store.showing() as connection:
            found = await acks.search(connection, query)
        return [_ack(each) async for each in leisurely(found)]

    async def ven_events(
        self, ven_id: str, *, start: datetime | None, end: datetime | None, before_id: int | None, limit: int
    ) -> list[VenEventAnswer]:
        """Return a panel's answers to sheds and restores of events, newest first, as pages of the original read them.

        An acknowledgment that names circuits otherwise, or none, does not spoil the list (no. 31).
        """
        query = AckQuery(ven_id=ven_id, start=start, end=end, before_id=before_id, limit=limit, with_event=True)
        async with self._store.showing() as connection:
            found = await acks.search(connection, query)
        return [_ven_event(each) async for each in leisurely(found)]

    async def command(self, correlation_id: str) -> dict[str, Any] | None:
        """Return one command; None if there is none of this id."""
        async with self._store.showing() as connection:
            known = (await commands.by_correlation(connection, [correlation_id])).get(correlation_id)
        return None if known is None else command_record(known)

    async def quarantine(self, limit: int) -> list[dict[str, Any]]:
        """Return the messages last put aside."""
        async with self._store.showing() as connection:
            return await quarantine.newest(connection, limit)

    async def explanation(self, event_id: str, *, panels: int, ven_id: str | None) -> dict[str, Any] | None:
        """Return what an event asked of whom and why, None if it was never read."""
        async with self._store.showing() as connection:
            return await explain(connection, event_id, panels=panels, ven_id=ven_id)

    async def event_names(self, event_ids: Collection[str]) -> dict[str, str]:
        """Return the names of those events that have one, by id."""
        if not event_ids:
            return {}
        async with self._store.showing() as connection:
            return await events.names(connection, event_ids)

    async def knows_event(self, event_id: str) -> bool:
        """Return True if the event was ever read, or any acknowledgment names it."""
        async with self._store.showing() as connection:
            if await events.get(connection, event_id) is not None:
                return True
            return bool(await acks.search(connection, AckQuery(event_id=event_id, limit=1)))


def command_record(command: Command) -> dict[str, Any]:
    """Return a command with all that is known of it; powers in kW."""
    return {
        "correlationId": command.correlation_id,
        "venId": command.ven_id,
        "eventId": command.event_id,
        "op": command.op,
        "reason": command.reason,
        "state": command.state,
        "requestedShedKw": None if command.amount_kw is None else float(command.amount_kw),
        "actualShedKw": command.actual_kw,
        "queuedAt": command.queued_at,
        "sentAt": command.sent_at,
        "answeredAt": command.answered_at,
        "answeredBy": command.answered_by,
        "status": command.status,
        "error": command.error,
        "responseMs": command.response_ms,
        "late": command.late,
        "doubleShed": command.double_shed,
        "loadId": command.load_id,
        "enabled": command.enabled,
    }


def _ack(stored: StoredAck) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(stored.ack)
    return {"id": stored.id, "duplicates": stored.duplicates} | members


def _ven_event(stored: StoredAck) -> VenEventAnswer:
    ack = stored.ack
    circuits = None
    if ack.op == Op.SHED_PANEL and ack.circuits_curtailed is not None:
        circuits = tuple(_curtailed(each) for each in ack.circuits_curtailed)
    return VenEventAnswer(
        id=stored.id,
        ven_id=ack.ven_id,
        event_id=ack.event_id,
        correlation_id=ack.correlation_id,
        op="event" if ack.op == Op.SHED_PANEL else "restore" if ack.op == Op.RESTORE_PANEL else ack.op,
        status=ack.status,
        timestamp=ack.timestamp,
        requested_shed_kw=ack.requested_shed_kw,
        actual_shed_kw=ack.actual_shed_kw,
        circuits_curtailed=circuits,
    )


def _curtailed(circuit: CircuitCurtailment) -> CurtailedCircuit:
    """Return a circuit of an answer with a number everywhere; what one of them lacks follows from the other two."""
    curtailed, original, final = circuit.curtailed_kw, circuit.original_kw, circuit.final_kw
    if curtailed is None:
        curtailed = original - final if original is not None and final is not None else 0.0
    if original is None:
        original = curtailed + final if final is not None else curtailed
    return CurtailedCircuit(
        id=circuit.id,
        name=circuit.name or circuit.id,
        breaker_amps=circuit.breaker_amps or 0.0,
        original_kw=original,
        curtailed_kw=curtailed,
        final_kw=original - curtailed if final is None else final,
        critical=bool(circuit.critical),
    )
