"""The exchange with the VTN: events and programs are asked for, reports written when they are due and sent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random

import structlog

from bridge_mqtt.errors import NoApi
from bridge_mqtt.health import Health
from bridge_mqtt.planner import Planner
from bridge_mqtt.reports import Reporter
from bridge_mqtt.settings import Settings
from bridge_mqtt.turns import Turns
from bridge_mqtt.vtn_side.side import VtnSide
from openadr_client import (
    AnswerTooLarge,
    Backoff,
    ClientError,
    Clock,
    Forbidden,
    Hints,
    NotFound,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
    VtnError,
)

_log = structlog.get_logger(__name__)

_STATUS_EVERY = timedelta(seconds=30)
_BETWEEN_REPORTS_S = 0.2
_COMMANDS_PASS_S = 5.0
_SENDING_S = 5.0
_FIRST_CONTACT_S = 10.0
"""Real seconds that a start waits for the VTN: what panels hold must be ended in time, whether it answers or not."""


class Exchange:
    """Polls and reports. ``on_change`` is called when the VTN shows something new.

    ``is_sending`` tells whether many commands are on their way to panels.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        vtn: VtnSide,
        reporter: Reporter,
        planner: Planner,
        turns: Turns,
        health: Health,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]],
        on_change: Callable[[], None],
        is_sending: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._vtn = vtn
        self._reporter = reporter
        self._planner = planner
        self._turns = turns
        self._health = health
        self._clock = clock
        self._sleep = sleep
        self._on_change = on_change
        self._is_sending = is_sending
        self._due = asyncio.Event()
        self._first: asyncio.Task[bool] | None = None
        chance = Random(settings.vtn.ven_name)  # noqa: S311 # spreads a fleet in time, keeps no secret
        self._hints = Hints(clock, spread_s=settings.push.spread_s, chance=chance)

    def wake(self) -> None:
        """Write reports soon, since something has happened."""
        self._due.set()

    def poll_soon(self) -> None:
        """Ask the VTN for events soon, since we have written one there."""
        self._hints.read_soon()

    async def first_contact(self) -> None:
        """Ask the VTN once; one that cannot be reached is no reason not to start.

        Raises:
            Unauthorized, Forbidden: our credentials are refused.
            NoApi: who answers has no events, or answers what is none of the API's answers.
        """
        await self._vtn.recall()
        self._first = asyncio.create_task(self._ask(is_first=True), name="first contact")
        answered, _ = await asyncio.wait({self._first}, timeout=_FIRST_CONTACT_S)
        try:
            problem = self._health.vtn if answered and self._first.result() is not None else "no answer yet"
        except (Unauthorized, Forbidden):
            raise
        except VtnError as error:
            if isinstance(error, NotFound | UnexpectedAnswer) and not isinstance(error, AnswerTooLarge):
                raise NoApi(
                    f"vtn.url: no OpenADR API there ({error}); expected an address with the version, as "
                    "https://vtn.example/openadr3/3.1.0"
                ) from error
            problem = self._health.vtn = str(error)
        if problem is not None:
            self._health.vtn = problem
            _log.warning("VTN not available, starting without it", problem=problem)

    async def close(self) -> None:
        """End the first contact if it goes on; call before database and client are closed."""
        if self._first is not None:
            self._first.cancel()
            await asyncio.gather(self._first, return_exceptions=True)

    async def poll(self) -> None:
        """Ask the VTN for events until cancelled."""
        if self._first is not None:
            await self._turns.persist(self._poll_once)
        while True:
            await self._hints.wait(self._clock.now() + timedelta(seconds=self._vtn.pause_s))
            await self._turns.persist(self._poll_once)

    async def keep_resources(self) -> None:
        """Make panels and circuits known to the VTN as resources, until cancelled."""
        await self._vtn.keep_resources()

    async def listen(self) -> None:
        """Let the VTN tell us when there is something to ask for, until cancelled; needs a way that is not off."""
        await self._vtn.listen(self._settings.push, self._hints.tell)

    async def report(self) -> None:
        """Write reports whenever something has happened or is due, and send them; after a failure with back-off."""
        limits = self._settings.reporting
        backoff = Backoff(first_s=limits.retry_least_s, longest_s=limits.retry_most_s)
        retry_at = self._clock.now()
        while True:
            await self._let_commands_pass()
            self._due.clear()
            wake_at = self._clock.now() + _STATUS_EVERY

            async def write_and_send() -> None:
                nonlocal wake_at, retry_at
                due = await self._reporter.write(self._clock.now())
                wake_at = min(wake_at, due) if due is not None else wake_at
                if self._clock.now() < retry_at:
                    wake_at = min(wake_at, retry_at)
                    return
                try:
                    if await self._send_some():
                        self._due.set()
                    backoff.succeeded()
                except ClientError as error:
                    wait_s = backoff.failed(error)
                    _log.warning("reports not sent", problem=str(error), retry_in_s=round(wait_s, 1))
                    retry_at = self._clock.now() + timedelta(seconds=wait_s)
                    wake_at = min(wake_at, retry_at)

            await self._turns.persist(write_and_send)
            await self._sleep(_BETWEEN_REPORTS_S)
            await self._clock.wait_for(self._due, until=wake_at)

    async def _send_some(self) -> bool:
        """Send what waits, and return True if more of it may be left: the next reports are written in between."""
        until = time.monotonic() + _SENDING_S
        while await self._vtn.send_reports():
            if self._is_sending() or time.monotonic() >= until:
                return True
        return False

    async def _let_commands_pass(self) -> None:
        """Wait while commands are on their way to panels, since reports can wait; some seconds at most."""
        until = time.monotonic() + _COMMANDS_PASS_S
        while self._is_sending() and time.monotonic() < until:
            await self._sleep(_BETWEEN_REPORTS_S)

    async def _poll_once(self) -> None:
        first, self._first = self._first, None
        try:
            changed = await (first if first is not None else self._ask())
        except ClientError as error:
            if self._health.vtn is None:
                _log.warning("VTN not available", problem=str(error))
            self._health.vtn = str(error)
            self._hints.done(changed=False)
        else:
            self._hints.done(changed=changed)
            if changed:
                self._on_change()

    async def _ask(self, *, is_first: bool = False) -> bool:
        """Register and poll; return True if the VTN shows something new.

        A ven that cannot be registered keeps no event from being read, unless the VTN cannot be reached at all or, at
        the first contact, has no ven that we may use.
        """
        problem: VtnError | None = None
        try:
            try:
                await self._vtn.register()
            except VtnError as error:
                if isinstance(error, Unauthorized | Unreachable) or (is_first and isinstance(error, Forbidden)):
                    raise
                problem = error
            taken = await self._vtn.poll(self._changed)
        finally:
            self._tell_planner()
        problem = problem or taken.problem
        if problem is not None and self._health.vtn is None:
            _log.warning("the VTN does not answer all that it is asked", problem=str(problem))
        self._health.vtn = None if problem is None else str(problem)
        return taken.changed

    def _tell_planner(self) -> None:
        self._planner.bridge_targets, self._planner.seen_by = self._vtn.targets, self._vtn.seen_by
        self._planner.programs = self._vtn.programs

    def _changed(self) -> None:
        self._tell_planner()
        self._on_change()
