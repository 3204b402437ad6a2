"""What an operator does beside a running server: on the same database, brought up to date first."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, cast

from vtn.auth.keys import SigningKeys
from vtn.errors import ArchiveUnusable
from vtn.settings import Settings
from vtn.store.archive import read_archive, write_archive
from vtn.store.database import Database
from vtn.store.migrate import check_migrated, migrate
from vtn.store.stamps import Stamps


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database, with tables that are up to date."""
    database = Database(settings.database)
    try:
        await (migrate if settings.database.migrate else check_migrated)(database)
        yield database
    finally:
        await database.close()


async def rotate_signing_key(settings: Settings, *, now: Callable[[], datetime], end_tokens: bool = False) -> str:
    """Sign tokens with a new key from now on, and give its id.

    What older keys signed holds until it expires, unless ``end_tokens``. Servers notice within
    ``auth.revocation_poll_s``. Raises Conflict if the key is in the settings.
    """
    async with opened(settings) as database:
        keys = SigningKeys(settings.auth, database, Stamps(now), now)
        await keys.load()
        return await keys.rotate(end_tokens=end_tokens)


async def back_up(settings: Settings, target: Path) -> int:
    """Write everything into a new file, readable by its owner only; gives the number of rows.

    The server may go on running: the file holds one moment. A name that ends in ``.gz`` is packed. Raises
    ArchiveUnusable if the file exists.
    """
    if await asyncio.to_thread(target.exists):
        raise ArchiveUnusable(f"{target} exists; backups do not overwrite anything")
    unfinished = target.with_name(target.name + ".unfinished")
    try:
        async with opened(settings) as database:
            with _created(unfinished, packed=target.suffix == ".gz") as file:
                count = await write_archive(database, file.write)
        os.link(unfinished, target)  # fails if somebody else has made the file meanwhile
    except OSError as error:
        raise ArchiveUnusable(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return count


async def restore(settings: Settings, source: Path) -> int:
    """Put a backup into an empty database, which may be of the other kind; gives the number of rows.

    Raises ArchiveUnusable, DatabaseNotEmpty; then nothing was changed.
    """
    try:
        with gzip.open(source) if source.suffix == ".gz" else source.open("rb") as file:
            async with opened(settings) as database:
                return await read_archive(database, file)
    except (OSError, EOFError) as error:
        raise ArchiveUnusable(f"{source} cannot be read: {error}") from error


def write_example(file: Path, *, database_url: str) -> None:
    """Write a configuration to begin with; raises ArchiveUnusable if the file exists."""
    try:
        with file.open("x", encoding="utf-8") as target:
            target.write(_EXAMPLE.format(database_url=json.dumps(database_url)))
    except FileExistsError as error:
        raise ArchiveUnusable(f"{file} exists; it is left as it is") from error
    except OSError as error:
        raise ArchiveUnusable(f"{file} cannot be written: {error.strerror}") from error


@contextmanager
def _created(file: Path, *, packed: bool) -> Iterator[BinaryIO]:
    """A new file for its owner only: backups hold hashes of secrets and tokens for callbacks."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as plain:
        if packed:
            with gzip.GzipFile(fileobj=plain, mode="wb", compresslevel=6) as inner:
                yield cast(BinaryIO, inner)
        else:
            yield plain
        plain.flush()
        os.fsync(plain.fileno())


_EXAMPLE: Final = """\
# Settings of the VTN. Every one of them can also be an environment variable: OADR_VTN_PORT, OADR_VTN_DATABASE__URL …
host = "127.0.0.1"
port = 8080
# The address that clients use, if it is another one:
# public_url = "https://vtn.example"

[database]
url = {database_url}

# Reachable from elsewhere only with TLS, or behind a proxy that terminates it (behind_proxy = true):
# [tls]
# cert = "server.pem"
# key = "server.key"
"""
