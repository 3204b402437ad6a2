"""Supervise the background work of a server: one list of services in one task group, so that none dies unseen.

A service that raises, returns or is cancelled by somebody else is logged with its name, counted, and started again
after a pause that grows. A vital one that fails again and again ends the server on purpose.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import structlog

from vtn.errors import ServiceFailed

_log = structlog.get_logger(__name__)

VITAL_FAILURES: Final = 8
"""Failures in a row after which a vital service ends the server: about half a minute with the pauses below."""


@dataclass(frozen=True, slots=True)
class Service:
    """Hold one piece of background work. ``run`` works until it is cancelled, and may be called again afterwards.

    ``is_vital`` says that a server without it must not go on: after ``VITAL_FAILURES`` in a row the server ends.
    """

    name: str
    run: Callable[[], Awaitable[None]]
    is_vital: bool = False


@dataclass(frozen=True, slots=True)
class Pauses:
    """Hold the pauses between a failure and the next start, in seconds: each twice the last one, up to the longest.

    They vary by half, so that the workers of a server do not come back together. A service that ran for ``steady_s``
    begins with the first pause again. Libraries for retries repeat one call until it succeeds; here success is that the
    call does not return, so their stop and reset conditions do not fit, and what is left of them is one ``min``.
    """

    first_s: float = 0.1
    longest_s: float = 30.0
    steady_s: float = 60.0

    def after(self, failures: int) -> float:
        """Return the pause after so many failures in a row, one or more."""
        longest = min(self.longest_s, self.first_s * 2.0 ** min(failures - 1, 32))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)


_USUAL: Final = Pauses()


class Services:
    """Run services from ``start`` to ``stop``, each in a task that has its name."""

    def __init__(self, services: Sequence[Service], *, pauses: Pauses = _USUAL, grace_s: float = 5.0) -> None:
        self.names = tuple(service.name for service in services)
        self.restarts = dict.fromkeys(self.names, 0)
        """Counts the restarts of each."""
        self._services = services
        self._pauses = pauses
        self._grace_s = grace_s
        self._running: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        self._failure: ServiceFailed | None = None
        self._failed = asyncio.Event()

    @property
    def failing(self) -> tuple[str, ...]:
        """Return the names of those that failed and wait to be started again; of all when the server has to end."""
        if self._task is None or (self._ending and self._failure is None):
            return ()
        return tuple(name for name in self.names if name not in self._running)

    @property
    def failure(self) -> ServiceFailed | None:
        """Return why the server has to end; None while it may go on."""
        return self._failure

    def is_running(self, name: str) -> bool:
        """Return True while a service works; False while it waits to be started again."""
        return name in self._running

    def start(self) -> None:
        """Start all services; the event loop must run."""
        self._running.update(self.names)
        self._task = asyncio.create_task(self._run(), name="services")

    async def failed(self) -> None:
        """Wait until the server has to end, and raise ServiceFailed."""
        await self._failed.wait()
        if self._failure is not None:
            raise self._failure

    async def stop(self) -> None:
        """Cancel all services and wait for their end; one that takes longer than ``grace_s`` is logged and left."""
        if self._task is None:
            return
        self._ending = True
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=self._grace_s)
        for name, task in self._tasks.items():
            if not task.done():
                _log.error("a service does not end and is left behind", service=name, waited_s=self._grace_s)

    async def _run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for service in self._services:
                    self._tasks[service.name] = group.create_task(self._supervise(service), name=service.name)
                try:
                    await asyncio.get_running_loop().create_future()
                finally:
                    self._ending = True
        except* ServiceFailed:
            self._failed.set()

    async def _supervise(self, service: Service) -> None:
        loop = asyncio.get_running_loop()
        failures, pause = 0, 0.0
        while True:
            error: BaseException | None = None
            started = loop.time() + pause
            try:
                if failures:
                    await asyncio.sleep(pause)
                    self._running.add(service.name)
                    self.restarts[service.name] += 1
                await service.run()
            except asyncio.CancelledError as cancelled:
                self._go_on(cancelled)
                error = cancelled
            except Exception as raised:  # whatever it is: the other services and the requests go on
                error = raised
            self._running.discard(service.name)
            if self._ending:
                if error is not None:
                    _log.error("a service failed while it ended", service=service.name, exc_info=error)
                return
            failures = 1 if loop.time() - started >= self._pauses.steady_s else failures + 1
            pause = self._pauses.after(failures)
            self._tell(service, error, failures, pause)

    def _go_on(self, cancelled: asyncio.CancelledError) -> None:
        """Raise the error again when the services end; else somebody cancelled this one alone, which is a failure."""
        task = asyncio.current_task()
        if self._ending or task is None:
            raise cancelled
        task.uncancel()

    def _tell(self, service: Service, error: BaseException | None, failures: int, pause: float) -> None:
        """Log a failure; raises ServiceFailed when the server has to end for it."""
        how = "it returned" if error is None else f"{type(error).__name__}: {error}".rstrip(": ")
        trace = error if isinstance(error, Exception) else None
        if not service.is_vital or failures < VITAL_FAILURES:
            _log.error(
                "a service failed and is started again",
                service=service.name,
                error=how,
                failures=failures,
                pause_s=round(pause, 2),
                exc_info=trace,
            )
            return
        _log.critical("a service failed again and again; the server ends", service=service.name, exc_info=trace)
        self._ending = True
        self._running.clear()
        self._failure = ServiceFailed(f"the service {service.name!r} failed {failures} times in a row: {how}")
        raise self._failure


class Closing:
    """Close the parts of a server, the last one added first, and all of them whatever fails or is cancelled."""

    def __init__(self) -> None:
        self._stack = AsyncExitStack()

    def add(self, part: str, close: Callable[[], Awaitable[None] | None]) -> None:
        """Add a part. An error of ``close`` is logged with its name and does not keep the others from being closed."""

        async def step() -> None:
            try:
                closing = close()
                if closing is not None:
                    await closing
            except Exception:  # whatever it is, the rest is to be closed, too
                _log.exception("a part of the server did not close in order", part=part)

        self._stack.push_async_callback(step)

    async def close(self) -> None:
        """Close all parts; those that are closed already are not closed again."""
        await self._stack.aclose()
