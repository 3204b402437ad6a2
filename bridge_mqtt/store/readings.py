"""Readings of the virtual meters of panels: of every minute, every quarter of an hour, and moments that were asked for.

A reading is stored as ``[seconds since 1970, samples, {channel: [kWh, seconds covered, kW, peak kW]}]``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.metering.meter import MARK, ChannelCount, MeterReading
from bridge_mqtt.pauses import in_pieces, with_pauses
from bridge_mqtt.store.bulk import ROWS_AT_ONCE, insert_many
from bridge_mqtt.store.schema import readings

_LOOKED_BACK = timedelta(days=1)


def reading_text(reading: MeterReading) -> str:
    """Return a reading as JSON."""
    counts = {
        channel: (round(count.kwh, 9), round(count.covered_s, 6), count.kw, count.peak_kw)
        for channel, count in reading.counts.items()
    }
    return msgspec.json.encode((reading.at_s, reading.samples, counts)).decode()


def as_reading(stored: Sequence[Any]) -> MeterReading:
    """Return a reading as `reading_text` has written it."""
    at_s, samples, counts = stored
    return MeterReading(at_s, {channel: ChannelCount(*each) for channel, each in counts.items()}, samples)


async def add(connection: AsyncConnection, taken: Iterable[tuple[str, int, MeterReading]]) -> None:
    """Store readings, each with its panel and kind; one that is there already stays."""
    for some in in_pieces(list(taken), size=ROWS_AT_ONCE):
        rows = []
        async for ven_id, kind, reading in with_pauses(some):
            at = datetime.fromtimestamp(reading.at_s, UTC)
            rows.append({"ven_id": ven_id, "kind": kind, "at": at, "meter": reading_text(reading)})
        await insert_many(connection, readings, ["ven_id", "kind", "at"], rows)


async def at(connection: AsyncConnection, ven_ids: Collection[str], moment: datetime) -> dict[str, MeterReading]:
    """Return the readings that were taken at a moment because they were asked for."""
    statement = select(readings.c.ven_id, readings.c.meter).where(
        readings.c.ven_id.in_(list(ven_ids)), readings.c.kind == MARK, readings.c.at == moment
    )
    return {row.ven_id: as_reading(row.meter) for row in await connection.execute(statement)}


async def next_to(
    connection: AsyncConnection, ven_ids: Collection[str], moment: datetime, *, kind: int, before: bool
) -> dict[str, MeterReading]:
    """Return the last reading of a kind before a moment (or at it), or the first one after it, within a day."""
    place: ColumnElement[datetime]
    if before:
        place = func.max(readings.c.at)
        span = (readings.c.at <= moment, readings.c.at > moment - _LOOKED_BACK)
    else:
        place = func.min(readings.c.at)
        span = (readings.c.at > moment, readings.c.at < moment + _LOOKED_BACK)
    nearest = (
        select(readings.c.ven_id, place)
        .where(readings.c.ven_id.in_(list(ven_ids)), readings.c.kind == kind, *span)
        .group_by(readings.c.ven_id)
    )
    statement = select(readings.c.ven_id, readings.c.meter).where(
        readings.c.kind == kind, tuple_(readings.c.ven_id, readings.c.at).in_(nearest)
    )
    return {row.ven_id: as_reading(row.meter) for row in await connection.execute(statement)}


async def forget(connection: AsyncConnection, kinds: Sequence[int], before: datetime, *, at_most: int = 5_000) -> bool:
    """Delete readings of these kinds from before a moment, a piece of them; return True if there may be more."""
    old = (
        select(readings.c.ven_id, readings.c.kind, readings.c.at)
        .where(readings.c.kind.in_(list(kinds)), readings.c.at < before)
        .limit(at_most)
    )
    done = await connection.execute(
        delete(readings).where(tuple_(readings.c.ven_id, readings.c.kind, readings.c.at).in_(old))
    )
    return done.rowcount >= at_most
