"""Write the participants of an event as SQL: a ven, or each panel behind a bridge, with what each said and did.

It is the rule of ``openadr_profiles/fleet/status.py`` in the form of sets; ``tests/vtn/facts/test_agreement.py``
compares them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    Label,
    Select,
    Subquery,
    and_,
    case,
    func,
    literal,
    literal_column,
    null,
    or_,
    select,
)

from openadr_profiles.v31 import AGGREGATED_REPORT
from vtn.store.facts.instants import from_ms
from vtn.store.facts.results import FunnelStep
from vtn.store.facts.tables import event_opts, event_sheds, read_reports
from vtn.store.stamps import stamp
from vtn.store.tables import contacts, events, vens

_MS_PER_HOUR: Final = 3_600_000.0


class EventMoment(NamedTuple):
    """Name an event and the moment at which it is looked at, with the stamp of its last change.

    ``is_over`` says that it is completed or cancelled then.
    """

    event_id: str
    at_ms: int
    until_ms: int
    changed_at: str
    is_over: bool


def participants_of(moment: EventMoment, sees: ColumnElement[bool]) -> Subquery:
    """Select the participants of an event among the vens for which ``sees`` is true, with the columns of a table."""
    audience = (
        select(vens.c.id.label("ven_id"), vens.c.name.label("ven_name"), vens.c.client_id, contacts.c.heard_at)
        .select_from(vens.outerjoin(contacts, contacts.c.client_id == vens.c.client_id))
        .where(sees)
        .cte("audience")
    )
    opts = (
        select(event_opts)
        .where(event_opts.c.event_id == moment.event_id, event_opts.c.is_participant)
        .cte("participant_opts")
    )
    done = sums_of(moment).cte("done")
    sources = (
        select(
            read_reports.c.client_id,
            func.count().label("reports"),
            func.max(read_reports.c.changed_at).label("last_report"),
        )
        .where(read_reports.c.event_id == moment.event_id)
        .group_by(read_reports.c.client_id)
        .cte("sources")
    )
    total = func.coalesce(opts.c.resource, AGGREGATED_REPORT)
    joined = (
        audience.outerjoin(opts, opts.c.client_id == audience.c.client_id)
        .outerjoin(done, and_(done.c.client_id == audience.c.client_id, done.c.resource == total))
        .outerjoin(sources, sources.c.client_id == audience.c.client_id)
    )
    has_ended = literal_column("false") if moment.is_over else done.c.holds == 0
    panel = case((opts.c.resource == AGGREGATED_REPORT, null()), else_=opts.c.resource)
    current = is_current(done, opts.c.opted_in, literal_column("true" if moment.is_over else "false"))
    is_heard = or_(
        func.coalesce(audience.c.heard_at >= moment.changed_at, literal_column("false")),
        opts.c.resource.is_not(None),
        func.coalesce(sources.c.last_report >= moment.changed_at, literal_column("false")),
    )
    return (
        select(
            *audience.c,
            panel.label("panel"),
            func.coalesce(panel, audience.c.ven_name).label("name"),
            is_heard.label("is_heard"),
            opts.c.resource.is_not(None).label("answered"),
            opts.c.opted_in,
            opts.c.reason,
            opts.c.state.label("opt_state"),
            opts.c.decided_at_ms,
            done.c.resource.is_not(None).label("reporting"),
            has_ended.label("has_ended"),
            *(done.c[name] for name in _DONE if name not in _POWERS),
            *(case((current, done.c[name])).label(name) for name in _POWERS),
            func.coalesce(sources.c.reports, 0).label("reports"),
            sources.c.last_report,
        )
        .select_from(joined)
        .subquery("participants")
    )


def sums_of(moment: EventMoment) -> Select[Any]:
    """Select what each participant of an event did: powers of the interval that is shown, and energies until now.

    The interval that is shown is the one that holds, else the last one that has begun.
    """
    return sums_where(event_sheds.c.event_id == moment.event_id, moment.at_ms, moment.until_ms)


def sums_where(which: ColumnElement[bool], at_ms: int, until_ms: int) -> Select[Any]:
    """Select the same for the participants of any events. An interval without an end ends with an opt-out.

    Both databases go once through an index that has all of it in order, and then look up the interval that is shown:
    a window over all intervals took twice as long.
    """
    its, said = event_sheds.c, event_opts.c
    key = (its.event_id, its.client_id, its.resource)
    begun = its.starts_at_ms <= at_ms
    is_out = and_(
        *(its[column.key] == said[column.key] for column in key),
        said.opted_in.is_(literal_column("false")),
        its.ends_at_ms.is_(None),
    )
    ends: ColumnElement[Any] = func.coalesce(its.ends_at_ms, said.decided_at_ms, until_ms)
    ends = case((ends > until_ms, until_ms), else_=ends)
    hours = case((ends > its.starts_at_ms, (ends - its.starts_at_ms) / literal(_MS_PER_HOUR)), else_=literal(0.0))

    def energy(name: str) -> Label[Any]:
        return func.sum(case((begun, its[name] * hours))).label(f"{name.removesuffix('_kw')}_kwh")

    summed = (
        select(
            *key,
            func.max(case((begun, its.starts_at_ms))).label("last_ms"),
            energy("requested_kw"),
            energy("delivered_kw"),
        )
        .select_from(event_sheds.outerjoin(event_opts, is_out))
        .where(which, its.is_total)
        .group_by(*key)
        .subquery("summed")
    )
    shown = event_sheds.alias("shown")
    same = (shown.c[column.key] == summed.c[column.key] for column in key)
    is_shown = and_(*same, shown.c.starts_at_ms == summed.c.last_ms, shown.c.is_total)
    holds = or_(shown.c.ends_at_ms.is_(None), shown.c.ends_at_ms > at_ms)
    return select(
        *(summed.c[column.key] for column in key),
        case((summed.c.last_ms.is_(None), 0), else_=1).label("has_begun"),
        case((shown.c.event_id.is_(None), null()), (holds, 1), else_=0).label("holds"),
        *(shown.c[name] for name in _POWERS),
        shown.c.state.label("operating_state"),
        summed.c.requested_kwh,
        summed.c.delivered_kwh,
    ).select_from(summed.outerjoin(shown, is_shown))


_POWERS: Final = ("requested_kw", "baseline_kw", "demand_kw", "delivered_kw")
_DONE: Final = ("has_begun", *_POWERS, "operating_state", "requested_kwh", "delivered_kwh")


def is_current(done: FromClause, opted_in: ColumnElement[Any], is_over: ColumnElement[bool]) -> ColumnElement[bool]:
    """Return a clause for sums whose powers are to be shown: of an interval that holds, or the last of an event.

    Powers of a participant that has opted out are history: they are shown at no time.
    """
    return and_(or_(is_over, done.c.holds == 1), opted_in.is_not(literal_column("false")))


def current_powers(done: Subquery, at_ms: int) -> tuple[FromClause, Mapping[str, ColumnElement[Any]]]:
    """Return sums of ``sums_where`` joined with what decides whether they are current, and the powers that are."""
    now = stamp(from_ms(at_ms))
    its = (event_opts.c.event_id, event_opts.c.client_id, event_opts.c.resource)
    same = and_(*(column == done.c[column.key] for column in its))
    joined = done.join(events, events.c.id == done.c.event_id).outerjoin(event_opts, same)
    is_over = or_(events.c.cancelled_at.is_not(None), func.coalesce(events.c.ends_at <= now, literal_column("false")))
    current = is_current(done, event_opts.c.opted_in, is_over)
    return joined, {name: case((current, done.c[name])) for name in _POWERS}


def took(step: FunnelStep, participants: Subquery) -> ColumnElement[bool] | None:
    """Return a clause for the participants that took a step, or did not; None for all of them."""
    its = participants.c
    delivers = func.coalesce(its.delivered_kw > 0, literal_column("false"))
    clauses: dict[FunnelStep, ColumnElement[bool]] = {
        FunnelStep.HEARD: its.is_heard,
        FunnelStep.NOT_HEARD: ~its.is_heard,
        FunnelStep.ANSWERED: its.answered,
        FunnelStep.NOT_ANSWERED: ~its.answered,
        FunnelStep.OPTED_IN: its.opted_in.is_(True),
        FunnelStep.OPTED_OUT: its.opted_in.is_(False),
        FunnelStep.REPORTING: its.reporting,
        FunnelStep.NOT_REPORTING: ~its.reporting,
        FunnelStep.DELIVERING: delivers,
        FunnelStep.NOT_DELIVERING: ~delivers,
    }
    return clauses.get(step)


def counted(clause: ColumnElement[bool] | None) -> ColumnElement[int]:
    """Return the number of rows for which a clause is true."""
    if clause is None:
        return func.count()
    return func.coalesce(func.sum(case((clause, literal_column("1", Integer)), else_=literal_column("0", Integer))), 0)
