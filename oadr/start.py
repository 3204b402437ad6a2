"""Entry point of the ``oadr`` script: small, so that Ctrl-C is quiet also while the rest is being imported."""

from __future__ import annotations

import os
import sys

from oadr.process import lean


def main() -> None:
    """Run the command line. Ctrl-C exits with 130, a closed pipe (``oadr event list | head``) with 0, both quietly."""
    lean.begin()
    try:
        try:
            from oadr.__main__ import app

            app()
        finally:
            sys.stdout.flush()
            lean.end()
    except KeyboardInterrupt:
        os._exit(130)  # nothing runs yet that would have to be closed
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # discard what is still buffered
        raise SystemExit(0) from None
