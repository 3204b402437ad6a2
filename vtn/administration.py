"""Administration beside a running server, on the same database, which is brought up to date first."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, cast

from vtn.auth.keys import SigningKeys
from vtn.auth.secrets import Secrets
from vtn.console.users import ConsoleUsers
from vtn.errors import ArchiveUnusable
from vtn.files import new_file
from vtn.settings import Settings
from vtn.store.archive import BackupContent, check_archive, read_archive, write_archive
from vtn.store.console.audit import ActRow, ActStore
from vtn.store.console.users import UserStore
from vtn.store.database import Database
from vtn.store.migrate import check_migrated, migrate
from vtn.store.sealing import needed_keys, prepare_secrets, reseal
from vtn.store.signing_key import SigningKeyStore
from vtn.store.stamps import Stamps
from vtn.store.vault import Vault


@asynccontextmanager
async def opened(settings: Settings, *, make: bool = True) -> AsyncIterator[Database]:
    """Yield the database, with tables up to date; raises DatabaseMissing if there is none and ``make`` is off."""
    database = Database(settings.database)
    if not make:
        database.check_exists()
    try:
        await (migrate if settings.database.migrate else check_migrated)(database)
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def console_users(
    settings: Settings, *, now: Callable[[], datetime], make: bool = True
) -> AsyncIterator[ConsoleUsers]:
    """Yield the users of the console; what is done to them is in its audit trail, as done by the command.

    Raises DatabaseMissing if there is no database and ``make`` is off.
    """
    async with opened(settings, make=make) as database:
        stamps, secrets = Stamps(now), Secrets(settings.auth)
        acts = ActStore(database)

        async def noted(act: str, what: str) -> None:
            row = ActRow(
                done_at=stamps.now, user_name="oadr", act=act, what=what, before=None, after=None, address="command"
            )
            await acts.note(row)

        try:
            yield ConsoleUsers(UserStore(database), stamps, secrets, noted=noted)
        finally:
            secrets.close()


async def rotate_signing_key(settings: Settings, *, now: Callable[[], datetime], end_tokens: bool = False) -> str:
    """Sign tokens with a new key from now on, and give its id.

    What older keys signed holds until it expires, unless ``end_tokens``. Servers notice within
    ``auth.revocation_poll_s``. Raises Conflict if the key is in the settings.
    """
    async with opened(settings, make=False) as database:
        keys = SigningKeys(settings.auth, SigningKeyStore(database), Stamps(now), now, Vault(settings))
        await keys.load()
        return await keys.rotate(end_tokens=end_tokens)


async def back_up(settings: Settings, target: Path) -> int:
    """Write everything into a new file, readable by its owner only; gives the number of rows.

    The server may go on running: the file holds one moment. A name that ends in ``.gz`` is packed. Secrets stay sealed.
    Raises ArchiveUnusable if the file exists, or if the tables are not those of this version; DatabaseMissing.
    """
    database = Database(settings.database)
    database.check_exists()
    try:
        with new_file(target) as file, _packed(file) if target.suffix == ".gz" else nullcontext(file) as inner:
            return await write_archive(database, inner.write)
    except FileExistsError as error:
        raise ArchiveUnusable(f"{target} exists; backups do not overwrite anything") from error
    except OSError as error:
        raise ArchiveUnusable(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        await database.close()


def verify(source: Path) -> BackupContent:
    """Read a backup to its end, without a database. Raises ArchiveUnusable, naming the line that is wrong."""
    with _lines_of(source) as file:
        return check_archive(file)


async def restore(settings: Settings, source: Path, *, drop_secrets: bool = False) -> int:
    """Put a backup into an empty database, which may be of the other kind; gives the number of rows.

    ``drop_secrets`` leaves out what is sealed, for a backup whose key is lost: all tokens end, and callbacks have none.
    Raises ArchiveUnusable, DatabaseNotEmpty, SecretsKeyUnusable; then nothing was changed.
    """
    content = await asyncio.to_thread(verify, source)
    vault = Vault(settings)
    if not drop_secrets:
        vault.check(content.keys)
    with _lines_of(source) as file:
        async with opened(settings) as database:
            return await read_archive(database, file, vault, drop_secrets=drop_secrets)


async def rotate_secrets(settings: Settings, *, forget_old: bool = False) -> tuple[str, int, list[str]]:
    """Seal all secrets under a new key; gives its id, how many secrets there are, and the ids of keys that are gone.

    Older keys stay in the file, for backups, unless ``forget_old``. Raises SecretsKeyUnusable, DatabaseMissing.
    """
    vault = Vault(settings)
    async with opened(settings, make=False) as database:
        await prepare_secrets(database, vault)  # or a missing key would be noticed too late
        new = await asyncio.to_thread(vault.add_key)
        count = await reseal(database, vault)
    return new, count, vault.forget_old_keys() if forget_old else []


async def reseal_secrets(settings: Settings) -> int:
    """Seal all secrets under the first key of the file; gives how many there are."""
    async with opened(settings, make=False) as database:
        return await reseal(database, Vault(settings))


async def keys_in_use(settings: Settings) -> list[tuple[str, bool, int]]:
    """Return every key in the file or needed by the database: its id, True if in the file, number of secrets sealed."""
    vault = Vault(settings)
    async with opened(settings, make=False) as database, database.snapshot() as connection:
        needed = await needed_keys(connection)
    there = vault.ids
    return [(key, key in there, needed[key]) for key in [*there, *sorted(needed.keys() - set(there))]]


def write_example(file: Path, *, database_url: str, key_file: Path) -> None:
    """Write a configuration to begin with, for its owner only; raises ArchiveUnusable if the file exists."""
    try:
        with new_file(file) as target:
            target.write(
                _EXAMPLE.format(database_url=json.dumps(database_url), key_file=json.dumps(str(key_file))).encode()
            )
    except FileExistsError as error:
        raise ArchiveUnusable(f"{file} exists; it is left as it is") from error
    except OSError as error:
        raise ArchiveUnusable(f"{file} cannot be written: {error.strerror}") from error


@contextmanager
def _packed(file: BinaryIO) -> Iterator[BinaryIO]:
    with gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6) as inner:
        yield cast(BinaryIO, inner)


class _Lines:
    """The lines of a backup, packed or not. What goes wrong is said of the file, not of the database it is put into."""

    def __init__(self, source: Path, file: BinaryIO) -> None:
        self._source = source
        self._file = file

    def readline(self, limit: int) -> bytes:
        """Return the next line, at most so many bytes of it."""
        try:
            return self._file.readline(limit)
        except (OSError, EOFError, zlib.error) as error:
            raise ArchiveUnusable(f"{self._source} cannot be read, it is damaged or cut off: {error}") from error


@contextmanager
def _lines_of(source: Path) -> Iterator[_Lines]:
    try:
        file = cast(BinaryIO, gzip.open(source)) if source.suffix == ".gz" else source.open("rb")  # noqa: SIM115
    except OSError as error:
        raise ArchiveUnusable(f"{source} cannot be read: {error.strerror}") from error
    with file:
        yield _Lines(source, file)


_EXAMPLE: Final = """\
# Settings of the VTN. Every one of them can also be an environment variable: OADR_VTN_PORT, OADR_VTN_DATABASE__URL …
host = "127.0.0.1"
port = 8080
# The address that clients use, if it is another one:
# public_url = "https://vtn.example"

# The key of the secrets in the database. Keep a copy of it, apart from backups of the database:
secrets_key_file = {key_file}

[database]
url = {database_url}

# Reachable from elsewhere only with TLS, or behind a proxy that terminates it (behind_proxy = true):
# [tls]
# cert = "server.pem"
# key = "server.key"
"""
