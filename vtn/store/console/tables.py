"""The tables of people who use the console: who they are, their sessions, and what they did."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Table, Text

from vtn.store.tables import SERIAL, metadata
from vtn.store.types import KEY

console_users = Table(
    "console_users",
    metadata,
    Column("name", KEY, primary_key=True),
    Column("role", Text, nullable=False),
    Column("password_hash", Text),  # null: another service signs this user in
    Column("subject", KEY, unique=True),  # issuer and subject at that service; null: the user has a password here
    Column("created_at", KEY, nullable=False),
    Column("signed_in_at", KEY),  # null: never
)
"""People who may use the console."""

console_sessions = Table(
    "console_sessions",
    metadata,
    Column("token_hash", KEY, primary_key=True),  # SHA-256 of what the browser sends
    Column("id", KEY, nullable=False, unique=True),  # names the session on pages; good for nothing else
    Column("user_name", KEY, ForeignKey("console_users.name", ondelete="CASCADE"), nullable=False),
    Column("began_at", KEY, nullable=False),
    Column("seen_at", KEY, nullable=False),
    Column("ends_at", KEY, nullable=False),
    Column("address", Text, nullable=False),
    Column("browser", Text, nullable=False),
)
"""Sessions of people who are signed in."""
Index(None, console_sessions.c.user_name)
Index(None, console_sessions.c.ends_at)

console_acts = Table(
    "console_acts",
    metadata,
    Column("seq", SERIAL, primary_key=True, autoincrement=True),
    Column("done_at", KEY, nullable=False),
    Column("user_name", KEY, nullable=False),  # no foreign key: what somebody did stays when they are gone
    Column("act", KEY, nullable=False),
    Column("what", Text, nullable=False),
    Column("before", Text),  # JSON; null: there was nothing before
    Column("after", Text),  # JSON; null: there is nothing any more
    Column("address", Text, nullable=False),
    sqlite_autoincrement=True,
)
"""Hold what people did: the audit trail."""
Index(None, console_acts.c.done_at)
Index(None, console_acts.c.user_name, console_acts.c.seq)
