"""The bridge as a running program: the one place where its parts are wired, and the list of its loops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Self

import structlog

from bridge_mqtt.acks import is_ack
from bridge_mqtt.api import api_of
from bridge_mqtt.decisions import Policy
from bridge_mqtt.dispatcher import Dispatcher
from bridge_mqtt.figures import BridgeFigures
from bridge_mqtt.health import Health
from bridge_mqtt.inbox_reader import InboxReader
from bridge_mqtt.intake import Intake
from bridge_mqtt.leadership import Leadership
from bridge_mqtt.load_orders import LoadOrders
from bridge_mqtt.loops import LoopSupervisor, Work
from bridge_mqtt.metering.meters import Meters
from bridge_mqtt.metering.retention import forget_in_pieces, forget_measurements
from bridge_mqtt.model import Command
from bridge_mqtt.outbox import CommandOutbox
from bridge_mqtt.panels import Registry
from bridge_mqtt.planner import Planner
from bridge_mqtt.registration import PanelRegistration
from bridge_mqtt.reports import Reporter
from bridge_mqtt.season import SeasonCount
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import Store, acks, added_panels, commands, explanations, panels, quarantine
from bridge_mqtt.topics import LONGEST_PAYLOAD, all_filters, topic_filters
from bridge_mqtt.turns import Turns
from bridge_mqtt.view import Sources, View
from bridge_mqtt.vtn_side.exchange import Exchange
from bridge_mqtt.vtn_side.gateway import client_for
from bridge_mqtt.vtn_side.issuer import Issuer, issuing_client
from bridge_mqtt.vtn_side.side import vtn_side
from bridge_mqtt.watch import Watcher
from openadr_client import Clock, MqttLink, SystemClock
from openadr_profiles.fleet.power import Signs

_log = structlog.get_logger(__name__)

_HOUSEKEEPING_S = 3600.0
_SEASON_S = 60.0
_LEAST_OFFLINE_REAL_S = 5.0
_RENEW_BEFORE_REAL_S = 3.0
_MANY_COMMANDS = 50
"""Reports wait for some seconds while more commands than these are to be sent or answered."""


class Bridge:
    """A bridge that is connected while it is entered, and works while ``run`` is awaited.

    Entering raises BridgeError (broker, database, port) or, if the VTN refuses the credentials, ClientError. A VTN that
    cannot be reached is no reason not to start: what panels hold must be ended in time. With a ``leadership`` it works
    beside other bridges on its database, and changes nothing once another one leads.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        leadership: Leadership | None = None,
    ) -> None:
        self.settings = settings
        self._leadership = leadership
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._stack = AsyncExitStack()
        self.health = Health()
        self._more_work: dict[str, Work] = {}

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
        self._dispatcher.wake()
        self._exchange.wake()

    def is_quiet(self) -> bool:
        """Return True if no panel holds a shed or waits for a command, and no event begins or changes soon."""
        return not self._is_sending() and self._dispatcher.is_quiet()

    async def run(self) -> None:
        """Work until cancelled. A loop that ends is logged, shown in ``/ready`` and started again."""
        self.health.running = True
        try:
            await self.loops.run()
        finally:
            self.health.running = False

    async def _open(self, stack: AsyncExitStack) -> None:
        settings, clock = self.settings, self._clock
        _warn_of_old_names(settings)
        self._store = await Store.open(settings.database.url.get_secret_value())
        stack.push_async_callback(self._store.close)
        registry = Registry(settings)
        meters = Meters(offline_after_s=settings.dispatch.offline_after_s, baseline_s=settings.telemetry.baseline_s)
        async with self._store.transaction() as connection:
            for added in await added_panels.every(connection):
                registry.add(added)
            await panels.ensure(connection, registry.ven_ids)
            registry.recall((await panels.heard(connection)).values())
            await meters.resume(connection)
        guard = self._leadership.guard if self._leadership is not None else None
        self._turns = Turns(self._store, self.health, sleep=self._sleep, guard=guard)
        policy = _policy(settings, clock.speed)
        planner = Planner(settings, registry, meters, policy=policy, started_at=clock.now())
        await self._open_panel_side(stack, registry, meters, planner, policy)
        self._season = SeasonCount(
            store=self._store,
            turn=self._turns.turn,
            starts=settings.dispatch.season_starts,
            now=clock.now,
            on_change=planner.note_shed_kwh,
        )
        await self._season.tell()
        client = await stack.enter_async_context(client_for(settings.vtn, clock))
        self._exchange = Exchange(
            settings,
            vtn=vtn_side(
                settings.vtn, client=client, store=self._store, registry=registry, health=self.health, clock=clock
            ),
            reporter=Reporter(settings, store=self._store, registry=registry, planner=planner, meters=meters),
            planner=planner,
            turns=self._turns,
            health=self.health,
            clock=clock,
            sleep=self._sleep,
            on_change=self.look_now,
            is_sending=self._is_sending,
        )
        stack.push_async_callback(self._exchange.close)
        await self._exchange.first_contact()
        signs = Signs(settings.dispatch.sign, settings.dispatch.program_signs)
        sources = Sources(self._store, registry, planner, policy, signs, clock.now)
        view = View(sources, baseline_s=settings.telemetry.baseline_s)
        issuer = await self._issuer(stack, signs)
        figures = BridgeFigures(
            book=self._turns.book,
            registry=registry,
            intake=self._intake,
            health=self.health,
            policy=policy,
            now=clock.now,
            link=self._link,
        )
        api = api_of(
            settings.api,
            view=view,
            health=self.health,
            figures=figures,
            store=self._store,
            issuer=issuer,
            load_orders=self._load_orders,
            registration=PanelRegistration(self._turns, registry, now=clock.now, on_change=self.look_now),
            now=clock.now,
        )
        self._api = await stack.enter_async_context(api)
        work = {
            "broker": self._listen,
            "decisions": self._dispatcher.run,
            "commands": self._send,
            "vtn poll": self._exchange.poll,
            "vtn resources": self._exchange.keep_resources,
            "reports": self._exchange.report,
            "api": self._api.run,
            "load orders": self._load_orders.run,
            "retention": self._keep_house,
            "season": self._count_season,
            "stall meter": self.health.stalls.run,
            "figures": lambda: figures.watch(self._sleep),
            **self._more_work,
        }
        if settings.push.mode != "off":
            work["vtn push"] = self._exchange.listen
        self.loops = LoopSupervisor(work, self.health, sleep=self._sleep)

    async def _issuer(self, stack: AsyncExitStack, signs: Signs) -> Issuer | None:
        """Return what writes events at the VTN, None without credentials for it."""
        issuing, vtn = self.settings.issuing, self.settings.vtn
        if issuing is None:
            return None
        client = await stack.enter_async_context(issuing_client(issuing, vtn, self._clock))
        return Issuer(issuing, vtn, client, signs=signs, on_change=self._exchange.poll_soon)

    async def _open_panel_side(
        self, stack: AsyncExitStack, registry: Registry, meters: Meters, planner: Planner, policy: Policy
    ) -> None:
        """Connect to the broker; nothing is taken from it before the loops run."""
        settings, clock, leadership = self.settings, self._clock, self._leadership
        self._intake = Intake(
            settings,
            registry,
            self._turns,
            clock_speed=clock.speed,
            meters=meters,
            on_answer=self._answered,
            on_sample=self._measured,
        )
        self._link = MqttLink(
            settings.broker,
            filters=topic_filters(settings),
            take=self._intake.take,
            now=clock.now,
            on_change=self._link_changed,
            sleep=self._sleep,
            prefix=settings.broker.topic_prefix,
            unwanted=all_filters(settings),
            longest=LONGEST_PAYLOAD,
            may_publish=leadership.may_send if leadership is not None else lambda: True,
            may_wait=lambda topic: not is_ack(topic),
        )
        if leadership is not None:
            reader = InboxReader(
                self._turns, take=self._intake.take, is_alone=lambda: not leadership.others, sleep=self._sleep
            )
            self._more_work["messages of other bridges"] = reader.run
        self._outbox = CommandOutbox(
            decide=self._turns.change,
            book=self._turns.book,
            link=self._link,
            registry=registry,
            settings=settings.dispatch,
            on_sent=self._sent,
            is_wanted=self._is_wanted,
            clock=clock,
        )
        self._dispatcher = Dispatcher(
            turns=self._turns,
            planner=planner,
            registry=registry,
            watcher=Watcher(
                then=settings.dispatch.on_giveback,
                least_remaining=policy.least_remaining,
                baseline_kw=planner.baseline_kw,
            ),
            policy=policy,
            clock=clock,
            health=self.health,
            listening_since=lambda: self._link.connected_since,
            on_queued=self._outbox.wake,
            let_leave=self._outbox.let_leave,
            on_change=self._report_soon,
        )
        self._load_orders = LoadOrders(
            self._turns,
            registry,
            policy,
            now=clock.now,
            on_queued=self._outbox.wake,
            on_done=self._dispatcher.look_at,
        )
        await stack.enter_async_context(self._link)

    def _answered(self, ven_ids: Collection[str], changed_parts: Collection[str]) -> None:
        self._dispatcher.answered(ven_ids, changed_parts)
        self._exchange.wake()

    def _measured(self, ven_ids: Collection[str]) -> None:
        self._dispatcher.measured(ven_ids)
        self._load_orders.measured(ven_ids)

    def _sent(self, ven_ids: Collection[str]) -> None:
        self._dispatcher.look_at(ven_ids)

    def _is_wanted(self, command: Command) -> bool:
        return self._dispatcher.wants(command)

    def _is_sending(self) -> bool:
        """Return True while many commands are about to leave, are leaving, or have just been answered in part."""
        return self._outbox.is_busy or len(self._turns.book.outstanding) > _MANY_COMMANDS

    def _report_soon(self) -> None:
        self._exchange.wake()

    def _link_changed(self) -> None:
        connected = self._link.connected_since is not None
        self.health.broker = None if connected else self._link.problem or "not connected"
        self._outbox.wake()
        self._dispatcher.look_at(self._turns.book.outstanding)  # answers are heard, or not, from now on

    async def _listen(self) -> None:
        """Hand over messages. If that ends, what was taken and not stored comes again with a new connection."""
        try:
            await self._link.run()
        finally:
            await self._link.disconnect()

    async def _send(self) -> None:
        """Send queued commands, beginning with what an earlier run has left, if it is still wanted."""
        await self._dispatcher.has_looked.wait()
        while True:
            self._outbox.wake()
            await self._turns.persist(self._outbox.run)

    async def _count_season(self) -> None:
        """ChannelCount what panels have shed, since that decides who is asked first."""
        while True:
            await self._turns.persist(self._season.count)
            await self._clock.sleep(_SEASON_S)

    async def _keep_house(self) -> None:
        """Forget what is older than the retention time."""
        while True:
            await self._turns.persist(self._forget)
            await self._clock.sleep(_HOUSEKEEPING_S)

    async def _forget(self) -> None:
        kept = self.settings.telemetry
        now = self._clock.now()
        before = now - timedelta(days=kept.keep_days)
        await forget_measurements(
            self._turns.turn, now, samples_days=kept.keep_days, minutes_days=kept.keep_minutes_days
        )
        acks_before = now - timedelta(days=kept.keep_acks_days)
        for forget in (acks.forget, commands.forget):
            await forget_in_pieces(self._turns.turn, partial(forget, before=acks_before))
        for forget in (quarantine.forget, explanations.forget):
            await forget_in_pieces(self._turns.turn, partial(forget, before=before))


def _policy(settings: Settings, speed: float) -> Policy:
    """Return the limits of waiting on the event clock; those that are about a network are real time."""
    dispatch = settings.dispatch
    return Policy(
        ack_timeout=timedelta(seconds=dispatch.ack_timeout_s * speed),
        offline_after=timedelta(seconds=max(dispatch.offline_after_s, _LEAST_OFFLINE_REAL_S * speed)),
        least_remaining=timedelta(seconds=dispatch.least_remaining_s),
        ping_every=timedelta(seconds=dispatch.offline_after_s),
        renew_before=timedelta(seconds=_RENEW_BEFORE_REAL_S * speed),
    )


def _warn_of_old_names(settings: Settings) -> None:
    for name in settings.dispatch.renamed:
        dialect = name.removesuffix("_piece_s")
        _log.warning("setting has a new name", old=f"dispatch.{name}", new=f"dispatch.longest_piece_s.{dialect}")
