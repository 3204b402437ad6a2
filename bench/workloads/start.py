"""Starts: processor time of the VTN until it is ready, and of short commands; memory and processor time of an idle VTN.

A rate here is how many starts one core makes in a second, and CPU µs the processor time of one. Libraries are compiled
before the first start that counts.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final, TypeAlias
from urllib.request import urlopen

import psutil

from bench.errors import NotReady
from bench.measure import Series
from bench.results import Case, Goal
from bench.support.net import free_port
from bench.workloads.context import WorkloadContext

_OADR: Final = str(Path(sys.executable).with_name("oadr"))
_WORKERS: Final = (1, 2)
_START_S: Final = 60.0
_SETTLE_S: Final = 2.0
_IDLE_TIMES: Final = 5
_CPU_S: Final = 0.5
_COMMAND_CPU_S: Final = 0.25
_RSS_MB: Final = 80.0
_PSS_MB: Final = 60.0
_IDLE_MS: Final = 2.0


_Goals: TypeAlias = Callable[[Case], tuple[Goal, ...]]


@dataclass(frozen=True, slots=True)
class _Started:
    """A VTN that has started: seconds, and MB (10**6 bytes) of each process, its own first."""

    cpu_s: float
    seconds: float
    rss_mb: Sequence[float]
    pss_mb: Sequence[float]
    idle_ms_per_s: float | None


async def of_programs(context: WorkloadContext) -> None:
    """Measure: at most 0.5 s for the VTN, 0.25 s for a command; at most 80 MB and 2 ms a second idle."""
    vtn = context.vtn
    if vtn.meter is None or vtn.credentials is None:
        context.skip("start", "it starts our own programs")
        return
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    asks = {
        "OADR_BL_URL": vtn.address.url,
        "OADR_BL_CLIENT_ID": vtn.credentials.client_id,
        "OADR_BL_CLIENT_SECRET": vtn.credentials.secret,
    }
    for words in (("--help",), ("event", "list")):
        series = Series("oadr")
        for number in range(context.rounds + 1):
            cpu_s, seconds = await asyncio.to_thread(_command, words, environment | asks)
            if number:
                _add(series, cpu_s, seconds, None)
        title = f"oadr {' '.join(words)}"
        context.keep("start", title, series, connections=1, goals=lambda case: (_cpu(case, _COMMAND_CPU_S),))
    served = environment | {"OADR_VTN_DATABASE__URL": context.databases.create()}
    await asyncio.to_thread(_command, ("vtn", "migrate"), served)
    for workers in _WORKERS:
        series = Series("oadr")
        for number in range(context.rounds + 1):
            idle_s = _IDLE_TIMES * context.seconds if number == context.rounds else None
            started = await asyncio.to_thread(_vtn, workers, served, idle_s)
            if number:
                _add(series, started.cpu_s, started.seconds, max(started.rss_mb))
        title = f"VTN, {workers} {'worker' if workers == 1 else 'workers'}"
        context.keep("start", title, series, connections=1, goals=_goals_of(started))


def _command(words: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Return processor time and time, in seconds, of a command that ends."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [_OADR, *words], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise NotReady(f"oadr {' '.join(words)} ended with exit code {process.returncode}")
    return used.ru_utime + used.ru_stime, time.perf_counter() - begun


def _vtn(workers: int, environment: Mapping[str, str], idle_s: float | None) -> _Started:
    """Start a VTN until it is ready, watch it without requests if asked to, and end it."""
    port = free_port()
    begun = time.perf_counter()
    process = psutil.Popen(
        [_OADR, "vtn", "run", "--port", str(port), "--workers", str(workers)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not _is_ready(port):
            if process.poll() is not None or time.perf_counter() - begun > _START_S:
                raise NotReady("oadr vtn run does not become ready")
            time.sleep(0.01)
        seconds = time.perf_counter() - begun
        everybody = [process, *process.children(recursive=True)]
        cpu_s = _cpu_s(everybody)
        rss = [each.memory_info().rss / 1e6 for each in everybody]
        pss = [each.memory_full_info().pss / 1e6 for each in everybody]
        idle = None
        if idle_s is not None:
            time.sleep(_SETTLE_S)
            before = _cpu_s(everybody)
            time.sleep(idle_s)
            idle = 1000 * (_cpu_s(everybody) - before) / idle_s
        return _Started(cpu_s, seconds, rss, pss, idle)
    finally:
        process.terminate()
        process.wait()


def _is_ready(port: int) -> bool:
    with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/ready", timeout=1) as answer:
        return bool(answer.status == 200)
    return False


def _cpu_s(processes: Sequence[psutil.Process]) -> float:
    return sum(times.user + times.system for times in (each.cpu_times() for each in processes))


def _add(series: Series, cpu_s: float, seconds: float, rss_mb: float | None) -> None:
    series.rates.append(1 / cpu_s)
    series.p50_ms.append(1000 * seconds)
    series.p99_ms.append(1000 * seconds)
    series.server_cpu.append(cpu_s / seconds)
    series.cpu_us.append(1e6 * cpu_s)
    series.generator_cpu.append(0.0)
    series.rss_mb = rss_mb


def _cpu(case: Case, most_s: float) -> Goal:
    return Goal(f"{case.title}: processor time in s", median(case.series.cpu_us) / 1e6, most_s, at_most=True)


def _goals_of(started: _Started) -> _Goals:
    """Return the goals of a VTN: with several workers their supervisor is a process too, and the first of them."""
    workers = max(1, len(started.rss_mb) - 1)

    def goals(case: Case) -> tuple[Goal, ...]:
        idle = Goal(
            f"{case.title}: processor time idle in ms/s, each worker",
            (started.idle_ms_per_s or 0.0) / workers,
            _IDLE_MS,
            at_most=True,
        )
        if workers == 1:
            rss = Goal(f"{case.title}: RSS idle in MB", started.rss_mb[0], _RSS_MB, at_most=True)
            return _cpu(case, _CPU_S), rss, idle
        return Goal(f"{case.title}: PSS of a worker in MB", max(started.pss_mb[1:]), _PSS_MB, at_most=True), idle

    return goals
