"""Keep reports until the VTN has them, and what is needed to make each of them once.

What is kept stays bounded, however long an event lasts and the VTN is away: of the reports that events ask for, the
latest that were sent (``MOST_SENT`` for each event) and the latest that were not (``MOST_UNSENT``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ven.records import Outgoing
from ven.store.journal import Journal, Key, Statement
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_instant, to_us

MOST_SENT: Final = 100
MOST_UNSENT: Final = 2_000
_AT_A_TIME: Final = 100

_PUT: Final = """
    insert into outgoing values (?, ?, ?, 1, 0, null, ?, ?, (select coalesce(max(place), 0) + 1 from outgoing))
    on conflict (name) do update set body = excluded.body, revision = revision + 1, expires_at = excluded.expires_at
"""
_ADD: Final = """
    insert into outgoing values (?, ?, ?, 1, 0, null, ?, ?, (select coalesce(max(place), 0) + 1 from outgoing))
    on conflict (name) do nothing
"""
_CURSOR: Final = """
    insert into report_cursor values (?, ?, ?, ?)
    on conflict (event_id, descriptor) do update set until = max(until, excluded.until), covered = excluded.covered
"""
_DROP_SENT: Final = """
    delete from outgoing where name in (
        select name from outgoing where event_id = ? and sent_revision = revision and name glob 'report-*'
        order by place desc limit -1 offset ?
    )
"""
_DROP_UNSENT: Final = """
    delete from outgoing where name in (
        select name from outgoing where revision > sent_revision and name glob 'report-*'
        order by place desc limit -1 offset ?
    )
"""


@dataclass(frozen=True, slots=True)
class _Mark:
    """Hold what became of a report: the revision that needs no sending, and what its row should say."""

    done: int | None = None
    vtn_id: str | None = None
    tried: bool = True


class ReportRecords:
    """Keep reports by name. Each change of a report is a new revision; only the newest is ever sent.

    What the sender tells of a report counts at once, whether or not the disk takes it: on a disk that is full no report
    is sent twice, and none holds up another.
    """

    def __init__(self, file: SqliteFile, journal: Journal) -> None:
        self._file = file
        self._journal = journal
        self._events_by_name: dict[str, str] = {}
        self._marks: dict[str, _Mark] = {}
        self._of_earlier_runs = 0

    async def load(self) -> None:
        """Take up the names of what is kept, without those of reports that events ask for: they become many."""
        rows = await self._file.rows("select name, event_id from outgoing where name not glob 'report-*'")
        self._events_by_name = {str(name): str(event_id) for name, event_id in rows if name}
        self._of_earlier_runs = await self._file.number("select coalesce(max(place), 0) from outgoing")

    def put(self, name: str, event_id: str, body: bytes, *, expires_at: datetime | None, may_exist: bool) -> None:
        """Have a report sent; it replaces what was put under that name before, here and at the VTN.

        `may_exist`: the VTN may have a report of this name although we do not remember it.
        """
        self._events_by_name[name] = event_id
        row = (name, event_id, body, may_exist, to_us(expires_at))
        self._journal.put((event_id, "report", name), Statement(_PUT, (row,)))

    def add(
        self,
        reports: Mapping[str, bytes],
        event_id: str,
        *,
        cursors: Mapping[str, datetime],
        covered: Mapping[str, str] | None = None,
        expires_at: datetime | None,
        may_exist: bool,
    ) -> None:
        """Have the reports sent that an event asked for, by name, and move the cursors of its descriptors on.

        ``covered`` says for each cursor which intervals the report was about, as text (`ven.reports.queue`). All is one
        transaction: what the cursors say was made is there.
        """
        rows = [(name, event_id, body, may_exist, to_us(expires_at)) for name, body in reports.items()]
        statements = [Statement(_ADD, rows)] if rows else []
        about = covered or {}
        moved = [(event_id, key, to_us(until), about.get(key, "")) for key, until in cursors.items()]
        statements.append(Statement(_CURSOR, moved))
        statements += [Statement(_DROP_SENT, ((event_id, MOST_SENT),)), Statement(_DROP_UNSENT, ((MOST_UNSENT,),))]
        newest = max(cursors.values())
        self._journal.put((event_id, "requested", *sorted(cursors), newest.isoformat()), *statements, gives_way=True)

    def knows(self, name: str) -> bool:
        """Return True if a report of that name was `put`, and its event is not forgotten."""
        return name in self._events_by_name

    def forget(self, event_id: str) -> None:
        """Forget the names of an event's reports; the rows go with the event."""
        self._events_by_name = {name: id_ for name, id_ in self._events_by_name.items() if id_ != event_id}

    async def cursors(self) -> dict[str, dict[str, datetime]]:
        """Return the time of the latest report that was made, by event id and key of the descriptor."""
        found: dict[str, dict[str, datetime]] = {}
        for event_id, key, until in await self._file.rows("select event_id, descriptor, until from report_cursor"):
            found.setdefault(event_id, {})[key] = to_instant(until)
        return found

    async def covered(self) -> dict[str, dict[str, str]]:
        """Return which intervals the latest report was about, by event id and key of the descriptor."""
        found: dict[str, dict[str, str]] = {}
        for event_id, key, text in await self._file.rows("select event_id, descriptor, covered from report_cursor"):
            found.setdefault(event_id, {})[key] = text
        return found

    async def targets(self) -> dict[str, tuple[str, ...]]:
        """Return the targets of our resources at the VTN, by name, as they were last seen."""
        rows = await self._file.rows("select value from meta where key = 'resource_targets'")
        return {name: tuple(targets) for name, targets in json.loads(rows[0][0]).items()} if rows else {}

    def put_targets(self, targets: Mapping[str, Sequence[str]]) -> None:
        """Keep the targets of our resources: reports are due also while the VTN is away."""
        text = json.dumps({name: list(each) for name, each in targets.items()})
        statement = "insert or replace into meta values ('resource_targets', ?)"
        self._journal.put(("resource targets",), Statement(statement, ((text,),)))

    async def unsent(self, *, but: Iterable[Outgoing] = ()) -> list[Outgoing]:
        """Return the oldest reports whose newest revision is yet to be sent; those not asked for come first.

        Of `but` these revisions are left out. Those of an earlier run may have been tried although nothing says so:
        its disk may have been full. Raises BadStore if the disk does not answer rightly.
        """
        marks = self._marks_not_written()  # before the rows are read: afterwards they may be written
        done = [f"{name}:{mark.done}" for name, mark in marks.items() if mark.done is not None]
        left_out = json.dumps([*(f"{each.name}:{each.revision}" for each in but), *done])
        with self._file.errors():
            rows = await self._file.rows(
                "select name, event_id, body, revision, vtn_id, tried or place <= ?, expires_at from outgoing"
                " where revision > sent_revision and name || ':' || revision not in (select value from json_each(?))"
                " order by name glob 'report-*', place limit ?",
                (self._of_earlier_runs, left_out, _AT_A_TIME),
            )
        found = []
        for name, event_id, body, revision, vtn_id, tried, expires in rows:
            mark = marks.get(name, _Mark(None, vtn_id, tried=bool(tried)))
            found.append(Outgoing(name, event_id, body, revision, mark.vtn_id, mark.tried, to_instant(expires)))
        return found

    def _marks_not_written(self) -> dict[str, _Mark]:
        """Return what the rows do not say yet, by name."""
        waiting = {key[2] for key in self._journal.pending if key[1:2] == ("mark",)} if self._marks else ()
        self._marks = {name: mark for name, mark in self._marks.items() if name in waiting}
        return self._marks

    async def waiting_for(self) -> set[str]:
        """Return the ids of the events of which there are reports that are yet to be sent."""
        rows = await self._file.rows("select distinct event_id from outgoing where revision > sent_revision")
        return {event_id for (event_id,) in rows}

    async def mark_tried(self, report: Outgoing) -> None:
        """Keep that a report is about to be created, before it is; an id known before is void."""
        await self._mark(report, _Mark(), "update outgoing set tried = 1, vtn_id = null where name = ?", (report.name,))

    async def mark_sent(self, report: Outgoing, vtn_id: str) -> None:
        """Keep that the VTN has this revision; its body is not needed any more."""
        await self._mark(
            report,
            _Mark(report.revision, vtn_id),
            "update outgoing set sent_revision = ?, vtn_id = ?,"
            " body = case when revision = ? then null else body end where name = ?",
            (report.revision, vtn_id, report.revision, report.name),
        )

    async def give_up(self, report: Outgoing) -> None:
        """Keep that this revision is not to be sent: it is too old, or the VTN refused it. A newer one is."""
        await self._mark(
            report,
            _Mark(report.revision, report.vtn_id, tried=report.tried),
            "update outgoing set sent_revision = revision, body = null where name = ? and revision = ?",
            (report.name, report.revision),
        )

    async def _mark(self, report: Outgoing, mark: _Mark, statement: str, values: Sequence[object]) -> None:
        """Remember what became of a report, and write it if the disk answers; the newest mark of a report counts."""
        self._marks[report.name] = mark
        self._journal.put(_mark_key(report.event_id, report.name), Statement(statement, (values,)))
        await self._journal.flush()


def _mark_key(event_id: str, name: str) -> Key:
    return event_id, "mark", name
