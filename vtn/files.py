"""Files that hold secrets: for their owner only from the first byte, never through a link, whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import structlog

_log = structlog.get_logger(__name__)

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE: Final = 0o600
_OTHERS: Final = 0o077


@contextmanager
def new_file(target: Path) -> Iterator[BinaryIO]:
    """Write a file that is not there yet: it gets its name when all of it is on the disk, or never.

    Raises FileExistsError if the name is taken, by a link too; OSError.
    """
    with _written(target) as (unfinished, file):
        yield file
        _settle(file)
        os.link(unfinished, target, follow_symlinks=False)
    _keep_name(target)


def replace_file(target: Path, content: bytes) -> None:
    """Put a file in the place of another at once; a reader sees one or the other, never a part. Raises OSError."""
    with _written(target) as (unfinished, file):
        file.write(content)
        _settle(file)
        unfinished.replace(target)
    _keep_name(target)


def make_empty(target: Path) -> None:
    """Make an empty file unless it is there, so that a library that opens it by name does not choose its mode."""
    with suppress(FileExistsError):
        os.close(os.open(target, _NEW, _PRIVATE))


def others_may_read(path: Path) -> bool:
    """True if the file's group or everybody may do anything with it; False too if it is not there."""
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & _OTHERS)
    except OSError:
        return False


def check_private(path: Path, what: str) -> None:
    """Warn about a file that holds secrets and that others may read."""
    if others_may_read(path):
        _log.warning(f"other users may read {what}; make it private: chmod 600 {path}", file=str(path))


def make_private(path: Path, what: str) -> bool:
    """Take a file that holds secrets from everybody but its owner, and warn; True if others could read it before."""
    if not others_may_read(path):
        return False
    try:
        path.chmod(_PRIVATE)
    except OSError as error:
        _log.warning(
            f"other users may read {what}, and its mode cannot be changed ({error.strerror}): chmod 600 {path}",
            file=str(path),
        )
    else:
        _log.warning(f"other users could read {what}; from now on only its owner can", file=str(path))
    return True


@contextmanager
def _written(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Yield a new file beside the target, under an unpredictable name, which is removed afterwards."""
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, _NEW, _PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield unfinished, file
    finally:
        unfinished.unlink(missing_ok=True)


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _keep_name(path: Path) -> None:
    """Have the folder's entry on the disk too."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
