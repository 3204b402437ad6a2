"""Tell the watchdog process what limits we hold and until when; start it, and start it again if it dies."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import structlog

from openadr_client import Clock
from ven.panel.circuits import BranchCircuit

_log = structlog.get_logger(__name__)

_PROGRAM: Final = Path(__file__).with_name("watchdog.py")
"""Run as a file: the name of its module would have Python import the VEN, three times the memory."""
_LOCKED_WITHIN_S: Final = 5.0
"""An earlier VEN's watchdog that ends limits holds the lock for no longer, or nearly so."""
_STARTED_WITHIN_S: Final = 5.0
"""A control step waits for a new watchdog no longer."""
_AGAIN_AFTER_S: Final = 60.0
"""A watchdog that is gone is started again at most so often."""


class WatchdogGuard:
    """Hold the pipe to the watchdog; use as an async context manager. Nothing here raises because of the watchdog.

    `lock` is a file that marks this VEN as being there; the ids of its circuits are in it. The driver's options, which
    may hold secrets, go through the pipe.
    """

    def __init__(
        self,
        *,
        kind: str,
        options: Mapping[str, Any],
        circuits: Sequence[BranchCircuit],
        deadline_s: float,
        lock: Path,
        clock: Clock,
    ) -> None:
        self._ids = [circuit.id for circuit in circuits]
        self._job = {
            "kind": kind,
            "options": dict(options),
            "circuits": [circuit.model_dump(mode="json") for circuit in circuits],
            "deadline_s": deadline_s,
            "lock": str(lock.absolute()),
        }
        self._lock_path = lock
        self._clock = clock
        self._held: dict[str, tuple[float, bool]] = {}
        self._lock: BinaryIO | None = None
        self._pipe: int | None = None
        self._starting = asyncio.Lock()
        self._again_at = time.monotonic()

    async def __aenter__(self) -> Self:
        await self._take_lock()
        await self._start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the watchdog to what could not be ended, if there is anything."""
        self._close_pipe()
        if self._lock is not None:
            self._lock.close()

    async def hold(self, circuit_id: str, expires_at: datetime, *, switch_on: bool = True) -> None:
        """Have a limit ended at its expiry if we do not; call before the device is told of it."""
        seconds = (expires_at - self._clock.now()).total_seconds() / self._clock.speed
        self._held[circuit_id] = (time.monotonic() + max(seconds, 0.0), switch_on)
        if not self._tell(circuit_id):
            await self._start_again(circuit_id)

    def drop(self, circuit_id: str) -> None:
        """Have a limit forgotten: it is ended."""
        if self._held.pop(circuit_id, None) is not None:
            self._send({"drop": circuit_id})

    async def _take_lock(self) -> None:
        try:
            self._lock = self._lock_path.open("ab")
        except OSError as error:
            _log.error("the watchdog's lock cannot be used", file=str(self._lock_path), problem=str(error))
            return
        for _ in range(int(_LOCKED_WITHIN_S / 0.1)):
            if self._is_locked(self._lock):
                return
            await asyncio.sleep(0.1)
        _log.warning("an earlier watchdog still ends limits", file=str(self._lock_path))

    def _is_locked(self, lock: BinaryIO) -> bool:
        """Return True if the lock is ours now. An earlier watchdog reads in it which circuits we look after."""
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        try:
            lock.truncate(0)
            lock.write(json.dumps(self._ids).encode())
            lock.flush()
        except OSError as error:
            _log.warning("the watchdog's lock cannot be written", file=str(self._lock_path), problem=str(error))
        return True

    async def _start_again(self, circuit_id: str) -> None:
        """Start a new watchdog, once for all that find at the same time that the last one is gone."""
        async with self._starting:
            if self._tell(circuit_id) or time.monotonic() < self._again_at:
                return
            self._again_at = time.monotonic() + _AGAIN_AFTER_S
            _log.error("the watchdog is gone and is started again")
            await self._start()

    async def _start(self) -> None:
        """Start a watchdog and tell it all that is held; what fails is logged."""
        try:
            pipe = await self._launch()
        except Exception as error:  # whatever it is: limits are set without a watchdog too
            problem = str(error) or f"it has not started within {_STARTED_WITHIN_S:g} s"
            _log.error("no watchdog: limits may stay if this process is killed", problem=problem)
            return
        self._close_pipe()
        self._pipe = pipe
        self._send(self._job)
        for circuit_id in list(self._held):
            self._tell(circuit_id)

    async def _launch(self) -> int:
        launch = asyncio.get_running_loop().run_in_executor(None, _launched)
        try:
            return await asyncio.wait_for(asyncio.shield(launch), _STARTED_WITHIN_S)
        except BaseException:  # also if we are cancelled: the thread goes on
            launch.add_done_callback(_closed)
            raise

    def _tell(self, circuit_id: str) -> bool:
        """Tell of a limit; False if nobody hears it. One that was dropped meanwhile needs nobody."""
        if circuit_id not in self._held:
            return True
        until, switch_on = self._held[circuit_id]
        return self._send({"hold": circuit_id, "until": until, "switch_on": switch_on})

    def _send(self, told: Mapping[str, Any]) -> bool:
        """Send one line; False if nobody takes it. A line that went in part ends the pipe: the rest cannot follow."""
        if self._pipe is None:
            return False
        line = json.dumps(told, default=str).encode() + b"\n"
        try:
            if os.write(self._pipe, line) == len(line):
                return True
        except OSError as error:
            _log.warning("the watchdog does not listen", problem=str(error))
        self._close_pipe()
        return False

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            with suppress(OSError):
                os.close(self._pipe)
            self._pipe = None


def _launched() -> int:
    """Start a watchdog and return our end of its pipe. It ends by itself when that is closed and it holds nothing.

    Raises:
        OSError, subprocess.SubprocessError: it could not be started, or not in time.
    """
    theirs, ours = os.pipe()
    try:
        command = [sys.executable, "-P", str(_PROGRAM)]
        done = subprocess.run(  # noqa: S603 # our own program
            command,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=theirs,
            stdout=subprocess.DEVNULL,
            check=False,
            timeout=_STARTED_WITHIN_S,
        )
        if done.returncode != 0:
            raise OSError(f"it ended with {done.returncode}")
        os.set_blocking(ours, False)
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return ours


def _closed(launch: asyncio.Future[int]) -> None:
    """Close the pipe of a watchdog that nobody waits for any more."""
    if not launch.cancelled() and launch.exception() is None:
        os.close(launch.result())
