"""Indexes that only PostgreSQL has, and with them everything that migrations make.

A server does not import this: to know the options of PostgreSQL's indexes SQLAlchemy imports all that it has for it,
also in a server on SQLite.
"""

from __future__ import annotations

from sqlalchemy import Index

from vtn.store.tables import events, metadata, programs

__all__ = ["metadata"]

for _table in (programs, events):
    Index(
        f"ix_{_table.name}_targets",
        _table.c.targets,
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    ).ddl_if(dialect="postgresql")
