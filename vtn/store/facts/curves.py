"""Note the sums of active events, so that a curve shows what was delivered when.

A report replaces the one before it, so what a ven delivered earlier is known only if it was noted then.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, or_, select

from vtn.store.database import Database
from vtn.store.facts.instants import in_ms
from vtn.store.facts.tables import event_curve, event_opts, event_sheds
from vtn.store.failures import ConstraintViolated
from vtn.store.stamps import stamp
from vtn.store.tables import events
from vtn.store.upserts import insert_into

_SPARSER: Final = ((6 * 3600_000, 6), (86_400_000, 30), (7 * 86_400_000, 90))
"""Ages of an event in milliseconds from which on only every sixth, thirtieth ... moment is noted: a curve that goes on
for months would have millions of points."""


class EventCurves:
    """Note curves. Who notes the same moment twice notes it once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._insert = insert_into(event_curve, sqlite=database.is_sqlite)

    async def any_active(self, at: datetime) -> bool:
        """Return True if an event is not over for which somebody has reported what it sheds now."""
        totals = select(events.c.id).where(
            _not_over(at), exists().where(_holds(at), event_sheds.c.event_id == events.c.id)
        )
        return bool(await self._database.rows(totals.limit(1)))

    async def note(self, at: datetime, *, every_s: float) -> None:
        """Note the sums of all active events at a moment, which is rounded down to a multiple of ``every_s``."""
        every_ms = max(1, round(every_s * 1000))
        at_ms = in_ms(at) // every_ms * every_ms
        sums = _sums(at, at_ms, every_ms)
        statement = self._insert.from_select([column.key for column in sums.selected_columns], sums)
        try:
            async with self._database.write() as connection:
                await connection.execute(statement.on_conflict_do_nothing())
        except ConstraintViolated:  # an event was removed meanwhile: the next moment is noted without it
            return


def _sums(at: datetime, at_ms: int, every_ms: int) -> Select[Any]:
    its = event_sheds.c
    taking_part = (
        select(func.count())
        .where(event_opts.c.event_id == events.c.id, event_opts.c.is_participant, event_opts.c.opted_in)
        .correlate(events)
        .scalar_subquery()
    )
    begun = (
        select(func.min(its.starts_at_ms))
        .where(its.event_id == events.c.id, its.is_total)
        .correlate(events)
        .scalar_subquery()
    )
    age = at_ms - begun
    stride: Any = case(*((age >= from_ms, factor) for from_ms, factor in reversed(_SPARSER)), else_=1)
    return (
        select(
            events.c.id.label("event_id"),
            literal(at_ms).label("at_ms"),
            func.sum(its.requested_kw).label("requested_kw"),
            func.sum(its.baseline_kw).label("baseline_kw"),
            func.sum(its.delivered_kw).label("delivered_kw"),
            func.count().label("reporting"),
            taking_part.label("taking_part"),
        )
        .select_from(events.join(event_sheds, and_(its.event_id == events.c.id, _holds(at))))
        .where(_not_over(at))
        .group_by(events.c.id)
        .having(literal(at_ms // every_ms) % stride == 0)
    )


def _not_over(at: datetime) -> ColumnElement[bool]:
    return or_(events.c.ends_at.is_(None), events.c.ends_at > stamp(at))


def _holds(at: datetime) -> ColumnElement[bool]:
    """Return a clause for the totals of participants in intervals that hold at a moment, but for those opted out."""
    its, at_ms, said = event_sheds.c, in_ms(at), event_opts.c
    same = and_(said.event_id == its.event_id, said.client_id == its.client_id, said.resource == its.resource)
    holds = and_(its.starts_at_ms <= at_ms, or_(its.ends_at_ms.is_(None), its.ends_at_ms > at_ms))
    return and_(its.is_total, holds, ~exists().where(same, ~said.opted_in).correlate(event_sheds))
