"""Secrets that a command is given: from a file or standard input, never on the command line."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from oadr.errors import Exit, Failure

_LONGEST_BYTES = 4 * 4096


def secret_in(file: Path | None, *, option: str) -> str | None:
    """Read a secret: the whole file but for the end of its last line. It is never shown, nor part of an error.

    ``-`` is standard input, None gives None. Raises Failure, which names the option.
    """
    if file is None:
        return None
    name = "standard input" if file == Path("-") else str(file)
    try:
        with nullcontext(sys.stdin.buffer) if file == Path("-") else file.open("rb") as stream:
            raw = stream.read(_LONGEST_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise Failure(f"{option}: cannot read {name}: {error.strerror}", Exit.USAGE) from None
    except UnicodeDecodeError:
        raise Failure(f"{option}: {name} is not UTF-8 text", Exit.USAGE) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(raw) > _LONGEST_BYTES:
        raise Failure(f"{option}: {name} is {'too long' if text else 'empty'}; expected a secret", Exit.USAGE)
    return text
