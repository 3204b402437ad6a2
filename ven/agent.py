"""Run a VEN: open its parts, and keep its loops going, which do not wait for each other.

The control loop keeps the circuits at what the events ask, without any network. The poll loop learns events from the
VTN, the send loop brings it our reports; both go on trying for as long as it takes. The push loop listens for hints
that there is something new, which the poll loop then reads; it knows nothing else. Memory is the truth for all of them:
a loop that failed or hung goes on from it. Whatever ends the agent, circuits return first.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from random import Random
from typing import Final

import structlog

from openadr_client import (
    NOT_MODIFIED,
    VEN_OBJECTS,
    Backoff,
    Clock,
    Hints,
    PushReceiver,
    Refused,
    SystemClock,
    TemporarilyUnavailable,
    Unauthorized,
    UnexpectedAnswer,
    UntrustedServer,
    VtnClient,
    VtnError,
)
from openadr_profiles.v31 import Event, Program, ValuesMap, Ven
from ven.control import Control
from ven.doors import Doors
from ven.drivers import Driver, find_driver
from ven.errors import BadStore
from ven.loops import Loop, keep_running, within
from ven.memory import give_back_large_blocks
from ven.panel.calls import opened
from ven.panel.switchgear import LimitGuard
from ven.registration import circuit_resources, registration
from ven.reports.sender import ReportSender
from ven.settings import VenSettings
from ven.store import StateFile
from ven.troubles import Troubles

_log = structlog.get_logger(__name__)

_JITTER: Final = 0.1
_DISK_TRIED_AGAIN_S: Final = 10.0
_NOT_TO_BE_WAITED_OUT: Final = (Unauthorized, Refused, UntrustedServer, UnexpectedAnswer)
"""Answers at the first contact that an operator has to do something about."""


@dataclass(frozen=True)
class RoundLimits:
    """Hold the real seconds after which a round of a loop counts as hanging.

    A control step has only the device to wait for. A poll or a sending is many requests, each with a limit of its own.
    """

    control_s: float = 60.0
    poll_s: float = 3600.0
    send_s: float = 3600.0


async def run_ven(
    settings: VenSettings,
    *,
    clock: Clock | None = None,
    ready: asyncio.Event | None = None,
    watch: Callable[[Agent], None] | None = None,
) -> None:
    """Run a VEN until cancelled.

    `ready` is set once the VTN knows us and has shown its events. `watch` is given the agent before it begins.

    Circuits that are curtailed when the task is cancelled, or ends with an error, return first. If the process is
    killed or hangs, each limit ends at its expiry, by the device or else by a watchdog process. The next run with the
    same store goes on in either case: it limits them again if the event is still going on, else lets them return.

    Raises:
        UnknownDriver, BadDriverOptions, DriverFailed, BadStore, BadCertificateFile, LibraryMissing: the VEN cannot
            start.
        Unauthorized, Refused, UntrustedServer, UnexpectedAnswer: the VTN turns us away at the first contact, and there
            is no event in the store that circuits have to be looked after for. A VTN that cannot be reached is waited
            for.
    """
    give_back_large_blocks()
    clock = clock or SystemClock()
    driver = find_driver(settings.driver.kind)(settings.circuits, settings.driver.options, clock)
    settings.store.parent.mkdir(parents=True, exist_ok=True)
    async with (
        StateFile(settings.store, now=clock.now()) as store,
        opened(driver),
        _guard(settings, driver, clock) as guard,
        settings.vtn.client(clock) as client,
    ):
        agent = Agent(settings, clock=clock, client=client, store=store, driver=driver, ready=ready, guard=guard)
        if watch is not None:
            watch(agent)
        await agent.run()


def _guard(settings: VenSettings, driver: Driver, clock: Clock) -> AbstractAsyncContextManager[LimitGuard | None]:
    """Return a watchdog for the limits of a device that does not end them itself."""
    if driver.enforces_expiry:
        return nullcontext()
    from ven.safety.guard import WatchdogGuard  # noqa: PLC0415 # most devices end limits themselves

    return WatchdogGuard(
        kind=settings.driver.kind,
        options=settings.driver.options,
        circuits=settings.circuits,
        deadline_s=settings.driver.deadline_s,
        lock=settings.store.with_name(f"{settings.store.name}-watch"),
        clock=clock,
    )


class Agent:
    """Run a VEN made of parts that are open already; `run_ven` opens them."""

    def __init__(
        self,
        settings: VenSettings,
        *,
        clock: Clock,
        client: VtnClient,
        store: StateFile,
        driver: Driver,
        ready: asyncio.Event | None = None,
        limits: RoundLimits | None = None,
        guard: LimitGuard | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._client = client
        self._ready = ready or asyncio.Event()
        self._limits = limits or RoundLimits()
        self._act = asyncio.Event()
        self._control = Control(settings, store=store, driver=driver, clock=clock, guard=guard, told=self._act)
        self._sender = ReportSender(store=store, client=client, clock=clock)
        self._chance = Random(settings.ven_name)  # noqa: S311 # spreads a fleet in time, keeps no secret
        self._hints = Hints(clock, spread_s=settings.push.spread_s, chance=self._chance)
        self._registration = registration(client, settings)
        self._resources = circuit_resources(settings.circuits)
        self._troubles = Troubles()
        self._vtn_problem: dict[str, str] = {}
        self._versions: dict[str, dict[str, datetime]] = {}
        self._not_there: set[str] = set()
        self._lock = asyncio.Lock()
        self._send = asyncio.Event()
        self._control.journal.written_late = self._send.set
        self.loops: tuple[Loop, ...] = (
            Loop("control", self._control_forever),
            Loop("poll", self._poll_forever, ends_with=(VtnError,)),
            Loop("send", self._send_forever),
        )
        self._doors = Doors(
            settings,
            self._control,
            clock=clock,
            lock=self._lock,
            act=self._act.set,
            more_problems=lambda: self._troubles.now | self._vtn_problem,
        )
        self.loops += self._doors.loops
        if settings.push.mode != "off":
            self._push = PushReceiver(client, settings.push, name=settings.reported_as, objects=VEN_OBJECTS)
            self.loops += (Loop("push", self._push_forever),)

    @property
    def control(self) -> Control:
        """Return the device side, to be looked at."""
        return self._control

    @property
    def problems(self) -> dict[str, str]:
        """Return what goes wrong now, by its name."""
        return self._control.problems | self._troubles.now | self._vtn_problem

    async def run(self) -> None:
        """Run until cancelled; raises the VTN's error at the first contact, see `run_ven`."""
        try:
            await self._control.load()
            await keep_running(self.loops, self._clock)
        finally:
            await self._control.restore()

    async def _control_forever(self) -> None:
        while True:
            async with within(self._limits.control_s, "a control step"):
                await (
                    self._control.read()
                )  # a slow device keeps nobody from learning what is new, nor from acting on it
                async with self._lock:
                    until = await self._control.step()
            self._send.set()
            self._doors.tell()
            # The clock may have been set back during the step.
            await self._clock.wait_for(self._act, until=min(until, self._clock.now() + self._control.sample))

    async def _poll_forever(self) -> None:
        backoff = Backoff(self._chance)
        while True:
            try:
                async with within(self._limits.poll_s, "a poll"):
                    changed = await self._poll()
            except VtnError as error:
                self._forget_polls()
                if isinstance(error, _NOT_TO_BE_WAITED_OUT) and not self._ready.is_set() and self._control.is_idle:
                    raise
                wait_s = backoff.failed(error)
                _log.warning("VTN not read", problem=str(error), again_in_s=round(wait_s, 1))
                self._vtn_problem = {"vtn": str(error)}
            except BaseException:
                self._forget_polls()
                raise
            else:
                backoff.succeeded()
                self._vtn_problem = {}
                self._ready.set()
                self._hints.done(changed=changed)
                wait_s = self._settings.poll_s * (1 - _JITTER * self._chance.random())
                await self._hints.wait(self._clock.now() + timedelta(seconds=wait_s))
                continue
            await self._clock.sleep(wait_s)  # a VTN that cannot answer is left in peace, whatever anybody tells us

    def _forget_polls(self) -> None:
        """Have the next poll ask for everything: the last answers may not have been acted on."""
        self._client.programs.forget_polls()
        self._client.events.forget_polls()

    async def _poll(self) -> bool:
        """Register if need be, read what the VTN shows, and act on it; return True if anything was new."""
        await self._register(self._registration.keep)
        programs = await self._client.programs.poll()
        changed = False
        if programs is not NOT_MODIFIED:
            changed = self._is_news("programs", programs)
            self._not_there.clear()
            async with self._lock:
                await self._control.take_programs(programs, [broken.id for broken in programs.broken])
            self._act.set()
        events = await self._client.events.poll(active=True)
        if self._control.heard():
            self._act.set()
        if events is NOT_MODIFIED:
            return changed
        await self._registration.look(at_resources_only=True)
        await self._register(self._registration.see_to)
        self._control.take_resources(self._registration.resources.values())
        await self._ask_for_programs(events)
        await self._control.foresee(events)
        async with self._lock:
            missing = await self._control.take_events(events, [broken.id for broken in events.broken])
        for event_id in missing:
            await self._look_for(event_id)
        self._act.set()
        return self._is_news("events", events) or changed

    async def _ask_for_programs(self, events: Iterable[Event]) -> None:
        """Read programs that the list did not show, if what the owner said may be about them."""
        agenda = self._control.agenda
        for program_id in agenda.programs_to_ask_for(events, but=self._not_there):
            trouble = f"program {program_id}"
            try:
                program = await self._client.programs.find(program_id)
            except (Refused, UnexpectedAnswer) as error:
                self._troubles.tell(trouble, str(error))
                program = None
            else:
                self._troubles.over(trouble)
            if program is None:
                self._not_there.add(program_id)
            else:
                async with self._lock:
                    await agenda.add_program(program)

    async def _register(self, bring: Callable[[dict[str, tuple[ValuesMap, ...]]], Awaitable[Ven | None]]) -> None:
        """See to our ven and resources. If the VTN refuses them later on, events are followed all the same."""
        try:
            await bring(self._resources)
        except Refused as error:
            if not self._ready.is_set():
                raise
            self._troubles.tell("registration", str(error))
        else:
            if self._registration.ven is not None:
                self._troubles.over("registration")

    def _is_news(self, kind: str, found: Iterable[Program | Event]) -> bool:
        """Return True if these are not the versions of the last poll; not every VTN says so itself."""
        versions = {each.id: each.modification_date_time for each in found}
        before, self._versions[kind] = self._versions.get(kind), versions
        return versions != before

    async def _look_for(self, event_id: str) -> None:
        """Find out whether an event that is not listed was deleted (VENCLIENT-012) or is over for the VTN.

        One that cannot be read keeps its last version, and does not make the poll fail for the others.
        """
        trouble = f"event {event_id}"
        try:
            event = await self._client.events.find(event_id)
        except (Refused, TemporarilyUnavailable, UnexpectedAnswer) as error:
            if isinstance(error, TemporarilyUnavailable) and error.status == HTTPStatus.TOO_MANY_REQUESTS:
                raise  # the VTN wants to be left in peace
            self._troubles.tell(trouble, str(error))
            self._client.events.forget_polls()  # it is missing again in the next list, if that is asked for
            return
        self._troubles.over(trouble)
        if event is None:
            _log.info("event deleted", event_id=event_id)
        async with self._lock:
            if event is None:
                await self._control.remove(event_id)
            else:
                await self._control.take_events([event])

    async def _push_forever(self) -> None:
        await self._registration.follow(lambda ven_id: self._push.run(self._hints.tell, ven_id=ven_id))

    async def _send_forever(self) -> None:
        backoff = Backoff(self._chance)
        while True:
            if (again_at := self._sender.again_at) is None:
                await self._send.wait()
            else:
                await self._clock.wait_for(self._send, until=again_at)
            self._send.clear()
            try:
                async with within(self._limits.send_s, "sending reports"):
                    await self._sender.send_all()
            except VtnError as error:
                wait_s = backoff.failed(error)
                _log.warning("reports not sent", problem=str(error), again_in_s=round(wait_s, 1))
            except BadStore as error:  # what is to be sent cannot be read
                self._troubles.tell("sending reports", str(error))
                wait_s = _DISK_TRIED_AGAIN_S
            except BaseException:
                self._send.set()
                raise
            else:
                backoff.succeeded()
                self._troubles.over("sending reports")
                continue
            await self._clock.sleep(wait_s)
            self._send.set()
