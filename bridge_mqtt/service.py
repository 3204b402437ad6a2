"""The bridge as a running program: broker, database, VTN and HTTP API, and the loops between them.

Every change of what is remembered happens in a *turn*: one transaction, one at a time. Taking in messages, deciding and
claiming what is sent are turns; publishing, polling and reporting are not, so nothing slow holds up a decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Self

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.acks import AckDesk, is_ack
from bridge_mqtt.api import Api
from bridge_mqtt.commands import CommandOutbox, carry_out, outstanding_deadlines
from bridge_mqtt.decisions import Policy, Queue, Situation, decide
from bridge_mqtt.errors import StoreUnavailable
from bridge_mqtt.model import EventState, HoldingState
from bridge_mqtt.panels import Registry
from bridge_mqtt.planner import Planned, Planner
from bridge_mqtt.reports import Reporter
from bridge_mqtt.requests import next_moment
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import Store, acks, commands, events, panels, quarantine, telemetry
from bridge_mqtt.store.events import StoredEvent
from bridge_mqtt.telemetry import TelemetryDesk
from bridge_mqtt.view import Health, View
from bridge_mqtt.vtn import VtnSide, client_for
from openadr_client.clock import Clock, SystemClock
from openadr_client.errors import ClientError, Forbidden, Unauthorized, VtnError
from openadr_client.mqtt import MqttLink, Received
from openadr_profiles.panel.identity import ACK_FILTER, LOADS_FILTER, METERING_TOPIC, TELEMETRY_FILTER

_log = structlog.get_logger(__name__)

_RECONCILE = timedelta(seconds=30)
_FIRST_CONTACT = timedelta(seconds=1)
_STATUS_EVERY = timedelta(seconds=30)
_HOUSEKEEPING = timedelta(hours=1)
_STORE_RETRY_S = (0.1, 5.0)
_LEAST_OFFLINE_REAL_S = 5.0
_AFTER_SAMPLES_S = 0.1
_BETWEEN_REPORTS_S = 0.2


class Bridge:
    """A bridge that is connected while it is entered, and works while ``run`` is awaited.

    Entering raises BridgeError (broker, database, port) or, if the VTN refuses the credentials, ClientError. A VTN that
    cannot be reached is no reason not to start: what panels hold must be ended in time.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._stack = AsyncExitStack()
        self._due = asyncio.Event()
        self._report_due = asyncio.Event()
        self._nudge: asyncio.TimerHandle | None = None
        self.health = Health()

    async def __aenter__(self) -> Self:
        """Open the database, connect to broker and VTN, listen."""
        async with AsyncExitStack() as stack:
            await self._open(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def api_url(self) -> str:
        """Return the base URL of the HTTP API, such as ``http://127.0.0.1:8090``."""
        return self._api.url

    def look_now(self) -> None:
        """Decide at once instead of when something is due; to be called after a change of the store."""
        self._due.set()
        self._report_due.set()

    async def _open(self, stack: AsyncExitStack) -> None:
        settings, clock = self.settings, self._clock
        for name in settings.dispatch.renamed:
            dialect = name.removesuffix("_piece_s")
            _log.warning("setting has a new name", old=f"dispatch.{name}", new=f"dispatch.longest_piece_s.{dialect}")
        speed = clock.speed
        self._store = await Store.open(settings.database.url.get_secret_value())
        stack.push_async_callback(self._store.close)
        self._registry = Registry(settings)
        async with self._store.transaction() as connection:
            await panels.ensure(connection, self._registry.ven_ids)
            self._registry.recall((await panels.heard(connection)).values())
        self._policy = Policy(
            ack_timeout=timedelta(seconds=settings.dispatch.ack_timeout_s * speed),
            offline_after=timedelta(seconds=max(settings.dispatch.offline_after_s, _LEAST_OFFLINE_REAL_S * speed)),
            least_remaining=timedelta(seconds=settings.dispatch.least_remaining_s),
            ping_every=timedelta(seconds=settings.dispatch.offline_after_s),
        )
        self._planner = Planner(settings, self._registry, policy=self._policy, started_at=clock.now())
        per_hour = settings.telemetry.quarantine_per_hour
        self._ack_desk = AckDesk(self._registry, quarantine_per_hour=per_hour, clock_speed=speed)
        self._telemetry_desk = TelemetryDesk(self._registry, quarantine_per_hour=per_hour)
        self._link = MqttLink(
            settings.broker,
            filters=_filters(settings),
            take=self._take,
            now=clock.now,
            on_change=self._link_changed,
            sleep=self._sleep,
        )
        self._outbox = CommandOutbox(
            turn=self._turn,
            link=self._link,
            registry=self._registry,
            settings=settings.dispatch,
            inflight=settings.broker.inflight,
            on_sent=self._due.set,
            now=clock.now,
            clock_speed=speed,
        )
        await stack.enter_async_context(self._link)
        client = await stack.enter_async_context(client_for(settings.vtn, clock))
        self._vtn = VtnSide(settings.vtn, client=client, store=self._store, registry=self._registry, clock=clock)
        await self._first_contact()
        self._reporter = Reporter(settings, store=self._store, registry=self._registry, planner=self._planner)
        view = View(store=self._store, registry=self._registry, policy=self._policy, now=clock.now)
        self._api = await stack.enter_async_context(Api(settings.api, view=view, health=self.health))

    async def run(self) -> None:
        """Work until cancelled. An unexpected error in a loop ends the bridge, with its traceback."""
        work = (self._link.run, self._decide, self._send, self._poll, self._report, self._keep_house)
        loops = [asyncio.create_task(loop(), name=loop.__name__) for loop in work]
        self.health.running = True
        self._due.set()
        self._outbox.wake()
        try:
            ended, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.health.running = False
            async with self._store.between_writes():
                for loop in loops:
                    loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
        for loop in ended:
            loop.result()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[AsyncConnection]:
        async with self._store.transaction() as connection:
            yield connection
        self.health.store = None

    def _link_changed(self) -> None:
        connected = self._link.connected_since is not None
        self.health.broker = None if connected else self._link.problem or "not connected"
        self._outbox.wake()
        self._due.set()

    async def _first_contact(self) -> None:
        await self._vtn.recall_programs()
        try:
            await self._vtn.register()
            await self._vtn.poll()
            self.health.vtn = None
        except (Unauthorized, Forbidden):
            raise
        except VtnError as error:
            self.health.vtn = str(error)
            _log.warning("VTN not available, starting without it", problem=str(error))
        self._learn_from_vtn()

    def _learn_from_vtn(self) -> None:
        self._planner.bridge_targets, self._planner.programs = self._vtn.targets, self._vtn.programs

    async def _take(self, batch: Sequence[Received]) -> None:
        """Store a batch of messages; while the database is away nothing more is taken (rule R19)."""
        messages = [message for message in batch if not message.retained]

        async def take() -> None:
            async with self._turn() as connection:
                answers = [message for message in messages if is_ack(message)]
                changed = await self._ack_desk.take(connection, answers) if answers else False
                samples = [message for message in messages if not is_ack(message)]
                await self._telemetry_desk.take(connection, samples)
            if changed:
                self._report_due.set()
                self._due.set()
            elif samples and self._nudge is None:
                self._nudge = asyncio.get_running_loop().call_later(_AFTER_SAMPLES_S, self._nudged)

        await self._persist(take)

    def _nudged(self) -> None:
        """Samples come all the time; decisions about them are made a few times a second."""
        self._nudge = None
        self._due.set()

    async def _persist(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something with the database, again and again until it is there."""
        delay, most = _STORE_RETRY_S
        while True:
            try:
                await work()
            except StoreUnavailable as error:
                self.health.store = str(error)
                _log.error("database not available", problem=str(error), retry_in_s=delay)
                await self._sleep(delay)
                delay = min(delay * 2, most)
            else:
                return

    async def _decide(self) -> None:
        """Decide whenever something has happened or is due."""
        while True:
            self._due.clear()
            wake_at = self._clock.now() + _RECONCILE

            async def decide_now() -> None:
                nonlocal wake_at
                wake_at = await self._decide_once()

            await self._persist(decide_now)
            await self._clock.wait_for(self._due, until=wake_at)

    async def _decide_once(self) -> datetime:
        now = self._clock.now()
        async with self._turn() as connection:
            stored = await events.open_(connection)
            held = await commands.held(connection)
            waiting = await commands.outstanding(connection)
            planned = await self._planner.plan(connection, stored, held, now)
            shown = {
                panel.ven_id: panel.event_id
                for panel in self._registry
                if panel.event_id is not None and panel.ven_id not in held
            }
            told = await commands.were_told(connection, shown)
            unclear = [
                panel.ven_id
                for panel in self._registry
                if panel.dialect is None or (panel.ven_id in held and held[panel.ven_id].state is not HoldingState.HELD)
            ]
            pinged = await commands.last_pings(connection, unclear)
            queued = again = False
            for panel in self._registry:
                situation = Situation(
                    panel=panel,
                    holding=held.get(panel.ven_id),
                    outstanding=waiting.get(panel.ven_id),
                    want=planned.wants.get(panel.ven_id),
                    known_events={shown[panel.ven_id]} if panel.ven_id in told else (),
                    last_ping_at=pinged.get(panel.ven_id),
                    listening_since=self._link.connected_since,
                )
                for decision in decide(situation, now, self._policy):
                    await carry_out(connection, situation, decision, now)
                    queued = queued or isinstance(decision, Queue)
                    again = again or not isinstance(decision, Queue)
            changed = await self._advance_events(connection, stored, planned, now)
            held = await commands.held(connection)
            waiting = await commands.outstanding(connection)
        self._planner.forget(stored)
        if queued:
            self._outbox.wake()
        if again:  # what is known has changed, so there may be more to decide
            self._due.set()
        if changed:
            self._report_due.set()
        moments = [
            *outstanding_deadlines(waiting, self._link.connected_since, self._policy.ack_timeout),
            *(holding.until for holding in held.values()),
            *(self._planner.timeline(each).next_change(now) for each in stored.values()),
        ]
        soon = _FIRST_CONTACT if planned.waiting else _RECONCILE
        return next_moment(moments, now, now + soon)

    async def _advance_events(
        self, connection: AsyncConnection, stored: dict[str, StoredEvent], planned: Planned, now: datetime
    ) -> bool:
        """Advance the state of each event; return True if any has changed. It is over once no panel holds it."""
        holders = {holding.event_id for holding in (await commands.held(connection)).values()}
        changed = False
        for event_id, each in stored.items():
            after, reason = next_state(
                each,
                over=self._planner.timeline(each).transpired(now),
                called_off=each.withdrawn_at is not None or self._planner.timeline(each).cancelled,
                begun=self._planner.timeline(each).start <= now and planned.taking_part.get(event_id, 0) > 0,
                held=event_id in holders,
                unusable=planned.unusable.get(event_id),
            )
            if after is not each.state:
                await events.advance(connection, event_id, each.state, after, reason, now)
                _log.info("event", event_id=event_id, state=after.value, before=each.state.value, reason=reason)
                changed = True
        return changed

    async def _send(self) -> None:
        await self._forever(self._outbox.run)

    async def _poll(self) -> None:
        """Ask the VTN for events, and make known to it what panels we have heard of."""
        while True:
            await self._clock.sleep(self.settings.vtn.poll_interval_s)

            async def poll() -> None:
                try:
                    await self._vtn.register()
                    changed = await self._vtn.poll()
                    self._learn_from_vtn()
                except ClientError as error:
                    if self.health.vtn is None:
                        _log.warning("VTN not available", problem=str(error))
                    self.health.vtn = str(error)
                else:
                    self.health.vtn = None
                    if changed:
                        self._due.set()
                        self._report_due.set()

            await self._persist(poll)

    async def _report(self) -> None:
        """Write reports whenever something has happened or is due, and send them; after a failure with back-off."""
        wait_s = self.settings.reporting.retry_least_s
        retry_at = self._clock.now()
        while True:
            self._report_due.clear()
            wake_at = self._clock.now() + _STATUS_EVERY

            async def write_and_send() -> None:
                nonlocal wake_at, wait_s, retry_at
                due = await self._reporter.write(self._clock.now())
                wake_at = min(wake_at, due) if due is not None else wake_at
                if self._clock.now() < retry_at:
                    wake_at = min(wake_at, retry_at)
                    return
                try:
                    await self._vtn.send_reports()
                    wait_s = self.settings.reporting.retry_least_s
                except ClientError as error:
                    _log.warning("reports not sent", problem=str(error), retry_in_s=wait_s)
                    retry_at = self._clock.now() + timedelta(seconds=wait_s)
                    wake_at = min(wake_at, retry_at)
                    wait_s = min(wait_s * 2, self.settings.reporting.retry_most_s)

            await self._persist(write_and_send)
            await self._sleep(_BETWEEN_REPORTS_S)
            await self._clock.wait_for(self._report_due, until=wake_at)

    async def _keep_house(self) -> None:
        """Forget what is older than the retention time."""
        while True:
            before = self._clock.now() - timedelta(days=self.settings.telemetry.keep_days)

            async def forget() -> None:
                async with self._turn() as connection:
                    await telemetry.forget(connection, before)  # noqa: B023 - awaited before it changes
                    await acks.forget(connection, before)  # noqa: B023
                    await quarantine.forget(connection, before)  # noqa: B023

            await self._persist(forget)
            await self._clock.sleep(_HOUSEKEEPING.total_seconds())

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._persist(work)


def next_state(
    stored: StoredEvent, *, over: bool, called_off: bool, begun: bool, held: bool, unusable: str | None
) -> tuple[EventState, str | None]:
    """Return the next state of an event and its reason; while a panel holds the event, the event is not final."""
    state = stored.state
    active = state in {EventState.ACTIVE, EventState.COMPLETING}
    if held and (over or called_off or unusable):
        return EventState.COMPLETING, unusable or ("called off" if called_off else "over")
    if called_off:
        return EventState.CANCELLED, "withdrawn by the VTN" if stored.withdrawn_at is not None else "cancelled"
    if unusable is not None:
        return EventState.FAILED, unusable
    if over:
        return (EventState.COMPLETED, None) if active else (EventState.MISSED, "no panel took part")
    if begun:
        return EventState.ACTIVE, None
    return state, stored.reason


def _filters(settings: Settings) -> list[str]:
    optional = ((settings.telemetry.own_topics, TELEMETRY_FILTER), (settings.telemetry.loads_topics, LOADS_FILTER))
    return [ACK_FILTER, METERING_TOPIC, *(name for wanted, name in optional if wanted)]


async def run_bridge(settings: Settings, *, clock: Clock | None = None, started: asyncio.Event | None = None) -> None:
    """Start a bridge and let it work until cancelled; ``started`` is set once it is connected.

    Raises BridgeError or ClientError if it cannot start.
    """
    async with Bridge(settings, clock=clock) as bridge:
        if started is not None:
            started.set()
        await bridge.run()
