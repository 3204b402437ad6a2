"""The tables. Objects keep their serialised members beside the columns that are searched or must be unique.

``members`` is the JSON of an object without its braces, its metadata and its ``targets``: an answer is put together by
joining texts, whatever part of the targets its reader may see. Instants are RFC 3339 texts of one width (``Stamps``):
they sort and go out as they are. Indexes on targets are in ``indexes``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
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
)

events = _object(
    "events",
    Column("program_id", KEY, ForeignKey("programs.id", ondelete="CASCADE"), nullable=False),
    Column("targets", Targets, nullable=False, info={SEARCHED_IN: "event_targets"}),
    Column("targets_inside", Boolean, nullable=False),  # report descriptors that have targets of their own
    Column("ends_at", KEY),  # null: open
)
Index(None, events.c.program_id, events.c.created_at, events.c.id)
Index(None, events.c.ends_at)

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
)

resources = _object(
    "resources",
    Column("ven_id", KEY, ForeignKey("vens.id", ondelete="CASCADE"), nullable=False),
    Column("client_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("targets", Targets, nullable=False),
    UniqueConstraint("ven_id", "name"),
)
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
