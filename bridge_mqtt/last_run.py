"""Keep what a run of a bridge leaves on its host: proof that its process is gone, and the end of its last lease.

After a kill the lease of the database goes on for some seconds, and nobody there knows that its holder is gone. The
operating system does: it ends a lock with the process. If the lease in the database is the one that the process noted
last, no other host has renewed it since, and a new process with the same name need not wait (``Leadership.take_name``).
"""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import make_url

_log = structlog.get_logger(__name__)

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 (the file is made for this user only, and not used if it is not)
_LONGEST: Final = 64


class LastRun:
    """The file of one client id on one database and host; whoever holds its lock is the run itself.

    Where no such file can be kept nothing is known of the last run.
    """

    def __init__(self, database_url: str, client_id: str, *, folder: Path | None = None) -> None:
        url = make_url(database_url)
        database = os.path.realpath(url.database or "") if url.get_backend_name() == "sqlite" else url.database
        named = f"{url.host} {url.port} {database} {client_id}"
        digest = blake2b(named.encode(), digest_size=12).hexdigest()
        folder = folder or (_MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir()))
        self.path: Final = folder / f"openadr-bridge-{os.geteuid()}-{digest}"
        self._fd: int | None = None

    def begin(self) -> None:
        """Be the run of this name on this host from now on, unless another process is."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                found = os.fstat(fd)
                if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if os.path.samestat(self.path.stat(), found):  # its last run has not removed it meanwhile
                        self._fd, fd = fd, -1
            finally:
                if fd >= 0:
                    os.close(fd)
        except OSError as error:
            _log.debug("nothing is known of the last run", file=str(self.path), problem=str(error))

    def left(self, until: datetime) -> bool:
        """Return True if a lease until then is what the run before this one has left."""
        return self._fd is not None and os.pread(self._fd, _LONGEST, 0) == _line(until)

    def note(self, until: datetime | None) -> None:
        """Note until when this run has its lease."""
        if self._fd is not None:
            os.pwrite(self._fd, b"".ljust(_LONGEST) if until is None else _line(until), 0)

    def end(self) -> None:
        """End this run in order: there is nothing to wait for after it."""
        if self._fd is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None


def _line(until: datetime) -> bytes:
    return until.isoformat().encode().ljust(_LONGEST)
