"""The tables of what only OpenADR 2.0b has: registrations, certificates, messages that wait, reports, and nonces.

A VEN of 2.0b is a row of ``vens`` like any other; ``ven_id`` in these tables is its id there. Documents (``content``)
are JSON that nothing is searched in.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, Table, Text, UniqueConstraint

from vtn.store.tables import SERIAL, metadata
from vtn.store.types import KEY

oadr20b_vens = Table(
    "oadr20b_vens",
    metadata,
    Column("ven_id", KEY, ForeignKey("vens.id", ondelete="CASCADE"), primary_key=True),
    Column("wire_id", KEY, nullable=False, unique=True),  # the venID in messages
    Column("registration_id", KEY, unique=True),  # null: not registered
    Column("registered_by", Text),  # digest of the message that did it, to know a repetition
    Column("registered_at", KEY),
    Column("ven_name", Text),  # what it calls itself
    Column("push_url", Text),  # null: it polls
    Column("is_report_only", Boolean, nullable=False),
    Column("signs", Boolean, nullable=False),  # messages from and to it are signed
    Column("is_disabled", Boolean, nullable=False),
    Column("cancel_refused_at", KEY),  # when it refused to let its registration be cancelled; null: it did not
)
"""VENs that are enrolled for OpenADR 2.0b."""

oadr20b_certificates = Table(
    "oadr20b_certificates",
    metadata,
    Column("fingerprint", KEY, primary_key=True),  # the last 10 octets of its SHA-256, as AA:BB:…
    Column("ven_id", KEY, ForeignKey("oadr20b_vens.ven_id", ondelete="CASCADE"), nullable=False),
    Column("added_at", KEY, nullable=False),
)
"""Certificates by which VENs are known; two during a change."""
Index(None, oadr20b_certificates.c.ven_id)

oadr20b_outbox = Table(
    "oadr20b_outbox",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("ven_id", KEY, ForeignKey("oadr20b_vens.ven_id", ondelete="CASCADE"), nullable=False),
    Column("is_control", Boolean, nullable=False),  # of the registration itself: before all others
    Column("kind", Text, nullable=False),  # the name of the message
    Column("key", KEY, nullable=False),  # what it is about, as a reportRequestID; empty: nothing in particular
    Column("request_id", KEY, nullable=False),  # the same at every offer
    Column("content", Text, nullable=False),
    Column("created_at", KEY, nullable=False),
    Column("offered_at", KEY),  # null: never
    Column("offers", Integer, nullable=False),
    UniqueConstraint("ven_id", "kind", "key"),
    sqlite_autoincrement=True,
)
"""Messages that wait for their acknowledgement; events are not among them, they are computed."""
Index(None, oadr20b_outbox.c.ven_id, oadr20b_outbox.c.id)

oadr20b_capabilities = Table(
    "oadr20b_capabilities",
    metadata,
    Column("ven_id", KEY, ForeignKey("oadr20b_vens.ven_id", ondelete="CASCADE"), primary_key=True),
    Column("specifier_id", KEY, primary_key=True),
    Column("name", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("registered_at", KEY, nullable=False),
)
"""Reports that VENs can give: what they registered last."""

oadr20b_report_requests = Table(
    "oadr20b_report_requests",
    metadata,
    Column("id", KEY, primary_key=True),  # the reportRequestID
    Column("ven_id", KEY, ForeignKey("oadr20b_vens.ven_id", ondelete="CASCADE"), nullable=False),
    Column("specifier_id", KEY, nullable=False),
    Column("event_id", KEY, nullable=False),  # no foreign key: an event that is gone has its requests cancelled first
    Column("digest", KEY, nullable=False),  # of what is asked for
    Column("state", Text, nullable=False),  # of ``reports.RequestState``
    Column("content", Text, nullable=False),
    Column("reports", Text, nullable=False),  # the reports that its values are in now, by their names
    Column("created_at", KEY, nullable=False),
    Column("updated_at", KEY),  # when values came last; null: never
    Column("silent_at", KEY),  # when they are missing for longer than they may; null: they may be for ever
    Column("is_silent", Boolean, nullable=False),  # somebody was told that they are missing
    UniqueConstraint("ven_id", "event_id", "digest"),
)
"""Reports that VENs were asked for."""
Index(None, oadr20b_report_requests.c.silent_at)

oadr20b_carriers = Table(
    "oadr20b_carriers",
    metadata,
    Column("ven_id", KEY, ForeignKey("oadr20b_vens.ven_id", ondelete="CASCADE"), primary_key=True),
    Column("program_id", KEY, ForeignKey("programs.id", ondelete="CASCADE"), primary_key=True),
    Column("event_id", KEY, ForeignKey("events.id", ondelete="CASCADE"), nullable=False, unique=True),
)
"""Events that stand for reports which belong to no event; VENs of 2.0b are not told of them."""

oadr20b_nonces = Table(
    "oadr20b_nonces",
    metadata,
    Column("nonce", KEY, primary_key=True),
    Column("expires_at", KEY, nullable=False),
)
"""Nonces of signatures, until a repetition is refused for its time alone."""
Index(None, oadr20b_nonces.c.expires_at)
