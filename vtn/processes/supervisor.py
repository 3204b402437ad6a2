"""Several processes that serve one port, and the one that keeps them running.

The kernel gives each new connection to one of them (SO_REUSEPORT). They are started with what they need on their
standard input, which stays open: when it closes, the supervisor is gone, and so do they. Each has a slot in the memory
that they share; a worker that takes the place of another takes its slot.

Managers of processes (gunicorn, circus, supervisord) hand on neither the slot nor the memory, cannot tell a worker that
was killed from one that refuses its settings, and would have the database brought up to date by each worker.
"""

from __future__ import annotations

import asyncio
import os
import pickle  # what is read was written by our own parent process
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, Final

import structlog

from vtn.app import VtnServer, build
from vtn.errors import WorkerFailed, WorkerKilled
from vtn.http.sockets import bound
from vtn.metrics import REPLACED, clear_gauges, count
from vtn.processes.collector import spare_the_collector
from vtn.processes.shared_memory import SharedMemory, made
from vtn.services import Service, Services
from vtn.settings import Settings

_log = structlog.get_logger(__name__)

_READY: Final = b"ready\n"
_START_S: Final = 60.0
_STOP_S: Final = 15.0
_KILLED_AT_START: Final = 3
_SHORT_LIFE_S: Final = 10.0
_LONGEST_PAUSE_S: Final = 10.0
_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class WorkerStart:
    """Start parameters of a worker: the settings, and its slot in the memory behind a descriptor that it inherits."""

    settings: Settings
    slot: int
    memory: int


class Supervisor:
    """A VTN of several processes. ``command`` starts one, which calls ``serve``; one that dies is replaced."""

    def __init__(self, settings: Settings, *, command: Sequence[str]) -> None:
        self._settings = settings
        self._command = command
        self._place: socket.socket | None = None
        self._place_20b: socket.socket | None = None
        self._memory = -1
        self._numbers: Sequence[memoryview] = ()
        self._ready: set[int] = set()
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._keepers = Services(())
        self.base_url = ""
        self._console: dict[str, str] = {}

    @property
    def pids(self) -> list[int]:
        """Return the ids of the processes that serve at present."""
        return [process.pid for process in self._processes.values() if process.returncode is None]

    async def run(self) -> None:
        """Serve until cancelled."""
        await self.start()
        try:
            await self._keepers.failed()
        finally:
            await self.stop()

    def renew_certificate(self) -> None:
        """Have all workers read the certificate again now (TLS-006); those that are starting read it anyway."""
        for number in self._ready:
            with suppress(ProcessLookupError):
                self._processes[number].send_signal(signal.SIGHUP)

    async def start(self) -> None:
        """Prepare the database once, take the port and start all workers; returns when all serve.

        Raises a StartFailed and leaves nothing running when it cannot.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise
        _log.info("VTN started", base_url=self.base_url, **self._console, workers=self._settings.workers)

    async def stop(self) -> None:
        """End all workers: they finish the requests under way; those that do not end in time are killed."""
        await self._keepers.stop()
        await asyncio.gather(*(_end(process) for process in self._processes.values()))
        self._processes.clear()
        self._ready.clear()
        if self._place is not None:
            self._place.close()
            self._place = None
        if self._place_20b is not None:
            self._place_20b.close()
            self._place_20b = None
        if self._memory >= 0:
            os.close(self._memory)
            self._memory = -1

    async def _start(self) -> None:
        settings = self._settings
        _log.info("VTN is starting", workers=settings.workers)
        if settings.port:
            bound(settings.host, settings.port).close()  # sharing a port never fails, so somebody else's is seen here
        self._place = bound(settings.host, settings.port, shared=True)
        port = self._place.getsockname()[1]
        settings = self._with_port_20b(settings)
        server = build(settings.model_copy(update={"port": port}))
        try:
            await server.prepare()
        finally:
            await server.stop()
        self.base_url, self._console = server.base_url, server.console_address
        database = settings.database.model_copy(update={"migrate": False})
        self._settings = settings.model_copy(update={"port": port, "database": database})
        self._memory = made(settings.workers)
        self._numbers = SharedMemory(slots=settings.workers, fd=self._memory).part("metrics")
        launches = [asyncio.create_task(self._launch_first(number)) for number in range(settings.workers)]
        try:
            await asyncio.gather(*launches)
        except BaseException:
            for launch in launches:  # or one that is still on its way would be left behind
                launch.cancel()
            await asyncio.gather(*launches, return_exceptions=True)
            raise
        self._keepers = Services(
            [Service(f"worker {number}", partial(self._keep, number)) for number in range(settings.workers)]
        )
        self._keepers.start()

    def _with_port_20b(self, settings: Settings) -> Settings:
        """Take the port of OpenADR 2.0b, if it is served, for all workers; return the settings that name it."""
        v20b = settings.v20b
        if v20b is None or not v20b.enabled:
            return settings
        if v20b.port:
            bound(v20b.host, v20b.port).close()
        self._place_20b = bound(v20b.host, v20b.port, shared=True)
        port = self._place_20b.getsockname()[1]
        return settings.model_copy(update={"v20b": v20b.model_copy(update={"port": port})})

    async def _launch_first(self, number: int) -> None:
        """Start a worker; one that somebody kills meanwhile is started again, a few times: others serve already."""
        for _ in range(_KILLED_AT_START):
            try:
                return await self._launch(number)
            except WorkerKilled as error:
                _log.error("a worker was killed while it started and is started again", worker=number, error=str(error))
        return await self._launch(number)

    async def _launch(self, number: int) -> None:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,  # an interrupt at the terminal is for us, and we tell them
                pass_fds=(self._memory,),
            )
        except OSError as error:
            raise WorkerFailed(f"a worker cannot be started: {error.strerror}") from error
        self._processes[number] = process
        if process.stdin is None or process.stdout is None:
            raise WorkerFailed("a worker has no pipes")
        told = pickle.dumps(WorkerStart(self._settings, number, self._memory))
        process.stdin.write(_LENGTH.pack(len(told)) + told)
        line, killed = b"", False
        with suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                with suppress(ConnectionError):
                    await process.stdin.drain()
                line = await process.stdout.readline()
                killed = not line and await process.wait() < 0
        if line != _READY:
            await _end(process)
            if killed:
                raise WorkerKilled(f"a worker was killed by signal {-(process.returncode or 0)} before it served")
            raise WorkerFailed("a worker cannot start; its log says why")
        self._ready.add(number)

    async def _keep(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        pause = 0.0
        since = loop.time()
        while True:
            code = await self._processes[number].wait()
            self._ready.discard(number)
            clear_gauges(self._numbers[number])
            pause = 0.0 if loop.time() - since > _SHORT_LIFE_S else min(_LONGEST_PAUSE_S, 2 * pause + 0.1)
            _log.error("a worker ended and is replaced", worker=number, code=code, pause_s=pause)
            await asyncio.sleep(pause)
            since = loop.time()
            try:
                await self._launch(number)
                count(self._numbers[number], REPLACED)
            except WorkerFailed as error:
                _log.error("a worker cannot be replaced yet", worker=number, error=str(error))


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def serve(pipe: BinaryIO, told: WorkerStart) -> None:
    """Serve as a worker until told to end, or until ``pipe`` (from the supervisor) closes; raises ServiceFailed."""
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    shared = SharedMemory(slots=told.settings.workers, slot=told.slot, fd=told.memory)
    os.close(told.memory)
    server = VtnServer(told.settings, shared=shared)
    loop.add_signal_handler(signal.SIGHUP, server.renew_certificate)
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    orphaned = asyncio.create_task(reader.read())
    orphaned.add_done_callback(lambda _: over.set())
    ended = asyncio.create_task(over.wait())
    try:
        await server.start()
        spare_the_collector()
        with suppress(BrokenPipeError):  # the supervisor is gone already; the other pipe says so too
            os.write(sys.stdout.fileno(), _READY)
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads what else a library may print
        failed = asyncio.create_task(server.services.failed())
        await asyncio.wait({ended, failed}, return_when=asyncio.FIRST_COMPLETED)
        if failed.done():
            failed.result()  # raises what the supervisor sees as the end of this process, and replaces it
        failed.cancel()
    finally:
        await server.stop()
        ended.cancel()
        orphaned.cancel()
        transport.close()


def read_start(pipe: BinaryIO) -> WorkerStart:
    """Return the start parameters, which the supervisor sends first."""
    (length,) = _LENGTH.unpack(_exactly(_LENGTH.size, pipe))
    told: WorkerStart = pickle.loads(_exactly(length, pipe))  # noqa: S301 (from our own parent process)
    return told


def _exactly(count: int, pipe: BinaryIO) -> bytes:
    found = b""
    while len(found) < count:
        part = pipe.read(count - len(found))
        if not part:
            raise WorkerFailed("the supervisor is gone")
        found += part
    return found
