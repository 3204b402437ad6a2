"""Open the state file of one VEN and give the parts that keep things in it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ven.store.events import EventRecords
from ven.store.readings import ReadingRecords
from ven.store.reports import ReportRecords
from ven.store.schema import MIGRATIONS, migrate
from ven.store.sqlite_file import SqliteFile
from ven.store.stretches import StretchRecords
from ven.store.values import to_instant


class StateFile:
    """Hold the memory of one VEN; use as an async context manager.

    Every method of the parts is one transaction; one that has returned is on disk. A file of an older version is
    upgraded when it is opened.

    Raises:
        BadStore: on entering: the file cannot be used, is in use, is not ours, or is from a newer version.
    """

    def __init__(self, path: Path, *, now: datetime) -> None:
        self._file = SqliteFile(path)
        self._opened_at = now
        self.created_at = now
        """The instant at which this file was created; anything done before that is not recorded in it."""
        self.events = EventRecords(self._file)
        self.stretches = StretchRecords(self._file)
        self.readings = ReadingRecords(self._file)
        self.reports = ReportRecords(self._file)

    async def __aenter__(self) -> Self:
        try:
            await self._file.open()
            with self._file.errors():
                await migrate(self._file, now=self._opened_at, migrations=MIGRATIONS)
                # Only now: a migration may replace a table, which would take the rows that refer to it along.
                await self._file.rows("pragma foreign_keys=on")
                self.created_at = to_instant(await self._file.number("select value from meta where key = 'created_at'"))
        except BaseException:
            await self._file.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._file.close()
