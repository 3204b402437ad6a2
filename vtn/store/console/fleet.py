"""The fleet as one list: VENs of every language, and the panels behind bridges, a page at a time by one statement.

A bridge names the resources of its panels ``<panel>`` and ``<panel>/<circuit>``: a resource with circuits is a panel.
What a page shows of each row is looked up for the rows of that page only.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    null,
    or_,
    select,
    union_all,
)

from openadr_profiles.fleet.problems import ProblemKind
from vtn.store.attributes import rated_kw, resource_kw
from vtn.store.console.fleet_problems import FAILING, WEBHOOKS, problem_clause
from vtn.store.console.fleet_rows import (
    ANY_PROBLEM,
    LANGUAGES,
    PANEL,
    FleetCounts,
    FleetOrder,
    FleetPage,
    FleetQuery,
    row_of,
)
from vtn.store.database import Database
from vtn.store.facts.fleet import RECENT
from vtn.store.facts.instants import in_ms
from vtn.store.facts.tables import meters
from vtn.store.stamps import Stamps
from vtn.store.tables import broker_logins, clients, contacts, endpoints, reports, resources, subscriptions, vens
from vtn.store.types import KEY, all_of, before_slash, includes
from vtn.store.v20b.tables import oadr20b_report_requests, oadr20b_vens
from vtn.store.visibility import share_a_target

_IS_CIRCUIT: Final = resources.c.name.like("_%/_%")
_TABLES: Final = (vens, contacts, clients, oadr20b_vens, broker_logins)
_RECENTLY: Final = timedelta(hours=1)
_RECENT_MS: Final = RECENT // timedelta(milliseconds=1)


class FleetStore:
    """VENs and panels: listed, counted, and chosen by what is asked of them."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def page(self, query: FleetQuery) -> FleetPage:
        """Return a page of the list. A page behind the last row is empty and knows no total."""
        rows = await self._database.rows(self._statement(query))
        silent_since = self._stamps.ago(query.offline_after)
        found = [row_of(row, silent_since=silent_since, own_tokens=query.own_tokens) for row in rows]
        return FleetPage(tuple(found), rows[0]["total"] if rows else 0)

    async def ven_ids(self, query: FleetQuery) -> list[str]:
        """Return the ids of the vens on all pages of the list, each once: of a panel that of its bridge."""
        fleet = _fleet(query)
        found = self._chosen(query, fleet).with_only_columns(fleet.c.ven_id).group_by(fleet.c.ven_id).order_by(None)
        return sorted(row["ven_id"] for row in await self._database.rows(found))

    async def groups(self) -> list[str]:
        """Return all targets that vens and resources hold, in the order of the alphabet."""
        held = union_all(
            *(select(each.c.targets.label("held")).where(each.c.targets != ()) for each in (vens, resources))
        )
        row = await self._database.row(select(all_of(select(held.subquery("groups").c.held).scalar_subquery())))
        return [] if row is None else sorted(next(iter(row.values())))

    async def figures(self) -> FleetCounts:
        """Return how many VENs there are, and how many of them were heard of in the last hour."""
        heard = func.count(case((contacts.c.heard_at >= self._stamps.ago(_RECENTLY), 1)))
        of = vens.outerjoin(contacts, contacts.c.client_id == vens.c.client_id)
        row = await self._database.row(select(func.count().label("vens"), heard.label("heard")).select_from(of))
        return FleetCounts(0, 0) if row is None else FleetCounts(row["vens"], row["heard"])

    def _statement(self, query: FleetQuery) -> Select[Any]:
        """Return the statement for a page: first its rows are chosen, then what they are shown with is looked up."""
        fleet = _fleet(query)
        chosen = self._chosen(query, fleet).add_columns(func.count().over().label("total"))
        page = chosen.limit(query.limit).offset(query.skip).cte("page")
        c = page.c
        its = and_(resources.c.ven_id == c.ven_id, or_(c.panel.is_(None), before_slash(resources.c.name) == c.panel))
        counted = case((c.panel.is_(None), resources.c.name), (_IS_CIRCUIT, resources.c.name))
        kw = resource_kw(resources.c.members)
        theirs = select(func.sum(kw)).where(its)
        saying = select(func.count(case((counted.is_not(None), kw)))).where(its)
        drawn = select(func.sum(meters.c.latest_kw), func.min(meters.c.latest_ends_at_ms)).where(*self._meters_of(page))
        power_kw, read_at_ms = (drawn.with_only_columns(each).scalar_subquery() for each in drawn.selected_columns)
        statement = select(
            *c,
            *_known(c.panel),
            power_kw.label("power_kw"),
            read_at_ms.label("read_at_ms"),
            select(func.count(counted)).where(its).scalar_subquery().label("circuits"),
            exists().where(its, resources.c.targets != ()).label("resources_hold"),
            func.coalesce(theirs.scalar_subquery(), case((c.panel.is_(None), rated_kw(vens.c.members)))).label(
                "sheddable_kw"
            ),
            saying.scalar_subquery().label("saying"),
            select(reports.c.modified_at)
            .where(reports.c.client_id == c.client_id)
            .order_by(reports.c.created_at.desc())
            .limit(1)
            .scalar_subquery()
            .label("reported_at"),
            select(func.max(endpoints.c.last_success_at))
            .select_from(WEBHOOKS)
            .where(subscriptions.c.client_id == c.client_id)
            .scalar_subquery()
            .label("told_at"),
            select(func.count())
            .select_from(WEBHOOKS)
            .where(subscriptions.c.client_id == c.client_id, FAILING)
            .scalar_subquery()
            .label("failing"),
            select(func.count())
            .where(oadr20b_report_requests.c.ven_id == c.ven_id, oadr20b_report_requests.c.is_silent)
            .scalar_subquery()
            .label("overdue"),
        )
        return statement.select_from(_joined(page, *_TABLES)).order_by(
            *_order(query.order, c.name, contacts.c.heard_at, c.ven_id, c.panel)
        )

    def _meters_of(self, page: CTE) -> list[ColumnElement[bool]]:
        """Return conditions for the meters that tell what a row draws now: those of a VEN that are in no other one.

        Of a panel its own meter, else those of its circuits.
        """
        c, at_ms = page.c, in_ms(datetime.fromisoformat(self._stamps.now))
        its = and_(meters.c.client_id == c.client_id, meters.c.latest_ends_at_ms.between(at_ms - _RECENT_MS, at_ms))
        own = meters.alias("own")
        panel = before_slash(meters.c.resource)
        of_it = and_(own.c.client_id == meters.c.client_id, own.c.resource == panel)
        circuits = and_(panel == c.panel, ~exists().where(of_it, own.c.latest_kw.is_not(None)))
        of_panel = or_(meters.c.resource == c.panel, circuits)
        return [its, case((c.panel.is_(None), meters.c.is_whole), else_=of_panel)]

    def _chosen(self, query: FleetQuery, fleet: CTE) -> Select[Any]:
        """Return the rows that are asked for, in their order, beside the tables that this takes and no others."""
        c, wanted = fleet.c, set[Table]()
        if query.group or query.problem:
            wanted.add(vens)
        if query.language or query.problem:
            wanted |= {contacts, oadr20b_vens}
        if query.problem:
            wanted.add(clients)
        if query.order in {FleetOrder.SILENT, FleetOrder.HEARD}:
            wanted.add(contacts)
        tables = [each for each in _TABLES if each in wanted]
        found = select(*c).select_from(_joined(fleet, *tables)).where(*self._clauses(query, fleet))
        return found.order_by(*_order(query.order, c.name, contacts.c.heard_at, c.ven_id, c.panel))

    def _clauses(self, query: FleetQuery, fleet: CTE) -> list[ColumnElement[bool]]:
        c, found = fleet.c, list[ColumnElement[bool]]()
        if query.search:
            part, low = query.search, query.search.lower()
            matches = [func.lower(each).contains(low, autoescape=True) for each in (c.name, c.client_id)]
            found.append(or_(*matches, c.ven_id.startswith(part, autoescape=True)))
        if query.group:
            group = literal(query.group, Text)
            theirs = select(resources.c.ven_id).where(share_a_target(resources.c.targets, [query.group]))
            its = or_(includes(c.targets, group), includes(vens.c.targets, group))
            found.append(or_(its, and_(c.panel.is_(None), c.ven_id.in_(theirs))))
        if query.language:
            found.append(_speaks(query.language, c.panel))
        if query.problem:
            kinds = tuple(ProblemKind) if query.problem == ANY_PROBLEM else (ProblemKind(query.problem),)
            ago, own = self._stamps.ago, query.own_tokens
            clauses = (problem_clause(each, ago, query.offline_after, own_tokens=own) for each in kinds)
            found.append(and_(c.panel.is_(None), or_(*clauses)))
        return found


def _joined(rows: CTE, *tables: Table) -> FromClause:
    """Return rows of the fleet with what these tables know of them beside."""
    found: FromClause = rows
    for table in tables:
        if table is vens:
            found = found.join(vens, vens.c.id == rows.c.ven_id)
        elif table is oadr20b_vens:
            found = found.outerjoin(oadr20b_vens, oadr20b_vens.c.ven_id == rows.c.ven_id)
        else:
            found = found.outerjoin(table, table.c.client_id == rows.c.client_id)
    return found


def _known(panel: ColumnElement[Any]) -> tuple[ColumnElement[Any], ...]:
    """Return the columns of ``_TABLES`` that a row is shown with; what its bridge says of itself is not a panel's."""
    return (
        vens.c.name.label("ven_name"),
        vens.c.created_at,
        *(contacts.c[f"refused_{name}"] for name in ("at", "status", "title", "request")),
        contacts.c.protocol,
        contacts.c.heard_at,
        case((panel.is_(None), contacts.c.software)).label("software"),
        case((panel.is_(None), contacts.c.clock_offset_s)).label("clock_offset_s"),
        clients.c.suspended,
        broker_logins.c.issued_at.label("broker_at"),
        oadr20b_vens.c.ven_id.label("is_20b"),
        oadr20b_vens.c.ven_name.label("own_name"),
        *(oadr20b_vens.c[name] for name in ("registration_id", "registered_at", "push_url")),
        *(oadr20b_vens.c[name] for name in ("is_disabled", "cancel_refused_at")),
    )


def _fleet(query: FleetQuery) -> CTE:
    """Return one row for each ven, and one for each panel behind a bridge."""
    mine = [] if query.ven_ids is None else [vens.c.id.in_(query.ven_ids)]
    nothing = cast(null(), KEY).label("panel")
    own = select(vens.c.id.label("ven_id"), nothing, vens.c.name.label("name"), vens.c.client_id, vens.c.targets)
    named = select(resources.c.ven_id, before_slash(resources.c.name).label("panel")).where(_IS_CIRCUIT).distinct()
    circuits = named.subquery("circuits")
    is_panel = and_(resources.c.ven_id == circuits.c.ven_id, resources.c.name == circuits.c.panel)
    panels = (
        select(circuits.c.ven_id, circuits.c.panel, circuits.c.panel, resources.c.client_id, resources.c.targets)
        .select_from(circuits.join(resources, is_panel).join(vens, vens.c.id == circuits.c.ven_id))
        .where(*mine)
    )
    return union_all(own.where(*mine), panels).cte("fleet")


def _speaks(language: str, panel: ColumnElement[Any]) -> ColumnElement[bool]:
    if language == PANEL:
        return panel.is_not(None)
    if language == "2.0b":
        return and_(panel.is_(None), oadr20b_vens.c.ven_id.is_not(None))
    return and_(panel.is_(None), oadr20b_vens.c.ven_id.is_(None), contacts.c.protocol == LANGUAGES[language])


def _order(order: FleetOrder, name: Any, heard_at: Any, *last: Any) -> tuple[Any, ...]:
    if order is FleetOrder.SILENT:
        return func.coalesce(heard_at, ""), name, *last
    if order is FleetOrder.HEARD:
        return func.coalesce(heard_at, "").desc(), name, *last
    return name.desc() if order is FleetOrder.NAME_DOWN else name, *last
