"""Read what alarms are evaluated from: each fact by one statement, bounded, at any size of fleet."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import and_, exists, func, or_, select

from vtn.alarms.rules import Backlog, DeadLetters, RunningEvent, SilentVen, SilentVens
from vtn.store.database import Database
from vtn.store.facts.tables import event_curve, report_queue
from vtn.store.large import Row
from vtn.store.outbox.queue import Outcome
from vtn.store.stamps import Stamps
from vtn.store.tables import clients, contacts, deliveries, endpoints, events, notifications, reports, vens

_LISTED: Final = 100
_EVENTS: Final = 200
_CURVE_S: Final = 120.0
"""An event whose curve has no newer point than this is not active, or nothing is known of it."""
_ASKS: Final = events.c.members.contains('"reportDescriptors":[{', autoescape=True)
"""A clause: the event asks for reports. A quote inside a text of JSON is written otherwise."""


class AlarmFacts:
    """Reads what rules of alarms need."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def silent_vens(self, silent_s: float) -> SilentVens:
        """Return the VENs that were heard before and then not for so long; not those whose client is suspended."""
        before = self._stamps.ago(timedelta(seconds=silent_s))
        found = (
            select(vens.c.client_id, vens.c.name, contacts.c.heard_at, func.count().over().label("count"))
            .select_from(
                vens.join(contacts, contacts.c.client_id == vens.c.client_id).outerjoin(
                    clients, clients.c.client_id == vens.c.client_id
                )
            )
            .where(contacts.c.heard_at < before, or_(clients.c.suspended.is_(None), ~clients.c.suspended))
            .order_by(contacts.c.heard_at, vens.c.id)
            .limit(_LISTED)
        )
        rows = await self._database.rows(found)
        total = await self._database.row(select(func.count().label("count")).select_from(vens))
        return SilentVens(
            count=rows[0]["count"] if rows else 0,
            total=0 if total is None else total["count"],
            longest=[SilentVen(row["client_id"], row["name"], datetime.fromisoformat(row["heard_at"])) for row in rows],
        )

    async def unreported_events(self) -> list[RunningEvent]:
        """Return the events that are active by their plan and ask for reports, without any; the oldest 200."""
        its, now = events.c, self._stamps.now
        found = (
            select(its.id, its.name, its.starts_at)
            .where(
                its.starts_at <= now,
                or_(its.ends_at.is_(None), its.ends_at > now),
                its.cancelled_at.is_(None),
                _ASKS,
                ~exists().where(reports.c.event_id == its.id),
            )
            .order_by(its.starts_at, its.id)
            .limit(_EVENTS)
        )
        return [
            RunningEvent(row["id"], row["name"] or row["id"], datetime.fromisoformat(row["starts_at"]))
            for row in await self._database.rows(found)
        ]

    async def running_events(self, raised: Collection[str] = ()) -> list[RunningEvent]:
        """Return the events that are active now, as the latest point of their curve shows them; at most 200.

        Of those ``raised``, which have an alarm, also the ones without a new point: nothing is known of their powers.
        """
        its = event_curve.alias()
        first, last = (
            select(end(its.c.at_ms)).where(its.c.event_id == events.c.id).correlate(events).scalar_subquery()
            for end in (func.min, func.max)
        )
        ends = (
            select(events.c.id, events.c.name, first.label("first_ms"), last.label("last_ms"))
            .where(or_(events.c.ends_at.is_(None), events.c.ends_at > self._stamps.now))
            .subquery()
        )
        point = and_(event_curve.c.event_id == ends.c.id, event_curve.c.at_ms == ends.c.last_ms)
        since_ms = _ms(self._stamps.ago(timedelta(seconds=_CURVE_S)))
        is_new = ends.c.last_ms >= since_ms
        found = (
            select(event_curve, ends.c.first_ms, ends.c.name)
            .select_from(ends.join(event_curve, point))
            .where(or_(is_new, ends.c.id.in_(raised)))
            .order_by(is_new, ends.c.first_ms.desc(), ends.c.id)
            .limit(_EVENTS)
        )
        return [_running(row, since_ms) for row in await self._database.rows(found)]

    async def backlogs(self, behind_s: float) -> list[Backlog]:
        """Return what waits in the database to be worked on, for longer than so."""
        return [await self._waiting_notifications(behind_s), await self._waiting_reports()]

    async def dead_letters(self) -> list[DeadLetters]:
        """Return the endpoints with notifications that were given up, those with most first; at most 100."""
        count = func.count().label("count")
        dead = (
            select(deliveries.c.endpoint_id, count)
            .where(deliveries.c.outcome == str(Outcome.DEAD))
            .group_by(deliveries.c.endpoint_id)
            .order_by(count.desc(), deliveries.c.endpoint_id)
            .limit(_LISTED)
            .subquery()
        )
        found = select(endpoints.c.id, endpoints.c.client_id, endpoints.c.url, dead.c.count).join(
            dead, dead.c.endpoint_id == endpoints.c.id
        )
        return [
            DeadLetters(row["id"], row["client_id"], row["url"], row["count"])
            for row in await self._database.rows(found)
        ]

    async def _waiting_notifications(self, behind_s: float) -> Backlog:
        """Return the notifications that wait for longer than so, for endpoints that are not known to fail.

        One that fails has its own state and its own pauses: what waits for it says nothing of this server.
        """
        before = self._stamps.ago(timedelta(seconds=behind_s))
        well = and_(endpoints.c.broken_at.is_(None), endpoints.c.failures == 0)
        found = (
            select(func.count().label("count"), func.min(notifications.c.noted_at).label("oldest"))
            .select_from(
                deliveries.join(notifications, notifications.c.seq == deliveries.c.seq).join(
                    endpoints, endpoints.c.id == deliveries.c.endpoint_id
                )
            )
            .where(deliveries.c.ended_at.is_(None), well, notifications.c.noted_at < before)
        )
        row = await self._database.row(found)
        if row is None or row["oldest"] is None:
            return Backlog("notifications", 0, None)
        return Backlog("notifications", row["count"], datetime.fromisoformat(row["oldest"]))

    async def _waiting_reports(self) -> Backlog:
        """Return the reports that were not read since they were stored or changed, and since when the first waits.

        Of entries whose report is gone by now it is not known: the first that is still there tells.
        """
        its = report_queue.c
        count = select(func.count()).select_from(report_queue).scalar_subquery().label("count")
        there = report_queue.join(reports, reports.c.id == its.report_id)
        row = await self._database.row(
            select(reports.c.modified_at, count).select_from(there).order_by(its.seq).limit(1)
        )
        if row is None:
            return Backlog("reports", 0, None)
        return Backlog("reports", row["count"], datetime.fromisoformat(row["modified_at"]))


def _running(row: Row, since_ms: int) -> RunningEvent:
    is_new = row["at_ms"] >= since_ms
    return RunningEvent(
        id=row["event_id"],
        name=row["name"] or row["event_id"],
        started_at=datetime.fromtimestamp(row["first_ms"] / 1000, UTC),
        requested_kw=row["requested_kw"] if is_new else None,
        delivered_kw=row["delivered_kw"] if is_new else None,
    )


def _ms(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)
