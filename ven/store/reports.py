"""Keep reports until the VTN has them, and their names for as long as their event is remembered."""

from __future__ import annotations

from datetime import datetime

from ven.records import Outgoing
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us

_PUT = """
    insert into outgoing values (?, ?, ?, 1, 0, null, ?, ?, (select coalesce(max(place), 0) + 1 from outgoing))
    on conflict (name) do update set body = excluded.body, revision = revision + 1, expires_at = excluded.expires_at
"""


class ReportRecords:
    """Keep reports by name. Each change of a report is a new revision; only the newest is ever sent."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    async def put(self, name: str, event_id: str, body: bytes, *, expires_at: datetime | None, may_exist: bool) -> None:
        """Have a report sent; it replaces what was put under that name before, here and at the VTN.

        `may_exist`: the VTN may have a report of this name although we do not remember it.
        """
        await self._file.write(_PUT, (name, event_id, body, may_exist, to_us(expires_at)))

    async def has(self, name: str) -> bool:
        """Return True if a report of that name was ever put."""
        return bool(await self._file.rows("select 1 from outgoing where name = ?", (name,)))

    async def unsent(self) -> list[Outgoing]:
        """Return the reports whose newest revision is yet to be sent, oldest first."""
        rows = await self._file.rows(
            "select name, event_id, body, revision, vtn_id, tried, expires_at from outgoing"
            " where revision > sent_revision order by place"
        )
        return [
            Outgoing(name, event_id, body, revision, vtn_id, bool(tried), to_instant(expires))
            for name, event_id, body, revision, vtn_id, tried, expires in rows
        ]

    async def mark_tried(self, name: str) -> None:
        """Keep that a report is about to be created, before it is."""
        await self._file.write("update outgoing set tried = 1 where name = ?", (name,))

    async def mark_sent(self, report: Outgoing, vtn_id: str) -> None:
        """Keep that the VTN has this revision; its body is not needed any more."""
        await self._file.write(
            "update outgoing set sent_revision = ?, vtn_id = ?,"
            " body = case when revision = ? then null else body end where name = ?",
            (report.revision, vtn_id, report.revision, report.name),
        )

    async def mark_lost(self, name: str) -> None:
        """Keep that the VTN does not have the report any more."""
        await self._file.write("update outgoing set vtn_id = null where name = ?", (name,))

    async def give_up(self, name: str) -> None:
        """Keep that a report is not to be sent: it is too old, or the VTN refused it."""
        await self._file.write("update outgoing set sent_revision = revision, body = null where name = ?", (name,))
