"""Readings of a whole fleet in our own database, made by the database itself; the server must not run meanwhile."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, insert, text

from bench.seeding import batches, client_name, opened
from vtn.store.facts.partitions import Partitions
from vtn.store.facts.tables import event_sheds, meters, readings

_MS: Final = timedelta(milliseconds=1)
_UNIX: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_QUARTER_MS: Final = 15 * 60 * 1000
_METERS_AT_ONCE: Final = 500
_TOTAL: Final = "AGGREGATED_REPORT"

_FILL: Final = """
INSERT INTO readings (meter_id, kind, starts_at_ms, length_ms, kwh, estimated, source_id)
WITH RECURSIVE quarters (q) AS (SELECT 0 UNION ALL SELECT q + 1 FROM quarters WHERE q < 95)
SELECT meters.id, 1, CAST(:midnight AS BIGINT) + q * 900000, 900000,
    0.2 + ((meters.id * 7 + q * 13 + :day * 5) % 97) / 100.0, {false}, 0
FROM meters CROSS JOIN quarters WHERE meters.id > :after AND meters.id <= :until
"""


async def fill_readings(url: str, event_id: str, number: int, midnights: list[datetime], event: datetime) -> None:
    """Store quarters of an hour of ``number`` meters of the fleet, of the days that begin at ``midnights``.

    Each of them was asked for 1 kW in the four hours from ``event`` on.
    """
    async with opened(url) as database:
        fill = text(_FILL.format(false="0" if database.is_sqlite else "false"))
        asked_from = (event - _UNIX) // _MS
        sheds = {
            "event_id": event_id,
            "resource": _TOTAL,
            "starts_at_ms": asked_from,
            "interval_id": 0,
            "ends_at_ms": asked_from + 16 * _QUARTER_MS,
            "requested_kw": 1.0,
            "is_total": True,
            "source_id": 0,
        }
        names = [client_name(place) for place in range(number)]
        async with database.write() as connection:
            for table in (readings, meters, event_sheds):
                await connection.execute(delete(table))
            for batch in batches(names):
                its = [{"client_id": name, "resource": _TOTAL, "is_whole": True} for name in batch]
                await connection.execute(insert(meters), its)
                await connection.execute(insert(event_sheds), [{**sheds, "client_id": name} for name in batch])
            last = (await connection.execute(text("SELECT max(id) FROM meters"))).scalar_one()
            first = last - number
            days = [(at - _UNIX) // _MS for at in midnights]
            await Partitions(sqlite=database.is_sqlite).prepare(
                connection, [at + edge for at in days for edge in (0, 95 * _QUARTER_MS)]
            )
        for after in range(first, last, _METERS_AT_ONCE):
            async with database.write() as connection:
                for day, midnight in enumerate(days):
                    some = {"after": after, "until": min(after + _METERS_AT_ONCE, last)}
                    await connection.execute(fill, {**some, "midnight": midnight, "day": day})
