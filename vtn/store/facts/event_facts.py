"""Tell how far events got: the funnel, the participants with a reason for each "no", circuits and curves.

Each is one statement over all vens. Nothing is read from reports here: ``FactWriter`` has put what they say into
tables.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, case, distinct, func, or_, select

from openadr_profiles.v31 import AGGREGATED_REPORT
from vtn.settings import Privacy
from vtn.store.audience import sees_event
from vtn.store.database import Database
from vtn.store.facts.fleet import FleetFacts
from vtn.store.facts.instants import from_ms, in_ms, known_from_ms
from vtn.store.facts.parts import EventMoment, counted, participants_of, took
from vtn.store.facts.planned import PlannedEvent, PlannedEvents
from vtn.store.facts.results import (
    CircuitFacts,
    CurvePoint,
    EventSummary,
    FactsPage,
    FleetNow,
    Funnel,
    FunnelStep,
    NoShedReason,
    ParticipantFacts,
    ParticipantOrder,
    instant,
    rounded,
)
from vtn.store.facts.summaries import summaries_of
from vtn.store.facts.tables import event_curve, event_opts, event_sheds
from vtn.store.stamps import Stamps, stamp

MOST_POINTS: Final = 2000
"""Points of a curve at most; of a longer one every second point is told, or every fourth."""

_OVER: Final = ("completed", "cancelled")


class EventFacts:
    """Answer questions about events from the tables that are made of reports."""

    def __init__(self, database: Database, stamps: Stamps, privacy: Privacy, *, names: bool = False) -> None:
        self._database = database
        self._stamps = stamps
        self._privacy = privacy
        self._names = names
        self._planned = PlannedEvents(database)
        self._fleet = FleetFacts(database)

    @property
    def now(self) -> datetime:
        """Return the present time of the stores."""
        return datetime.fromisoformat(self._stamps.now)

    async def funnel(self, event_id: str, *, at: datetime | None = None) -> Funnel:
        """Return how far an event got, now or at another moment; raises NotFound."""
        at = at or self.now
        planned = await self._planned.get(event_id)
        event = planned.event
        its = self._participants(planned, at)
        heard = func.count(distinct(case((its.c.is_heard, its.c.ven_id))))
        steps = (
            FunnelStep.ANSWERED,
            FunnelStep.OPTED_IN,
            FunnelStep.OPTED_OUT,
            FunnelStep.REPORTING,
            FunnelStep.DELIVERING,
        )
        sums = ("requested_kw", "baseline_kw", "delivered_kw", "requested_kwh", "delivered_kwh")
        found = await self._database.row(
            select(
                func.count(distinct(its.c.ven_id)).label("targeted"),
                heard.label("heard"),
                func.count().label("participants"),
                *(counted(took(step, its)).label(str(step)) for step in steps),
                *(func.sum(its.c[name]).label(name) for name in sums),
                func.max(its.c.last_report).label("last_report"),
            ).select_from(its)
        )
        row: Mapping[Any, Any] = found if found is not None else {}
        each_kwh = planned.planned_kwh(at)
        whole_kwh = None if each_kwh is None else rounded(each_kwh * row["targeted"])
        delivered_kwh = rounded(row["delivered_kwh"])
        return Funnel(
            event_id=event.id,
            event_name=event.event_name,
            program_id=event.program_id,
            state=planned.state(at),
            starts_at=planned.starts_at,
            ends_at=planned.ends_at,
            changed_at=event.modification_date_time,
            at=at,
            targeted=row["targeted"],
            heard=row["heard"],
            participants=row["participants"],
            answered=row["answered"],
            opted_in=row["opted_in"],
            opted_out=row["opted_out"],
            reporting=row["reporting"],
            delivering=row["delivering"],
            requested_kw=rounded(row["requested_kw"]),
            baseline_kw=rounded(row["baseline_kw"]),
            delivered_kw=rounded(row["delivered_kw"]),
            requested_kwh=rounded(row["requested_kwh"]),
            delivered_kwh=delivered_kwh,
            planned_kwh=whole_kwh,
            shortfall_kwh=_shortfall(whole_kwh, delivered_kwh),
            last_report=instant(row["last_report"]),
        )

    async def participants(
        self,
        event_id: str,
        *,
        step: FunnelStep = FunnelStep.TARGETED,
        search: str | None = None,
        order: ParticipantOrder = ParticipantOrder.NAME,
        skip: int = 0,
        limit: int = 50,
        at: datetime | None = None,
    ) -> FactsPage[ParticipantFacts]:
        """Return one page of an event's participants; raises NotFound.

        ``step`` leaves only those who took a step, or did not; ``search`` those with this in their own name or in the
        name of their ven, in whatever letters.
        """
        at = at or self.now
        planned = await self._planned.get(event_id)
        its = self._participants(planned, at)
        statement = select(its)
        if (clause := took(step, its)) is not None:
            statement = statement.where(clause)
        if search:
            part = search.lower()
            found = (func.lower(its.c[name]).contains(part, autoescape=True) for name in ("name", "ven_name"))
            statement = statement.where(or_(*found))
        statement = statement.order_by(*_order(order, its.c)).limit(limit + 1).offset(skip)
        rows = await self._database.rows(statement)
        each_kwh = planned.planned_kwh(at)
        return FactsPage([_participant(row, each_kwh) for row in rows[:limit]], len(rows) > limit)

    async def circuits(
        self, event_id: str, client_id: str, panel: str | None = None, *, at: datetime | None = None
    ) -> Sequence[CircuitFacts]:
        """Return the circuits of a participant in the interval that is shown, by their names; raises NotFound."""
        at_ms = in_ms(at or self.now)
        await self._planned.get(event_id)
        its, opts = event_sheds.c, event_opts.c
        mine = [its.event_id == event_id, its.client_id == client_id, its.starts_at_ms <= at_ms]
        total = panel or AGGREGATED_REPORT
        prefix = f"{panel}/" if panel else ""
        circuits = and_(its.resource != AGGREGATED_REPORT, its.resource != total)
        if prefix:
            circuits = and_(circuits, its.resource.startswith(prefix, autoescape=True))
        of_total = select(func.max(its.starts_at_ms)).where(*mine, its.resource == total).scalar_subquery()
        of_any = select(func.max(its.starts_at_ms)).where(*mine, circuits).scalar_subquery()
        shown = func.coalesce(of_total, of_any)
        opt = and_(opts.event_id == its.event_id, opts.client_id == its.client_id, opts.resource == its.resource)
        alone = and_(opt, ~opts.opted_in, ~opts.is_participant)
        rows = await self._database.rows(
            select(event_sheds, opts.opted_in, opts.reason, opts.state.label("opt_state"))
            .select_from(event_sheds.outerjoin(event_opts, alone))
            .where(*mine, circuits, its.starts_at_ms == shown)
            .order_by(its.resource, its.interval_id)
        )
        latest = {row["resource"]: row for row in rows}
        return [_circuit(row, prefix) for row in latest.values()]

    async def curve(self, event_id: str) -> Sequence[CurvePoint]:
        """Return the sums that were noted while the event was active, the oldest first; raises NotFound.

        Moments that were not noted are missing. There are at most ``MOST_POINTS``, evenly chosen.
        """
        await self._planned.get(event_id)
        numbered = select(
            event_curve,
            (func.row_number().over(order_by=event_curve.c.at_ms) - 1).label("number"),
            func.count().over().label("total"),
        ).where(event_curve.c.event_id == event_id)
        points = numbered.subquery("points")
        stride = (points.c.total + (MOST_POINTS - 1)) / MOST_POINTS
        stride = func.floor(stride) if not self._database.is_sqlite else stride
        rows = await self._database.rows(
            select(points).where(points.c.number % stride == 0).order_by(points.c.at_ms).limit(MOST_POINTS)
        )
        return [_point(row) for row in rows]

    async def summaries(self, event_ids: Collection[str], *, at: datetime | None = None) -> Mapping[str, EventSummary]:
        """Return the numbers of events by their ids, for a list; ids that are no event are left out."""
        return await summaries_of(
            self._database, event_ids, at=at or self.now, privacy=self._privacy, names=self._names
        )

    async def fleet_now(self, *, at: datetime | None = None) -> FleetNow:
        """Return the numbers of all vens: how many are online, what they draw, and what they say they can shed."""
        return await self._fleet.now(at or self.now)

    def _participants(self, planned: PlannedEvent, at: datetime) -> Any:
        moment = EventMoment(
            planned.event.id,
            in_ms(at),
            in_ms(planned.until(at)),
            stamp(planned.event.modification_date_time),
            planned.state(at) in _OVER,
        )
        sees: ColumnElement[bool] = sees_event(
            planned.targets, planned.program_targets, self._privacy, names=self._names
        )
        return participants_of(moment, sees)


def _order(order: ParticipantOrder, its: Any) -> tuple[ColumnElement[Any], ...]:
    by_name = (its.ven_name, its.panel, its.ven_id)
    return by_name if order is ParticipantOrder.NAME else (its[str(order)].desc().nulls_last(), *by_name)


def _participant(row: Mapping[Any, Any], each_kwh: float | None) -> ParticipantFacts:
    planned_kwh = each_kwh if row["panel"] is None else None
    delivered_kwh = rounded(row["delivered_kwh"])
    return ParticipantFacts(
        name=row["name"],
        panel=row["panel"],
        ven_id=row["ven_id"],
        ven_name=row["ven_name"],
        client_id=row["client_id"],
        heard_at=instant(row["heard_at"]),
        is_heard=bool(row["is_heard"]),
        answered=bool(row["answered"]),
        opted_in=row["opted_in"],
        reason=row["reason"],
        decided_at=known_from_ms(row["decided_at_ms"]),
        reporting=bool(row["reporting"]),
        requested_kw=row["requested_kw"],
        baseline_kw=row["baseline_kw"],
        demand_kw=row["demand_kw"],
        delivered_kw=row["delivered_kw"],
        requested_kwh=rounded(row["requested_kwh"]),
        delivered_kwh=delivered_kwh,
        planned_kwh=planned_kwh,
        shortfall_kwh=_shortfall(planned_kwh, delivered_kwh),
        operating_state=row["operating_state"] or row["opt_state"],
        reports=row["reports"],
        last_report=instant(row["last_report"]),
        why=_why(row),
    )


def _why(row: Mapping[Any, Any]) -> NoShedReason | None:
    """Return the first step that a participant did not take; None if it delivers."""
    if (row["delivered_kw"] or 0) > 0:
        return None
    steps = (
        (row["opted_in"] is False, NoShedReason.OPTED_OUT),
        (row["reporting"] and not row["has_begun"], NoShedReason.NOT_BEGUN),
        (row["reporting"] and row["has_ended"], NoShedReason.ENDED),
        (row["reporting"], NoShedReason.DELIVERS_NOTHING),
        (row["answered"], NoShedReason.NOT_REPORTING),
        (row["is_heard"], NoShedReason.NOT_ANSWERED),
        (row["heard_at"] is None, NoShedReason.NEVER_HEARD),
    )
    return next((reason for holds, reason in steps if holds), NoShedReason.NOT_HEARD)


def _circuit(row: Mapping[Any, Any], prefix: str) -> CircuitFacts:
    opted_out = row["opted_in"] is not None
    return CircuitFacts(
        name=row["resource"].removeprefix(prefix),
        resource=row["resource"],
        starts_at=from_ms(row["starts_at_ms"]),
        ends_at=known_from_ms(row["ends_at_ms"]),
        requested_kw=row["requested_kw"],
        baseline_kw=row["baseline_kw"],
        demand_kw=row["demand_kw"],
        delivered_kw=row["delivered_kw"],
        final_kw=row["final_kw"],
        state=row["opt_state"] if opted_out else row["state"],
        opted_out=(row["reason"] or "") if opted_out else None,
    )


def _point(row: Mapping[Any, Any]) -> CurvePoint:
    return CurvePoint(
        from_ms(row["at_ms"]),
        rounded(row["requested_kw"]),
        rounded(row["baseline_kw"]),
        rounded(row["delivered_kw"]),
        row["reporting"],
        row["taking_part"],
    )


def _shortfall(planned_kwh: float | None, delivered_kwh: float | None) -> float | None:
    return None if planned_kwh is None else rounded(max(0.0, planned_kwh - (delivered_kwh or 0.0)))
