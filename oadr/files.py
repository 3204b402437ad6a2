"""Read files that commands are given: bounded, and `-` is standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from oadr.errors import Exit, Failure


def bounded_bytes(file: Path, *, most: int, what: str) -> bytes:
    """Return the bytes of a file; raises Failure if it cannot be read or is longer than any ``what`` may be."""
    try:
        if str(file) == "-":
            body = sys.stdin.buffer.read(most + 1)
        else:
            with file.open("rb") as opened:
                body = opened.read(most + 1)
    except OSError as error:
        raise Failure(f"{file}: cannot be read ({error.strerror})", Exit.USAGE) from None
    if len(body) > most:
        raise Failure(f"{file}: longer than {most} bytes, which no {what} is", Exit.USAGE)
    return body
