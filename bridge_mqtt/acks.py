"""Acknowledgments: stored with what they change, in one transaction, before the broker is told (rules R13 to R19)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Command, Holding, HoldingState
from bridge_mqtt.panels import Registry
from bridge_mqtt.store import acks, allocations, commands, panels, quarantine
from openadr_client import Received
from openadr_profiles.panel import (
    Ack,
    AckStatus,
    CommandState,
    KnownCommand,
    Op,
    Unreadable,
    correlation_of,
    read_ack,
)
from openadr_profiles.panel.identity import panel_of_topic
from openadr_profiles.panel.reading import KEPT_BYTES, printable

_log = structlog.get_logger(__name__)

_NO = {AckStatus.REJECTED, AckStatus.FAILED}
_OPEN = {HoldingState.SENDING, HoldingState.UNCERTAIN, HoldingState.UNREACHABLE}
_LESS_KW = Decimal("0.05")


class AckDesk:
    """Takes acknowledgments in. ``clock_speed`` is how many seconds of the event clock pass in a real one."""

    def __init__(self, registry: Registry, *, quarantine_per_hour: int, clock_speed: float) -> None:
        self._registry = registry
        self._quarantine_per_hour = quarantine_per_hour
        self._clock_speed = clock_speed
        self.unreadable = 0
        self.unregistered = 0
        self.unmatched = 0

    async def take(self, connection: AsyncConnection, messages: Sequence[Received]) -> bool:
        """Store acknowledgments in their order; return True if any of them changes what is to be done next."""
        ids = {found for message in messages if (found := correlation_of(message.payload)) is not None}
        known = await commands.by_correlation(connection, ids)
        held = await commands.held(connection) if known else {}
        changed = False
        for message in messages:
            ack = self._read(message, known)
            if isinstance(ack, Unreadable):
                await quarantine.add(connection, ack, message.received_at, self._quarantine_per_hour)
                continue
            fresh = await acks.add(connection, ack, message.received_at)
            if not fresh:
                continue
            await panels.save_answer(connection, self._registry.answered(ack))
            if ack.matched and ack.correlation_id is not None:
                command = known[ack.correlation_id]
                known[ack.correlation_id] = await self._apply(connection, command, ack, held.get(ack.ven_id))
                held = await commands.held(connection)
            else:
                self.unmatched += 1
            changed = True
        return changed

    def _read(self, message: Received, known: dict[str, Command]) -> Ack | Unreadable:
        ven_id = panel_of_topic(message.topic)
        if ven_id is not None and self._registry.admit(ven_id) is None:
            self.unregistered += 1
            head = printable(message.payload[:KEPT_BYTES])
            size = len(message.payload)
            return Unreadable(
                topic=message.topic, ven_id=ven_id, reason="panel is not registered", size=size, head=head
            )

        def find(correlation_id: str) -> KnownCommand | None:
            command = known.get(correlation_id)
            return None if command is None else _known(command)

        ack = read_ack(message.topic, message.payload, message.received_at, find)
        if isinstance(ack, Unreadable):
            self.unreadable += 1
            _log.warning("unreadable ack dropped", ven_id=ven_id, reason=ack.reason, size=ack.size)
            return ack
        if ack.response_ms is not None and self._clock_speed != 1:
            ack = _with_response(ack, round(ack.response_ms / self._clock_speed))
        return ack

    async def _apply(self, connection: AsyncConnection, command: Command, ack: Ack, holding: Holding | None) -> Command:
        """Store what an answer to our command changes, and return the command as it is now."""
        by_ack = command.answered_by == "ack"
        if by_ack and command.op is Op.SHED_PANEL and ack.status not in _NO:
            _log.error("panel acted twice on one command", ven_id=ack.ven_id, correlation_id=command.correlation_id)
            await commands.change(connection, command.correlation_id, double_shed=True)
            return replace(command, double_shed=True)
        if by_ack:
            return command
        state = command.state
        if state is not CommandState.SUPERSEDED:
            state = CommandState.REJECTED if ack.status in _NO else CommandState.ACKED
        answer = {
            "state": state,
            "answered_at": ack.received_at,
            "answered_by": "ack",
            "status": ack.status.value,
            "error": ack.error,
            "response_ms": ack.response_ms,
            "actual_kw": ack.actual_shed_kw,
            "late": ack.late,
        }
        await commands.change(connection, command.correlation_id, **answer)
        _log.info(
            "command answered",
            ven_id=ack.ven_id,
            event_id=command.event_id,
            correlation_id=command.correlation_id,
            op=command.op.value,
            status=ack.status.value,
            response_ms=ack.response_ms,
            actual_shed_kw=ack.actual_shed_kw,
        )
        if holding is not None and command.op is Op.SHED_PANEL:
            await self._after_shed(connection, command, ack, holding)
        elif holding is not None and command.op is Op.RESTORE_PANEL and holding.event_id == command.event_id:
            await self._after_restore(connection, ack, holding)
        return replace(command, state=state, answered_by="ack")

    async def _after_shed(self, connection: AsyncConnection, command: Command, ack: Ack, holding: Holding) -> None:
        if holding.correlation_id != command.correlation_id or holding.state not in _OPEN:
            return
        part = (holding.event_id, holding.window_start, ack.ven_id)
        if ack.status in _NO:
            await commands.drop(connection, ack.ven_id)
            refused = f"rejected: {ack.error or ack.status}"[:32]
            await allocations.change_parts(connection, {part: {"excluded": refused}})
            return
        until = holding.until
        panel = self._registry.get(ack.ven_id)
        if until is not None and panel is not None and panel.dialect is not None and not panel.dialect.can_restore:
            # it counts from the receipt, which was before its answer, however long the answer lay at the broker
            longest = (command.deadline_at or ack.received_at) - holding.since
            until += min(ack.received_at - holding.since, longest)
        await commands.hold(connection, replace(holding, state=HoldingState.HELD, until=until))
        if ack.actual_shed_kw is not None and Decimal(str(ack.actual_shed_kw)) < holding.amount_kw - _LESS_KW:
            await allocations.change_parts(connection, {part: {"delivered_kw": max(0.0, ack.actual_shed_kw)}})

    async def _after_restore(self, connection: AsyncConnection, ack: Ack, holding: Holding) -> None:
        if holding.state in {HoldingState.SENDING, HoldingState.HELD}:
            return
        if ack.status in _NO:
            self._registry.cannot_restore(ack.ven_id)
            await commands.hold(connection, replace(holding, state=HoldingState.HELD))
        else:
            await commands.drop(connection, ack.ven_id)


def _known(command: Command) -> KnownCommand:
    return KnownCommand(
        correlation_id=command.correlation_id,
        ven_id=command.ven_id,
        op=command.op.value,
        event_id=command.event_id,
        requested_shed_kw=None if command.amount_kw is None else float(command.amount_kw),
        sent_at=command.sent_at,
        deadline_at=command.deadline_at,
    )


def _with_response(ack: Ack, response_ms: int) -> Ack:
    values = {name: getattr(ack, name) for name in Ack.__struct_fields__}
    return Ack(**values | {"response_ms": response_ms})


def is_ack(message: Received) -> bool:
    """Return True if a message came on an acknowledgment topic."""
    return message.topic.startswith("ven/ack/")
