"""Put readings and requests into the tables as the reader of reports does, for tests of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, text

from tests.vtn.harness import VtnUnderTest
from vtn.performance.needed import as_ms
from vtn.store.facts.tables import DRAWN, event_opts, event_sheds, meters, readings
from vtn.store.performance.tables import performance_results

START = datetime(2026, 5, 15, 16, tzinfo=UTC)
"""A Friday, 16:00."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Row = tuple[datetime, timedelta, float, bool]
"""When a reading begins, its length, its kWh, and if it is an estimate."""


class StoredReadings:
    """The tables of readings of a server."""

    def __init__(self, vtn: VtnUnderTest) -> None:
        self._vtn = vtn
        self._database = vtn.server._database

    async def empty(self) -> None:
        """Forget everything, and make room for readings of any time."""
        async with self._database.alter() as connection:
            if not self._database.is_sqlite:
                await connection.execute(
                    text("CREATE TABLE IF NOT EXISTS readings_of_tests PARTITION OF readings DEFAULT")
                )
            for table in (readings, meters, event_sheds, performance_results):
                await connection.execute(delete(table))

    async def meter(self, client_id: str, resource: str = "meter") -> int:
        """Make a meter, and return its number."""
        its = {"client_id": client_id, "resource": resource}
        async with self._database.write() as connection:
            await connection.execute(insert(meters).values(**its, is_whole=True))
            found = await connection.execute(select(meters.c.id).filter_by(**its))
            return int(found.scalar_one())

    async def put(self, meter_id: int, rows: Iterable[Row], *, kind: int = DRAWN) -> None:
        """Store readings of a meter; of the same time and length the later one counts."""
        by_key = {(start, length): (kwh, estimated) for start, length, kwh, estimated in rows}
        values = [
            {
                "meter_id": meter_id,
                "kind": kind,
                "starts_at_ms": as_ms(start),
                "length_ms": length // timedelta(milliseconds=1),
                "kwh": kwh,
                "estimated": estimated,
                "source_id": 1,
            }
            for (start, length), (kwh, estimated) in by_key.items()
        ]
        async with self._database.write() as connection:
            await connection.execute(delete(readings).where(readings.c.meter_id == meter_id, readings.c.kind == kind))
            if values:
                await connection.execute(insert(readings), values)

    async def ask(
        self, event_id: str, client_id: str, kw: float, *, resource: str = "meter", is_open: bool = False
    ) -> None:
        """Store that a resource was asked for so many kW in the event's hour; without an end if `is_open`."""
        row: Mapping[str, Any] = {
            "event_id": event_id,
            "client_id": client_id,
            "resource": resource,
            "starts_at_ms": as_ms(START),
            "interval_id": 0,
            "ends_at_ms": None if is_open else as_ms(START + HOUR),
            "requested_kw": kw,
            "is_total": True,
            "source_id": 1,
        }
        async with self._database.write() as connection:
            await connection.execute(insert(event_sheds).values(**row))

    async def opt_out(self, event_id: str, client_id: str, after: timedelta, *, resource: str = "meter") -> None:
        """Store that a resource left the event so long after its start."""
        row: Mapping[str, Any] = {
            "event_id": event_id,
            "client_id": client_id,
            "resource": resource,
            "opted_in": False,
            "state": "DECIDED",
            "decided_at_ms": as_ms(START + after),
            "is_participant": True,
            "source_id": 1,
        }
        async with self._database.write() as connection:
            await connection.execute(insert(event_opts).values(**row))


def hours(loads: Mapping[int, float], *, days_before: int = 0) -> list[Row]:
    """Return readings of an hour each by the hour at which they begin, on the day of the event or before."""
    midnight = START.replace(hour=0) - days_before * DAY
    return [(midnight + hour * HOUR, HOUR, kwh, False) for hour, kwh in loads.items()]


def usual_days(kwh: float, days: int = 14) -> list[Row]:
    """Return readings from noon to 17:00 of the days before the event."""
    return [row for day in range(1, days + 1) for row in hours(dict.fromkeys(range(12, 18), kwh), days_before=day)]
