"""The data of one VEN that must survive a restart, kill -9 included, in one SQLite file.

Every method is one transaction; a method that has returned is on disk. Instants are whole microseconds since 1970,
kilowatts decimal text.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiosqlite

from openadr_profiles.v31 import Event, Invalid, Program, decode, encode
from ven.decision import Decision
from ven.errors import BadStore
from ven.panel.curtailment import CircuitPlan, SheddingPlan
from ven.panel.meter import PowerReading
from ven.records import Decided, Outcome, Outgoing, ReceivedEvent, Stretch

_OURS: Final = 0x6F414456  # "oADV", in the file's header
_VERSION: Final = 1
_SCHEMA: Final = """
create table meta (key text primary key, value text not null) strict, without rowid;
create table program (id text primary key, body blob not null) strict, without rowid;
create table event (
    id text primary key, body blob not null, anchor integer not null, first_received integer not null
) strict, without rowid;
create table decision (
    event_id text primary key, modified integer not null, opted_in integer not null, reason text,
    decided_at integer not null
) strict, without rowid;
create table baseline (
    event_id text not null, circuit_id text not null, kw text not null, primary key (event_id, circuit_id)
) strict, without rowid;
create table stretch (
    id integer primary key, event_id text not null, interval_id integer not null, payload_type text not null,
    start integer not null, end integer, requested_kw text not null, unmet_kw text not null, ended_at integer
) strict;
create index stretch_event on stretch (event_id);
create table stretch_circuit (
    stretch_id integer not null references stretch (id) on delete cascade, circuit_id text not null,
    place integer not null, original_kw text not null, shed_kw text not null, curtailed_kw text, final_kw text,
    primary key (stretch_id, circuit_id)
) strict, without rowid;
create table sample (at integer primary key, kw text not null) strict;
create table outgoing (
    name text primary key, event_id text not null, body blob, revision integer not null, sent_revision integer not null,
    vtn_id text, tried integer not null, expires_at integer, place integer not null
) strict, without rowid;
create index outgoing_event on outgoing (event_id);
"""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_US: Final = timedelta(microseconds=1)


class StateFile:
    """The memory of one VEN; use as an async context manager. A second process that opens the file is refused."""

    def __init__(self, path: Path, *, now: datetime) -> None:
        self._path = path
        self._opened_at = now
        self._connection: aiosqlite.Connection | None = None
        self._lock = asyncio.Lock()
        self.created_at = now
        """The instant at which this store was created; anything done before that is not recorded in it."""

    async def __aenter__(self) -> Self:
        try:
            self._path.open("ab").close()  # a file that cannot be used is found out here, before there is a thread
        except OSError as error:
            raise BadStore(f"{self._path} cannot be used: {error.strerror}") from error
        try:
            self._connection = await aiosqlite.connect(self._path, isolation_level=None, timeout=1.0)
            try:
                await self._prepare()
            except BaseException:
                await self._close()
                raise
        except sqlite3.OperationalError as error:
            hint = " by another process" if "locked" in str(error) else ""
            raise BadStore(f"{self._path} cannot be used{hint}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise BadStore(f"{self._path} is not a database of a VEN: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _prepare(self) -> None:
        for pragma in ("locking_mode=exclusive", "foreign_keys=on", "journal_mode=wal", "synchronous=full"):
            await self._rows(f"pragma {pragma}")
        application = (await self._rows("pragma application_id"))[0][0]
        version = (await self._rows("pragma user_version"))[0][0]
        tables = (await self._rows("select count(*) from sqlite_schema"))[0][0]
        if tables and application != _OURS:
            raise BadStore(f"{self._path} is a database of another program")
        if version > _VERSION:
            raise BadStore(f"{self._path} was written by a newer version ({version}); this one knows {_VERSION}")
        if not tables:
            async with self._transaction() as connection:
                for statement in _SCHEMA.split(";"):
                    await connection.execute(statement)
                await connection.execute("insert into meta values ('created_at', ?)", (str(_us(self._opened_at)),))
                await connection.execute(f"pragma application_id={_OURS}")
                await connection.execute(f"pragma user_version={_VERSION}")
        created = await self._rows("select value from meta where key = 'created_at'")
        self.created_at = _instant(int(created[0][0]))

    # events, programs and what was decided about them

    async def events(self) -> list[ReceivedEvent]:
        """All events that are remembered; one that can no longer be read is dropped with all that belongs to it."""
        received: list[ReceivedEvent] = []
        for id_, body, anchor, first in await self._rows("select id, body, anchor, first_received from event"):
            try:
                received.append(ReceivedEvent(decode(body, Event), _instant(anchor), _instant(first)))
            except Invalid:
                await self.forget_event(id_)
        return received

    async def put_event(self, received: ReceivedEvent) -> None:
        """Remember this version of an event."""
        event = received.event
        await self._write(
            "insert or replace into event values (?, ?, ?, ?)",
            (event.id, encode(event), _us(received.anchor), _us(received.first_received)),
        )

    async def forget_event(self, event_id: str) -> None:
        """Forget an event and everything that belongs to it."""
        async with self._transaction() as connection:
            await connection.execute("delete from event where id = ?", (event_id,))
            for table in ("decision", "baseline", "stretch", "outgoing"):
                await connection.execute(f"delete from {table} where event_id = ?", (event_id,))  # noqa: S608 # own names

    async def programs(self) -> list[Program]:
        """The programs that were seen last."""
        found: list[Program] = []
        for (body,) in await self._rows("select body from program"):
            try:
                found.append(decode(body, Program))
            except Invalid:
                continue
        return found

    async def put_programs(self, programs: Iterable[Program]) -> None:
        """Remember these programs and no others."""
        async with self._transaction() as connection:
            await connection.execute("delete from program")
            await connection.executemany(
                "insert or replace into program values (?, ?)", [(each.id, encode(each)) for each in programs]
            )

    async def decisions(self) -> list[Decided]:
        """All decisions."""
        rows = await self._rows("select event_id, modified, opted_in, reason, decided_at from decision")
        return [
            Decided(event_id, _instant(modified), Decision(bool(opted_in), reason), _instant(decided_at))
            for event_id, modified, opted_in, reason, decided_at in rows
        ]

    async def put_decision(self, decided: Decided) -> None:
        """Remember the decision on an event instead of an earlier one."""
        decision = decided.decision
        await self._write(
            "insert or replace into decision values (?, ?, ?, ?, ?)",
            (decided.event_id, _us(decided.modified), decision.opted_in, decision.reason, _us(decided.decided_at)),
        )

    # curtailment

    async def baselines(self) -> dict[str, dict[str, Decimal]]:
        """The frozen power of the circuits in kW, by event id and circuit id."""
        found: dict[str, dict[str, Decimal]] = {}
        for event_id, circuit_id, kw in await self._rows("select event_id, circuit_id, kw from baseline"):
            found.setdefault(event_id, {})[circuit_id] = Decimal(kw)
        return found

    async def put_baseline(self, event_id: str, kw: Mapping[str, Decimal]) -> None:
        """Freeze the baseline of an event."""
        async with self._transaction() as connection:
            await connection.executemany(
                "insert or replace into baseline values (?, ?, ?)",
                [(event_id, circuit_id, str(value)) for circuit_id, value in kw.items()],
            )

    async def stretches(self) -> list[tuple[Stretch, dict[str, Outcome]]]:
        """All stretches in the order in which they began, each with what became of its circuits."""
        plans: dict[int, list[CircuitPlan]] = {}
        outcomes: dict[int, dict[str, Outcome]] = {}
        rows = await self._rows(
            "select stretch_id, circuit_id, original_kw, shed_kw, curtailed_kw, final_kw from stretch_circuit"
            " order by stretch_id, place"
        )
        for id_, circuit_id, original, shed, curtailed, final in rows:
            plans.setdefault(id_, []).append(CircuitPlan(circuit_id, Decimal(original), Decimal(shed)))
            outcomes.setdefault(id_, {})[circuit_id] = Outcome(_kw(curtailed), _kw(final))
        rows = await self._rows(
            "select id, event_id, interval_id, payload_type, start, end, requested_kw, unmet_kw, ended_at"
            " from stretch order by id"
        )
        return [
            (
                Stretch(
                    id=id_,
                    event_id=event_id,
                    interval_id=interval_id,
                    payload_type=payload_type,
                    start=_instant(start),
                    end=None if end is None else _instant(end),
                    requested_kw=Decimal(requested),
                    unmet_kw=Decimal(unmet),
                    plan=tuple(plans.get(id_, ())),
                    ended_at=None if ended_at is None else _instant(ended_at),
                ),
                outcomes.get(id_, {}),
            )
            for id_, event_id, interval_id, payload_type, start, end, requested, unmet, ended_at in rows
        ]

    async def begin_stretch(
        self,
        *,
        event_id: str,
        interval_id: int,
        payload_type: str,
        start: datetime,
        end: datetime | None,
        plan: SheddingPlan,
    ) -> Stretch:
        """Remember a curtailment before it is carried out."""
        async with self._transaction() as connection:
            cursor = await connection.execute(
                "insert into stretch (event_id, interval_id, payload_type, start, end, requested_kw, unmet_kw)"
                " values (?, ?, ?, ?, ?, ?, ?) returning id",
                (
                    event_id,
                    interval_id,
                    payload_type,
                    _us(start),
                    None if end is None else _us(end),
                    str(plan.requested_kw),
                    str(plan.unmet_kw),
                ),
            )
            row = await cursor.fetchone()
            await cursor.close()
            id_ = int(row[0]) if row else 0
            await connection.executemany(
                "insert into stretch_circuit (stretch_id, circuit_id, place, original_kw, shed_kw)"
                " values (?, ?, ?, ?, ?)",
                [
                    (id_, each.circuit_id, place, str(each.original_kw), str(each.shed_kw))
                    for place, each in enumerate(plan.circuits)
                ],
            )
        return Stretch(
            id=id_,
            event_id=event_id,
            interval_id=interval_id,
            payload_type=payload_type,
            start=start,
            end=end,
            requested_kw=plan.requested_kw,
            unmet_kw=plan.unmet_kw,
            plan=plan.circuits,
        )

    async def end_stretch(self, stretch_id: int, ended_at: datetime, curtailed_kw: Mapping[str, Decimal]) -> None:
        """Remember that a curtailment is over, and the mean power of each circuit during it."""
        async with self._transaction() as connection:
            await connection.execute("update stretch set ended_at = ? where id = ?", (_us(ended_at), stretch_id))
            await connection.executemany(
                "update stretch_circuit set curtailed_kw = ? where stretch_id = ? and circuit_id = ?",
                [(str(kw), stretch_id, circuit_id) for circuit_id, kw in curtailed_kw.items()],
            )

    async def put_finals(self, stretch_id: int, final_kw: Mapping[str, Decimal]) -> None:
        """Remember the power of circuits after their return."""
        async with self._transaction() as connection:
            await connection.executemany(
                "update stretch_circuit set final_kw = ? where stretch_id = ? and circuit_id = ?",
                [(str(kw), stretch_id, circuit_id) for circuit_id, kw in final_kw.items()],
            )

    async def forget_stretches(self, stretch_ids: Iterable[int]) -> None:
        """Forget these stretches and what became of their circuits."""
        async with self._transaction() as connection:
            await connection.executemany("delete from stretch where id = ?", [(id_,) for id_ in stretch_ids])

    # readings

    async def put_sample(self, sample: PowerReading, *, keep_from: datetime) -> None:
        """Keep a reading, and drop those that only matter before `keep_from`."""
        async with self._transaction() as connection:
            text = json.dumps({id_: str(kw) for id_, kw in sample.kw.items()})
            await connection.execute("insert or replace into sample values (?, ?)", (_us(sample.at), text))
            await connection.execute("delete from sample where at < ?", (_us(keep_from),))

    async def samples(self, start: datetime, end: datetime, *, hold: timedelta) -> Sequence[PowerReading]:
        """Return the readings that apply to [start, end), in order."""
        rows = await self._rows(
            "select at, kw from sample where at > ? and at < ? order by at", (_us(start - hold), _us(end))
        )
        return [
            PowerReading(_instant(at), {id_: Decimal(kw) for id_, kw in json.loads(text).items()}) for at, text in rows
        ]

    # reports

    async def put_report(
        self, name: str, event_id: str, body: bytes, *, expires_at: datetime | None, may_exist: bool
    ) -> None:
        """Have a report sent; it replaces what was put under that name before, here and at the VTN.

        `may_exist`: the VTN may have a report of this name although we do not remember it.
        """
        async with self._transaction() as connection:
            await connection.execute(
                "insert into outgoing select :name, :event, :body, 1, 0, null, :tried, :expires,"
                " coalesce(max(place), 0) + 1 from outgoing where true"
                " on conflict (name) do update set body = excluded.body, revision = revision + 1,"
                " expires_at = excluded.expires_at",
                {
                    "name": name,
                    "event": event_id,
                    "body": body,
                    "tried": may_exist,
                    "expires": None if expires_at is None else _us(expires_at),
                },
            )

    async def has_report(self, name: str) -> bool:
        """Return True if a report of that name was ever put."""
        return bool(await self._rows("select 1 from outgoing where name = ?", (name,)))

    async def unsent(self) -> list[Outgoing]:
        """Reports whose newest revision is yet to be sent, oldest first."""
        rows = await self._rows(
            "select name, event_id, body, revision, vtn_id, tried, expires_at from outgoing"
            " where revision > sent_revision order by place"
        )
        return [
            Outgoing(name, event_id, body, revision, vtn_id, bool(tried), None if end is None else _instant(end))
            for name, event_id, body, revision, vtn_id, tried, end in rows
        ]

    async def mark_tried(self, name: str) -> None:
        """Remember that a report is about to be created, before it is."""
        await self._write("update outgoing set tried = 1 where name = ?", (name,))

    async def mark_sent(self, report: Outgoing, vtn_id: str) -> None:
        """Remember that the VTN has this revision; its body is not needed any more."""
        await self._write(
            "update outgoing set sent_revision = ?, vtn_id = ?,"
            " body = case when revision = ? then null else body end where name = ?",
            (report.revision, vtn_id, report.revision, report.name),
        )

    async def mark_lost(self, name: str) -> None:
        """Remember that the VTN does not have the report any more."""
        await self._write("update outgoing set vtn_id = null where name = ?", (name,))

    async def give_up(self, name: str) -> None:
        """Remember that a report is not to be sent: it is too old, or the VTN refused it."""
        await self._write("update outgoing set sent_revision = revision, body = null where name = ?", (name,))

    # the file

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        async with self._lock:
            connection = self._open
            await connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                await connection.rollback()
                raise
            await connection.commit()

    async def _write(self, statement: str, values: Sequence[object]) -> None:
        async with self._transaction() as connection:
            await connection.execute(statement, values)

    async def _rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        return list(await self._open.execute_fetchall(statement, values))

    @property
    def _open(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise RuntimeError("the store is not open: use it as `async with`")
        return self._connection


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // _US


def _instant(us: int) -> datetime:
    return _EPOCH + us * _US


def _kw(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
