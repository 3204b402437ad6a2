"""Keep what the panel drew and should have drawn in the minutes of the last days, for the page of the VEN."""

from __future__ import annotations

from datetime import datetime

from ven.store.journal import Journal, Statement
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us


class PowerTraceRecords:
    """Keep the minutes of an hour in one row, as `PowerTrace` packs them: 480 bytes."""

    def __init__(self, file: SqliteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal

    async def all(self) -> dict[datetime, bytes]:
        """Return the packed minutes by start of the hour."""
        rows = await self._file.rows("select start, kw from minute_power")
        return {to_instant(start): kw for start, kw in rows}

    def put(self, start: datetime, packed: bytes, *, keep_from: datetime) -> None:
        """Keep an hour, and drop those before `keep_from`."""
        self._journal.put(
            ("power trace", str(to_us(start))),
            Statement("insert or replace into minute_power values (?, ?)", ((to_us(start), packed),)),
            Statement("delete from minute_power where start < ?", ((to_us(keep_from),),)),
            gives_way=True,
        )
