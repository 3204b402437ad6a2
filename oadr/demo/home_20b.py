"""Starts and stops the process of the home on OpenADR 2.0b."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from oadr.demo.certificates import Certificates
from oadr.demo.homes import HOME_20B
from oadr.errors import Exit, Failure
from openadr_client import Clock, ScaledClock

REGISTERED: Final = b"registered\n"
"""The line by which the process says that its VTN knows it."""


class Orders(msgspec.Struct):
    """Hold what the demo tells the process: its VTN, its files, and the demo's clock, ``now`` at ``monotonic_s``."""

    url: str
    certificate: str
    key: str
    ca: str
    state_file: str
    speed: float
    now: datetime
    monotonic_s: float

    def clock(self) -> Clock:
        """Return the demo's clock: the machine's monotonic clock is the same in all processes."""
        passed = timedelta(seconds=(time.monotonic() - self.monotonic_s) * self.speed)
        return ScaledClock(self.speed, start=self.now + passed)


class Home20b:
    """The process. It loads its libraries while the VTN starts, and does nothing until it is told where that is."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def order(self, *, port: int, certificates: Certificates, state_file: Path, clock: Clock) -> None:
        """Tell it where its VTN is, and the time."""
        certificate, key = certificates.clients[HOME_20B.name]
        orders = Orders(
            url=f"https://127.0.0.1:{port}/OpenADR2/Simple/2.0b",
            certificate=str(certificate),
            key=str(key),
            ca=str(certificates.ca),
            state_file=str(state_file),
            speed=clock.speed,
            now=clock.now(),
            monotonic_s=time.monotonic(),
        )
        assert self._process.stdin is not None  # noqa: S101 # it is a pipe
        self._process.stdin.write(msgspec.json.encode(orders) + b"\n")
        with contextlib.suppress(ConnectionError):  # it has ended; whoever runs it says why
            await self._process.stdin.drain()

    async def run(self, ready: asyncio.Event) -> None:
        """Set ``ready`` once it is registered; raise Failure with its last words when it ends."""
        assert self._process.stdout is not None  # noqa: S101 # it is a pipe
        async for line in self._process.stdout:
            if line == REGISTERED:
                ready.set()
        code = await self._process.wait()
        words = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        why = f": {words[-1]}" if words and code > 0 else ""
        raise Failure(f"its process has ended with {code}{why}", Exit.UNEXPECTED)

    async def stop(self) -> None:
        """End it; it has nothing to save. Without us it would end by itself, when its standard input is closed."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
        await self._process.wait()


@asynccontextmanager
async def home_20b(folder: Path) -> AsyncIterator[Home20b]:
    """Run the process while entered. It is no part of our terminal: Ctrl-C is for us to heed."""
    log = folder / f"{HOME_20B.name}.log"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "oadr.demo.ven_20b"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    home = Home20b(process, log)
    try:
        yield home
    finally:
        await home.stop()
