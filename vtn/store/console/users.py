"""People who may use the console, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, update

from vtn.errors import Conflict, NotFound
from vtn.store.console.tables import console_sessions, console_users
from vtn.store.database import Database
from vtn.store.failures import ConstraintViolated


class UserRow(Struct, frozen=True, kw_only=True):
    """A user as stored; instants are stamps. Without ``password_hash`` another service signs the user in."""

    name: str
    role: str
    created_at: str
    password_hash: str | None = None
    subject: str | None = None
    signed_in_at: str | None = None


class UserStore:
    """Users by their names."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user: UserRow) -> None:
        """Store a new user; raises Conflict if there is one of this name, or of this subject."""
        row = {name: getattr(user, name) for name in user.__struct_fields__}
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(console_users).values(row))
        except ConstraintViolated as error:
            raise Conflict(f"name: there already is a user {user.name}") from error

    async def all(self) -> Sequence[UserRow]:
        """Return all users by name."""
        rows = await self._database.rows(select(console_users).order_by(console_users.c.name))
        return [UserRow(**row) for row in rows]

    async def any(self) -> bool:
        """Return True if there is a user."""
        row = await self._database.row(
            select(func.count()).select_from(select(console_users.c.name).limit(1).subquery())
        )
        return row is not None and bool(next(iter(row.values())))

    async def get(self, name: str) -> UserRow | None:
        """Return a user; None if there is none of this name."""
        row = await self._database.row(select(console_users).where(console_users.c.name == name))
        return None if row is None else UserRow(**row)

    async def of_subject(self, subject: str) -> UserRow | None:
        """Return the user whom another service knows as ``subject``; None if there is none."""
        row = await self._database.row(select(console_users).where(console_users.c.subject == subject))
        return None if row is None else UserRow(**row)

    async def change(self, name: str, *, end_sessions: bool = False, **columns: Any) -> None:
        """Change columns of a user; raises NotFound. ``end_sessions`` signs the user out everywhere."""
        async with self._database.write() as connection:
            changed = update(console_users).where(console_users.c.name == name).values(columns)
            if (await connection.execute(changed.returning(console_users.c.role))).first() is None:
                raise no_user(name)
            if end_sessions:
                await connection.execute(delete(console_sessions).where(console_sessions.c.user_name == name))

    async def remove(self, name: str) -> None:
        """Remove a user and the user's sessions; raises NotFound."""
        async with self._database.write() as connection:
            gone = delete(console_users).where(console_users.c.name == name).returning(console_users.c.role)
            if (await connection.execute(gone)).first() is None:
                raise no_user(name)


def no_user(name: str) -> NotFound:
    """Return the error for a user that does not exist."""
    return NotFound(f"there is no user {name}")
