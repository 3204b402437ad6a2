"""Keep a partition of the table of readings for each month on PostgreSQL, and remove readings that are too old."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import delete, select, text

from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.facts.instants import from_ms, in_ms
from vtn.store.facts.tables import BASELINE, DRAWN, meters, readings

_PREFIX: Final = "readings_of_"
_METERS_AT_ONCE: Final = 200


class Partitions:
    """Make the partitions that readings need. Does nothing for SQLite, which has none."""

    def __init__(self, *, sqlite: bool) -> None:
        self._sqlite = sqlite
        self._known: set[str] = set()

    async def prepare(self, connection: AsyncConnection, starts_at_ms: Iterable[int]) -> None:
        """Make what is missing for readings that begin at these times, in the transaction that will store them."""
        if self._sqlite:
            return
        months = {_month(at_ms) for at_ms in starts_at_ms}
        for month in sorted(months):
            name = f"{_PREFIX}{month:%Y_%m}"
            if name in self._known:
                continue
            # Names and numbers of ours only.
            await connection.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF readings "
                    f"FOR VALUES FROM ({in_ms(month)}) TO ({in_ms(_next(month))})"
                )
            )

    def keep(self, starts_at_ms: Iterable[int]) -> None:
        """Note, after the commit, that these partitions are there."""
        if not self._sqlite:
            self._known |= {f"{_PREFIX}{_month(at_ms):%Y_%m}" for at_ms in starts_at_ms}

    def forget(self) -> None:
        """Look for partitions again before the next readings are stored."""
        self._known.clear()


async def remove_readings(database: Database, before: datetime) -> None:
    """Remove the readings that began before an instant: whole months on PostgreSQL, some meters at a time on SQLite."""
    if database.is_sqlite:
        await _remove_by_meters(database, in_ms(before))
    else:
        await _drop_months(database, before)


async def _drop_months(database: Database, before: datetime) -> None:
    named = text(
        "SELECT CAST(CAST(relid AS regclass) AS text) AS name FROM pg_partition_tree('readings') "
        "WHERE isleaf AND parentrelid IS NOT NULL"
    )
    for row in await database.rows(named):
        name: str = row["name"]
        if not name.startswith(_PREFIX):
            continue
        month = datetime.strptime(name.removeprefix(_PREFIX), "%Y_%m").replace(tzinfo=UTC)
        if _next(month) <= before:
            async with database.alter() as connection:
                await connection.execute(text(f"DROP TABLE IF EXISTS {name}"))


async def _remove_by_meters(database: Database, before_ms: int) -> None:
    after = 0
    while True:
        some = select(meters.c.id).where(meters.c.id > after).order_by(meters.c.id).limit(_METERS_AT_ONCE)
        ids = [row["id"] for row in await database.rows(some)]
        if not ids:
            return
        async with database.write() as connection:
            await connection.execute(
                delete(readings).where(
                    readings.c.meter_id.in_(ids),
                    readings.c.kind.in_((DRAWN, BASELINE)),
                    readings.c.starts_at_ms < before_ms,
                )
            )
        after = ids[-1]


def _month(at_ms: int) -> datetime:
    return from_ms(at_ms).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
