"""VENs of OpenADR 2.0b as business logic is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, func, select

from openadr_profiles.ven_20b import EnrolledVen
from vtn.store.database import Database
from vtn.store.query import VenQuery
from vtn.store.stamps import Stamps
from vtn.store.tables import contacts, vens
from vtn.store.v20b.tables import oadr20b_certificates, oadr20b_outbox, oadr20b_report_requests, oadr20b_vens


class VenListing20b:
    """Enrolled VENs, by their names."""

    def __init__(self, database: Database, stamps: Stamps, *, offline_after: timedelta) -> None:
        self._database = database
        self._stamps = stamps
        self.offline_after = offline_after
        """Hold how long a VEN that polls may be silent."""

    async def search(self, query: VenQuery) -> list[EnrolledVen]:
        """Return one page, of all of them or of those with these names."""
        if not query.page.limit:
            return []
        clauses = [] if query.names is None else [vens.c.name.in_(query.names)]
        return await self._found(clauses, limit=query.page.limit, skip=query.page.skip)

    async def of(self, id_: str) -> list[EnrolledVen]:
        """Return the VEN with this ven, if it is enrolled."""
        return await self._found([vens.c.id == id_], limit=1, skip=0)

    async def _found(self, clauses: Sequence[ColumnElement[bool]], *, limit: int, skip: int) -> list[EnrolledVen]:
        waiting = (
            select(func.count())
            .select_from(oadr20b_outbox)
            .where(oadr20b_outbox.c.ven_id == oadr20b_vens.c.ven_id)
            .scalar_subquery()
        )
        requests = oadr20b_report_requests
        overdue = (
            select(func.count())
            .select_from(requests)
            .where(requests.c.ven_id == oadr20b_vens.c.ven_id, requests.c.is_silent)
            .scalar_subquery()
        )
        its = oadr20b_vens.join(vens, vens.c.id == oadr20b_vens.c.ven_id)
        statement = (
            select(
                *oadr20b_vens.c,
                vens.c.name,
                vens.c.client_id,
                contacts.c.heard_at,
                waiting.label("waiting"),
                overdue.label("overdue"),
            )
            .select_from(its.outerjoin(contacts, contacts.c.client_id == vens.c.client_id))
            .where(*clauses)
            .order_by(vens.c.name)
            .limit(limit)
            .offset(skip)
        )
        rows = await self._database.rows(statement)
        listed = oadr20b_certificates.c.ven_id.in_([row["ven_id"] for row in rows])
        known = await self._database.rows(
            select(oadr20b_certificates).where(listed).order_by(oadr20b_certificates.c.added_at)
        )
        prints: dict[str, list[str]] = {}
        for each in known:
            prints.setdefault(each["ven_id"], []).append(each["fingerprint"])
        silent_since = self._stamps.ago(self.offline_after)
        return [_enrolled(row, tuple(prints.get(row["ven_id"], ())), silent_since) for row in rows]


def _enrolled(row: RowMapping | Any, fingerprints: tuple[str, ...], silent_since: str) -> EnrolledVen:
    polls = row["registration_id"] is not None and row["push_url"] is None
    heard_at = max(row["heard_at"] or "", row["registered_at"] or "")
    return EnrolledVen(
        ven_id=row["ven_id"],
        ven_name=row["name"],
        client_id=row["client_id"],
        wire_id=row["wire_id"],
        fingerprints=fingerprints,
        registration_id=row["registration_id"],
        own_name=row["ven_name"],
        registered=row["registration_id"] is not None,
        registered_at=_instant(row["registered_at"]) if row["registration_id"] is not None else None,
        push=row["push_url"] is not None,
        push_url=row["push_url"],
        report_only=row["is_report_only"],
        xml_signature=row["signs"],
        disabled=row["is_disabled"],
        waiting=row["waiting"],
        overdue=row["overdue"],
        offline=polls and heard_at < silent_since,
        cancel_refused_at=_instant(row["cancel_refused_at"]),
    )


def _instant(stamp: str | None) -> datetime | None:
    return None if stamp is None else datetime.fromisoformat(stamp)
