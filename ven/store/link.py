"""Keep since when nothing was heard of the VTN, while the link counts as lost."""

from __future__ import annotations

from datetime import datetime

from ven.store.journal import Journal, Statement
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us


class LinkRecords:
    """Keep one instant, written twice in each loss. What is put is written when the journal is flushed."""

    def __init__(self, file: SqliteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal

    async def heard_at(self) -> datetime | None:
        """Return when the VTN was heard last if the link counted as lost, else None."""
        rows = await self._file.rows("select value from meta where key = 'link_heard_at'")
        return to_instant(int(rows[0][0])) if rows else None

    def put(self, heard_at: datetime) -> None:
        """Keep that the link is lost."""
        text = "insert or replace into meta values ('link_heard_at', ?)"
        self._journal.put(("link",), Statement(text, [(str(to_us(heard_at)),)]))

    def forget(self) -> None:
        """Keep that the link is there."""
        self._journal.put(("link",), Statement("delete from meta where key = 'link_heard_at'"))
