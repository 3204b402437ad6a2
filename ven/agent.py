"""The VEN itself: three loops that do not wait for each other.

The control loop keeps the circuits at what the events ask, without any network. The poll loop learns events from the
VTN, the send loop brings it our reports; both go on trying for as long as it takes.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

import structlog

from openadr_client.backoff import Backoff
from openadr_client.client import NOT_MODIFIED, VtnClient
from openadr_client.clock import Clock, SystemClock
from openadr_client.errors import Refused, Unauthorized, UnexpectedAnswer, UntrustedServer, VtnError
from ven.control import Control
from ven.drivers import Driver, find_driver
from ven.registration import register
from ven.reports.sender import ReportSender
from ven.settings import VenSettings
from ven.store import StateFile

_log = structlog.get_logger(__name__)

_JITTER: Final = 0.1
_PAUSE_AFTER_A_BUG_S: Final = 30.0
_NOT_TO_BE_WAITED_OUT: Final = (Unauthorized, Refused, UntrustedServer, UnexpectedAnswer)
"""Answers at the first contact that an operator has to do something about."""


async def run_ven(settings: VenSettings, *, clock: Clock | None = None, ready: asyncio.Event | None = None) -> None:
    """Run a VEN until cancelled.

    `ready` is set once the VTN knows us and has shown its events. Circuits that are curtailed when the task is
    cancelled (or the process killed) stay so: the next run with the same store goes on, and lets them return in time.

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
    """A VEN made of parts that are open already; `run_ven` opens them."""

    def __init__(
        self,
        settings: VenSettings,
        *,
        clock: Clock,
        client: VtnClient,
        store: StateFile,
        driver: Driver,
        ready: asyncio.Event | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._client = client
        self._ready = ready or asyncio.Event()
        self._control = Control(settings, store=store, driver=driver, clock=clock)
        self._outbox = ReportSender(store=store, client=client, clock=clock)
        self._chance = Random(settings.ven_name)  # noqa: S311 # spreads a fleet in time, keeps no secret
        self._registered = False
        self._lock = asyncio.Lock()
        self._act = asyncio.Event()
        self._send = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled; raises the VTN's error at the first contact, see `run_ven`."""
        await self._control.load()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._control_forever())
                group.create_task(self._poll_forever())
                group.create_task(self._send_forever())
        except BaseExceptionGroup as group_error:
            # Not `except*`: Python 3.11 before 3.11.4 wraps in a group again what is raised in there.
            refused, others = group_error.split(VtnError)
            if refused is None or others is not None:
                raise
            raise refused.exceptions[0] from None

    async def _control_forever(self) -> None:
        while True:
            self._act.clear()
            try:
                async with self._lock:
                    until = await self._control.step()
            except Exception:
                _log.exception("control step failed")
                until = self._clock.now() + self._control.sample
            self._send.set()
            await self._clock.wait_for(self._act, until=until)

    async def _poll_forever(self) -> None:
        backoff = Backoff(self._chance)
        while True:
            done = False
            try:
                await self._poll()
                done = True
            except VtnError as error:
                if isinstance(error, _NOT_TO_BE_WAITED_OUT) and not self._ready.is_set() and self._control.is_idle:
                    raise
                wait_s = backoff.failed(error)
                _log.warning("VTN not read", problem=str(error), again_in_s=round(wait_s, 1))
            except Exception:
                _log.exception("poll failed")
                wait_s = _PAUSE_AFTER_A_BUG_S
            else:
                backoff.succeeded()
                self._ready.set()
                wait_s = self._settings.poll_s * (1 - _JITTER * self._chance.random())
            if not done:  # the last answers may not have been acted on: ask for them again
                self._client.programs.forget_polls()
                self._client.events.forget_polls()
            await self._clock.sleep(wait_s)

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
            async with self._lock:
                await self._control.take_programs(programs)
        events = await self._client.events.poll(active=True)
        if events is NOT_MODIFIED:
            return
        self._control.take_resources(await self._client.resources.search())
        async with self._lock:
            missing = await self._control.take_events(events, [broken.id for broken in events.broken])
        for event_id in missing:
            await self._look_for(event_id)
        self._act.set()

    async def _look_for(self, event_id: str) -> None:
        """Find out whether an event that is not listed was deleted (VENCLIENT-012) or is over for the VTN."""
        event = await self._client.events.find(event_id)
        if event is None:
            _log.info("event deleted", event_id=event_id)
        async with self._lock:
            if event is None:
                await self._control.remove(event_id)
            else:
                await self._control.take_events([event])

    async def _send_forever(self) -> None:
        backoff = Backoff(self._chance)
        while True:
            await self._send.wait()
            self._send.clear()
            try:
                await self._outbox.send_all()
            except VtnError as error:
                wait_s = backoff.failed(error)
                _log.warning("reports not sent", problem=str(error), again_in_s=round(wait_s, 1))
            except Exception:
                _log.exception("sending reports failed")
                wait_s = _PAUSE_AFTER_A_BUG_S
            else:
                backoff.succeeded()
                continue
            await self._clock.sleep(wait_s)
            self._send.set()
