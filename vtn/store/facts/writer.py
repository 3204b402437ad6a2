"""Put what reports say into the tables of facts, in transactions that also take the reports out of the queue.

What commits here is the work of one process at a time: it holds a lease, whose row each transaction locks. Entries of
the queue that are gone when a transaction takes them were taken by another process: nothing is written then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from operator import itemgetter
from typing import Any, Final, TypeVar

from sqlalchemy import RowMapping, TextClause, bindparam, delete, func, insert, or_, select

from vtn.store.database import Database
from vtn.store.engine import AsyncConnection
from vtn.store.facts import statements
from vtn.store.facts.given import as_json
from vtn.store.facts.partitions import Partitions
from vtn.store.facts.said import Queued, ReportText, Said
from vtn.store.facts.statements import FactTable
from vtn.store.facts.tables import (
    event_opts,
    event_sheds,
    meters,
    read_reports,
    readings,
    report_corrections,
    report_queue,
)
from vtn.store.stamps import Stamps
from vtn.store.tables import events, leases, reports
from vtn.store.types import octets
from vtn.store.upserts import insert_into

T = TypeVar("T")

FACTS_LEASE: Final = "facts"
_REPORTS_AT_ONCE: Final = 50
_BYTES_AT_ONCE: Final = 256 * 1024
_ROWS_AT_ONCE: Final = 5000
_COUNTED: Final = 1_000_000

_NEXT: Final = (
    select(report_queue.c.seq, report_queue.c.report_id, octets(reports.c.members).label("size"))
    .select_from(report_queue.outerjoin(reports, reports.c.id == report_queue.c.report_id))
    .order_by(report_queue.c.seq.desc())
    .limit(_REPORTS_AT_ONCE)
)
_TEXTS: Final = (
    select(
        reports.c.id,
        reports.c.event_id,
        events.c.program_id,
        reports.c.client_id,
        reports.c.modified_at,
        reports.c.members,
    )
    .join(events, events.c.id == reports.c.event_id)
    .where(reports.c.id.in_(bindparam("ids", expanding=True)))
)


class _Statements:
    """Hold the statements of one kind of database."""

    def __init__(self, *, sqlite: bool) -> None:
        self.fill = {table.name: table.fill(sqlite=sqlite) for table in statements.TABLES}
        self.others = {table.name: table.others(sqlite=sqlite) for table in statements.TABLES}
        self.mark_participants = statements.mark_participants(sqlite=sqlite)
        self.add_meters = statements.add_meters(sqlite=sqlite)
        self.find_meters = statements.find_meters(sqlite=sqlite)
        self.note_latest = statements.note_latest(sqlite=sqlite)
        self.drop_meters = statements.drop_meters(sqlite=sqlite)
        self.mark_whole = statements.mark_whole(sqlite=sqlite)
        self.pairs = insert_into(report_corrections, sqlite=sqlite).on_conflict_do_nothing()


class TakenByAnother(Exception):
    """Another process has taken the same entries of the queue, or the lease: nothing was written."""


class FactWriter:
    """Read the queue of reports, and write what they say. ``by`` names this process in the lease."""

    def __init__(self, database: Database, stamps: Stamps, *, by: str) -> None:
        self._database = database
        self._stamps = stamps
        self._by = by
        self._partitions = Partitions(sqlite=database.is_sqlite)
        self._statements = _Statements(sqlite=database.is_sqlite)

    async def is_empty(self) -> bool:
        """Return True if no report is to be read."""
        return not await self._database.rows(select(report_queue.c.seq).limit(1))

    async def waiting(self) -> int:
        """Return the number of entries in the queue, up to a million."""
        some = select(report_queue.c.seq).limit(_COUNTED).subquery()
        row = await self._database.row(select(func.count().label("waiting")).select_from(some))
        count: int = row["waiting"] if row is not None else 0
        return count

    async def queued(self, *, most: int = _REPORTS_AT_ONCE) -> Queued | None:
        """Return reports to be read, the newest first, as many as are small enough together; None if there are none."""
        entries = await self._database.rows(_NEXT.limit(most))
        if not entries:
            return None
        chosen: list[RowMapping] = []
        size = 0
        for entry in entries:
            size += entry["size"] or 0
            if chosen and size > _BYTES_AT_ONCE:
                break
            chosen.append(entry)
        ids = sorted({entry["report_id"] for entry in chosen})
        rows = await self._database.rows(_TEXTS.params(ids=ids))
        texts = [ReportText(*(row[name] for name in _TEXT_COLUMNS)) for row in rows]
        gone = set(ids) - {one.id for one in texts}
        return Queued([entry["seq"] for entry in chosen], texts, sorted(gone))

    async def write(self, queued: Queued, said: Sequence[Said]) -> None:
        """Store what reports say in the place of what they said before, and take them out of the queue.

        Raises TakenByAnother, or what the database has against a row.
        """
        starts = [row.starts_at_ms for one in said for row in one.readings]
        try:
            async with self._database.write() as connection:
                await self._take(connection, queued.entries)
                await self._partitions.prepare(connection, starts)
                await _Transaction(self._statements, connection, self._stamps.now).write(said, queued.gone)
        except BaseException:  # also when it is cancelled: nothing of it is there
            self._partitions.forget()
            raise
        self._partitions.keep(starts)

    async def _take(self, connection: AsyncConnection, entries: Sequence[int]) -> None:
        held = select(leases.c.held_by).where(leases.c.name == FACTS_LEASE).with_for_update()
        if (await connection.execute(held)).scalar() != self._by:
            raise TakenByAnother
        taken = await connection.execute(delete(report_queue).where(report_queue.c.seq.in_(entries)))
        if taken.rowcount != len(entries):
            raise TakenByAnother


_TEXT_COLUMNS: Final = ("id", "event_id", "program_id", "client_id", "modified_at", "members")


class _Transaction:
    """Write what some reports say, in one transaction."""

    def __init__(self, its: _Statements, connection: AsyncConnection, now: str) -> None:
        self._its = its
        self._connection = connection
        self._now = now
        self._meters: set[int] = set()
        """Meters whose readings change."""
        self._clients: set[str] = set()
        """Clients whose meters come or go."""
        self._places: set[tuple[str, str]] = set()
        """Events and clients whose opts or sheds change."""

    async def write(self, said: Sequence[Said], gone: Collection[str]) -> None:
        sources = await self._sources(said, gone)
        self._places |= {(one.report.event_id, one.report.client_id) for one in said if one.opts or one.sheds}
        await self._fill_readings(said, sources)
        await self._fill_events(said, sources)
        for statement in self._its.mark_participants:
            await self._send(statement, sorted(self._places))
        await self._finish_meters()

    async def _sources(self, said: Sequence[Said], gone: Collection[str]) -> dict[str, int]:
        """Return the numbers of the reports that were read, by their ids; what they said before is removed.

        A report that has not changed since it was read keeps its number: it is read again because a newer one went.
        """
        ids = [*(one.report.id for one in said), *gone]
        known = {
            row.report_id: row
            for row in (
                await self._connection.execute(
                    select(read_reports.c.id, read_reports.c.report_id, read_reports.c.changed_at).where(
                        read_reports.c.report_id.in_(ids)
                    )
                )
            ).all()
        }
        now = {one.report.id: one.report.changed_at for one in said}
        same = {report_id for report_id, row in known.items() if row.changed_at == now.get(report_id)}
        old = [row.id for report_id, row in known.items() if report_id not in same]
        if old:
            await self._remove(old)
        new = [one for one in said if one.report.id not in same]
        if new:
            await self._connection.execute(insert(read_reports), [self._source(one) for one in new])
        return {
            row.report_id: row.id
            for row in (
                await self._connection.execute(
                    select(read_reports.c.id, read_reports.c.report_id).where(read_reports.c.report_id.in_(ids))
                )
            ).all()
        }

    def _source(self, one: Said) -> dict[str, Any]:
        return {
            "report_id": one.report.id,
            "event_id": one.report.event_id,
            "program_id": one.report.program_id,
            "client_id": one.report.client_id,
            "changed_at": one.report.changed_at,
            "read_at": self._now,
            "taken": one.taken,
            "left_out": one.left_out,
            "assumed": one.assumed,
            "trouble": one.trouble,
        }

    async def _remove(self, old: Sequence[int]) -> None:
        """Remove what reports said; the older ones that speak of the same are read again."""
        send = self._connection.execute
        pairs = report_corrections
        its_meters = select(readings.c.meter_id).where(readings.c.source_id.in_(old)).distinct()
        whose = select(meters.c.id, meters.c.client_id).where(meters.c.id.in_(its_meters))
        for row in (await send(whose)).all():
            self._meters.add(row.id)
            self._clients.add(row.client_id)
        for table in (event_opts, event_sheds):
            its_places = select(table.c.event_id, table.c.client_id).where(table.c.source_id.in_(old)).distinct()
            self._places |= {(row.event_id, row.client_id) for row in (await send(its_places)).all()}
        older = (
            select(read_reports.c.report_id)
            .join(pairs, pairs.c.older_id == read_reports.c.id)
            .where(pairs.c.newer_id.in_(old), read_reports.c.id.not_in(old))
            .distinct()
        )
        await send(insert(report_queue).from_select(["report_id"], older))
        below = pairs.alias("below")
        bridged = (
            select(pairs.c.newer_id, below.c.older_id)
            .join(below, below.c.newer_id == pairs.c.older_id)
            .where(below.c.newer_id.in_(old))
            .distinct()
        )
        found = [dict(row) for row in (await send(bridged)).mappings()]
        if found:
            await send(self._its.pairs, found)
        for table in (readings, event_opts, event_sheds):
            await send(delete(table).where(table.c.source_id.in_(old)))
        await send(delete(pairs).where(or_(pairs.c.older_id.in_(old), pairs.c.newer_id.in_(old))))
        await send(delete(read_reports).where(read_reports.c.id.in_(old)))

    async def _fill_readings(self, said: Sequence[Said], sources: dict[str, int]) -> None:
        named = sorted({(one.report.client_id, row.resource) for one in said for row in one.readings})
        if not named:
            return
        await self._send(self._its.add_meters, named)
        numbers: dict[tuple[str, str], int] = {}
        for some in _parts(named, _ROWS_AT_ONCE):
            found = await self._connection.execute(self._its.find_meters, {"rows": as_json(some)})
            for row in found.all():
                numbers[row.client_id, row.resource] = row.id
                if row.is_new:
                    self._clients.add(row.client_id)
        self._meters |= set(numbers.values())
        await self._fill(
            statements.READINGS,
            (
                (numbers[one.report.client_id, row.resource], *row[1:], sources[one.report.id])
                for one in _oldest_first(said)
                for row in one.readings
            ),
        )

    async def _fill_events(self, said: Sequence[Said], sources: dict[str, int]) -> None:
        def rows(what: str, mark: bool) -> Iterator[tuple[Any, ...]]:
            for one in _oldest_first(said):
                for row in getattr(one, what):
                    yield one.report.event_id, one.report.client_id, *row, mark, sources[one.report.id]

        await self._fill(statements.OPTS, rows("opts", mark=True))
        await self._fill(statements.SHEDS, rows("sheds", mark=False))

    async def _fill(self, table: FactTable, rows: Iterable[tuple[Any, ...]]) -> None:
        """Store rows, the last one of those with the same key; the others' reports are noted as older ones."""
        keys = itemgetter(*(list(table.columns).index(name) for name in table.key))
        latest: dict[tuple[Any, ...], tuple[Any, ...]] = {}
        pairs: set[tuple[int, int]] = set()
        for row in rows:
            key = keys(row)
            before = latest.get(key)
            if before is not None and before[-1] != row[-1]:
                pairs.add((row[-1], before[-1]))
            latest[key] = row
        for some in _parts(latest.values(), _ROWS_AT_ONCE):
            values = {"rows": as_json(some)}
            for row in (await self._connection.execute(self._its.others[table.name], values)).all():
                pairs.add((row.given_id, row.known_id))
            await self._connection.execute(self._its.fill[table.name], values)
        await self._note(pairs)

    async def _note(self, pairs: Collection[tuple[int, int]]) -> None:
        """Record which reports speak of the same thing, the newer one first."""
        if not pairs:
            return
        changed: dict[int, tuple[str, int]] = {}
        for ids in _parts(sorted({each for pair in pairs for each in pair}), _ROWS_AT_ONCE):
            found = select(read_reports.c.id, read_reports.c.changed_at).where(read_reports.c.id.in_(ids))
            changed |= {row.id: (row.changed_at, row.id) for row in (await self._connection.execute(found)).all()}
        ordered = {tuple(sorted(pair, key=changed.__getitem__, reverse=True)) for pair in pairs}
        await self._connection.execute(
            self._its.pairs, [{"newer_id": newer, "older_id": older} for newer, older in sorted(ordered)]
        )

    async def _finish_meters(self) -> None:
        """Note the latest readings of meters, forget those without any, and mark which are whole."""
        if not self._meters:
            return
        ids = [(each,) for each in sorted(self._meters)]
        await self._send(self._its.note_latest, ids)
        await self._send(self._its.drop_meters, ids)
        await self._send(self._its.mark_whole, [(each,) for each in sorted(self._clients)])

    async def _send(self, statement: TextClause, rows: Sequence[tuple[Any, ...]]) -> None:
        """Execute a statement for rows, some at a time."""
        for some in _parts(rows, _ROWS_AT_ONCE):
            await self._connection.execute(statement, {"rows": as_json(some)})


def _oldest_first(said: Iterable[Said]) -> Sequence[Said]:
    return sorted(said, key=lambda one: one.report.changed_at)


def _parts(rows: Iterable[T], most: int) -> Iterator[Sequence[T]]:
    """Yield rows, so many at a time."""
    rest = iter(rows)
    while some := list(islice(rest, most)):
        yield some
