"""Keep the pieces of the load profile that reports are still to be made of."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ven.panel.load_profile import Piece, encoded
from ven.store.journal import Journal, Statement
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_us

_ABOUT: Final = "load profile"


class LoadProfileRecords:
    """Keep pieces by their start."""

    def __init__(self, file: SqliteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal

    async def all(self) -> list[bytes]:
        """Return the pieces in order of time, for `LoadProfile.load`."""
        return [text for (text,) in await self._file.rows("select body from load_profile order by start")]

    def put(self, piece: Piece) -> None:
        """Keep a piece in its newest state."""
        start = to_us(piece.start)
        row = (start, to_us(piece.end), encoded(piece))
        statement = Statement("insert or replace into load_profile values (?, ?, ?)", (row,))
        self._journal.put((_ABOUT, str(start)), statement, gives_way=True)

    def drop_before(self, needed_from: datetime | None) -> None:
        """Drop the pieces that end at an instant or earlier; all of them if nothing is needed (None)."""
        if needed_from is None:
            self._journal.drop(_ABOUT)
            self._journal.put((_ABOUT, "drop"), Statement("delete from load_profile"))
        else:
            statement = Statement("delete from load_profile where end <= ?", ((to_us(needed_from),),))
            self._journal.put((_ABOUT, "drop"), statement)
