"""The tables of events that are being written at the console: drafts, templates, and templates that repeat."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text

from vtn.store.tables import metadata
from vtn.store.types import KEY

event_plans = Table(
    "event_plans",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("kind", KEY, nullable=False),  # DRAFT or TEMPLATE
    Column("name", Text, nullable=False),
    Column("typed", Text, nullable=False),  # what was typed into the form, as a JSON object
    Column("made_by", Text, nullable=False),
    Column("made_at", KEY, nullable=False),
    Column("changed_at", KEY, nullable=False),
)
"""Events as people have typed them, which no VEN sees."""
Index(None, event_plans.c.kind, event_plans.c.changed_at)

event_repeats = Table(
    "event_repeats",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("plan_id", KEY, ForeignKey("event_plans.id", ondelete="CASCADE"), nullable=False),
    Column("zone", Text, nullable=False),  # as Europe/Berlin
    Column("days", Text, nullable=False),  # digits of the days of the week, 1 is Monday
    Column("clock", Text, nullable=False),  # the time of day of the start, HH:MM
    Column("last_day", Text),  # the last date on which one starts, YYYY-MM-DD; null: for ever
    Column("lead_s", Integer, nullable=False),  # an event is issued so long before its start
    Column("is_paused", Boolean, nullable=False),
    Column("next_at", KEY),  # the start of the next one; null: there is none any more
    Column("made_by", Text, nullable=False),
    Column("made_at", KEY, nullable=False),
)
"""Templates of which an event is issued again and again."""
Index(None, event_repeats.c.plan_id)
Index(None, event_repeats.c.next_at)

event_occurrences = Table(
    "event_occurrences",
    metadata,
    Column("repeat_id", KEY, ForeignKey("event_repeats.id", ondelete="CASCADE"), primary_key=True),
    Column("starts_at", KEY, primary_key=True),
    Column("state", Text, nullable=False),  # ISSUED, MISSED or REFUSED
    Column("event_id", KEY),  # no foreign key: that it was issued stays when the event is deleted
    Column("reason", Text),
    Column("noted_at", KEY, nullable=False),
)
"""Hold what became of each time of a repeat: there is one row at most of each."""
Index(None, event_occurrences.c.noted_at)

issued_forms = Table(
    "issued_forms",
    metadata,
    Column("token", KEY, primary_key=True),
    Column("event_ids", Text, nullable=False),  # a JSON list
    Column("made_by", Text, nullable=False),
    Column("made_at", KEY, nullable=False),
)
"""Forms that were sent, so that sending one twice issues its events once."""
Index(None, issued_forms.c.made_at)
