"""Sessions of people who are signed in to the console. What a browser sends is stored as a digest only."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from msgspec import Struct
from sqlalchemy import delete, insert, select, update

from vtn.store.console.tables import console_sessions, console_users
from vtn.store.database import Database


class SessionRow(Struct, frozen=True, kw_only=True):
    """A session with its user's role; instants are stamps. ``id`` names it, and opens nothing."""

    id: str
    user_name: str
    role: str
    began_at: str
    seen_at: str
    ends_at: str
    address: str
    browser: str


_COLUMNS = (
    console_sessions.c.id,
    console_sessions.c.user_name,
    console_users.c.role,
    console_sessions.c.began_at,
    console_sessions.c.seen_at,
    console_sessions.c.ends_at,
    console_sessions.c.address,
    console_sessions.c.browser,
)
_JOINED = select(*_COLUMNS).join(console_users, console_users.c.name == console_sessions.c.user_name)


class SessionStore:
    """Sessions by the secret that a browser sends (``token``)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, token: str, session: SessionRow, *, at_most: int) -> None:
        """Store a new session; of its user's sessions the newest ``at_most`` stay. The role is the user's, not kept."""
        row = {name: getattr(session, name) for name in session.__struct_fields__ if name != "role"}
        kept = (
            select(console_sessions.c.token_hash)
            .where(console_sessions.c.user_name == session.user_name)
            .order_by(console_sessions.c.began_at.desc(), console_sessions.c.id)
            .limit(at_most)
        )
        async with self._database.write() as connection:
            await connection.execute(insert(console_sessions).values(row | {"token_hash": _digest(token)}))
            await connection.execute(
                delete(console_sessions).where(
                    console_sessions.c.user_name == session.user_name,
                    console_sessions.c.token_hash.not_in(kept.scalar_subquery()),
                )
            )

    async def of(self, token: str, *, now: str) -> SessionRow | None:
        """Return the session of a token with its user's present role; None if there is none, or it is over."""
        row = await self._database.row(
            _JOINED.where(console_sessions.c.token_hash == _digest(token), console_sessions.c.ends_at > now)
        )
        return None if row is None else SessionRow(**row)

    async def seen(self, session_id: str, *, at: str) -> None:
        """Note that a session was used."""
        async with self._database.write() as connection:
            await connection.execute(
                update(console_sessions).where(console_sessions.c.id == session_id).values(seen_at=at)
            )

    async def open(self, *, now: str, user_name: str | None = None, limit: int = 200) -> Sequence[SessionRow]:
        """Return sessions that are not over, of one user or all, those that were used last first."""
        chosen = _JOINED.where(console_sessions.c.ends_at > now)
        if user_name is not None:
            chosen = chosen.where(console_sessions.c.user_name == user_name)
        ordered = chosen.order_by(console_sessions.c.seen_at.desc(), console_sessions.c.id).limit(limit)
        return [SessionRow(**row) for row in await self._database.rows(ordered)]

    async def end(self, session_id: str, *, user_name: str | None = None) -> SessionRow | None:
        """End a session, of this user only if one is given, and return it; None if there is no such session."""
        chosen = console_sessions.c.id == session_id
        if user_name is not None:
            chosen &= console_sessions.c.user_name == user_name
        row = await self._database.row(_JOINED.where(chosen))
        async with self._database.write() as connection:
            await connection.execute(delete(console_sessions).where(chosen))
        return None if row is None else SessionRow(**row)

    async def end_of(self, user_name: str) -> int:
        """End all sessions of a user; gives their number."""
        async with self._database.write() as connection:
            gone = delete(console_sessions).where(console_sessions.c.user_name == user_name)
            return len((await connection.execute(gone.returning(console_sessions.c.id))).all())

    async def forget(self, *, before: str) -> None:
        """Remove sessions that were over before this time."""
        async with self._database.write() as connection:
            await connection.execute(delete(console_sessions).where(console_sessions.c.ends_at < before))


def _digest(token: str) -> str:
    """Return what is stored of 256 random bits: a plain digest, for there is nothing to guess."""
    return sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
