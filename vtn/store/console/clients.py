"""Clients as the page of settings lists them, with their last contact."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import select

from vtn.store.database import Database
from vtn.store.query import Page
from vtn.store.stamps import Stamps
from vtn.store.tables import clients, contacts, vens


class ListedClient(Struct, frozen=True, gc=False):
    """A client, never with its secret. Instants are stamps; ``ven_name`` is that of its ven, if it has one."""

    client_id: str
    role: str
    scopes: tuple[str, ...]
    created_at: str
    suspended: bool
    ven_name: str | None
    protocol: str | None
    heard_at: str | None
    refused_at: str | None
    refused_title: str | None


class ClientListing:
    """Reads clients for pages."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def search(self, *, beginning: str = "", role: str = "", page: Page) -> list[ListedClient]:
        """Return one page of clients by id: those whose id begins so, of a role or both."""
        found = (
            select(
                clients.c.client_id,
                clients.c.role,
                clients.c.scopes,
                clients.c.created_at,
                clients.c.suspended,
                vens.c.name.label("ven_name"),
                contacts.c.protocol,
                contacts.c.heard_at,
                contacts.c.refused_at,
                contacts.c.refused_title,
            )
            .select_from(
                clients.outerjoin(contacts, contacts.c.client_id == clients.c.client_id).outerjoin(
                    vens, vens.c.client_id == clients.c.client_id
                )
            )
            .order_by(clients.c.client_id)
            .limit(page.limit)
            .offset(page.skip)
        )
        if beginning:
            found = found.where(clients.c.client_id.startswith(beginning, autoescape=True))
        if role:
            found = found.where(clients.c.role == role)
        rows = await self._database.rows(found)
        return [ListedClient(**{**row, "scopes": tuple(row["scopes"].split())}) for row in rows]
