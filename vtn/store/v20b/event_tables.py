"""The tables of events as VENs of OpenADR 2.0b know them: numbers, projections, deliveries and opts.

There is no foreign key to ``events``: what a VEN was told of stays known after its event is gone, until the VEN knows
that too.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Boolean, Column, ForeignKey, ForeignKeyConstraint, Index, Integer, Table, Text

from vtn.store.tables import SERIAL, metadata
from vtn.store.types import KEY

oadr20b_events = Table(
    "oadr20b_events",
    metadata,
    Column("event_id", KEY, primary_key=True),  # of the event of OpenADR 3
    Column("issue", Integer, primary_key=True, autoincrement=False),
    Column("wire_id", KEY, nullable=False, unique=True),  # the eventID in messages
    Column("program_id", KEY, nullable=False),
    Column("state", KEY, nullable=False),  # LIVE, CANCELLED, ENDED or NO_FORM
    Column("number", Integer, nullable=False),  # the modificationNumber
    Column("market_context", Text, nullable=False),  # empty: it never had a form
    Column("digest", Text, nullable=False),  # of the projection of that number; empty: it never had one
    Column("reason", Text),  # why it has no form; null: it has one
    Column("event_modified_at", KEY, nullable=False),  # the versions of event and program that it was made from
    Column("program_modified_at", KEY, nullable=False),
    Column("anchor", KEY),  # what its start "now" means; null: it has another start
    Column("created_at", KEY, nullable=False),
    Column("changed_at", KEY, nullable=False),  # when it got its number
    Column("starts_at", KEY),  # null: it never had a form
    Column("over_at", KEY),  # null: open
    Column("rolls_at", KEY),  # when more of its repetitions have to be told; null: never
)
"""Issues of events. A new one begins when the one before is over or cancelled, which VENs take as final (B-EVT-015)."""
Index(None, oadr20b_events.c.over_at)

oadr20b_projections = Table(
    "oadr20b_projections",
    metadata,
    Column("event_id", KEY, primary_key=True),
    Column("issue", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("content", Text, nullable=False),
    Column("made_at", KEY, nullable=False),
    ForeignKeyConstraint(
        ["event_id", "issue"], ["oadr20b_events.event_id", "oadr20b_events.issue"], ondelete="CASCADE"
    ),
)
"""What VENs are told of an issue, by its number."""

oadr20b_deliveries = Table(
    "oadr20b_deliveries",
    metadata,
    Column("ven_id", KEY, ForeignKey("vens.id", ondelete="CASCADE"), primary_key=True),
    Column("event_id", KEY, primary_key=True),
    Column("issue", Integer, primary_key=True, autoincrement=False),
    Column("registration_id", KEY, nullable=False),  # under which it was sent; under another it was not
    Column("first_number", Integer, nullable=False),
    Column("number", Integer, nullable=False),  # the last one sent
    Column("shown_number", Integer, nullable=False),  # the projection that it was made from
    Column("cancelled_at", KEY),  # when it was cancelled for this VEN; null: it is not
    Column("is_closed", Boolean, nullable=False),  # nothing is sent of it any more
    Column("request_id", KEY, nullable=False),
    Column("sent_at", KEY, nullable=False),
    Column("sent_times", Integer, nullable=False),  # of this number
    Column("due_at", KEY),  # when it is offered again without an answer; null: no answer is awaited
    Column("answered_number", Integer),  # null: it was never answered, and the same for the columns below
    Column("answered_at", KEY),
    Column("opt_type", Text),
    Column("response_code", Text),
    Column("report_id", KEY),  # of the opt report; null: there is none
    Column("is_report_due", Boolean, nullable=False),  # an answer is not in the opt report yet
    ForeignKeyConstraint(
        ["event_id", "issue"], ["oadr20b_events.event_id", "oadr20b_events.issue"], ondelete="CASCADE"
    ),
)
"""What each VEN was sent of an issue, and what it answered."""
Index(None, oadr20b_deliveries.c.ven_id, oadr20b_deliveries.c.is_closed)
Index(None, oadr20b_deliveries.c.event_id, oadr20b_deliveries.c.issue)

oadr20b_opts = Table(
    "oadr20b_opts",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("ven_id", KEY, ForeignKey("vens.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", KEY),  # null: of times, not of an event; the same for issue and number
    Column("issue", Integer),
    Column("number", Integer),
    Column("opt_id", KEY),  # null: it was not said by EiOpt
    Column("opt_type", Text, nullable=False),
    Column("reason", Text),
    Column("response_code", Text),
    Column("content", Text, nullable=False),  # its other members as JSON: targets, times, market context
    Column("received_at", KEY, nullable=False),
    Column("ends_at", KEY),  # of times: the last end; null: of an event
    Column("cancelled_at", KEY),  # null: it holds
    sqlite_autoincrement=True,
)
"""Everything that VENs said about taking part, in its order."""
Index(None, oadr20b_opts.c.ven_id, oadr20b_opts.c.event_id, oadr20b_opts.c.id)
Index(None, oadr20b_opts.c.ven_id, oadr20b_opts.c.opt_id)

EVENT_TABLES: Final = (oadr20b_events, oadr20b_projections, oadr20b_deliveries, oadr20b_opts)
