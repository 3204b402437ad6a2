"""The outbox: decisions become rows, rows become messages, and no row becomes two messages (rules C1 to C8).

The order is always: row ``queued`` in the transaction of the decision; row ``sent`` committed; then the publish. After
a crash a queued row has certainly not been sent and may be; a sent row may or may not have been, and is cleared up
like any command that got no answer.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt import decisions
from bridge_mqtt.model import Command, Holding, HoldingState, PanelRecord
from bridge_mqtt.panels import Registry
from bridge_mqtt.requests import piece_end
from bridge_mqtt.settings import Dispatch
from bridge_mqtt.store import allocations, commands
from openadr_client import MqttLink, NotSent, Unconfirmed
from openadr_profiles.panel import (
    ASSUMED,
    CommandState,
    Op,
    UnsendableCommand,
    command_topic,
    correlation_id,
    ping_message,
)
from openadr_profiles.panel.identity import ENTROPY_BYTES

_log = structlog.get_logger(__name__)

_PREFIX = {Op.SHED_PANEL: "evt", Op.RESTORE_PANEL: "restore", Op.PING: "ping"}


@dataclass(frozen=True)
class Letter:
    """A message that is ready to be published."""

    correlation_id: str
    topic: str
    payload: bytes


async def carry_out(
    connection: AsyncConnection,
    situation: decisions.Situation,
    decision: decisions.Decision,
    now: datetime,
) -> None:
    """Write what a decision means."""
    panel, holding, command = situation.panel, situation.holding, situation.outstanding
    match decision:
        case decisions.Queue():
            await _queue(connection, panel, holding, decision, now)
        case decisions.Mark(state=state, reason=reason) if holding is not None:
            since = now if state is HoldingState.UNREACHABLE else holding.since
            await commands.hold(connection, replace(holding, state=state, since=since))
            _log.warning("holding unclear", ven_id=panel.ven_id, event_id=holding.event_id, state=state, reason=reason)
        case decisions.Confirm() if holding is not None:
            await commands.hold(connection, replace(holding, state=HoldingState.HELD))
            answer = {"state": CommandState.ACKED, "answered_at": now, "answered_by": "telemetry"}
            await commands.change(connection, holding.correlation_id, **answer)
            _log.info("ack was lost, telemetry shows the shed", ven_id=panel.ven_id, event_id=holding.event_id)
        case decisions.Drop(reason=reason) if holding is not None:
            await commands.drop(connection, panel.ven_id)
            _log.info("panel holds nothing any more", ven_id=panel.ven_id, event_id=holding.event_id, reason=reason)
        case decisions.TimeOut() if command is not None:
            await commands.change(connection, command.correlation_id, state=CommandState.TIMED_OUT)
            if panel.dialect is not None and not panel.dialect.can_restore and holding is not None:
                await allocations.count_recoveries(
                    connection, {(holding.event_id, holding.window_start, panel.ven_id): 1}
                )
            _log.warning(
                "command not answered", ven_id=panel.ven_id, correlation_id=command.correlation_id, op=command.op.value
            )
        case decisions.Supersede() if command is not None:
            await commands.change(connection, command.correlation_id, state=CommandState.SUPERSEDED)
            await commands.drop(connection, panel.ven_id)
        case _:
            raise AssertionError(f"{decision} does not fit {situation}")


async def _queue(
    connection: AsyncConnection, panel: PanelRecord, holding: Holding | None, decision: decisions.Queue, now: datetime
) -> None:
    want = decision.want
    event_id = want.event_id if want else decision.event_id
    new = Command(
        correlation_id=correlation_id(_PREFIX[decision.op], event_id, secrets.token_bytes(ENTROPY_BYTES)),
        ven_id=panel.ven_id,
        op=decision.op,
        reason=decision.reason,
        state=CommandState.QUEUED,
        queued_at=now,
        event_id=event_id,
        window_start=want.window_start if want else holding.window_start if holding else None,
        window_end=want.until if want else None,
        amount_kw=want.amount_kw if want else None,
    )
    await commands.queue(connection, [new])
    if want is not None:
        await commands.hold(
            connection,
            Holding(
                ven_id=panel.ven_id,
                event_id=want.event_id,
                window_start=want.window_start,
                window_end=want.until,
                amount_kw=want.amount_kw,
                until=None,
                correlation_id=new.correlation_id,
                state=HoldingState.SENDING,
                since=now,
            ),
        )
    elif decision.op is Op.RESTORE_PANEL and holding is not None:
        if decision.reason == "repeat safely":
            await allocations.count_recoveries(connection, {(holding.event_id, holding.window_start, panel.ven_id): 1})
        await commands.hold(connection, replace(holding, state=HoldingState.RELEASING, since=now))
    _log.info(
        "command queued",
        ven_id=panel.ven_id,
        event_id=event_id,
        correlation_id=new.correlation_id,
        op=new.op.value,
        reason=decision.reason,
    )


class CommandOutbox:
    """Sends what is queued, many at a time, and never while somebody else changes the rows (``turn``)."""

    def __init__(
        self,
        *,
        turn: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        link: MqttLink,
        registry: Registry,
        settings: Dispatch,
        inflight: int,
        on_sent: Callable[[], None],
        now: Callable[[], datetime],
        clock_speed: float,
    ) -> None:
        self._turn = turn
        self._link = link
        self._registry = registry
        self._settings = settings
        self._inflight = inflight
        self._on_sent = on_sent
        self._now = now
        self._ack_timeout = timedelta(seconds=settings.ack_timeout_s * clock_speed)
        self._wake = asyncio.Event()
        self._flying: set[asyncio.Task[None]] = set()
        self.sent = 0

    def wake(self) -> None:
        """Wake the sender, since there may be something to send."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled; errors of the database pass to the caller, who calls again."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self._send_due()
        finally:
            await asyncio.gather(*self._flying, return_exceptions=True)

    async def _send_due(self) -> None:
        while self._link.connected_since is not None:
            free = self._inflight - len(self._flying)
            if free <= 0:
                await asyncio.wait(self._flying, return_when=asyncio.FIRST_COMPLETED)
                continue
            async with self._turn() as connection:
                letters = await self._claim(connection, free)
            for letter in letters:
                task = asyncio.create_task(self._send(letter))
                self._flying.add(task)
                task.add_done_callback(self._landed)
            if letters:
                self._on_sent()  # from now on there is a deadline to watch
            if len(letters) < free:
                return

    def _landed(self, task: asyncio.Task[None]) -> None:
        """Log what ended the sending of one message; its command is cleared up like any that got no answer."""
        self._flying.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("command may not have been sent", problem=str(error), exc_info=error)

    async def _claim(self, connection: AsyncConnection, limit: int) -> list[Letter]:
        """Mark the next rows as sent and make their messages; what has become impossible is superseded."""
        rows = await commands.queued(connection, limit)
        held = await commands.held(connection) if rows else {}
        letters = []
        for row in rows:
            now = self._now()
            try:
                payload, until = self._message(row, now)
            except UnsendableCommand as error:
                await commands.change(connection, row.correlation_id, state=CommandState.SUPERSEDED, error=str(error))
                if row.op is Op.SHED_PANEL:
                    await commands.drop(connection, row.ven_id)
                _log.info("command not sent", ven_id=row.ven_id, correlation_id=row.correlation_id, reason=str(error))
                continue
            await commands.change(
                connection,
                row.correlation_id,
                state=CommandState.SENT,
                sent_at=now,
                deadline_at=now + self._ack_timeout,
                payload=payload.decode(),
            )
            holding = held.get(row.ven_id)
            if holding is not None and row.op is Op.SHED_PANEL:
                await commands.hold(connection, replace(holding, until=until, since=now))
            elif holding is not None and row.op is Op.RESTORE_PANEL:
                await commands.hold(connection, replace(holding, since=now))
            letters.append(Letter(row.correlation_id, command_topic(row.ven_id), payload))
        return letters

    def _message(self, row: Command, now: datetime) -> tuple[bytes, datetime | None]:
        """Return the bytes of a command with the time that remains now (rule C4), and when the panel ends it."""
        if row.op is Op.PING:
            return ping_message(ven_id=row.ven_id, correlation_id=row.correlation_id, now=now), None
        event_id = row.event_id or ""
        panel = self._registry.get(row.ven_id)
        dialect = (panel.dialect if panel is not None else None) or ASSUMED
        if row.op is Op.RESTORE_PANEL:
            restore = dialect.restore_message(
                ven_id=row.ven_id, correlation_id=row.correlation_id, event_id=event_id, now=now
            )
            return restore, None
        until = piece_end(now, row.window_end, timedelta(seconds=self._settings.piece_s(dialect)))
        payload = dialect.shed_message(
            ven_id=row.ven_id,
            correlation_id=row.correlation_id,
            event_id=event_id,
            amount_kw=row.amount_kw or Decimal(0),
            now=now,
            until=until,
        )
        return payload, until

    async def _send(self, letter: Letter) -> None:
        try:
            await self._link.publish(letter.topic, letter.payload)
            self.sent += 1
        except NotSent as error:
            _log.info("command stays queued", correlation_id=letter.correlation_id, reason=str(error))
            async with self._turn() as connection:
                await commands.unsend(connection, letter.correlation_id)
        except Unconfirmed as error:
            _log.warning("command may not have arrived", correlation_id=letter.correlation_id, problem=str(error))


def outstanding_deadlines(
    rows: Mapping[str, Command], listening_since: datetime | None, ack_timeout: timedelta
) -> list[datetime]:
    """Return the answer deadlines of sent commands; answers are received only since ``listening_since``."""
    if listening_since is None:
        return []
    earliest = listening_since + ack_timeout
    return [max(row.deadline_at, earliest) for row in rows.values() if row.deadline_at is not None]
