"""Acknowledgments: stored with what they change, in one transaction, before the broker is told (rules R13 to R19)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.book import Book, PanelChanges, part_of
from bridge_mqtt.model import Command, Holding, HoldingState
from bridge_mqtt.panels import Registry
from bridge_mqtt.pauses import with_pauses
from bridge_mqtt.store import acks, commands, quarantine
from bridge_mqtt.turns import BookTurn
from bridge_mqtt.unmatched import UnmatchedLimit
from openadr_client import Received
from openadr_profiles.panel import (
    Ack,
    AckStatus,
    CommandState,
    KnownCommand,
    Op,
    Unreadable,
    read_ack,
)
from openadr_profiles.panel.acks import FindCommand
from openadr_profiles.panel.identity import panel_of_topic
from openadr_profiles.panel.reading import unreadable

_log = structlog.get_logger(__name__)

_NO = {AckStatus.REJECTED, AckStatus.FAILED}
_OPEN = {HoldingState.SENDING, HoldingState.UNCERTAIN, HoldingState.UNREACHABLE}
_LESS_KW = Decimal("0.05")
_NOT_REGISTERED = "panel is not registered"
_MOST_MS = 2**31 - 1
_MANY = 20


class AckDesk:
    """Takes acknowledgments in. ``clock_speed`` is how many seconds of the event clock pass in a real one."""

    def __init__(
        self,
        registry: Registry,
        book: Book,
        *,
        quarantine_per_hour: int,
        clock_speed: float,
        unmatched_per_hour: int = 100,
    ) -> None:
        self._registry = registry
        self._book = book
        self._quarantine_per_hour = quarantine_per_hour
        self._clock_speed = clock_speed
        self.unreadable = 0
        self.unregistered = 0
        self.unmatched = 0
        self.unmatched_dropped = 0
        """Acknowledgments that nobody asked for and that were not stored, since their panel had sent too many."""
        self._limit = UnmatchedLimit(unmatched_per_hour)
        self.stored = 0
        self.double_sheds = 0
        self._fresh: list[Ack] = []
        self._doubled: list[tuple[str, str]] = []

    async def take(self, turn: BookTurn, messages: Sequence[Received]) -> set[str]:
        """Store acknowledgments and what they change, in their order; return the panels that said something new.

        `committed` is to be called once it is certain: only then are they counted and logged.
        """
        self._fresh, self._doubled = [], []
        found: dict[str, Command] = {}
        read = await self._read_all(messages, found)
        elsewhere = await self._answered_before(turn.connection, read)
        if elsewhere:
            found |= elsewhere
            read = await self._read_all(messages, found)
        aside = [
            (ack, message.received_at)
            for ack, message in zip(read, messages, strict=True)
            if isinstance(ack, Unreadable)
        ]
        self._count(aside)
        await quarantine.add_all(turn.connection, aside, self._quarantine_per_hour)
        kept = self._limit.kept(read)
        self._count_dropped([each for each in read if isinstance(each, Ack)], kept)
        fresh = await acks.add_all(turn.connection, kept)
        self._limit.note(fresh)
        async for ack in with_pauses(fresh):
            turn.changes.answers[ack.ven_id] = self._registry.answered(ack)
            if ack.matched and ack.correlation_id is not None:
                command = found[ack.correlation_id]
                found[ack.correlation_id] = self._apply(turn.changes, command, ack)
        self._fresh = fresh
        return {ack.ven_id for ack in fresh}

    def committed(self) -> None:
        """Count and log what is stored now."""
        for ven_id, correlation_id in self._doubled:
            _log.error("panel acted twice on one command", ven_id=ven_id, correlation_id=correlation_id)
        self.double_sheds += len(self._doubled)
        self.unmatched += sum(not ack.matched or ack.correlation_id is None for ack in self._fresh)
        self.stored += len(self._fresh)
        _tell_of(self._fresh)
        self._fresh, self._doubled = [], []

    async def _read_all(self, messages: Sequence[Received], found: dict[str, Command]) -> list[Ack | Unreadable]:
        """Read messages; ``found`` gets the commands that are answered and not yet in it."""

        def find(correlation_id: str) -> KnownCommand | None:
            command = found.get(correlation_id) or self._book.command(correlation_id)
            if command is None:
                return None
            found[correlation_id] = command
            return _known(command)

        return [self._read(message, find) async for message in with_pauses(messages)]

    async def _answered_before(
        self, connection: AsyncConnection, read: Sequence[Ack | Unreadable]
    ) -> dict[str, Command]:
        """Return the commands, no longer outstanding, that some acknowledgments may belong to."""
        strange = {ack.correlation_id for ack in read if isinstance(ack, Ack) and not ack.matched}
        return await commands.by_correlation(connection, {each for each in strange if each is not None})

    def _read(self, message: Received, find: FindCommand) -> Ack | Unreadable:
        ven_id = panel_of_topic(message.topic)
        if ven_id is not None and self._registry.admit(ven_id) is None:
            return unreadable(message.topic, ven_id, _NOT_REGISTERED, message.payload)
        ack = read_ack(message.topic, message.payload, message.received_at, find)
        if isinstance(ack, Ack) and ack.response_ms is not None:
            return _with_response(ack, min(round(ack.response_ms / self._clock_speed), _MOST_MS))
        return ack

    def _count(self, aside: Sequence[tuple[Unreadable, datetime]]) -> None:
        strangers = [each for each, _ in aside if each.reason == _NOT_REGISTERED]
        self.unregistered += len(strangers)
        self.unreadable += len(aside) - len(strangers)
        for reason, count in Counter(each.reason for each, _ in aside).items():
            first = next(each for each, _ in aside if each.reason == reason)
            _log.warning("acks put aside", reason=reason, acks=count, ven_id=first.ven_id, size=first.size)

    def _count_dropped(self, read: Sequence[Ack], kept: Sequence[Ack]) -> None:
        if len(kept) < len(read):
            ven_ids = Counter(ack.ven_id for ack in read) - Counter(ack.ven_id for ack in kept)
            self.unmatched_dropped += ven_ids.total()
            _log.warning(
                "acks of a panel dropped: too many that nobody asked for",
                ven_ids=list(ven_ids)[:5],
                acks=ven_ids.total(),
            )

    def _apply(self, changes: PanelChanges, command: Command, ack: Ack) -> Command:
        """Change what an answer to our command changes, and return the command as it is now."""
        by_ack = command.answered_by == "ack"
        if by_ack and command.op is Op.SHED_PANEL and ack.status not in _NO:
            self._doubled.append((ack.ven_id, command.correlation_id))
            return changes.change(command, double_shed=True)
        if by_ack:
            return command
        state = command.state
        if state is not CommandState.SUPERSEDED:
            state = CommandState.REJECTED if ack.status in _NO else CommandState.ACKED
        holding = changes.held_by(ack.ven_id, self._book)
        if holding is not None and command.op is Op.SHED_PANEL:
            self._after_shed(changes, command, ack, holding)
        elif holding is not None and command.op is Op.RESTORE_PANEL and holding.event_id == command.event_id:
            self._after_restore(changes, command, ack, holding)
        return changes.change(
            command,
            state=state,
            answered_at=ack.received_at,
            answered_by="ack",
            status=ack.status.value,
            error=ack.error,
            response_ms=ack.response_ms,
            actual_kw=ack.actual_shed_kw,
            late=ack.late,
        )

    def _after_shed(self, changes: PanelChanges, command: Command, ack: Ack, holding: Holding) -> None:
        if holding.correlation_id != command.correlation_id or holding.state not in _OPEN:
            return
        if ack.status in _NO:
            changes.drop(ack.ven_id)
            changes.change_part(part_of(holding), excluded=f"rejected: {ack.error or ack.status}"[:32])
            return
        until = holding.until
        panel = self._registry.get(ack.ven_id)
        if until is not None and panel is not None and panel.dialect is not None and not panel.dialect.can_restore:
            # it counts from the receipt, which was before its answer, however long the answer lay at the broker
            longest = (command.deadline_at or ack.received_at) - holding.since
            until += min(ack.received_at - holding.since, longest)
        changes.hold(replace(holding, state=HoldingState.HELD, until=until))
        if ack.actual_shed_kw is not None and Decimal(str(ack.actual_shed_kw)) < holding.amount_kw - _LESS_KW:
            changes.change_part(part_of(holding), delivered_kw=max(0.0, ack.actual_shed_kw))

    def _after_restore(self, changes: PanelChanges, command: Command, ack: Ack, holding: Holding) -> None:
        if holding.state in {HoldingState.SENDING, HoldingState.HELD}:
            return
        if command.sent_at is None or command.sent_at < holding.since:
            return  # an earlier restore, answered late: it has not ended what the panel was told since
        if ack.status in _NO:
            self._registry.cannot_restore(ack.ven_id)
            changes.hold(replace(holding, state=HoldingState.HELD))
        else:
            changes.drop(ack.ven_id)


def _tell_of(fresh: Sequence[Ack]) -> None:
    """Log each answer, or only how many there are if there are many; each is a row of ``ven_acks``."""
    if len(fresh) > _MANY:
        slowest = max((ack.response_ms for ack in fresh if ack.response_ms is not None), default=None)
        _log.info("commands answered", answers=len(fresh), slowest_ms=slowest)
        return
    for ack in fresh:
        if ack.matched:
            _log.info(
                "command answered",
                ven_id=ack.ven_id,
                event_id=ack.event_id,
                correlation_id=ack.correlation_id,
                op=ack.op,
                status=ack.status.value,
                response_ms=ack.response_ms,
                actual_shed_kw=ack.actual_shed_kw,
            )


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


def is_ack(topic: str) -> bool:
    """Return True if it is a topic of acknowledgments."""
    return topic.startswith("ven/ack/")
