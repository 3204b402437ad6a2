"""Clients in the database, and the ids of those that were removed while tokens of theirs may still be out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, insert, or_, select, update

from vtn.errors import Conflict, NotFound
from vtn.store.database import Database
from vtn.store.failures import ConstraintViolated
from vtn.store.tables import clients, contacts, removed_clients


class ClientRow(Struct, frozen=True, kw_only=True):
    """A client as it is stored. ``scopes`` are words with blanks between; instants are stamps."""

    client_id: str
    role: str
    scopes: str
    secret_hash: str
    token_lifetime_s: int | None
    created_at: str
    suspended: bool = False
    tokens_valid_from: str | None = None


class Revocation(Struct, frozen=True):
    """Tokens of a client issued before ``valid_from``, a stamp, do not hold; none of a suspended client does."""

    client_id: str
    valid_from: str
    suspended: bool = False


class ClientStore:
    """Clients by their ids."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, client: ClientRow) -> None:
        """Store a new client; raises Conflict if there is one of its id."""
        row = {name: getattr(client, name) for name in client.__struct_fields__}
        try:
            async with self._database.write() as connection:
                await connection.execute(insert(clients).values(row))
        except ConstraintViolated as error:
            raise Conflict(f"client_id: there already is a client {client.client_id}") from error

    async def all(self) -> Sequence[ClientRow]:
        """Return all clients by id."""
        rows = await self._database.rows(select(clients).order_by(clients.c.client_id))
        return [ClientRow(**row) for row in rows]

    async def get(self, client_id: str) -> ClientRow | None:
        """Return a client; None if there is none of this id."""
        row = await self._database.row(select(clients).where(clients.c.client_id == client_id))
        return None if row is None else ClientRow(**row)

    async def change(self, client_id: str, **columns: Any) -> None:
        """Change columns of a client; raises NotFound."""
        async with self._database.write() as connection:
            changed = update(clients).where(clients.c.client_id == client_id).values(columns).returning(clients.c.role)
            if (await connection.execute(changed)).first() is None:
                raise no_client(client_id)

    async def remove(self, client_id: str, *, at: str, forget_before: str) -> None:
        """Remove a client with its contact, and remember since when; raises NotFound.

        Those that were removed before ``forget_before`` have no token any more, and are forgotten.
        """
        async with self._database.write() as connection:
            gone = delete(clients).where(clients.c.client_id == client_id).returning(clients.c.role)
            if (await connection.execute(gone)).first() is None:
                raise no_client(client_id)
            again = removed_clients.c.client_id == client_id
            old = removed_clients.c.removed_at < forget_before
            await connection.execute(delete(removed_clients).where(or_(again, old)))
            await connection.execute(insert(removed_clients).values(client_id=client_id, removed_at=at))
            await connection.execute(delete(contacts).where(contacts.c.client_id == client_id))

    async def revocations(self) -> Sequence[Revocation]:
        """Return whose tokens were taken back: first of clients that were removed, then of those there are, perhaps
        again."""
        removed = select(removed_clients.c.client_id, removed_clients.c.removed_at)
        changed = select(clients.c.client_id, clients.c.tokens_valid_from, clients.c.suspended).where(
            clients.c.tokens_valid_from.is_not(None)
        )
        return [
            Revocation(*row.values())
            for statement in (removed, changed)
            for row in await self._database.rows(statement)
        ]


def no_client(client_id: str) -> NotFound:
    """Return the error for a client that does not exist."""
    return NotFound(f"there is no client {client_id}")
