"""The state of the bridge as plain values for the HTTP API, with the names of docs/panel-contract.md."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from bridge_mqtt.decisions import Policy, is_online
from bridge_mqtt.model import Allocation, Command, EventState, Holding, PanelRecord, WindowPlan
from bridge_mqtt.panels import Registry, shed_capability_kw
from bridge_mqtt.store import Store, acks, allocations, commands, events, quarantine
from bridge_mqtt.store.acks import AckQuery, StoredAck
from bridge_mqtt.store.events import Baseline, StoredEvent
from openadr_profiles.panel import CircuitCurtailment, CommandState, Op, is_critical

_MOST_ACKS = 2_000


class View:
    """Answers questions about panels, events, commands and acknowledgments."""

    def __init__(self, *, store: Store, registry: Registry, policy: Policy, now: Callable[[], datetime]) -> None:
        self._store = store
        self._registry = registry
        self._policy = policy
        self._now = now

    async def panels(self) -> list[dict[str, Any]]:
        """Return all panels as they are now."""
        async with self._store.reading() as connection:
            held = await commands.held(connection)
        return [self._panel(panel, held.get(panel.ven_id)) for panel in self._registry]

    async def panel(self, ven_id: str) -> dict[str, Any] | None:
        """Return one panel with its circuits and newest commands."""
        panel = self._registry.get(ven_id)
        if panel is None:
            return None
        async with self._store.reading() as connection:
            held = await commands.held(connection)
            newest = await commands.of_panel(connection, ven_id, limit=50)
        return self._panel(panel, held.get(ven_id)) | {"commands": [_command(each) for each in newest]}

    async def events(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest events."""
        async with self._store.reading() as connection:
            return [_event(each) for each in await events.newest(connection, limit)]

    async def event(self, event_id: str) -> dict[str, Any] | None:
        """Return one event: its split, and per panel what was asked, answered and measured."""
        async with self._store.reading() as connection:
            stored = await events.get(connection, event_id)
            if stored is None:
                return None
            plans = [plan for _, plan in sorted((await allocations.plans(connection, [event_id])).items())]
            baselines = (await events.frozen(connection, [event_id])).get(event_id, {})
            sent = await commands.of_event(connection, event_id)
            held = await commands.held(connection)
            answers = await acks.search(connection, AckQuery(event_id=event_id, limit=_MOST_ACKS))
            steps = await events.history(connection, event_id)
        circuits = {
            each.ack.ven_id: each.ack.circuits_curtailed
            for each in reversed(answers)
            if each.ack.op == Op.SHED_PANEL and each.ack.matched and each.ack.circuits_curtailed is not None
        }
        latest: dict[str, Allocation] = {}
        for plan in plans:
            latest |= plan.parts
        return _event(stored) | {
            "history": [{"state": step.to_state, "reason": step.reason, "at": step.at} for step in steps],
            "windows": [_window(plan) for plan in plans],
            "panels": [
                self._part(stored, part, sent, held, baselines.get(ven_id), circuits.get(ven_id))
                for ven_id, part in sorted(latest.items())
            ],
        }

    async def acks(self, query: AckQuery) -> list[dict[str, Any]]:
        """Return one page of acknowledgments in canonical form, newest first."""
        async with self._store.reading() as connection:
            return [_ack(each) for each in await acks.search(connection, query)]

    async def quarantine(self, limit: int) -> list[dict[str, Any]]:
        """Return the messages last put aside."""
        async with self._store.reading() as connection:
            return await quarantine.newest(connection, limit)

    async def knows_event(self, event_id: str) -> bool:
        """Return True if the event was ever read, or any acknowledgment names it."""
        async with self._store.reading() as connection:
            if await events.get(connection, event_id) is not None:
                return True
            return bool(await acks.search(connection, AckQuery(event_id=event_id, limit=1)))

    def knows_panel(self, ven_id: str) -> bool:
        """Return True if the panel belongs to this bridge."""
        return self._registry.get(ven_id) is not None

    def _panel(self, panel: PanelRecord, holding: Holding | None) -> dict[str, Any]:
        return {
            "venId": panel.ven_id,
            "name": panel.name,
            "dialect": panel.dialect.name if panel.dialect else None,
            "groups": sorted(panel.groups),
            "enabled": panel.enabled,
            "online": is_online(panel, self._now(), self._policy),
            "lastSeenAt": panel.last_seen_at,
            "usedPowerKw": panel.used_power_kw,
            "claimedShedKw": panel.shed_power_kw,
            "shedCapabilityKw": float(shed_capability_kw(panel)),
            "showsEventId": panel.event_id,
            "holds": None
            if holding is None
            else {
                "eventId": holding.event_id,
                "requestedKw": float(holding.amount_kw),
                "until": holding.until,
                "state": holding.state,
                "correlationId": holding.correlation_id,
            },
            "circuits": [
                {
                    "id": load.id,
                    "name": load.name,
                    "type": load.type,
                    "ratedKw": load.capacity_kw,
                    "currentKw": load.current_power_kw,
                    "enabled": load.enabled,
                    "critical": is_critical(load),
                }
                for load in panel.loads
            ],
        }

    def _part(
        self,
        stored: StoredEvent,
        part: Allocation,
        sent: Sequence[Command],
        held: Mapping[str, Holding],
        baseline: Baseline | None,
        circuits: Sequence[CircuitCurtailment] | None,
    ) -> dict[str, Any]:
        mine = [command for command in sent if command.ven_id == part.ven_id]
        sheds = [command for command in mine if command.op is Op.SHED_PANEL]
        answered = [command for command in sheds if command.state is CommandState.ACKED]
        panel = self._registry.get(part.ven_id)
        holding = held.get(part.ven_id)
        holds = holding is not None and holding.event_id == stored.event.id
        measured = None
        if holds and baseline is not None and baseline.power_kw is not None and panel is not None:
            used = panel.used_power_kw
            measured = None if used is None else float(Decimal(str(baseline.power_kw)) - Decimal(str(used)))
        return {
            "venId": part.ven_id,
            "name": panel.name if panel else None,
            "dialect": panel.dialect.name if panel and panel.dialect else None,
            "requestedKw": float(part.requested_kw),
            "capabilityKw": float(part.capability_kw),
            "actualShedKw": answered[-1].actual_kw if answered else None,
            "measuredShedKw": measured,
            "baselineKw": baseline.power_kw if baseline else None,
            "usedPowerKw": panel.used_power_kw if panel else None,
            "excluded": part.excluded,
            "answered": bool(answered),
            "holds": holding.state if holding is not None and holds else None,
            "doubleShed": any(command.double_shed for command in sheds),
            "circuits": msgspec.to_builtins(circuits) if circuits is not None else None,
            "commands": [_command(each) for each in mine],
        }


def _event(stored: StoredEvent) -> dict[str, Any]:
    return {
        "id": stored.event.id,
        "programId": stored.event.program_id,
        "name": stored.event.event_name,
        "state": stored.state,
        "reason": stored.reason,
        "isFinal": EventState(stored.state).is_final,
        "modifiedAt": stored.event.modification_date_time,
        "receivedAt": stored.received_at,
        "withdrawnAt": stored.withdrawn_at,
    }


def _window(plan: WindowPlan) -> dict[str, Any]:
    return {
        "start": plan.start,
        "end": plan.end,
        "request": plan.request,
        "requestedKw": float(plan.request_kw),
        "panels": {ven_id: float(part.requested_kw) for ven_id, part in sorted(plan.parts.items())},
        "unallocatedKw": float(
            max(Decimal(0), plan.request_kw - sum((part.requested_kw for part in plan.parts.values()), Decimal(0)))
        ),
    }


def _command(command: Command) -> dict[str, Any]:
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
    }


def _ack(stored: StoredAck) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(stored.ack)
    return {"id": stored.id, "duplicates": stored.duplicates} | members
