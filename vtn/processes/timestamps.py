"""A moment for each key, known to all workers: each notes its own, and the newest that any of them noted counts.

A key is found by its digest, of 128 bits, in a few rows of each slot. Only one process writes a slot, so nothing is
locked and nobody waits. A moment that has passed says nothing any more: its row is free for another key.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

_DIGEST_BYTES: Final = 16
_ROW_BYTES: Final = 32
_TRIES: Final = 8
_WINDOW: Final = _TRIES * _ROW_BYTES
_MOMENT: Final = struct.Struct("@d")
_NOBODY: Final = bytes(_DIGEST_BYTES)


class SharedTimestamps:
    """The slots of all workers, of which this process writes its own."""

    def __init__(self, slots: Sequence[memoryview], slot: int) -> None:
        self._slots = slots
        self._own = slots[slot]
        self._starts = len(self._own) // _ROW_BYTES - _TRIES + 1

    def newest(self, key: str, *, until: float) -> float:
        """Return the newest moment noted under a key, of those up to ``until``: 0 if there is none."""
        digest = _digest(key)
        start = self._start(digest)
        newest = 0.0
        for slot in self._slots:
            window = bytes(slot[start : start + _WINDOW])
            at = window.find(digest)
            if at < 0:
                continue
            (moment,) = _MOMENT.unpack_from(window, at + _DIGEST_BYTES)
            still = slot[start + at : start + at + _DIGEST_BYTES] == digest  # or its row was given away meanwhile
            if newest < moment <= until and still:
                newest = moment
        return newest

    def note(self, key: str, moment: float, *, now: float, until: float) -> None:
        """Note a moment. When all rows of a key are taken by moments from now to ``until``, it is left out."""
        digest = _digest(key)
        start = self._start(digest)
        window = bytes(self._own[start : start + _WINDOW])
        at = window.find(digest)
        if at >= 0:
            _MOMENT.pack_into(self._own, start + at + _DIGEST_BYTES, moment)
            return
        for at in range(0, _WINDOW, _ROW_BYTES):
            (other,) = _MOMENT.unpack_from(window, at + _DIGEST_BYTES)
            if not now < other <= until:
                row = start + at
                self._own[row : row + _DIGEST_BYTES] = _NOBODY
                _MOMENT.pack_into(self._own, row + _DIGEST_BYTES, moment)
                self._own[row : row + _DIGEST_BYTES] = digest
                return

    def _start(self, digest: bytes) -> int:
        return int.from_bytes(digest[:8]) % self._starts * _ROW_BYTES


@lru_cache(maxsize=8192)
def _digest(key: str) -> bytes:
    return blake2b(key.encode(), digest_size=_DIGEST_BYTES).digest()
