"""One process of ``oadr ven fleet``; only that starts it: ``python -m oadr.ven_worker LEVEL``."""

import asyncio
import json
import resource
import signal
import sys
from contextlib import suppress
from typing import Any, BinaryIO

from oadr.process import lean


def main() -> None:
    """Run the VENs that a line of JSON on standard input describes, until that is closed.

    A line of figures goes to standard output every ``every_s``, and a last one at the end.
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
        asyncio.run(_run(job, pipe))


async def _run(job: dict[str, Any], pipe: BinaryIO) -> None:
    from openadr_client import SystemClock
    from ven.fleet import VenFleet
    from ven.settings import VenSettings

    homes = [VenSettings.model_validate(each) for each in job["homes"]]
    fleet = VenFleet(homes, delays_s=job["delays_s"], clock=SystemClock())
    closed = asyncio.create_task(_closed(pipe))
    running = asyncio.create_task(fleet.run())
    while not closed.done():
        await asyncio.wait({closed}, timeout=job["every_s"])
        _tell(fleet)
    running.cancel()
    await asyncio.wait({running})
    _tell(fleet)


def _tell(fleet: Any) -> None:
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


if __name__ == "__main__":
    main()
