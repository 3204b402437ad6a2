"""Run a VEN: open its parts, and keep its three loops going, which do not wait for each other.

The control loop keeps the circuits at what the events ask, without any network. The poll loop learns events from the
VTN, the send loop brings it our reports; both go on trying for as long as it takes. Whatever ends the agent, circuits
return first.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Final

import structlog

from openadr_client import (
    NOT_MODIFIED,
    Backoff,
    Clock,
    Refused,
    SystemClock,
    Unauthorized,
    UnexpectedAnswer,
    UntrustedServer,
    VtnClient,
    VtnError,
)
from ven.control import Control
from ven.drivers import Driver, find_driver
from ven.loops import Loop, keep_running, within
from ven.registration import register
from ven.reports.sender import ReportSender
from ven.settings import VenSettings
from ven.store import StateFile

_log = structlog.get_logger(__name__)

_JITTER: Final = 0.1
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


async def run_ven(settings: VenSettings, *, clock: Clock | None = None, ready: asyncio.Event | None = None) -> None:
    """Run a VEN until cancelled.

    `ready` is set once the VTN knows us and has shown its events. Circuits that are curtailed when the task is
    cancelled, or ends with an error, return first. If the process is killed they stay curtailed. The next run with the
    same store goes on in either case: it limits them again if the event is still going on, else lets them return.

    Raises:
        UnknownDriver, BadDriverOptions, DriverFailed, BadStore, BadCertificateFile: the VEN cannot start.
        Unauthorized, Refused, UntrustedServer, UnexpectedAnswer: the VTN turns us away at the first contact, and there
            is no event in the store that circuits have to be looked after for. A VTN that cannot be reached is waited
            for.
    """
    clock = clock or SystemClock()
    driver = find_driver(settings.driver.kind)(settings.circuits, settings.driver.options, clock)
    settings.store.parent.mkdir(parents=True, exist_ok=True)
    async with (
        StateFile(settings.store, now=clock.now()) as store,
        driver,
        settings.vtn.client(clock) as client,
    ):
        await Agent(settings, clock=clock, client=client, store=store, driver=driver, ready=ready).run()


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
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._client = client
        self._ready = ready or asyncio.Event()
        self._limits = limits or RoundLimits()
        self._control = Control(settings, store=store, driver=driver, clock=clock)
        self._sender = ReportSender(store=store, client=client, clock=clock)
        self._chance = Random(settings.ven_name)  # noqa: S311 # spreads a fleet in time, keeps no secret
        self._registered = False
        self._lock = asyncio.Lock()
        self._in_doubt = False
        self._act = asyncio.Event()
        self._send = asyncio.Event()
        self.loops = (
            Loop("control", self._control_forever),
            Loop("poll", self._poll_forever, ends_with=(VtnError,)),
            Loop("send", self._send_forever),
        )

    async def run(self) -> None:
        """Run until cancelled; raises the VTN's error at the first contact, see `run_ven`."""
        try:
            await self._control.load()
            await keep_running(self.loops, self._clock)
        finally:
            await self._control.restore()

    @asynccontextmanager
    async def _controlling(self) -> AsyncIterator[Control]:
        """Give the control to one loop at a time.

        One that fails, hangs or is cancelled in there may leave in memory what is not in the store. Then the next one
        begins with what the store says, as a new process does, and the next poll asks for everything again.
        """
        async with self._lock:
            if self._in_doubt:
                await self._control.load()
                self._in_doubt = False
            try:
                yield self._control
            except BaseException:
                self._in_doubt = True
                self._forget_polls()
                raise

    async def _control_forever(self) -> None:
        while True:
            self._act.clear()
            async with within(self._limits.control_s, "a control step"), self._controlling() as control:
                until = await control.step()
            self._send.set()
            await self._clock.wait_for(self._act, until=until)

    async def _poll_forever(self) -> None:
        backoff = Backoff(self._chance)
        while True:
            try:
                async with within(self._limits.poll_s, "a poll"):
                    await self._poll()
            except VtnError as error:
                self._forget_polls()
                if isinstance(error, _NOT_TO_BE_WAITED_OUT) and not self._ready.is_set() and self._control.is_idle:
                    raise
                wait_s = backoff.failed(error)
                _log.warning("VTN not read", problem=str(error), again_in_s=round(wait_s, 1))
            except BaseException:
                self._forget_polls()
                raise
            else:
                backoff.succeeded()
                self._ready.set()
                wait_s = self._settings.poll_s * (1 - _JITTER * self._chance.random())
            await self._clock.sleep(wait_s)

    def _forget_polls(self) -> None:
        """Have the next poll ask for everything: the last answers may not have been acted on."""
        self._client.programs.forget_polls()
        self._client.events.forget_polls()

    async def _poll(self) -> None:
        settings = self._settings
        if not self._registered:
            ours = await register(
                self._client, ven_name=settings.ven_name, circuits=settings.circuits, rename=settings.rename
            )
            _log.info("registered", ven_id=ours.ven.id, ven_name=ours.ven.ven_name)
            self._registered = True
        programs = await self._client.programs.poll()
        if programs is not NOT_MODIFIED:
            async with self._controlling() as control:
                await control.take_programs(programs)
        events = await self._client.events.poll(active=True)
        if events is NOT_MODIFIED:
            return
        self._control.take_resources(await self._client.resources.search())
        async with self._controlling() as control:
            missing = await control.take_events(events, [broken.id for broken in events.broken])
        for event_id in missing:
            await self._look_for(event_id)
        self._act.set()

    async def _look_for(self, event_id: str) -> None:
        """Find out whether an event that is not listed was deleted (VENCLIENT-012) or is over for the VTN."""
        event = await self._client.events.find(event_id)
        if event is None:
            _log.info("event deleted", event_id=event_id)
        async with self._controlling() as control:
            if event is None:
                await control.remove(event_id)
            else:
                await control.take_events([event])

    async def _send_forever(self) -> None:
        backoff = Backoff(self._chance)
        while True:
            await self._send.wait()
            self._send.clear()
            try:
                async with within(self._limits.send_s, "sending reports"):
                    await self._sender.send_all()
            except VtnError as error:
                wait_s = backoff.failed(error)
                _log.warning("reports not sent", problem=str(error), again_in_s=round(wait_s, 1))
            except BaseException:
                self._send.set()
                raise
            else:
                backoff.succeeded()
                continue
            await self._clock.sleep(wait_s)
            self._send.set()
