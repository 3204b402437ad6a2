"""One worker of ``oadr vtn run --workers N``; only its supervisor starts it: ``python -m oadr.vtn_worker LEVEL``."""

import sys
from contextlib import suppress

from oadr import logs, loop
from oadr.errors import reporting
from vtn.workers import read_told, serve


def main() -> None:
    """Serve with what is told on standard input."""
    logs.configure(level=sys.argv[1])
    with reporting(), suppress(KeyboardInterrupt):
        # Unbuffered, so that what follows the settings is left for the loop to see the pipe close.
        pipe = open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)  # noqa: SIM115 (the loop closes it)
        loop.run(serve(pipe, read_told(pipe)))


if __name__ == "__main__":
    main()
