"""The tables. Objects keep their serialised members beside the columns that are searched or must be unique.

``members`` is the JSON of an object without its braces, its metadata and its ``targets``: an answer is put together by
joining texts, whatever part of the targets its reader may see. Instants are RFC 3339 texts of one width (``Stamps``):
they sort and go out as they are. Indexes on targets, and those of a part of a table, are in ``indexes``.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from vtn.store.types import KEY, SEARCHED_IN, Targets

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _object(name: str, *columns: Column[Any] | UniqueConstraint) -> Table:
    table = Table(
        name,
        metadata,
        Column("id", KEY, primary_key=True),
        Column("created_at", KEY, nullable=False),
        Column("modified_at", KEY, nullable=False),
        *columns,
        Column("members", Text, nullable=False),
    )
    Index(None, table.c.created_at, table.c.id)
    return table


programs = _object(
    "programs",
    Column("name", Text, nullable=False, unique=True),
    Column("targets", Targets, nullable=False),
    Column("target_records", Text),  # the targets with their types, as 3.0.1 writes them; null: none has one
)

events = _object(
    "events",
    Column("program_id", KEY, ForeignKey("programs.id", ondelete="CASCADE"), nullable=False),
    Column("targets", Targets, nullable=False, info={SEARCHED_IN: "event_targets"}),
    Column("targets_inside", Boolean, nullable=False),  # report descriptors that have targets of their own
    Column("ends_at", KEY),  # null: open
    Column("target_records", Text),
    Column("name", Text),  # null: it has none
    Column("starts_at", KEY),
    Column("cancelled_at", KEY),  # null: it is not cancelled
    Column("written_by", Text),  # the client that wrote it as it is now; null: an earlier version did not note it
)
Index(None, events.c.program_id, events.c.created_at, events.c.id)
Index(None, events.c.ends_at)
Index(None, events.c.starts_at)

reports = _object(
    "reports",
    Column("event_id", KEY, ForeignKey("events.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", Text, nullable=False),
    Column("client_name", Text, nullable=False),
)
for _column in (reports.c.event_id, reports.c.client_id, reports.c.client_name):
    Index(None, _column, reports.c.created_at, reports.c.id)

vens = _object(
    "vens",
    Column("client_id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("targets", Targets, nullable=False),
    Column("target_records", Text),  # those too that its VEN wrote, which it does not hold (V301-008)
    Column("named_by_bl", Boolean),  # business logic gave it its name; null: it is not known who did
    Column("max_w", BigInteger),  # what it can shed by its own attributes, in W; null: they do not say
)

resources = _object(
    "resources",
    Column("ven_id", KEY, ForeignKey("vens.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("targets", Targets, nullable=False),
    Column("target_records", Text),
    Column("named_by_bl", Boolean),
    Column("shed_w", BigInteger),  # what it can shed by its attributes, in W (``sheddable``); null: they do not say
    UniqueConstraint("ven_id", "name"),
)
Index(None, resources.c.ven_id, resources.c.shed_w)
Index(None, resources.c.client_id, resources.c.created_at, resources.c.id)
Index(None, resources.c.name)

subscriptions = _object(
    "subscriptions",
    Column("program_id", KEY, ForeignKey("programs.id", ondelete="CASCADE")),  # null: of no program in particular
    Column("client_id", Text, nullable=False),
    Column("client_name", Text, nullable=False),
    Column("objects", Targets, nullable=False),  # every kind of object that any of its entries names
    Column("targets", Targets, nullable=False),
    Column("has_tokens", Boolean, nullable=False),  # bearer tokens inside, which are for the owner only
    Column("tokens", Text),  # those, sealed (``sealing``); null: none, or an earlier version's in ``members``
    Column("target_records", Text),
    Column("face", KEY),  # the version of the API on which it was made; null: 3.1
)
for _column in (subscriptions.c.program_id, subscriptions.c.client_id):
    Index(None, _column, subscriptions.c.created_at, subscriptions.c.id)

resource_groups = _object(
    "resource_groups",
    Column("name", Text, nullable=False, unique=True),
    Column("targets", Targets, nullable=False),
)

resource_group_children = Table(
    "resource_group_children",
    metadata,
    Column("group_id", KEY, ForeignKey("resource_groups.id", ondelete="CASCADE"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("resource_id", KEY, ForeignKey("resources.id", ondelete="CASCADE")),
    Column("child_group_id", KEY, ForeignKey("resource_groups.id", ondelete="CASCADE")),
    CheckConstraint("(resource_id IS NULL) <> (child_group_id IS NULL)", name="one_child"),
    UniqueConstraint("resource_id", "group_id"),  # also the way up, and what a deletion looks for
    UniqueConstraint("child_group_id", "group_id"),
)
"""The members of a group in their order: in each row a resource or a group."""

SERIAL: Final = BigInteger().with_variant(Integer(), "sqlite")

endpoints = Table(
    "endpoints",
    metadata,
    Column("id", KEY, primary_key=True),
    Column("push", Text, nullable=False),  # WEBHOOK, MQTT or WEBSOCKET; there is one row at most of each of the latter
    Column("subscription_id", KEY, ForeignKey("subscriptions.id", ondelete="CASCADE")),  # of a webhook; for others null
    Column("client_id", Text),
    Column("sees_everything", Boolean, nullable=False),  # the client was business logic when it subscribed
    Column("program_id", KEY),  # those of the subscription
    Column("targets", Targets, nullable=False),
    Column("url", Text),
    Column("entry", Integer),  # the object operation of the subscription whose token goes with it
    Column("face", KEY),  # that of the subscription
    Column("wanted_until", KEY),  # of a websocket: nobody is told of anything later than that
    Column("failures", Integer, nullable=False),
    Column("broken_at", KEY),  # null: it is not broken
    Column("due_at", KEY),  # nothing is sent before; null: send at once
    Column("leased_by", Text),
    Column("leased_until", KEY),
    Column("last_success_at", KEY),
    Column("last_failure_at", KEY),
    Column("last_error", Text),
)
"""Places that notifications go to, and how that went lately (``outbox``)."""
Index(None, endpoints.c.subscription_id)

endpoint_operations = Table(
    "endpoint_operations",
    metadata,
    Column("object_type", KEY, primary_key=True),
    Column("operation", KEY, primary_key=True),
    Column("endpoint_id", KEY, ForeignKey("endpoints.id", ondelete="CASCADE"), primary_key=True),
)
"""Operations that a webhook wants to hear of: the entries of its subscription, each pair once (SUBS-008)."""
Index(None, endpoint_operations.c.endpoint_id)

notifications = Table(
    "notifications",
    metadata,
    Column("seq", SERIAL, primary_key=True, autoincrement=True),
    Column("noted_at", KEY, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("object_id", KEY, nullable=False),
    Column("client_id", Text),
    Column("program_id", KEY),
    Column("ven_id", KEY),
    Column("targets_inside", Boolean, nullable=False),
    Column("has_tokens", Boolean, nullable=False),
    Column("created_at", KEY, nullable=False),
    Column("modified_at", KEY, nullable=False),
    Column("targets", Targets),
    Column("program_targets", Targets, nullable=False),
    Column("members", Text, nullable=False),
    Column("before_modified_at", KEY),  # null: nobody sees it who did not before, and the same for the columns below
    Column("before_targets", Targets),
    Column("before_program_targets", Targets),
    Column("before_members", Text),
    Column("before_program_id", KEY),
    Column("target_records", Text),
    Column("before_target_records", Text),
    sqlite_autoincrement=True,
)
"""Changes that somebody wanted to hear of when they were made."""
Index(None, notifications.c.noted_at)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("seq", SERIAL, ForeignKey("notifications.seq", ondelete="CASCADE"), nullable=False),
    Column("endpoint_id", KEY, ForeignKey("endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("operation", Text, nullable=False),
    Column("held", Targets),
    Column("vens", Targets),
    Column("attempts", Integer, nullable=False),
    Column("ended_at", KEY),  # null: it is still to be made
    Column("outcome", Text),  # DELIVERED, DEAD or DROPPED
    Column("error", Text),
    sqlite_autoincrement=True,
)
"""Changes that an endpoint has to hear of, or has heard of. On PostgreSQL triggers do what the foreign keys say."""
Index(None, deliveries.c.seq)
Index(None, deliveries.c.endpoint_id)

delivery_totals = Table(
    "delivery_totals",
    metadata,
    Column("push", KEY, primary_key=True),
    Column("attempts", BigInteger, nullable=False),
    Column("delivered", BigInteger, nullable=False),
    Column("dead", BigInteger, nullable=False),
)
"""Counts of what became of deliveries since the outbox was made, of those too that are not kept any more."""

NEVER_CACHED: Final = frozenset(
    {
        "endpoints",
        "endpoint_operations",
        "event_versions",
        "notifications",
        "deliveries",
        "delivery_totals",
        "broker_logins",
        "console_users",
        "console_sessions",
        "console_acts",
        "leases",
        "oadr20b_events",
        "oadr20b_projections",
        "oadr20b_deliveries",
        "oadr20b_opts",
        "report_queue",
        "report_corrections",
        "meters",
        "readings",
        "event_opts",
        "event_sheds",
        "alarms",
        "alarm_messages",
        "performance_results",
        "performance_participants",
    }
)
"""Tables whose changes are not counted: no answer is made of them that could be given again."""

broker_accounts = Table(
    "broker_accounts",
    metadata,
    # No foreign keys: a row stays until the broker has forgotten the account, whatever else is gone by then.
    Column("username", KEY, primary_key=True),
    Column("ven_id", KEY, unique=True),  # null: an account of business logic
    Column("client_id", KEY, nullable=False),  # whose account it is
    Column("password", Text),  # sealed (``sealing``); null: a certificate takes its place
    Column("made_at", KEY, nullable=False),
    Column("asked_at", KEY),  # when its client first asked for it; null: never
    Column("applied_at", KEY),  # when the broker took it; null: it has not yet
)
"""Accounts at the MQTT broker (MQTT-047)."""

broker_logins = Table(
    "broker_logins",
    metadata,
    Column("client_id", KEY, primary_key=True),
    Column("reads", Text, nullable=False),
    Column("issued_at", KEY, nullable=False),
    Column("expires_at", KEY, nullable=False),
)
"""The latest token that each client showed to a broker which asks this server (MQTT-040)."""

leases = Table(
    "leases",
    metadata,
    Column("name", KEY, primary_key=True),
    Column("held_by", Text, nullable=False),
    Column("held_until", KEY, nullable=False),
)
"""Work that one process does for all of them, and who does it now."""

clients = Table(
    "clients",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("scopes", Text, nullable=False),  # words with blanks between them
    Column("secret_hash", Text, nullable=False),
    Column("token_lifetime_s", Integer),  # null: as the settings say
    Column("created_at", KEY, nullable=False),
    Column("suspended", Boolean, nullable=False),
    Column("tokens_valid_from", KEY),  # tokens issued earlier do not hold; null: none was ever revoked
)

removed_clients = Table(
    "removed_clients",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("removed_at", KEY, nullable=False),  # tokens issued earlier do not hold
)

contacts = Table(
    "contacts",
    metadata,
    # No foreign key: clients of an external authorisation server have no row in ``clients``. Clients.remove deletes it.
    Column("client_id", KEY, primary_key=True),
    Column("protocol", Text, nullable=False),  # of the last request, as "OpenADR 3.1"
    Column("heard_at", KEY),  # null: every request was refused before it counted as a contact
    Column("refused_at", KEY),  # the last refused request; null: none, and the same for the columns below
    Column("refused_status", Integer),
    Column("refused_title", Text),
    Column("refused_request", Text),  # method and path without ids, as "POST /reports"
    Column("software", Text),  # what the client calls itself (User-Agent); null: it does not say
    Column("clock_offset_s", Float(53)),  # how far its clock is ahead; null: it does not say what time it has
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("secret", Text, nullable=False),
    Column("created_at", KEY, nullable=False),
)


def constraint(table: Table, *columns: str) -> UniqueConstraint | ForeignKeyConstraint:
    """Return the unique constraint or foreign key over exactly these columns."""
    return next(
        found
        for found in table.constraints
        if isinstance(found, UniqueConstraint | ForeignKeyConstraint) and tuple(found.columns.keys()) == columns
    )


def reached_from(*tables: Table) -> frozenset[str]:
    """Return the names of tables and of all that they refer to: deleting there deletes rows here."""
    parents = {key.column.table for table in tables for key in table.foreign_keys if key.column.table is not table}
    names = frozenset(table.name for table in tables)
    return names | reached_from(*parents) if parents else names
