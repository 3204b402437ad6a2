"""One VEN in full: its resources, what it did in events, its reports, and where it is told of changes."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, and_, func, literal, select, union_all

from openadr_profiles.v31 import Attribute, ValuesMap
from vtn.store.attributes import attribute_is_true, rated_kw, resource_kw
from vtn.store.console.fleet_problems import WEBHOOKS
from vtn.store.console.fleet_rows import instant
from vtn.store.database import Database
from vtn.store.facts.instants import in_ms, known_from_ms
from vtn.store.facts.parts import current_powers, sums_where
from vtn.store.facts.results import rounded
from vtn.store.facts.tables import event_opts, event_sheds, meters
from vtn.store.stamps import Stamps
from vtn.store.tables import endpoints, reports, resources, subscriptions, vens
from vtn.store.types import before_slash

_MOST_LISTED: Final = 20
_REPORT_NAME: Final = re.compile(r'"reportName":("(?:[^"\\]|\\.)*")')


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFacts:
    """A resource or circuit. ``power_kw`` is the mean power of its latest reading, which ended at ``read_at``."""

    id: str
    name: str
    description: str | None
    targets: tuple[str, ...]
    is_critical: bool
    rated_kw: float | None
    sheddable_kw: float | None
    power_kw: float | None
    read_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOfVen:
    """Hold what a VEN, with all panels behind it, answered to an event and did in it. What is not known is None."""

    opted_in: int
    opted_out: int
    reason: str | None
    requested_kw: float | None
    delivered_kw: float | None
    delivered_kwh: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportListed:
    """A report by its name and its times."""

    id: str
    name: str | None
    event_id: str
    client_name: str
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookListed:
    """A place that a VEN is told of changes at, and how that goes."""

    subscription_id: str
    client_name: str
    objects: tuple[str, ...]
    url: str
    failures: int
    is_broken: bool
    last_success_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Belongings:
    """Hold how much there is of a VEN beside it."""

    resources: int
    reports: int
    subscriptions: int


class _Attributes(msgspec.Struct, frozen=True):
    attributes: tuple[ValuesMap, ...] | None = None


class VenFactStore:
    """Reads what the page of one VEN shows, each part by one statement."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def resources(
        self, ven_id: str, *, panel: str | None = None, skip: int = 0, limit: int = 50
    ) -> list[ResourceFacts]:
        """Return a page of its resources by their names; of one panel its circuits."""
        c = resources.c
        its: list[ColumnElement[bool]] = [c.ven_id == ven_id]
        if panel is not None:
            its.append(before_slash(c.name) == panel)
        metered = and_(meters.c.client_id == c.client_id, meters.c.resource == c.name)
        statement = (
            select(
                *(c[name] for name in ("id", "name", "targets", "members")),
                rated_kw(c.members).label("rated_kw"),
                resource_kw(c.members).label("sheddable_kw"),
                attribute_is_true(c.members, literal("CRITICAL")).label("is_critical"),
                meters.c.latest_kw,
                meters.c.latest_ends_at_ms,
            )
            .select_from(resources.outerjoin(meters, metered))
            .where(*its)
            .order_by(c.name, c.id)
            .limit(limit)
            .offset(skip)
        )
        return [_resource(row) for row in await self._database.rows(statement)]

    async def answers(self, client_id: str, event_ids: Collection[str]) -> Mapping[str, AnswerOfVen]:
        """Return what a client answered to events and did in them, by their ids."""
        if not event_ids:
            return {}
        at_ms = in_ms(datetime.fromisoformat(self._stamps.now))
        opts = event_opts.c
        said = await self._database.rows(
            select(
                opts.event_id,
                func.count().filter(opts.opted_in).label("opted_in"),
                func.count().filter(~opts.opted_in).label("opted_out"),
                func.max(opts.reason).label("reason"),
            )
            .where(opts.event_id.in_(event_ids), opts.client_id == client_id, opts.is_participant)
            .group_by(opts.event_id)
        )
        mine = and_(event_sheds.c.event_id.in_(event_ids), event_sheds.c.client_id == client_id)
        done = sums_where(mine, at_ms, at_ms).subquery("done")
        joined, powers = current_powers(done, at_ms)
        names = ("requested_kw", "delivered_kw", "delivered_kwh")
        sums = await self._database.rows(
            select(done.c.event_id, *(func.sum(powers.get(name, done.c[name])).label(name) for name in names))
            .select_from(joined)
            .group_by(done.c.event_id)
        )
        did = {row["event_id"]: {name: rounded(row[name]) for name in names} for row in sums}
        nothing = dict.fromkeys(names)
        opted = {row["event_id"]: row for row in said}
        return {
            event_id: AnswerOfVen(
                opted_in=opted[event_id]["opted_in"] if event_id in opted else 0,
                opted_out=opted[event_id]["opted_out"] if event_id in opted else 0,
                reason=opted[event_id]["reason"] if event_id in opted else None,
                **did.get(event_id, nothing),
            )
            for event_id in opted.keys() | did.keys()
        }

    async def reports(self, client_id: str, *, limit: int = _MOST_LISTED) -> list[ReportListed]:
        """Return the newest reports of a client."""
        c = reports.c
        newest = (
            select(
                c.id,
                c.event_id,
                c.client_name,
                c.created_at,
                c.modified_at,
                func.substr(c.members, 1, 4096).label("beginning"),
            )
            .where(c.client_id == client_id)
            .order_by(c.created_at.desc(), c.id.desc())
            .limit(limit)
        )
        return [_report(row) for row in await self._database.rows(newest)]

    async def webhooks(self, client_id: str) -> list[WebhookListed]:
        """Return the places that a client is told of changes at, the oldest subscription first."""
        c = endpoints.c
        rows = await self._database.rows(
            select(
                subscriptions.c.id,
                subscriptions.c.client_name,
                subscriptions.c.objects,
                *(c[name] for name in ("url", "failures", "broken_at", "last_success_at", "last_error")),
            )
            .select_from(WEBHOOKS)
            .where(subscriptions.c.client_id == client_id)
            .order_by(subscriptions.c.created_at, c.id)
            .limit(_MOST_LISTED)
        )
        return [
            WebhookListed(
                subscription_id=row["id"],
                client_name=row["client_name"],
                objects=tuple(row["objects"]),
                url=row["url"],
                failures=row["failures"],
                is_broken=row["broken_at"] is not None,
                last_success_at=instant(row["last_success_at"]),
                last_error=row["last_error"],
            )
            for row in rows
        ]

    async def belongings(self, ven_id: str, client_id: str) -> Belongings:
        """Return how many resources, reports and subscriptions a VEN has."""
        counted = [
            select(func.count().label("number")).select_from(table).where(clause)
            for table, clause in (
                (resources, resources.c.ven_id == ven_id),
                (reports, reports.c.client_id == client_id),
                (subscriptions, subscriptions.c.client_id == client_id),
            )
        ]
        row = await self._database.row(select(*(each.scalar_subquery() for each in counted)))
        return Belongings(*(row.values() if row is not None else (0, 0, 0)))

    async def subscription_ids(self, client_id: str) -> Sequence[str]:
        """Return the ids of a client's subscriptions."""
        its = select(subscriptions.c.id).where(subscriptions.c.client_id == client_id).order_by(subscriptions.c.id)
        return [row["id"] for row in await self._database.rows(its)]

    async def has_come(self, ven_id: str) -> bool:
        """Return True once a VEN has done something itself: it has a resource, or its ven was written again."""
        theirs = select(resources.c.ven_id).where(resources.c.ven_id == ven_id)
        again = select(vens.c.id).where(vens.c.id == ven_id, vens.c.modified_at > vens.c.created_at)
        return await self._database.row(union_all(theirs, again).limit(1)) is not None


def _resource(row: Mapping[Any, Any]) -> ResourceFacts:
    return ResourceFacts(
        id=row["id"],
        name=row["name"],
        description=_description(row["members"]),
        targets=tuple(row["targets"]),
        is_critical=bool(row["is_critical"]),
        rated_kw=row["rated_kw"],
        sheddable_kw=rounded(row["sheddable_kw"]),
        power_kw=rounded(row["latest_kw"]),
        read_at=known_from_ms(row["latest_ends_at_ms"]),
    )


def _description(members: str) -> str | None:
    try:
        said = msgspec.json.decode(f"{{{members}}}", type=_Attributes).attributes or ()
    except msgspec.DecodeError:  # one that an earlier version stored says nothing
        return None
    found = [str(each.values[0]) for each in said if each.type == Attribute.DESCRIPTION and each.values]
    return found[0] if found else None


def _report(row: Mapping[Any, Any]) -> ReportListed:
    named = _REPORT_NAME.search(row["beginning"])
    return ReportListed(
        id=row["id"],
        name=None if named is None else str(msgspec.json.decode(named[1])),
        event_id=row["event_id"],
        client_name=row["client_name"],
        created_at=datetime.fromisoformat(row["created_at"]),
        modified_at=datetime.fromisoformat(row["modified_at"]),
    )
