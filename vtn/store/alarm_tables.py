"""The tables of alarms: what is wrong or was, and the messages that tell of it."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text

from vtn.store.tables import SERIAL, metadata
from vtn.store.types import KEY

alarms = Table(
    "alarms",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("kind", KEY, nullable=False),
    Column("subject", KEY, nullable=False),
    Column("text", Text, nullable=False),
    Column("raised_at", KEY, nullable=False),
    Column("seen_at", KEY, nullable=False),  # when it last held
    Column("cleared_at", KEY),  # null: it holds
    Column("acknowledged_at", KEY),  # null: nobody has
    Column("acknowledged_by", Text),
    Column("note", Text),
    sqlite_autoincrement=True,
)
"""Alarms that hold or held; of those that hold there is one of each kind and subject (``indexes``)."""
Index(None, alarms.c.cleared_at)

alarm_messages = Table(
    "alarm_messages",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("alarm_id", SERIAL, ForeignKey("alarms.id", ondelete="CASCADE")),  # null: a message to try the channel
    Column("channel", KEY, nullable=False),
    Column("is_clear", Boolean, nullable=False),  # it tells that the alarm is over
    Column("noted_at", KEY, nullable=False),
    Column("due_at", KEY, nullable=False),  # nothing is sent before
    Column("attempts", Integer, nullable=False),
    Column("ended_at", KEY),  # null: it is still to be sent
    Column("outcome", Text),  # SENT or GIVEN_UP
    Column("error", Text),  # that of the last attempt
    sqlite_autoincrement=True,
)
"""Messages of alarms, one for each channel: still to be sent, sent, or given up."""
Index(None, alarm_messages.c.alarm_id)
Index(None, alarm_messages.c.channel, alarm_messages.c.ended_at, alarm_messages.c.due_at)
