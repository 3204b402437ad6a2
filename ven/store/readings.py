"""Keep the readings of the circuits' power for as long as a stretch or a report needs them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from ven.panel.meter import PowerReading
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us


class ReadingRecords:
    """Keep readings by their instant."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def put(self, reading: PowerReading, *, keep_from: datetime) -> None:
        """Keep a reading, and drop those before `keep_from`."""
        text = json.dumps({id_: str(kw) for id_, kw in reading.kw.items()})
        async with self._file.transaction() as connection:
            await connection.execute("insert or replace into sample values (?, ?)", (to_us(reading.at), text))
            await connection.execute("delete from sample where at < ?", (to_us(keep_from),))

    async def between(self, start: datetime, end: datetime, *, hold: timedelta) -> Sequence[PowerReading]:
        """Return the readings that apply to [start, end), in order; a reading applies for `hold` at most."""
        rows = await self._file.rows(
            "select at, kw from sample where at > ? and at < ? order by at", (to_us(start - hold), to_us(end))
        )
        return [
            PowerReading(to_instant(at), {id_: Decimal(kw) for id_, kw in json.loads(text).items()})
            for at, text in rows
        ]
