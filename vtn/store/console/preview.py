"""Find who an event will reach before it is issued, and why others do not get it: set by set, never VEN by VEN.

It is the rule of ``vtn/access.py`` in the form of sets, as ``outbox/recipients.py`` is for notifications:
``tests/vtn/console/test_preview.py`` compares it with what a GET shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from sqlalchemy import (
    ColumnElement,
    RowMapping,
    Select,
    TableValuedAlias,
    and_,
    case,
    cast,
    column,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
    union,
    values,
)

from openadr_profiles.fleet.recipients import Recipient
from openadr_profiles.ven_20b import CLIENT_PREFIX
from vtn.settings import Privacy
from vtn.store.audience import holders, holding
from vtn.store.database import Database
from vtn.store.large import WITH_PAGE_BYTES, shown_within
from vtn.store.outbox.rows import Push
from vtn.store.rows import ObjectRow
from vtn.store.stamps import Stamps, stamp
from vtn.store.tables import broker_accounts, clients, contacts, endpoints, events, resources, vens
from vtn.store.types import KEY
from vtn.store.v20b.event_tables import oadr20b_opts
from vtn.store.v20b.tables import oadr20b_vens

MOST_OTHERS: Final = 1000
"""Events that a new one is compared with: the newest that are not over when it begins."""
_DAY: Final = timedelta(days=1)

NOT_TOLD: Final[Mapping[str, str]] = {
    "HIDDEN": "holds no target of the program, so the event is hidden from it",
    "SUSPENDED": "its client is suspended",
    "DISABLED": "it is disabled for OpenADR 2.0b",
    "UNREGISTERED": "it is not registered for OpenADR 2.0b",
    "NO_FORM": "the event has no form in OpenADR 2.0b",
}
"""Why a VEN does not get the event."""
DOUBTFUL: Final[Mapping[str, str]] = {
    "NEVER_SEEN": "it was never heard of",
    "UNSEEN": "it was not heard of for more than a day",
    "OPTS_OUT": "it has announced times of opting out that are not over",
    "NO_RESOURCES": "it has no resources, so it may have nothing to act with",
}
"""Why a VEN that gets the event may not act on it."""
LANGUAGES: Final = ("3.1", "3.0.1", "2.0b", "unknown")
CHANNELS: Final = ("webhook", "MQTT", "push", "poll")


class Audience(Struct, frozen=True, kw_only=True):
    """Hold whom an event is for: its targets (none: everybody), those of its program, and its times.

    ``has_20b_form`` is False if VENs of 2.0b cannot be told of it.
    """

    targets: tuple[str, ...]
    program_targets: tuple[str, ...] = ()
    starts_at: datetime
    has_20b_form: bool = True


class AudienceTotals(Struct, frozen=True, kw_only=True):
    """Count VENs that get an event, by reason, language and channel; ``kw`` is what those who get it say they can shed.

    ``kw_unknown`` counts those who get it and do not say. ``panels`` are resources of bridges.
    """

    vens: int = 0
    chosen: int = 0
    told: int = 0
    kw: Decimal = Decimal(0)
    kw_unknown: int = 0
    panels: int = 0
    told_20b: int = 0
    reasons: Mapping[str, int] = {}
    languages: Mapping[str, int] = {}
    channels: Mapping[str, int] = {}

    @property
    def kw_known(self) -> Decimal | None:
        """Return what those who say so can shed, in kW; None if nobody says."""
        return None if self.kw_unknown == self.told else self.kw


class AudienceVen(Struct, frozen=True, kw_only=True):
    """A VEN that an event is for; ``reason`` is of NOT_TOLD or DOUBTFUL, None if nothing is in the way."""

    ven_id: str
    name: str
    language: str
    channel: str
    heard_at: datetime | None
    resources: int
    kw: Decimal | None
    reason: str | None

    @property
    def is_told(self) -> bool:
        """Return True if it gets the event."""
        return self.reason not in NOT_TOLD


class AudienceStore:
    """Reads who an event is for."""

    def __init__(self, database: Database, stamps: Stamps, privacy: Privacy, *, names: bool) -> None:
        self._database = database
        self._stamps = stamps
        self._privacy = privacy
        self._names = names
        self._sqlite = database.is_sqlite

    async def totals(self, audience: Audience) -> AudienceTotals:
        """Return how many get an event, and why others do not."""
        facts = self._facts(audience).subquery("facts")
        key = (facts.c.reason, facts.c.language, facts.c.channel)
        counted = (
            func.count().label("vens"),
            func.sum(facts.c.shed_w).label("w"),
            func.count(facts.c.shed_w).label("known"),
            func.sum(facts.c.panels).label("panels"),
        )
        all_vens = select(func.count()).select_from(vens).scalar_subquery().label("all_vens")
        rows = await self._database.rows(select(*key, *counted, all_vens).group_by(*key))
        if not rows:
            row = await self._database.row(select(all_vens))
            return AudienceTotals(vens=0 if row is None else row["all_vens"])
        return _totals(rows)

    async def page(
        self, audience: Audience, *, reason: str | None = None, skip: int = 0, limit: int = 50
    ) -> list[AudienceVen]:
        """Return VENs that the event is for, by name; of one ``reason``, or of NONE for those without any."""
        facts = self._facts(audience).subquery("facts")
        chosen = select(facts).order_by(facts.c.name).limit(limit).offset(skip)
        if reason is not None:
            chosen = chosen.where(facts.c.reason.is_(None) if reason == "NONE" else facts.c.reason == reason)
        return [_ven(row) for row in await self._database.rows(chosen)]

    async def recipients(self, audience: Audience) -> list[Recipient]:
        """Return all VENs that get an event with what each can shed, to share a total out."""
        facts = self._facts(audience).subquery("facts")
        not_told = facts.c.reason.in_(tuple(NOT_TOLD))
        chosen = select(facts.c.ven_id, facts.c.name, facts.c.shed_w).order_by(facts.c.name)
        rows = await self._database.rows(chosen.where(or_(facts.c.reason.is_(None), ~not_told)))
        return [Recipient(row["ven_id"], row["name"], _kw(row["shed_w"])) for row in rows]

    async def others(self, *, since: datetime, until: datetime | None) -> list[ObjectRow]:
        """Return the newest events that last into a time, small ones, at most MOST_OTHERS; ``until`` None: open."""
        its = events.c
        chosen = (
            select(*shown_within(events, WITH_PAGE_BYTES))
            .where(or_(its.ends_at.is_(None), its.ends_at > max(self._stamps.now, stamp(since))))
            .where(its.cancelled_at.is_(None))
            .order_by(its.created_at.desc(), its.id.desc())
            .limit(MOST_OTHERS)
        )
        if until is not None:
            chosen = chosen.where(or_(its.starts_at.is_(None), its.starts_at < stamp(until)))
        rows = await self._database.rows(chosen)
        return [
            ObjectRow(row["id"], row["created_at"], row["modified_at"], row["members"], tuple(row["targets"] or ()))
            for row in rows
            if row["members"] is not None
        ]

    async def shared(self, audience: Audience, others: Mapping[str, Sequence[str]]) -> dict[str, int]:
        """Return how many VENs of an event are those of other events, too, by the ids of these; ``others`` by targets.

        None of the others may be for everybody: those share all.
        """
        pairs = [(event_id, target) for event_id, targets in others.items() for target in targets]
        if not pairs:
            return {}
        wanted = values(column("event_id", KEY), column("target", KEY), name="wanted_pairs").data(pairs).cte("wanted")
        listed = select(wanted.c.target).scalar_subquery()
        held: list[Any] = []
        for table, ven_id, source in holders():
            each = elements(self._sqlite, table.c.targets, f"each_{table.name}")
            held.append(
                select(ven_id.label("ven_id"), cast(each.c.value, KEY).label("target"))
                .select_from(source.join(each, true()))
                .where(cast(each.c.value, KEY).in_(listed))
            )
        held.append(select(vens.c.id, vens.c.id).where(vens.c.id.in_(listed)))
        grants = union(*held).subquery("grants")
        named = self._named(audience.targets).subquery("named")
        statement = (
            select(wanted.c.event_id, func.count(grants.c.ven_id.distinct()).label("vens"))
            .select_from(
                wanted.join(grants, grants.c.target == wanted.c.target).join(named, named.c.ven_id == grants.c.ven_id)
            )
            .group_by(wanted.c.event_id)
        )
        return {row["event_id"]: row["vens"] for row in await self._database.rows(statement)}

    async def ven(self, ven_id: str) -> AudienceVen | None:
        """Return a VEN as an event for it alone sees it; None if there is none."""
        audience = Audience(targets=(ven_id,), starts_at=datetime.fromisoformat(self._stamps.now))
        facts = self._facts(audience, everybody=vens.c.id == ven_id).subquery("facts")
        row = await self._database.row(select(facts))
        return None if row is None else _ven(row)

    def _named(self, targets: Sequence[str]) -> Any:
        """Select the ids of vens that hold one of these targets; all if there are none (PRIV-006)."""
        if not targets:
            return select(vens.c.id.label("ven_id"))
        return holding(targets, self._privacy, names=self._names)

    def _facts(self, audience: Audience, *, everybody: ColumnElement[bool] | None = None) -> Select[Any]:
        """Select the vens that an event is for, how each is reached, what it can shed, and what is in the way."""
        now = self._stamps.now
        unseen = self._stamps.ago(_DAY)
        c, of_20b = vens.c, oadr20b_vens.c
        is_20b = c.client_id.startswith(CLIENT_PREFIX)
        its = (
            select(
                resources.c.ven_id,
                func.count().label("resources"),
                func.sum(resources.c.shed_w).label("shed_w"),
                func.sum(case((resources.c.name.contains("/"), 1), else_=0)).label("circuits"),
            )
            .group_by(resources.c.ven_id)
            .subquery("its")
        )
        hook = select(endpoints.c.client_id).where(
            endpoints.c.push == str(Push.WEBHOOK), endpoints.c.broken_at.is_(None), endpoints.c.client_id.is_not(None)
        )
        language = case(
            (is_20b, "2.0b"),
            (contacts.c.protocol.startswith("OpenADR 3.0"), "3.0.1"),
            (contacts.c.protocol.startswith("OpenADR 3.1"), "3.1"),
            else_="unknown",
        )
        channel = case(
            (and_(is_20b, of_20b.push_url.is_not(None)), "push"),
            (is_20b, "poll"),
            (c.client_id.in_(hook), "webhook"),
            (broker_accounts.c.ven_id.is_not(None), "MQTT"),
            else_="poll",
        )
        opts = exists().where(
            oadr20b_opts.c.ven_id == c.id,
            oadr20b_opts.c.event_id.is_(None),
            oadr20b_opts.c.cancelled_at.is_(None),
            oadr20b_opts.c.opt_type == "optOut",
            oadr20b_opts.c.ends_at > max(now, stamp(audience.starts_at)),
        )
        hidden: ColumnElement[bool] = false()
        if audience.program_targets and self._privacy.events_follow_program:
            hidden = c.id.not_in(self._named(audience.program_targets))
        reason = case(
            (hidden, "HIDDEN"),
            (func.coalesce(clients.c.suspended, false()), "SUSPENDED"),
            (and_(is_20b, func.coalesce(of_20b.is_disabled, false())), "DISABLED"),
            (and_(is_20b, of_20b.registration_id.is_(None)), "UNREGISTERED"),
            (and_(is_20b, literal(not audience.has_20b_form)), "NO_FORM"),
            (contacts.c.heard_at.is_(None), "NEVER_SEEN"),
            (contacts.c.heard_at < unseen, "UNSEEN"),
            (opts, "OPTS_OUT"),
            (its.c.resources.is_(None), "NO_RESOURCES"),
            else_=null(),
        )
        joined = (
            vens.outerjoin(its, its.c.ven_id == c.id)
            .outerjoin(contacts, contacts.c.client_id == c.client_id)
            .outerjoin(clients, clients.c.client_id == c.client_id)
            .outerjoin(oadr20b_vens, of_20b.ven_id == c.id)
            .outerjoin(broker_accounts, broker_accounts.c.ven_id == c.id)
        )
        found = select(
            c.id.label("ven_id"),
            c.name,
            language.label("language"),
            channel.label("channel"),
            contacts.c.heard_at,
            func.coalesce(its.c.resources, 0).label("resources"),
            func.coalesce(its.c.shed_w, c.max_w).label("shed_w"),
            case((its.c.circuits > 0, its.c.resources - its.c.circuits), else_=0).label("panels"),
            reason.label("reason"),
        ).select_from(joined)
        if everybody is not None:
            return found.where(everybody)
        return found.where(c.id.in_(self._named(audience.targets))) if audience.targets else found


def _totals(rows: Sequence[RowMapping]) -> AudienceTotals:
    reasons: dict[str, int] = {}
    languages: dict[str, int] = {}
    channels: dict[str, int] = {}
    told = told_20b = known = panels = watts = 0
    for row in rows:
        count = row["vens"]
        if row["reason"] is not None:
            reasons[row["reason"]] = reasons.get(row["reason"], 0) + count
        if row["reason"] in NOT_TOLD:
            continue
        told += count
        told_20b += count if row["language"] == "2.0b" else 0
        known += row["known"]
        panels += row["panels"] or 0
        watts += int(row["w"] or 0)
        languages[row["language"]] = languages.get(row["language"], 0) + count
        channels[row["channel"]] = channels.get(row["channel"], 0) + count
    return AudienceTotals(
        vens=rows[0]["all_vens"],
        chosen=sum(row["vens"] for row in rows),
        told=told,
        kw=_kw(watts) or Decimal(0),
        kw_unknown=told - known,
        panels=panels,
        told_20b=told_20b,
        reasons=reasons,
        languages=languages,
        channels=channels,
    )


def elements(sqlite: bool, listed: ColumnElement[Any], name: str) -> TableValuedAlias:
    """Return the elements of a list as rows with one column, ``value``."""
    if sqlite:
        return func.json_each(listed).table_valued("value", name=name)
    return func.unnest(listed).table_valued("value", name=name).render_derived(name=name)


def _ven(row: RowMapping) -> AudienceVen:
    heard_at = row["heard_at"]
    return AudienceVen(
        ven_id=row["ven_id"],
        name=row["name"],
        language=row["language"],
        channel=row["channel"],
        heard_at=None if heard_at is None else datetime.fromisoformat(heard_at),
        resources=row["resources"],
        kw=_kw(row["shed_w"]),
        reason=row["reason"],
    )


def _kw(watts: Any) -> Decimal | None:
    return None if watts is None else Decimal(int(watts)) / 1000
