"""The outbox: rows become messages, and no row becomes two messages (rules C1 to C5, C7).

The order is always: row ``queued`` in the transaction of the decision; row ``sent`` committed, for many at a time; then
the publish. After a crash a queued row has certainly not been sent and may be; a sent row may or may not have been, and
is cleared up like any command that got no answer.

A shed that was decided before its window begins waits here: its row is marked shortly before that second, so that then
only the publish remains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any, Final

import structlog

from bridge_mqtt.book import Book, PanelChanges
from bridge_mqtt.model import Command
from bridge_mqtt.panels import Registry
from bridge_mqtt.pauses import with_pauses
from bridge_mqtt.requests import piece_end
from bridge_mqtt.settings import Dispatch
from bridge_mqtt.turns import BookTurn
from openadr_client import Clock, MqttLink
from openadr_client.mqtt_window import Fate
from openadr_profiles.panel import (
    ASSUMED,
    CommandState,
    Op,
    UnsafePanelId,
    UnsendableCommand,
    command_topic,
    ping_message,
)

_log = structlog.get_logger(__name__)

_BATCH: Final = 500
"""So many commands at most are marked as sent in one transaction."""
_FIRST: Final = 50
"""So many go first, so that they need not wait for the others."""
_BATCHES_IN_FLIGHT: Final = 3
_REFUSED: Final = "the broker refused it"
_TIMER_S: Final = 0.001
"""So much earlier than asked a timer may end a wait."""
_MARKED_BEFORE_S: Final = 1.0
"""So many real seconds before its second a command that waits for it is marked as sent, and more for each panel:"""
_MARKED_BEFORE_OF_EACH_S: Final = 0.0002
_LEAVE_WITHIN_S: Final = 0.25
"""So many real seconds at most a plan waits for commands that leave at their second."""


@dataclass(frozen=True)
class Letter:
    """A message that is ready to be published, and the command that it carries."""

    command: Command
    topic: str
    payload: bytes
    at: datetime


class CommandOutbox:
    """Sends what is queued, many at a time, and never while somebody else changes the book (``decide``).

    ``on_sent`` is told which panels have been sent something, or have something to be decided anew. ``is_wanted`` is
    asked of each shed before it is marked as sent, and of one that was marked before its second once more then.
    """

    def __init__(
        self,
        *,
        decide: Callable[[], AbstractAsyncContextManager[BookTurn]],
        book: Book,
        link: MqttLink,
        registry: Registry,
        settings: Dispatch,
        on_sent: Callable[[Collection[str]], None],
        is_wanted: Callable[[Command], bool],
        clock: Clock,
    ) -> None:
        self._decide = decide
        self._book = book
        self._link = link
        self._registry = registry
        self._settings = settings
        self._on_sent = on_sent
        self._is_wanted = is_wanted
        self._clock = clock
        self._ack_timeout = timedelta(seconds=settings.ack_timeout_s * clock.speed)
        self._wake = asyncio.Event()
        self._flying: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], datetime] = {}
        """Those whose commands wait for their second."""
        self.sent = 0

    def wake(self) -> None:
        """Wake the sender, since there may be something to send."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled; errors of the database pass to the caller, who calls again."""
        try:
            while True:
                self._wake.clear()
                await self._send_due()
                starts = (start for row in self._book.queue.values() if (start := _start_of(row)) is not None)
                next_start = min(starts, default=None)
                if next_start is None or self._link.connected_since is None:
                    await self._wake.wait()
                else:
                    await self._clock.wait_for(self._wake, until=next_start - self._marked_before())
        finally:
            await asyncio.gather(*self._flying, *self._waiting, return_exceptions=True)

    async def let_leave(self) -> None:
        """Wait until the commands that waited for a second that has come are at the broker, a moment at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVE_WITHIN_S):
                while due := [task for task, at in self._waiting.items() if at <= self._clock.now()]:
                    await asyncio.wait(due)
                while self._flying:
                    await asyncio.wait(self._flying)

    @property
    def is_busy(self) -> bool:
        """Return True while commands are on their way to the broker, or about to be."""
        return bool(self._flying or self._waiting)

    def _marked_before(self) -> timedelta:
        before_s = _MARKED_BEFORE_S + _MARKED_BEFORE_OF_EACH_S * len(self._registry)
        return timedelta(seconds=before_s * self._clock.speed)

    def _due(self) -> Iterator[Command]:
        """Yield what is to be sent now, oldest first."""
        until = self._clock.now() + self._marked_before()
        return (row for row in self._book.queue.values() if (start := _start_of(row)) is None or start <= until)

    async def _send_due(self) -> None:
        most = _FIRST
        while self._link.connected_since is not None and (self._book.is_stale or any(True for _ in self._due())):
            if len(self._flying) >= _BATCHES_IN_FLIGHT:
                await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
                continue
            async with self._decide() as turn:
                rows = list(islice(self._due(), most))
                letters = await self._claim(turn.changes, rows)
            most = _BATCH
            self._publish(letters)
            if rows:
                self._on_sent({row.ven_id for row in rows})  # from now on there is a deadline to watch

    async def _claim(self, changes: PanelChanges, rows: Sequence[Command]) -> list[Letter]:
        """Mark rows as sent and make their messages; what has become impossible is superseded."""
        present = self._clock.now()
        letters = []
        async for row in with_pauses(rows):
            if row.op is Op.SHED_PANEL and not self._is_wanted(row):
                self._supersede(changes, row)
                continue
            now = max(present, _start_of(row) or present)
            try:
                topic, payload, until = self._message(row, now)
            except (UnsendableCommand, UnsafePanelId, ArithmeticError) as error:
                changes.change(row, state=CommandState.SUPERSEDED, error=str(error) or type(error).__name__)
                if row.op is Op.SHED_PANEL:
                    changes.drop(row.ven_id)
                _log.info("command not sent", ven_id=row.ven_id, correlation_id=row.correlation_id, reason=str(error))
                continue
            sent = changes.change(row, state=CommandState.SENT, sent_at=now, deadline_at=now + self._ack_timeout)
            holding = self._book.holdings.get(row.ven_id)
            if holding is not None and row.op is Op.SHED_PANEL:
                changes.hold(replace(holding, until=until, since=now))
            elif holding is not None and row.op is Op.RESTORE_PANEL:
                changes.hold(replace(holding, since=now))
            letters.append(Letter(sent, topic, payload, now))
        return letters

    def _message(self, row: Command, now: datetime) -> tuple[str, bytes, datetime | None]:
        """Return topic and bytes of a command with the time that remains now (C4), and when the panel ends it."""
        topic = command_topic(row.ven_id)
        if row.op is Op.PING:
            return topic, ping_message(ven_id=row.ven_id, correlation_id=row.correlation_id, now=now), None
        event_id = row.event_id or ""
        panel = self._registry.get(row.ven_id)
        dialect = (panel.dialect if panel is not None else None) or ASSUMED
        if row.op is Op.SET_LOAD:
            switch = dialect.switch_message(
                ven_id=row.ven_id,
                correlation_id=row.correlation_id,
                load_id=row.load_id or "",
                enabled=bool(row.enabled),
                now=now,
            )
            return *switch, None
        if row.op is Op.RESTORE_PANEL:
            restore = dialect.restore_message(
                ven_id=row.ven_id, correlation_id=row.correlation_id, event_id=event_id, now=now
            )
            return topic, restore, None
        until = piece_end(now, row.window_end, timedelta(seconds=self._settings.piece_s(dialect)))
        payload = dialect.shed_message(
            ven_id=row.ven_id,
            correlation_id=row.correlation_id,
            event_id=event_id,
            amount_kw=row.amount_kw or Decimal(0),
            now=now,
            until=until,
        )
        return topic, payload, until

    def _publish(self, letters: Sequence[Letter]) -> None:
        """Begin to publish a batch. What was marked before its second waits for that, and nothing else waits for it."""
        now = self._clock.now()
        by_moment: dict[datetime, list[Letter]] = {}
        for letter in letters:
            by_moment.setdefault(max(letter.at, now), []).append(letter)
        for at, some in by_moment.items():
            if at > now:
                self._waiting[self._begun(self._publish_at(at, some))] = at
            else:
                self._flying.add(self._begun(self._publish_now(some)))

    def _begun(self, publishing: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(publishing)
        task.add_done_callback(self._landed)
        return task

    def _landed(self, task: asyncio.Task[None]) -> None:
        """Log what ended the sending of a batch; its commands are cleared up like any that got no answer."""
        self._flying.discard(task)
        self._waiting.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("commands may not have been sent", problem=str(error), exc_info=error)

    async def _publish_at(self, at: datetime, letters: Sequence[Letter]) -> None:
        """Publish letters at a moment that is near; what is not wanted any more then does not leave.

        It is waited in real time: if the clock is set meanwhile, not longer.
        """
        left_s = (at - self._clock.now()).total_seconds() / self._clock.speed
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, left_s) + _TIMER_S):
                await self._clock.sleep_until(at)
        wanted: list[Letter] = []
        unwanted: list[Command] = []
        for letter in letters:
            known = self._book.command(letter.command.correlation_id)
            if known is None or known.state is not CommandState.SENT:
                continue  # it is cleared up as one without an answer
            if self._is_wanted(known):
                wanted.append(letter)
            else:
                unwanted.append(known)
        if unwanted:
            async with self._decide() as turn:
                for command in unwanted:
                    if self._book.command(command.correlation_id) == command:
                        self._supersede(turn.changes, command, sent_at=None, deadline_at=None)
            self._on_sent({command.ven_id for command in unwanted})
        await self._publish_now(wanted)

    async def _publish_now(self, letters: Sequence[Letter]) -> None:
        """Publish letters at once, and note what has become of each: what has not left goes back into the queue."""
        fates = await self._link.publish_all([(letter.topic, letter.payload) for letter in letters])
        self.sent += fates.count(Fate.CONFIRMED)
        kept = [letter.command for letter, fate in zip(letters, fates, strict=True) if fate is Fate.NOT_SENT]
        lost = [letter.command for letter, fate in zip(letters, fates, strict=True) if fate is Fate.UNCONFIRMED]
        if lost:
            first = lost[0]
            _log.warning(
                "commands may not have arrived",
                commands=len(lost),
                ven_id=first.ven_id,
                correlation_id=first.correlation_id,
            )
        refused = [letter.command for letter, fate in zip(letters, fates, strict=True) if fate is Fate.REFUSED]
        if refused:
            async with self._decide() as turn:
                for command in refused:
                    now = self._book.command(command.correlation_id)
                    if now is not None and now.state is CommandState.SENT:
                        turn.changes.change(now, error=_REFUSED)
        if not kept:
            return
        _log.info("commands stay queued, since there is no connection to the broker", commands=len(kept))
        async with self._decide() as turn:
            for command in kept:
                now = self._book.command(command.correlation_id)
                if now is not None and now.state is CommandState.SENT:
                    turn.changes.change(now, state=CommandState.QUEUED, sent_at=None, deadline_at=None)
        self._on_sent({command.ven_id for command in kept})
        self.wake()

    def _supersede(self, changes: PanelChanges, row: Command, **values: Any) -> None:
        """Set that a shed is not carried out, since something else is wanted of its panel now."""
        changes.change(row, state=CommandState.SUPERSEDED, **values)
        changes.drop(row.ven_id)
        _log.info("command not wanted any more", ven_id=row.ven_id, correlation_id=row.correlation_id)


def _start_of(row: Command) -> datetime | None:
    """Return the moment before which a command must not leave: for a shed that of its window, else None."""
    return row.window_start if row.op is Op.SHED_PANEL else None
