"""What an operator does beside a running server: on the same database, brought up to date first."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from vtn.auth.keys import SigningKeys
from vtn.settings import Settings
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
