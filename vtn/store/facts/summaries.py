"""Count for many events at once, as a list of events shows them: one statement for reports, one for audiences.

Events with the same targets have the same audience, which is counted once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import (
    CTE,
    ColumnElement,
    Integer,
    Select,
    Subquery,
    and_,
    case,
    distinct,
    func,
    literal,
    literal_column,
    select,
    union,
)

from vtn.settings import Privacy
from vtn.store.database import Database
from vtn.store.facts.instants import in_ms
from vtn.store.facts.parts import counted, current_powers, sums_where
from vtn.store.facts.results import EventSummary, instant, rounded
from vtn.store.facts.tables import event_opts, event_sheds, read_reports
from vtn.store.tables import events, programs, resources, vens
from vtn.store.types import elements

_Audience: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""The targets of an event, and those of its program."""


async def summaries_of(
    database: Database, event_ids: Collection[str], *, at: datetime, privacy: Privacy, names: bool
) -> Mapping[str, EventSummary]:
    """Return the numbers of events by their ids; ids that are no event are left out."""
    if not event_ids:
        return {}
    ids = sorted(set(event_ids))
    opts = (
        select(
            event_opts.c.event_id,
            func.count().label("answered"),
            counted(event_opts.c.opted_in).label("opted_in"),
            counted(~event_opts.c.opted_in).label("opted_out"),
        )
        .where(event_opts.c.event_id.in_(ids), event_opts.c.is_participant)
        .group_by(event_opts.c.event_id)
        .subquery("opts")
    )
    at_ms = in_ms(at)
    each = sums_where(event_sheds.c.event_id.in_(ids), at_ms, at_ms).subquery("each")
    joined_each, powers = current_powers(each, at_ms)
    done = (
        select(
            each.c.event_id,
            func.count().label("reporting"),
            counted(func.coalesce(powers["delivered_kw"] > 0, literal_column("false"))).label("delivering"),
            func.sum(powers["requested_kw"]).label("requested_kw"),
            func.sum(powers["delivered_kw"]).label("delivered_kw"),
        )
        .select_from(joined_each)
        .group_by(each.c.event_id)
        .subquery("done")
    )
    last = (
        select(read_reports.c.event_id, func.max(read_reports.c.changed_at).label("last_report"))
        .where(read_reports.c.event_id.in_(ids))
        .group_by(read_reports.c.event_id)
        .subquery("last")
    )
    its = [opts, done, last]
    joined: Any = events
    for part in its:
        joined = joined.outerjoin(part, part.c.event_id == events.c.id)
    joined = joined.join(programs, programs.c.id == events.c.program_id)
    columns = [column for part in its for column in part.c if column.key != "event_id"]
    targets = (events.c.targets, programs.c.targets.label("program_targets"))
    rows = await database.rows(select(events.c.id, *targets, *columns).select_from(joined).where(events.c.id.in_(ids)))
    audiences = {row["id"]: (tuple(row["targets"]), tuple(row["program_targets"])) for row in rows}
    counts = await _counts(database, audiences, privacy, names=names)
    return {row["id"]: _summary(row, counts[audiences[row["id"]]]) for row in rows}


async def _counts(
    database: Database, audiences: Mapping[str, _Audience], privacy: Privacy, *, names: bool
) -> Mapping[_Audience, int]:
    """Return how many vens see the events of each audience: they are counted for one event of each."""
    one_of_each = {audience: event_id for event_id, audience in audiences.items()}
    if not one_of_each:
        return {}
    targeted = _targeted(list(one_of_each.values()), privacy, names=names, sqlite=database.is_sqlite)
    everybody = select(func.count()).select_from(vens).scalar_subquery()
    is_public = events.c.targets == ()
    if privacy.events_follow_program:
        is_public = and_(is_public, programs.c.targets == ())
    count = case((is_public, everybody), else_=func.coalesce(targeted.c.targeted, 0)).label("targeted")
    joined = events.join(programs, programs.c.id == events.c.program_id).outerjoin(
        targeted, targeted.c.event_id == events.c.id
    )
    ids = events.c.id.in_(one_of_each.values())
    found = {
        row["id"]: row["targeted"]
        for row in await database.rows(select(events.c.id, count).select_from(joined).where(ids))
    }
    return {audience: found.get(event_id, 0) for audience, event_id in one_of_each.items()}


def _targeted(ids: Collection[str], privacy: Privacy, *, names: bool, sqlite: bool) -> Subquery:
    """Select the number of vens that see each of these events, of those that have targets or whose program has."""
    wanted = [_wanted(ids, events, 1, sqlite=sqlite)]
    parts: ColumnElement[int] = case((events.c.targets != (), 1), else_=0)
    if privacy.events_follow_program:
        wanted.append(_wanted(ids, programs, 2, sqlite=sqlite))
        parts = parts + case((programs.c.targets != (), 1), else_=0)
    asked = union(*wanted).cte("asked")
    held = _held(privacy, names=names, sqlite=sqlite)
    needed = (
        select(events.c.id, parts.label("parts"))
        .join(programs, programs.c.id == events.c.program_id)
        .where(events.c.id.in_(ids))
        .cte("needed")
    )
    seen = (
        select(asked.c.event_id, held.c.ven_id)
        .select_from(asked.join(held, held.c.target == asked.c.target).join(needed, needed.c.id == asked.c.event_id))
        .group_by(asked.c.event_id, held.c.ven_id, needed.c.parts)
        .having(func.count(distinct(asked.c.part)) == needed.c.parts)
        .subquery("seen")
    )
    return select(seen.c.event_id, func.count().label("targeted")).group_by(seen.c.event_id).subquery("targeted")


def _wanted(ids: Collection[str], table: Any, part: int, *, sqlite: bool) -> Select[Any]:
    """Select (event id, part, target) of the targets of events, or of their programs."""
    of = elements(table.c.targets, f"wanted_{table.name}", sqlite=sqlite)
    source = events.join(programs, programs.c.id == events.c.program_id).join(of, literal(value=True))
    number: ColumnElement[int] = literal_column(str(part), Integer).label("part")
    return (
        select(events.c.id.label("event_id"), number, of.c.value.label("target"))
        .select_from(source)
        .where(events.c.id.in_(ids))
    )


def _held(privacy: Privacy, *, names: bool, sqlite: bool) -> CTE:
    """Select (ven id, target) of all that vens hold: the rule of ``visibility.grants`` for all clients at once."""
    its = and_(vens.c.id == resources.c.ven_id, vens.c.client_id == resources.c.client_id)
    held = []
    for table, source, ven_id in (
        (vens, vens, vens.c.id),
        (resources, resources.join(vens, its), resources.c.ven_id),
    ):
        of = elements(table.c.targets, f"held_by_{table.name}", sqlite=sqlite)
        joined = source.join(of, literal(value=True))
        held.append(select(ven_id.label("ven_id"), of.c.value.label("target")).select_from(joined))
        if names:
            named = select(ven_id.label("ven_id"), table.c.name.label("target")).select_from(source)
            held.append(named.where(table.c.named_by_bl))
    if privacy.implicit_ven_id_target:
        held.append(select(vens.c.id.label("ven_id"), vens.c.id.label("target")))
    return union(*held).cte("held")


def _summary(row: Mapping[Any, Any], targeted: int) -> EventSummary:
    return EventSummary(
        event_id=row["id"],
        targeted=targeted,
        answered=row["answered"] or 0,
        opted_in=row["opted_in"] or 0,
        opted_out=row["opted_out"] or 0,
        reporting=row["reporting"] or 0,
        delivering=row["delivering"] or 0,
        requested_kw=rounded(row["requested_kw"]),
        delivered_kw=rounded(row["delivered_kw"]),
        last_report=instant(row["last_report"]),
    )
