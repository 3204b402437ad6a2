"""One process of ``Workers``: it runs what a line of JSON describes until its parent closes the pipe, or is gone."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, Protocol

from oadr.process import lean


class Worked(Protocol):
    """Hold what a worker runs."""

    async def run(self) -> None:
        """Work until cancelled."""

    def figures(self) -> object:
        """Return what it does now, as a msgspec struct."""
        ...


def work(made: Callable[[dict[str, Any]], Worked]) -> None:
    """Run what is ``made`` of the job on standard input, until that is closed.

    A line of figures goes to standard output every ``every_s`` of the job, and a last one at the end. The level of
    logs is the first argument of the process.
    """
    lean.begin()
    lean.import_structlog()
    from oadr.errors import reporting
    from oadr.process import logs

    logs.configure(level=sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent closes the pipe, or is gone: then all end in order
        signal.signal(number, signal.SIG_IGN)
    with reporting():
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        pipe = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 (the loop closes it)
        job = json.loads(pipe.readline())
        lean.resume_collecting()
        asyncio.run(_run(made, job, pipe))


async def _run(made: Callable[[dict[str, Any]], Worked], job: dict[str, Any], pipe: BinaryIO) -> None:
    fleet = made(job)
    closed = asyncio.create_task(_closed(pipe))
    running = asyncio.create_task(fleet.run())
    while not closed.done():
        await asyncio.wait({closed}, timeout=job["every_s"])
        _tell(fleet)
    running.cancel()
    await asyncio.wait({running})
    _tell(fleet)


def _tell(fleet: Worked) -> None:
    import msgspec

    sys.stdout.write(msgspec.json.encode(fleet.figures()).decode() + "\n")
    sys.stdout.flush()


async def _closed(pipe: BinaryIO) -> None:
    """Return when the parent closes the pipe, or is gone."""
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        await reader.read()
    finally:
        transport.close()
