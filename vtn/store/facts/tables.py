"""The tables of what reports say: readings of meters, who takes part in events, and what was shed.

All of it is made of the reports and can be made again, except the curves of events, which are noted while events are
active. Times are milliseconds since 1970 in UTC, powers are kW and energies kWh; null is "not known".
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, Float, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from vtn.store.tables import SERIAL, metadata
from vtn.store.types import KEY

DRAWN: Final = 1
"""The kind of readings that say what a meter drew (USAGE, DEMAND)."""
BASELINE: Final = 2
"""The kind of readings that say what a VEN would have drawn, by its own words (BASELINE)."""

KW: Final = Float(53)
"""Powers in kW and energies in kWh."""

report_queue = Table(
    "report_queue",
    metadata,
    Column("seq", SERIAL, primary_key=True, autoincrement=True),
    # No foreign key: a report that is gone stays here until what was made of it is gone, too.
    Column("report_id", KEY, nullable=False),
    sqlite_autoincrement=True,
)
"""Reports that were added, changed or removed, and not read since. Triggers fill it (migration 0021)."""

read_reports = Table(
    "read_reports",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("report_id", KEY, nullable=False, unique=True),
    Column("event_id", KEY, nullable=False),
    Column("program_id", KEY, nullable=False),
    Column("client_id", KEY, nullable=False),
    Column("changed_at", KEY, nullable=False),  # the modification of the report that was read
    Column("read_at", KEY, nullable=False),
    Column("taken", Integer, nullable=False),  # values that are in the tables below
    Column("left_out", Integer, nullable=False),  # values that could not be read
    Column("assumed", Integer, nullable=False),  # values without a unit, taken as kWh or kW
    Column("trouble", Text),  # why the report, or a value of it, could not be read; null: all of it was
    sqlite_autoincrement=True,
)
"""The reports that were read, and what became of each."""
Index(None, read_reports.c.event_id, read_reports.c.client_id, read_reports.c.changed_at)

report_corrections = Table(
    "report_corrections",
    metadata,
    Column("newer_id", SERIAL, ForeignKey("read_reports.id", ondelete="CASCADE"), primary_key=True),
    Column("older_id", SERIAL, primary_key=True),
)
"""Pairs of read reports that speak of the same thing: what the older one says returns when the newer one goes."""
Index(None, report_corrections.c.older_id)

meters = Table(
    "meters",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("client_id", KEY, nullable=False),
    Column("resource", KEY, nullable=False),
    Column("is_whole", Boolean, nullable=False),  # it is in no other meter of its client
    Column("latest_ends_at_ms", BigInteger),  # the end of its latest reading; null: it has none
    Column("latest_kw", KW),  # mean power of that reading
    UniqueConstraint("client_id", "resource"),
)
"""Hold whoever reports energy: a resource of a client. The sum of a fleet is that of the meters that are whole."""

readings = Table(
    "readings",
    metadata,
    # No foreign keys: they would be looked up for every one of many millions of rows.
    Column("meter_id", SERIAL, primary_key=True, autoincrement=False),
    Column("kind", Integer, primary_key=True, autoincrement=False),
    Column("starts_at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("length_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("kwh", KW, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("source_id", SERIAL, nullable=False),  # the row of ``read_reports``
)
"""The energy of meters, each time once: of several reports the one that changed last. By months on PostgreSQL."""
Index(None, readings.c.source_id)

event_opts = Table(
    "event_opts",
    metadata,
    Column("event_id", KEY, primary_key=True),
    Column("client_id", KEY, primary_key=True),
    Column("resource", KEY, primary_key=True),
    Column("opted_in", Boolean, nullable=False),
    Column("reason", Text),
    Column("state", Text, nullable=False),
    Column("decided_at_ms", BigInteger),
    Column("is_participant", Boolean, nullable=False),  # it speaks for the VEN, or for a panel behind a bridge
    Column("source_id", SERIAL, nullable=False),
)
"""Hold who takes part in an event: the VEN itself, each panel behind a bridge, and circuits that alone do not."""
Index(None, event_opts.c.source_id)

event_sheds = Table(
    "event_sheds",
    metadata,
    Column("event_id", KEY, primary_key=True),
    Column("client_id", KEY, primary_key=True),
    Column("resource", KEY, primary_key=True),
    Column("starts_at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("interval_id", BigInteger, nullable=False),
    Column("ends_at_ms", BigInteger),  # null: open
    Column("requested_kw", KW),
    Column("baseline_kw", KW),
    Column("demand_kw", KW),
    Column("delivered_kw", KW),
    Column("gross_kw", KW),
    Column("final_kw", KW),
    Column("state", Text),
    Column("is_total", Boolean, nullable=False),  # the sum of a participant, in which its circuits are counted
    Column("source_id", SERIAL, nullable=False),
)
"""Hold what was asked of each resource in each interval of an event, and what it did."""
Index(None, event_sheds.c.source_id)

event_curve = Table(
    "event_curve",
    metadata,
    Column("event_id", KEY, ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("requested_kw", KW),
    Column("baseline_kw", KW),
    Column("delivered_kw", KW),
    Column("reporting", Integer, nullable=False),
    Column("taking_part", Integer, nullable=False),
)
"""Sums over the participants of an event, noted again and again while it is active; what is not there is a gap."""
