"""Open the state file of one VEN and give the parts that keep things in it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from ven.store.day_history import DayHistoryRecords
from ven.store.events import EventRecords
from ven.store.journal import Journal
from ven.store.link import LinkRecords
from ven.store.load_profile import LoadProfileRecords
from ven.store.opts import OptRecords
from ven.store.own_limits import OwnLimitRecords
from ven.store.power_trace import PowerTraceRecords
from ven.store.reports import ReportRecords
from ven.store.schema import MIGRATIONS, migrate, must_be_newest
from ven.store.sqlite_file import SqliteFile
from ven.store.stretches import StretchRecords
from ven.store.values import to_instant


class StateFile:
    """Hold the memory of one VEN; use as an async context manager.

    What the parts are given to keep goes through `journal`: it is on disk when that has been flushed, which the end of
    the context tries as well. A file of an older version is upgraded when it is opened.

    With ``read_only`` it is only looked at, and nothing that is put is kept; it must have the newest version.

    Raises:
        BadStore: on entering: the file cannot be used, is in use, is not ours, or is from a newer version.
    """

    def __init__(self, path: Path, *, now: datetime, read_only: bool = False) -> None:
        self._file = SqliteFile(path, read_only=read_only)
        self._opened_at = now
        self.created_at = now
        """The instant at which this file was created; anything done before that is not recorded in it."""
        self.journal = Journal(self._file)
        self.events = EventRecords(self._file, self.journal)
        self.opts = OptRecords(self._file, self.journal)
        self.stretches = StretchRecords(self._file, self.journal)
        self.own_limits = OwnLimitRecords(self._file, self.journal)
        self.link = LinkRecords(self._file, self.journal)
        self.day_history = DayHistoryRecords(self._file, self.journal)
        self.power_trace = PowerTraceRecords(self._file, self.journal)
        self.load_profile = LoadProfileRecords(self._file, self.journal)
        self.reports = ReportRecords(self._file, self.journal)

    async def __aenter__(self) -> Self:
        try:
            await self._file.open()
            with self._file.errors():
                if self._file.read_only:
                    await must_be_newest(self._file, migrations=MIGRATIONS)
                    return self
                await migrate(self._file, now=self._opened_at, migrations=MIGRATIONS)
                # Only now: a migration may replace a table, which would take the rows that refer to it along.
                await self._file.rows("pragma foreign_keys=on")
                await self.reports.load()
                self.created_at = to_instant(await self._file.number("select value from meta where key = 'created_at'"))
        except BaseException:
            await self._file.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._file.read_only:
                await self.journal.close()
        finally:
            await self._file.close()
