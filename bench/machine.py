"""The machine that the figures were measured on."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import psutil

_LIBRARIES: Final = ("aiohttp", "uvloop", "msgspec", "sqlalchemy", "asyncpg", "aiosqlite", "argon2-cffi")


def describe() -> dict[str, str]:
    """Processor, memory, versions and the commit that is checked out."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in _LIBRARIES},
        "openadr-fleet": f"{version('openadr-fleet')}, commit {_commit()}",
    }


class Bystanders:
    """Processor use by other programs, and by other guests of the same host, while the bench runs."""

    def __init__(self) -> None:
        self._system = psutil.cpu_times()
        self._ours = os.times()

    def describe(self) -> str:
        """Describe the use since the beginning, in cores; our own processes count as ours once they have ended."""
        now, ours = psutil.cpu_times(), os.times()
        elapsed = ours.elapsed - self._ours.elapsed
        busy = _busy(now) - _busy(self._system) - (sum(ours[:4]) - sum(self._ours[:4]))
        stolen = now.steal - self._system.steal
        return f"others {max(0.0, busy) / elapsed:.2f} cores, stolen {stolen / elapsed:.2f} cores"


def _busy(times: Any) -> float:
    return float(times.user + times.nice + times.system + times.irq + times.softirq)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _commit() -> str:
    folder = Path(__file__).parent
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
