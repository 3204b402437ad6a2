"""Keep what the circuits drew in the hours of the last days."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from ven.store.journal import Journal, Statement
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us


class DayHistoryRecords:
    """Keep hours by their start: one row an hour, and as many days as the history wants."""

    def __init__(self, file: SqliteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal

    async def all(self) -> dict[datetime, Mapping[str, Decimal]]:
        """Return the mean power in kW by start of the hour and circuit id."""
        rows = await self._file.rows("select start, kw from hour_power")
        return {to_instant(start): {id_: Decimal(kw) for id_, kw in json.loads(text).items()} for start, text in rows}

    def put(self, start: datetime, kw: Mapping[str, Decimal], *, keep_from: datetime) -> None:
        """Keep an hour, and drop those before `keep_from`."""
        text = json.dumps({id_: str(value) for id_, value in kw.items()})
        self._journal.put(
            ("day history", str(to_us(start))),
            Statement("insert or replace into hour_power values (?, ?)", ((to_us(start), text),)),
            Statement("delete from hour_power where start < ?", ((to_us(keep_from),),)),
            gives_way=True,
        )
