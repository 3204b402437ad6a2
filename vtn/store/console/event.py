"""One event as its page shows it: the event, who was told of it, its reports, and what took its place.

How far it got is told by ``EventFacts``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import case, func, or_, select

from openadr_profiles.v31 import ValuesMap
from vtn.errors import NotFound
from vtn.settings import Privacy
from vtn.store.audience import sees_event
from vtn.store.console.events import ListedEvent, listed, with_program
from vtn.store.database import Database
from vtn.store.large import WHOLE_BYTES
from vtn.store.stamps import NEVER, Stamps
from vtn.store.tables import deliveries, endpoints, events, notifications, reports, resources, vens
from vtn.store.types import octets
from vtn.store.v20b.event_tables import oadr20b_deliveries, oadr20b_events

_REPORT_BYTES: Final = 64 * 1024
_OTHERS: Final = 50
_MOST_NAMES: Final = 500


@dataclass(frozen=True, slots=True)
class ToldClient:
    """One notification of a change of an event: to whom, by which channel, and what became of it.

    ``outcome`` is ``pending``, ``delivered``, ``dead`` (given up) or ``dropped``. ``vens`` counts the VENs whose own
    topics of MQTT it went to; None: it went to the topics of all, or to a webhook.
    """

    noted_at: datetime
    operation: str
    channel: str
    client_id: str | None
    ven_name: str | None
    url: str | None
    vens: int | None
    outcome: str
    ended_at: datetime | None
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True)
class ToldVen20b:
    """Hold what a VEN of OpenADR 2.0b was sent of an event, and what it answered."""

    ven_name: str
    number: int
    sent_at: datetime
    sent_times: int
    answered_number: int | None
    answered_at: datetime | None
    opt_type: str | None
    response_code: str | None
    is_closed: bool


@dataclass(frozen=True, slots=True)
class ListedReport:
    """A report on an event. ``name`` and ``resources`` are None if it is too long to be read with a list."""

    id: str
    name: str | None
    client_id: str
    client_name: str
    ven_name: str | None
    resources: int | None
    payload_types: tuple[str, ...]
    created_at: datetime
    modified_at: datetime
    size_bytes: int


class ConsoleEvent:
    """Reads what is known of one event, a statement for each table of its page."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def get(self, event_id: str) -> ListedEvent:
        """Return an event; raises NotFound. Its ``event`` is None above 2 MiB."""
        row = await self._database.row(with_program(WHOLE_BYTES).where(events.c.id == event_id))
        if row is None:
            raise NotFound
        return listed(row, self._stamps.now)

    async def others(self, event: ListedEvent) -> Sequence[ListedEvent]:
        """Return other events that hold at some time of an event's, the last written first, 50 at most."""
        if event.starts_at is None or event.cancelled_at is not None:
            return ()
        row = await self._database.row(select(events.c.starts_at, events.c.ends_at).where(events.c.id == event.id))
        if row is None:
            return ()
        its = events.c
        found = (
            with_program()
            .where(
                its.id != event.id,
                its.cancelled_at.is_(None),
                its.starts_at < (row["ends_at"] or NEVER),
                or_(its.ends_at.is_(None), its.ends_at > row["starts_at"]),
            )
            .order_by(its.modified_at.desc())
            .limit(_OTHERS)
        )
        return [listed(each, self._stamps.now) for each in await self._database.rows(found)]

    async def shared_vens(
        self, event: ListedEvent, others: Collection[ListedEvent], privacy: Privacy, *, names: bool
    ) -> Mapping[str, int]:
        """Return how many vens see an event and each of the others, by the ids of these."""
        audiences = list(dict.fromkeys((each.targets, each.program_targets) for each in others))
        if not audiences:
            return {}
        sees = sees_event(event.targets, event.program_targets, privacy, names=names)
        counted = [
            func.count().filter(sees_event(*audience, privacy, names=names)).label(f"of_{place}")
            for place, audience in enumerate(audiences)
        ]
        row = await self._database.row(select(*counted).select_from(vens).where(sees))
        counts = {audience: 0 if row is None else row[f"of_{place}"] for place, audience in enumerate(audiences)}
        return {each.id: counts[each.targets, each.program_targets] for each in others}

    async def critical_resources(self, client_id: str, names: Collection[str]) -> Collection[str]:
        """Return those of a client's resources with these names that say they must not be switched."""
        its = resources.c
        found = select(its.name, case((octets(its.members) <= _REPORT_BYTES, its.members)).label("members")).where(
            its.client_id == client_id, its.name.in_(sorted(names)[:_MOST_NAMES]), its.members.contains('"CRITICAL"')
        )
        return {row["name"] for row in await self._database.rows(found) if _is_critical(row["members"])}

    async def told(self, event_id: str, *, skip: int, limit: int) -> Sequence[ToldClient]:
        """Return a part of the notifications of an event, the last ones first, as long as the outbox keeps them."""
        statement = (
            select(
                deliveries.c.operation,
                deliveries.c.vens,
                deliveries.c.attempts,
                deliveries.c.ended_at,
                deliveries.c.outcome,
                deliveries.c.error,
                notifications.c.noted_at,
                endpoints.c.push,
                endpoints.c.client_id,
                endpoints.c.url,
                vens.c.name.label("ven_name"),
            )
            .select_from(
                deliveries.join(notifications, notifications.c.seq == deliveries.c.seq)
                .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
                .outerjoin(vens, vens.c.client_id == endpoints.c.client_id)
            )
            .where(notifications.c.object_type == "EVENT", notifications.c.object_id == event_id)
            .order_by(deliveries.c.id.desc())
            .limit(limit)
            .offset(skip)
        )
        return [_told(row) for row in await self._database.rows(statement)]

    async def told_20b(self, event_id: str, *, skip: int, limit: int) -> Sequence[ToldVen20b]:
        """Return a part of what VENs of OpenADR 2.0b were sent of an event, by their names."""
        its = oadr20b_deliveries.c
        statement = (
            select(oadr20b_deliveries, vens.c.name.label("ven_name"))
            .select_from(oadr20b_deliveries.join(vens, vens.c.id == its.ven_id))
            .where(its.event_id == event_id)
            .order_by(vens.c.name, its.issue.desc())
            .limit(limit)
            .offset(skip)
        )
        return [_told_20b(row) for row in await self._database.rows(statement)]

    async def no_form_20b(self, event_id: str) -> str | None:
        """Return why VENs of OpenADR 2.0b are not told of an event; None if they are, or there is nothing known."""
        its = oadr20b_events.c
        latest = select(its.reason).where(its.event_id == event_id).order_by(its.issue.desc()).limit(1)
        row = await self._database.row(latest)
        return None if row is None else row["reason"]

    async def reports(self, event_id: str, *, skip: int, limit: int) -> Sequence[ListedReport]:
        """Return a part of the reports on an event, the last changed first."""
        size = octets(reports.c.members)
        its = reports.c
        statement = (
            select(
                *(its[name] for name in ("id", "client_id", "client_name", "created_at", "modified_at")),
                size.label("size_bytes"),
                case((size <= _REPORT_BYTES, its.members)).label("members"),
                vens.c.name.label("ven_name"),
            )
            .select_from(reports.outerjoin(vens, vens.c.client_id == its.client_id))
            .where(its.event_id == event_id)
            .order_by(its.created_at.desc(), its.id.desc())
            .limit(limit)
            .offset(skip)
        )
        return [_report(row) for row in await self._database.rows(statement)]


class _ResourceAttributes(msgspec.Struct):
    attributes: tuple[ValuesMap, ...] | None = None


_ATTRIBUTES: Final = msgspec.json.Decoder(_ResourceAttributes)


def _is_critical(members: str | None) -> bool:
    if members is None:
        return False
    try:
        said = _ATTRIBUTES.decode(f"{{{members}}}").attributes or ()
    except msgspec.MsgspecError:
        return False
    return any(each.type == "CRITICAL" and each.values[:1] == (True,) for each in said)


class _ReportHead(msgspec.Struct):
    """Hold what a list tells of a report."""

    report_name: str | None = msgspec.field(name="reportName", default=None)
    resources: list[_ResourceHead] = msgspec.field(default_factory=list)


class _ResourceHead(msgspec.Struct):
    intervals: list[_IntervalHead] = msgspec.field(default_factory=list)


class _IntervalHead(msgspec.Struct):
    payloads: list[_PayloadHead] = msgspec.field(default_factory=list)


class _PayloadHead(msgspec.Struct):
    type: str = ""


_HEAD: Final = msgspec.json.Decoder(_ReportHead)


def _report(row: Mapping[Any, Any]) -> ListedReport:
    head = _head(row["members"])
    types = {
        payload.type
        for resource in (head.resources if head else ())
        for interval in resource.intervals
        for payload in interval.payloads
    }
    return ListedReport(
        id=row["id"],
        name=None if head is None else head.report_name,
        client_id=row["client_id"],
        client_name=row["client_name"],
        ven_name=row["ven_name"],
        resources=None if head is None else len(head.resources),
        payload_types=tuple(sorted(types)),
        created_at=datetime.fromisoformat(row["created_at"]),
        modified_at=datetime.fromisoformat(row["modified_at"]),
        size_bytes=row["size_bytes"],
    )


def _head(members: str | None) -> _ReportHead | None:
    if members is None:
        return None
    try:
        return _HEAD.decode(f"{{{members}}}")
    except msgspec.MsgspecError:
        return None


def _told(row: Mapping[Any, Any]) -> ToldClient:
    return ToldClient(
        noted_at=datetime.fromisoformat(row["noted_at"]),
        operation=row["operation"],
        channel=row["push"],
        client_id=row["client_id"],
        ven_name=row["ven_name"],
        url=row["url"],
        vens=None if row["vens"] is None else len(row["vens"]),
        outcome="pending" if row["ended_at"] is None else str(row["outcome"]).lower(),
        ended_at=_instant(row["ended_at"]),
        attempts=row["attempts"],
        error=row["error"],
    )


def _told_20b(row: Mapping[Any, Any]) -> ToldVen20b:
    return ToldVen20b(
        ven_name=row["ven_name"],
        number=row["number"],
        sent_at=datetime.fromisoformat(row["sent_at"]),
        sent_times=row["sent_times"],
        answered_number=row["answered_number"],
        answered_at=_instant(row["answered_at"]),
        opt_type=row["opt_type"],
        response_code=row["response_code"],
        is_closed=row["is_closed"],
    )


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
