"""The energy that panels have shed in a season, and the events that are counted in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import literal_column, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.schema import commands, counted_events, events, season_energy
from bridge_mqtt.store.upsert import insert_or_skip, insert_or_update

_MOST_EVENTS: Final = 20
_ROWS: Final = 500


@dataclass(frozen=True, kw_only=True)
class EndedEvent:
    """An event that has ended and is not counted, or not since it was opened again."""

    event_id: str
    received_at: datetime
    ended_at: datetime
    counted_until: datetime | None


@dataclass(frozen=True, slots=True)
class SentCommand:
    """A command that was sent to a panel, and what it answered."""

    ven_id: str
    op: str
    state: str
    amount_kw: float
    actual_kw: float | None
    sent_at: datetime
    answered_at: datetime | None
    window_end: datetime | None


async def ended(connection: AsyncConnection, before: datetime) -> list[EndedEvent]:
    """Return some of the events that ended before an instant and are still to be counted, oldest first."""
    columns = (events.c.event_id, events.c.received_at, events.c.ended_at, counted_events.c.counted_until)
    statement = (
        select(*columns)
        .join(counted_events, counted_events.c.event_id == events.c.event_id, isouter=True)
        .where(events.c.ended_at <= before)
        .where(or_(counted_events.c.counted_until.is_(None), counted_events.c.counted_until < events.c.ended_at))
        .order_by(events.c.ended_at)
        .limit(_MOST_EVENTS)
    )
    return [EndedEvent(**row) for row in (await connection.execute(statement)).mappings()]


async def told(connection: AsyncConnection, event_id: str) -> AsyncIterator[SentCommand]:
    """Yield the commands of an event that were sent, panel by panel, oldest first; a piece of them at a time."""
    names = ("ven_id", "op", "state", "amount_kw", "actual_kw", "sent_at", "answered_at", "window_end")
    statement = select(*(commands.c[name] for name in names)).where(
        commands.c.event_id == event_id, commands.c.sent_at.is_not(None)
    )
    in_order = statement.order_by(commands.c.ven_id, commands.c.id)
    async with connection.stream(in_order.execution_options(yield_per=_ROWS)) as rows:
        async for row in rows:
            yield SentCommand(row[0], row[1], row[2], row[3] or 0.0, *row[4:])


async def add(connection: AsyncConnection, event: EndedEvent, season: str, kwh: Mapping[str, float]) -> bool:
    """Add what panels shed for an event to a season; False if somebody else has counted it in the meantime."""
    marker = {"event_id": event.event_id, "counted_until": event.ended_at}
    older = update(counted_events).where(
        counted_events.c.event_id == event.event_id, counted_events.c.counted_until < event.ended_at
    )
    counted_further = (await connection.execute(older.values(counted_until=event.ended_at))).rowcount
    if not counted_further:
        first_time = insert_or_skip(connection, counted_events, ["event_id"]).returning(counted_events.c.event_id)
        if (await connection.execute(first_time, marker)).scalar_one_or_none() is None:
            return False
    total = season_energy.c.shed_kwh + literal_column("excluded.shed_kwh")
    statement = insert_or_update(connection, season_energy, ["season", "ven_id"], [], shed_kwh=total)
    rows = [{"season": season, "ven_id": ven_id, "shed_kwh": each} for ven_id, each in kwh.items()]
    for first in range(0, len(rows), _ROWS):
        await connection.execute(statement, rows[first : first + _ROWS])
    return True


async def shed_kwh(connection: AsyncConnection, season: str) -> dict[str, float]:
    """Return the energy in kWh that each panel has shed in a season."""
    statement = select(season_energy.c.ven_id, season_energy.c.shed_kwh).where(season_energy.c.season == season)
    return {row.ven_id: row.shed_kwh for row in await connection.execute(statement)}
