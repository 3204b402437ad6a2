"""Change counters of each table, shared by all processes of this host in a small file in shared memory.

Each process has a slot of its own, which only it writes: per table a counter of writes begun and one of writes ended.
The revision of a table is what all slots say about writes that have ended. A write counts as begun before it can take
effect, and as ended before it is answered; a process that dies in between leaves the two apart, and the first to see
that its slot has no owner any more ends the write for it. Owning a slot is a lock, which the kernel takes from a dead
process.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import stat
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final

from vtn.errors import CountersUnusable

_SLOTS: Final = 32
_WIDTH: Final = 8
_HEADER: Final = 32
_ROW: Final = _SLOTS * _WIDTH
_LAYOUT: Final = 1
_DOOR: Final = 1 << 20
_SEATS: Final = _DOOR + 1
_FLOCK: Final = "hhqqi4x"


class ChangeCounters:
    """The counters of ``tables`` in ``path``, which is made if it is not there. Holds one slot until it is closed."""

    def __init__(self, path: Path, tables: Sequence[str]) -> None:
        self._path = path
        self.tables = frozenset(tables)
        self._rows = {table: number for number, table in enumerate(tables)}
        self._half = len(tables) * _ROW
        self._fd = _opened(path)
        try:
            with self._door():
                self._map = self._mapped(tables)
                self._slot = self._seat()
        except BaseException:
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Give the slot back. A write whose end is not known counts as ended: the database is closed by now."""
        self._end_all(self._slot)
        self._map.close()
        os.close(self._fd)

    def place(self, table: str) -> slice:
        """Return the position of a table's revision, for ``read``."""
        start = _HEADER + self._rows[table] * _ROW
        return slice(start, start + _ROW)

    def read(self, place: slice) -> bytes:
        """Return the revision at a place: equal to an earlier one exactly if no write has ended in between."""
        return self._map[place]

    def begin(self, table: str) -> None:
        """Note that a write may take effect from now on."""
        self._count(self._at(table, self._slot) + self._half)

    def end(self, table: str) -> None:
        """Note that a write has taken effect or never will."""
        self._count(self._at(table, self._slot))

    def settle(self) -> None:
        """End the writes of processes that died before they could."""
        ended, begun = _HEADER, _HEADER + self._half
        if self._map[ended:begun] == self._map[begun : begun + self._half]:
            return  # as nearly always: no write is open anywhere, and what a dead process has left does not change
        for slot in range(_SLOTS):
            if slot != self._slot and self._is_open(slot) and self._take(_SEATS + slot):
                self._end_all(slot)
                self._free(_SEATS + slot)

    @property
    def in_place(self) -> bool:
        """Return True if the file is still where other processes look for it."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _mapped(self, tables: Sequence[str]) -> mmap.mmap:
        described = f"{_LAYOUT} {_SLOTS} {' '.join(tables)}".encode()
        header = blake2b(described, digest_size=_HEADER).digest()
        if os.pread(self._fd, _HEADER, 0) != header:
            if not all(self._is_free(_SEATS + slot) for slot in range(_SLOTS)):
                raise CountersUnusable(
                    f"{self._path}: another version of this program uses the database; stop it first"
                )
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, header, 0)
        os.ftruncate(self._fd, _HEADER + 2 * self._half)
        return mmap.mmap(self._fd, _HEADER + 2 * self._half)

    def _seat(self) -> int:
        for slot in range(_SLOTS):
            if self._take(_SEATS + slot):
                self._end_all(slot)
                return slot
        raise CountersUnusable(f"{self._path}: {_SLOTS} processes of this host use the database already")

    def _at(self, table: str, slot: int) -> int:
        return _HEADER + self._rows[table] * _ROW + slot * _WIDTH

    def _count(self, at: int) -> None:
        struct.pack_into("@Q", self._map, at, struct.unpack_from("@Q", self._map, at)[0] + 1)

    def _is_open(self, slot: int) -> bool:
        for table in self._rows:
            at = self._at(table, slot)
            if self._map[at : at + _WIDTH] != self._map[at + self._half : at + self._half + _WIDTH]:
                return True
        return False

    def _end_all(self, slot: int) -> None:
        for table in self._rows:
            at = self._at(table, slot)
            self._map[at : at + _WIDTH] = self._map[at + self._half : at + self._half + _WIDTH]

    @contextmanager
    def _door(self) -> Iterator[None]:
        """Hold a lock while the file is made and slots are assigned: one process at a time."""
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLKW, _flock(fcntl.F_WRLCK, _DOOR))
        try:
            yield
        finally:
            self._free(_DOOR)

    def _take(self, byte: int) -> bool:
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, byte))
        except BlockingIOError:
            return False
        return True

    def _free(self, byte: int) -> None:
        fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, byte))

    def _is_free(self, byte: int) -> bool:
        found = fcntl.fcntl(self._fd, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, byte))
        return bool(struct.unpack(_FLOCK, found)[0] == fcntl.F_UNLCK)


def _opened(path: Path) -> int:
    """Open the file, which only this user may write: its content decides which cached answers are valid."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise CountersUnusable(f"{path} cannot be opened: {error.strerror}") from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        os.close(fd)
        raise CountersUnusable(f"{path} belongs to somebody else; remove it")
    return fd


def _flock(kind: int, byte: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0)
