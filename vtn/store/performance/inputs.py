"""Read what a result is made of: the event, who it reached, what they were asked for, and readings of their meters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    Integer,
    Text,
    and_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
)

from openadr_profiles.v31 import Event
from vtn.settings import Privacy
from vtn.store.audience import sees_event
from vtn.store.database import Database
from vtn.store.facts.planned import PlannedEvent, PlannedEvents
from vtn.store.facts.tables import event_opts, event_sheds, meters, readings, report_queue
from vtn.store.performance.cancelled_events import cancelled_times
from vtn.store.prepared import Prepared
from vtn.store.tables import events, vens

_ASKS: Final = '"payloads":[{'
"""Hold what is in the stored members of an event that has a payload; in a text its quotation marks would be escaped."""


class KnownMeter(NamedTuple):
    """Hold a meter: its number, whose it is, and the name of its resource."""

    id: int
    client_id: str
    resource: str


class AskedPower(NamedTuple):
    """Hold what a resource was asked for over a time in ms since 1970, in kW; without an end until the next."""

    client_id: str
    resource: str
    starts_at_ms: int
    ends_at_ms: int | None
    requested_kw: float


class PerformanceInputs:
    """Reads inputs of results, a part of the meters at a time. With ``names`` a VEN holds its names as targets."""

    def __init__(self, database: Database, privacy: Privacy, *, names: bool = False) -> None:
        self._database = database
        self._privacy = privacy
        self._names = names
        self._planned = PlannedEvents(database)

    async def event(self, event_id: str) -> PlannedEvent:
        """Return an event; raises NotFound."""
        return await self._planned.get(event_id)

    async def last_report(self) -> int:
        """Return the number of the last report whose readings are not in the tables yet; 0 if all are."""
        row = await self._database.row(select(func.max(report_queue.c.seq).label("last")))
        return 0 if row is None else row["last"] or 0

    async def unread_reports(self, until: int) -> int:
        """Return how many reports, up to one of these numbers, are still to be read."""
        unread = select(func.count().label("count")).where(report_queue.c.seq <= until)
        row = await self._database.row(unread)
        return 0 if row is None else row["count"]

    async def other_times(self, event: Event, *, ending_after: str) -> list[tuple[datetime, datetime | None]]:
        """Return when the other events of the program asked for something, of those that end after a stamp, or never.

        One that was cancelled asked until then, if it had begun; those without payloads only want reports.
        """
        its = events.c
        statement = select(its.starts_at, its.ends_at).where(
            its.program_id == event.program_id,
            its.id != event.id,
            its.starts_at.is_not(None),
            its.cancelled_at.is_(None),
            or_(its.ends_at.is_(None), its.ends_at > ending_after),
            its.members.contains(_ASKS, autoescape=True),
        )
        held = [
            (datetime.fromisoformat(row["starts_at"]), row["ends_at"] and datetime.fromisoformat(row["ends_at"]))
            for row in await self._database.rows(statement)
        ]
        return held + await cancelled_times(self._database, event, ending_after=ending_after)

    async def reached(self, event: PlannedEvent) -> dict[str, str]:
        """Return who sees an event, and who was asked for something by it: the names of the vens by client ids.

        A client without a ven has its id for a name.
        """
        sees = sees_event(event.targets, event.program_targets, self._privacy, names=self._names)
        statement = select(vens.c.client_id, vens.c.name).where(sees)
        names = {row["client_id"]: row["name"] for row in await self._database.rows(statement)}
        asked = select(event_sheds.c.client_id, vens.c.name).distinct()
        asked = asked.outerjoin(vens, vens.c.client_id == event_sheds.c.client_id)
        asked = asked.where(event_sheds.c.event_id == event.event.id, event_sheds.c.requested_kw.is_not(None))
        for row in await self._database.rows(asked):
            names.setdefault(row["client_id"], row["name"] or row["client_id"])
        return dict(sorted(names.items()))

    async def meters(self, client_ids: Collection[str]) -> list[KnownMeter]:
        """Return the meters of clients."""
        statement = select(meters.c.id, meters.c.client_id, meters.c.resource).where(meters.c.client_id.in_(client_ids))
        return [KnownMeter(*row.values()) for row in await self._database.rows(statement)]

    async def asked(self, event_id: str, client_ids: Collection[str]) -> list[AskedPower]:
        """Return what clients were asked for by an event; an interval without an end ends with an opt-out."""
        its, said = event_sheds.c, event_opts.c
        is_out = and_(
            *(its[name] == said[name] for name in ("event_id", "client_id", "resource")),
            said.opted_in.is_(literal_column("false")),
        )
        ends = func.coalesce(its.ends_at_ms, said.decided_at_ms)
        statement = (
            select(its.client_id, its.resource, its.starts_at_ms, ends, its.requested_kw)
            .select_from(event_sheds.outerjoin(event_opts, is_out))
            .where(its.event_id == event_id, its.client_id.in_(client_ids), its.requested_kw.is_not(None))
        )
        statement = statement.order_by(its.client_id, its.resource, its.starts_at_ms, its.interval_id)
        return [AskedPower(*row.values()) for row in await self._database.rows(statement)]

    async def readings(
        self, meter_ids: Sequence[int], kind: int, spans: Sequence[tuple[int, int]], *, most: int
    ) -> Sequence[Sequence[Any]]:
        """Return the readings that begin within spans of milliseconds, in any order, at most ``most`` of them.

        Each is meter, start and length in milliseconds, kWh, and if it is an estimate (0 or 1, or a boolean).
        """
        looks = [(id_, first, end) for id_ in meter_ids for first, end in spans]
        if not looks:
            return []
        values: dict[str, Any] = {"kind": kind, "most": most}
        if self._database.is_sqlite:
            values["looks"] = msgspec.json.encode(looks).decode()
        else:
            ids, firsts, ends = (list(column) for column in zip(*looks, strict=True))
            values |= {"ids": ids, "firsts": firsts, "ends": ends}
        return await self._database.tuples(self._readings, values)

    async def with_long_readings(
        self, meter_ids: Collection[int], kind: int, span: tuple[int, int], *, above_ms: int
    ) -> frozenset[int]:
        """Return those meters that have a reading of more than a length, beginning within a span of milliseconds."""
        its = readings.c
        statement = select(its.meter_id).distinct()
        statement = statement.where(
            its.meter_id.in_(meter_ids),
            its.kind == kind,
            its.starts_at_ms >= span[0],
            its.starts_at_ms < span[1],
            its.length_ms > above_ms,
        )
        return frozenset(row["meter_id"] for row in await self._database.rows(statement))

    @cached_property
    def _readings(self) -> Prepared:
        """Return the statement for readings: a look into the index for each meter and span."""
        if self._database.is_sqlite:
            looks = func.json_each(bindparam("looks", type_=Text)).table_valued("value", name="looks")
            id_, first, end = (
                func.json_extract(looks.c.value, literal_column(f"'$[{number}]'")) for number in range(3)
            )
            return _within(looks, id_, first, end)
        from sqlalchemy.dialects.postgresql import ARRAY  # noqa: PLC0415 # not for SQLite

        given = (bindparam(name, type_=ARRAY(BigInteger)) for name in ("ids", "firsts", "ends"))
        unnested = func.unnest(*given).table_valued("id", "first", "after", name="looks").render_derived(name="looks")
        return _within(unnested, unnested.c.id, unnested.c.first, unnested.c.after)


def _within(looks: FromClause, id_: ColumnElement[Any], first: ColumnElement[Any], end: ColumnElement[Any]) -> Prepared:
    its = readings.c
    kind = its.kind == bindparam("kind", type_=Integer)
    within = and_(its.meter_id == id_, kind, its.starts_at_ms >= first, its.starts_at_ms < end)
    chosen = select(its.meter_id, its.starts_at_ms, its.length_ms, its.kwh, its.estimated)
    return chosen.select_from(looks, readings).where(within).limit(bindparam("most", type_=Integer))
