"""One worker of ``oadr vtn run --workers N``; only its supervisor starts it: ``python -m oadr.vtn_worker LEVEL``."""

import sys
from contextlib import suppress

from oadr.process import lean


def main() -> None:
    """Serve with the settings that arrive on standard input."""
    lean.begin()
    lean.import_structlog()
    from oadr.errors import reporting
    from oadr.process import logs, loop

    lean.import_aiohttp()
    from vtn.processes.supervisor import read_start, serve

    logs.configure(level=sys.argv[1])
    with reporting(), suppress(KeyboardInterrupt):
        # Unbuffered, so that what follows the settings is left for the loop to see the pipe close.
        pipe = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 (the loop closes it)
        loop.run(serve(pipe, read_start(pipe)))


if __name__ == "__main__":
    main()
