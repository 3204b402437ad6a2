"""Keys that sign tokens in the database, sealed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from msgspec import Struct
from sqlalchemy import delete, func, insert, select

from vtn.store.database import Database
from vtn.store.stamps import stamp
from vtn.store.tables import clients, signing_keys


class KeyRow(Struct, frozen=True, kw_only=True):
    """A key by its id; its secret is sealed, its creation a stamp."""

    kid: str
    secret: str
    created_at: str


class SigningKeyStore:
    """Keys in the order in which they were made; the last one signs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def all(self) -> Sequence[KeyRow]:
        """Return all keys, the oldest first."""
        rows = await self._database.rows(select(signing_keys).order_by(signing_keys.c.created_at, signing_keys.c.kid))
        return [KeyRow(**row) for row in rows]

    async def add_first(self, make: Callable[[], KeyRow]) -> None:
        """Store a key if there is none; processes that start together end up with the same."""
        async with self._database.write() as connection:
            if (await connection.execute(select(signing_keys.c.kid))).first() is None:
                await connection.execute(insert(signing_keys).values(_columns(make())))

    async def rotate(
        self, make: Callable[[str], KeyRow], *, now: datetime, token_lifetime_s: int, end_tokens: bool
    ) -> KeyRow:
        """Store the key that ``make`` gives for the creation of the newest one, and return it.

        Older keys stay as long as a token they signed may hold, which is ``token_lifetime_s`` or what the client with
        the longest has; with ``end_tokens`` they go.
        """
        async with self._database.write() as connection:
            present = select(signing_keys.c.kid, signing_keys.c.created_at).order_by(signing_keys.c.created_at)
            keys = (await connection.execute(present)).all()
            key = make(keys[-1].created_at)
            if end_tokens:
                await connection.execute(delete(signing_keys))
            else:
                longest = await connection.execute(select(func.max(clients.c.token_lifetime_s)))
                longest_s = max(token_lifetime_s, longest.scalar_one() or 0)
                over = stamp(now - timedelta(seconds=longest_s))
                # A key has signed nothing since its successor was made.
                gone = [each.kid for each, successor in pairwise(keys) if successor.created_at < over]
                await connection.execute(delete(signing_keys).where(signing_keys.c.kid.in_(gone)))
            await connection.execute(insert(signing_keys).values(_columns(key)))
        return key


def _columns(key: KeyRow) -> dict[str, str]:
    return {"kid": key.kid, "secret": key.secret, "created_at": key.created_at}
