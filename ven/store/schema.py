"""Hold the versions of the state file's layout, and bring a file of an older version to the newest.

A new version is one more entry of `MIGRATIONS`; entries that were released are never edited. Add a file of the new
version with real content to `tests/ven/data` as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from ven.errors import BadStore
from ven.store.sqlite_file import SqliteFile
from ven.store.values import to_us

_log = structlog.get_logger(__name__)

_OURS: Final = 0x6F414456
"""Marks our files, as `PRAGMA application_id`: "oADV"."""

_FIRST: Final = (
    "create table meta (key text primary key, value text not null) strict, without rowid",
    "create table program (id text primary key, body blob not null) strict, without rowid",
    """create table event (
        id text primary key, body blob not null, anchor integer not null, first_received integer not null
    ) strict, without rowid""",
    """create table decision (
        event_id text primary key, modified integer not null, opted_in integer not null, reason text,
        decided_at integer not null
    ) strict, without rowid""",
    """create table baseline (
        event_id text not null, circuit_id text not null, kw text not null, primary key (event_id, circuit_id)
    ) strict, without rowid""",
    """create table stretch (
        id integer primary key, event_id text not null, interval_id integer not null, payload_type text not null,
        start integer not null, end integer, requested_kw text not null, unmet_kw text not null, ended_at integer
    ) strict""",
    "create index stretch_event on stretch (event_id)",
    """create table stretch_circuit (
        stretch_id integer not null references stretch (id) on delete cascade, circuit_id text not null,
        place integer not null, original_kw text not null, shed_kw text not null, curtailed_kw text, final_kw text,
        primary key (stretch_id, circuit_id)
    ) strict, without rowid""",
    "create table sample (at integer primary key, kw text not null) strict",
    """create table outgoing (
        name text primary key, event_id text not null, body blob, revision integer not null,
        sent_revision integer not null, vtn_id text, tried integer not null, expires_at integer, place integer not null
    ) strict, without rowid""",
    "create index outgoing_event on outgoing (event_id)",
    f"pragma application_id={_OURS}",
)

_UNSENT_REPORTS_BY_INDEX: Final = (
    "create index outgoing_place on outgoing (place)",
    "create index outgoing_unsent on outgoing (place) where revision > sent_revision",
)
"""Find unsent reports, after every reading, among the thousands of sent ones that an event without end leaves."""

_STRETCHES_AS_SUMS: Final = (
    "alter table stretch add column value_start integer",
    "alter table stretch add column correction_kw text not null default '0'",
    "alter table stretch add column covered_us integer not null default 0",
    "alter table stretch add column requested text not null default '0'",
    "alter table stretch add column net text not null default '0'",
    "alter table stretch_circuit add column covered_us integer not null default 0",
    "alter table stretch_circuit add column requested text not null default '0'",
    "alter table stretch_circuit add column original text not null default '0'",
    "alter table stretch_circuit add column drawn text not null default '0'",
    "alter table stretch_circuit add column delivered text not null default '0'",
)
"""A stretch lasts as long as its value holds; what was asked, drawn and delivered are sums of kW times microseconds."""

_OWN_LIMITS: Final = (
    """create table own_limit (
        circuit_id text primary key, limit_kw text not null, since integer not null, seen integer not null,
        taken integer not null
    ) strict, without rowid""",
    """create table override (
        circuit_id text primary key, since integer not null, reason text not null, event_ids text not null
    ) strict, without rowid""",
)
"""Know after a restart which limits are ours, and which circuits their owner has taken over."""

_OPTS: Final = (
    "alter table decision add column basis text not null default ''",
    """create table opt (
        scope text primary key, opted_in integer not null, reason text, until integer, made_at integer not null
    ) strict, without rowid""",
    """create table past_decision (
        number integer primary key, event_id text not null, event_name text, program_name text,
        opted_in integer not null, reason text, decided_at integer not null, start integer not null, end integer,
        reports_only integer not null
    ) strict""",
)
"""Keep what decisions were made by, what the owner said by hand, and the history of decisions."""

_SUMS_INSTEAD_OF_READINGS: Final = (
    "drop table sample",
    "create table load_profile (start integer primary key, end integer not null, body blob not null) strict",
    """create table report_cursor (
        event_id text not null, descriptor text not null, until integer not null, primary key (event_id, descriptor)
    ) strict, without rowid""",
)
"""Readings are summed up between the edges of windows, and what was reported is a cursor for each descriptor."""

_HOURS_OF_DAYS: Final = ("create table hour_power (start integer primary key, kw text not null) strict",)
"""Keep what the circuits drew in the hours of the last days, for baselines."""

_COVERED_INTERVALS: Final = ("alter table report_cursor add column covered text not null default ''",)
"""Keep which intervals the latest report of a descriptor was about: it is made again if an event changes them."""

_MINUTES_OF_POWER: Final = ("create table minute_power (start integer primary key, kw blob not null) strict",)
"""Keep what the panel drew in the minutes of the last seven days, an hour in a row, for the page of the VEN."""

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    _FIRST,
    _UNSENT_REPORTS_BY_INDEX,
    _STRETCHES_AS_SUMS,
    _OWN_LIMITS,
    _OPTS,
    _SUMS_INSTEAD_OF_READINGS,
    _HOURS_OF_DAYS,
    _COVERED_INTERVALS,
    _MINUTES_OF_POWER,
)
"""The statements that lead to each version, the first one's from an empty file."""


async def migrate(file: SqliteFile, *, now: datetime, migrations: Sequence[Sequence[str]]) -> None:
    """Bring an open file to the newest version, each version in one transaction; a new file is made at `now`.

    The version (`PRAGMA user_version`) is part of the transaction, so a process that is killed leaves the file at one
    version or at the next, never between.

    Raises:
        BadStore: the file is another program's, or was written by a newer version of this one.
    """
    version = await _check(file, newest=len(migrations))
    for number, statements in enumerate(migrations[version:], start=version + 1):
        async with file.transaction() as connection:
            for statement in statements:
                await connection.execute(statement)
            if number == 1:
                await connection.execute("insert into meta values ('created_at', ?)", (str(to_us(now)),))
            await connection.execute(f"pragma user_version={number}")
    if 0 < version < len(migrations):
        _log.info("state file upgraded", file=str(file.path), from_version=version, to_version=len(migrations))


async def must_be_newest(file: SqliteFile, *, migrations: Sequence[Sequence[str]]) -> None:
    """Raise BadStore unless an open file is ours and has the newest version, so that it need not be written to."""
    version = await _check(file, newest=len(migrations))
    if version < len(migrations):
        raise BadStore(f"{file.path} has version {version} of the state file: the next run of the VEN upgrades it")


async def _check(file: SqliteFile, *, newest: int) -> int:
    """Return the version of a file of ours, 0 of an empty one."""
    tables = await file.number("select count(*) from sqlite_schema")
    if tables and await file.number("pragma application_id") != _OURS:
        raise BadStore(f"{file.path} is a database of another program")
    version = await file.number("pragma user_version")
    if version > newest:
        raise BadStore(
            f"{file.path} has version {version} of the state file, written by a newer program;"
            f" this one understands versions 1 to {newest}"
        )
    return version
