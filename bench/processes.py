"""Processes that are measured: each on a core of its own, with the processor time and memory it takes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.errors import NotReady

_START_S = 180.0
_POLL_S = 0.05
_STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class Cores:
    """The core of the server and those of the load generator; databases use the latter, as if on another machine."""

    server: frozenset[int]
    others: frozenset[int]

    @staticmethod
    def of_this_machine() -> Cores:
        """Return the first core for the server, all others for the rest; with a single core both share it."""
        usable = sorted(os.sched_getaffinity(0))
        return Cores(frozenset(usable[:1]), frozenset(usable[1:] or usable))


@dataclass(frozen=True, slots=True)
class Usage:
    """``cpu`` in cores, ``rss_mb`` of the largest process (10**6 bytes)."""

    cpu: float
    rss_mb: float


class Meter:
    """Watches a process and all it started."""

    def __init__(self, pid: int) -> None:
        try:
            self._process = psutil.Process(pid)
        except psutil.NoSuchProcess:
            raise NotReady(f"there is no process {pid}") from None

    def cpu_s(self) -> float:
        """Processor time so far."""
        total = 0.0
        for process in self._all():
            times = process.cpu_times()
            total += times.user + times.system
        return total

    def rss_mb(self) -> float:
        """Memory of the largest process."""
        return max(process.memory_info().rss for process in self._all()) / 1e6

    def forget_peak(self) -> None:
        """Measure the peak from now on."""
        for process in self._all():
            Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")

    def peak_mb(self) -> float:
        """Return the most memory that one of the processes has had since."""
        return max(_peak_kib(process.pid) for process in self._all()) * 1024 / 1e6

    def _all(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


class MeasuredProcess:
    """A program in the foreground on the server's core. Its output goes to ``log``, and is shown when it fails."""

    def __init__(
        self, command: Sequence[str], *, cores: frozenset[int], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._command = command
        self._cores = cores
        self._log = log
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process; raises NotReady while there is none."""
        if self._process is None:
            raise NotReady(f"{self._command[0]} does not run")
        return self._process.pid

    async def start(self, host: str, port: int) -> None:
        """Start it, and return once it accepts connections on a port."""
        await self.start_until(lambda: _accepts(host, port))

    async def start_until(self, is_ready: Callable[[], Awaitable[bool]]) -> None:
        """Start it, and return once something says that it is ready; raises NotReady after three minutes."""
        process = self._spawn()
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise NotReady(f"{' '.join(self._command)} ended:\n{self.log_end()}")
            if await is_ready():
                return
            await asyncio.sleep(_POLL_S)
        raise NotReady(f"{' '.join(self._command)} does not answer:\n{self.log_end()}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(self._environment or {})},
            )
        os.sched_setaffinity(self._process.pid, self._cores)
        return self._process

    def stop(self) -> None:
        """End it in an orderly way."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def log_end(self) -> str:
        """Return the last lines of its log, and its exit code if it has ended."""
        ended = None if self._process is None else self._process.poll()
        said = self._log.read_text(errors="replace")[-3000:]
        return said if ended is None else f"{said}\nended with exit code {ended}"


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module with this interpreter."""
    return [sys.executable, "-m", module, *arguments]


async def _accepts(host: str, port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
