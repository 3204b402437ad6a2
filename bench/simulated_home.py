"""Run a VEN on a clock that jumps, in a process of its own, and say what it takes: ``python -m bench.simulated_home``.

The first argument is a file with its settings as JSON, the second the file that shows the time. Each line of standard
input is a number of seconds to go on; when these are over, a `Taken` is written as a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Final

import msgspec
import psutil
import structlog

from bench.jumping_clock import JumpingClock
from ven.agent import run_ven
from ven.settings import VenSettings

_LOOPS: Final = 2
"""Those that always wait for the clock when they have nothing to do: control and poll."""


class Taken(msgspec.Struct):
    """Hold what a VEN has taken so far. ``written_bytes`` went to the disk."""

    rss_mb: float
    cpu_s: float
    state_bytes: int
    written_bytes: int


async def _run(settings: VenSettings, clock: JumpingClock) -> None:
    ready = asyncio.Event()
    ven = asyncio.create_task(run_ven(settings, clock=clock, ready=ready))
    readiness = asyncio.create_task(ready.wait())
    await asyncio.wait((ven, readiness), return_when=asyncio.FIRST_COMPLETED)
    if ven.done():
        await ven
    process = psutil.Process()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:  # nothing is to happen meanwhile
        await clock.run_to(clock.now() + timedelta(seconds=float(line)))
        taken = Taken(
            rss_mb=process.memory_info().rss / 1e6,
            cpu_s=time.process_time(),
            state_bytes=sum(each.stat().st_size for each in settings.store.parent.glob(f"{settings.store.name}*")),
            written_bytes=process.io_counters().write_bytes,
        )
        sys.stdout.write(msgspec.json.encode(taken).decode() + "\n")
        sys.stdout.flush()
    ven.cancel()
    await asyncio.wait({ven})


def main() -> None:
    """Run until standard input ends."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    settings = VenSettings.model_validate(json.loads(Path(sys.argv[1]).read_text()))
    asyncio.run(_run(settings, JumpingClock(Path(sys.argv[2]), loops=_LOOPS)))


if __name__ == "__main__":
    main()
