"""New ids: random UUIDs (version 4), whose bits are fetched from the system for many at a time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Final

_AT_ONCE: Final = 128


def _random_uuids() -> Iterator[str]:
    while True:
        digits = os.urandom(16 * _AT_ONCE).hex()
        for at in range(0, len(digits), 32):
            part = digits[at : at + 32]
            variant = "89ab"[int(part[16], 16) & 3]
            yield f"{part[:8]}-{part[8:12]}-4{part[13:16]}-{variant}{part[17:20]}-{part[20:]}"


_uuids: Final = _random_uuids()


def new_id() -> str:
    """Return an id that cannot be guessed (OBJ-008)."""
    return next(_uuids)
