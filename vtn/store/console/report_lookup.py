"""Look up the event or VEN that somebody names, by name or id, when looking for reports."""

from __future__ import annotations

from sqlalchemy import case, or_, select

from vtn.store.database import Database
from vtn.store.page_cursors import newest_first
from vtn.store.stamps import Stamps
from vtn.store.tables import events, reports, vens


class ReportLookup:
    """Finds events and VENs by what people call them."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def event_called(self, text: str) -> str | None:
        """Return the id of an event with this id or name, the newest of several; None if there is none."""
        by_id = await self._database.row(select(events.c.id).where(events.c.id == text))
        if by_id is not None:
            return text
        found = select(events.c.id).where(events.c.name == text).order_by(*newest_first(events)).limit(1)
        row = await self._database.row(found)
        return None if row is None else str(row["id"])

    async def client_called(self, text: str) -> str | None:
        """Return the client id of a VEN with this name, id or client id, or of who has reported as it; or None."""
        first = case((vens.c.client_id == text, 0), (vens.c.id == text, 1), else_=2)
        found = (
            select(vens.c.client_id)
            .where(or_(vens.c.name == text, vens.c.client_id == text, vens.c.id == text))
            .order_by(first)
            .limit(1)
        )
        row = await self._database.row(found)
        if row is None:
            row = await self._database.row(select(reports.c.client_id).where(reports.c.client_id == text).limit(1))
        return None if row is None else str(row["client_id"])
