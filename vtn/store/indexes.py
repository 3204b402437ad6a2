"""Indexes that only PostgreSQL has, or that hold a part of a table, and with them everything that migrations make.

A server does not import this: to know the options of PostgreSQL's indexes SQLAlchemy imports all that it has for it,
also in a server on SQLite.
"""

from __future__ import annotations

from sqlalchemy import Index

from vtn.store.alarm_tables import alarms
from vtn.store.all_tables import metadata
from vtn.store.facts.tables import event_sheds, read_reports
from vtn.store.tables import deliveries, events, notifications, programs, resources, vens

__all__ = ["metadata"]

for _table in (programs, events, vens, resources):
    Index(
        f"ix_{_table.name}_targets",
        _table.c.targets,
        postgresql_using="gin",
        postgresql_with={"fastupdate": "off"},
    ).ddl_if(dialect="postgresql")

_pending = deliveries.c.ended_at.is_(None)
Index(
    "ix_deliveries_pending",
    deliveries.c.endpoint_id,
    deliveries.c.id,
    postgresql_where=_pending,
    sqlite_where=_pending,
)
_dead = deliveries.c.outcome == "DEAD"
Index("ix_deliveries_dead", deliveries.c.endpoint_id, deliveries.c.id, postgresql_where=_dead, sqlite_where=_dead)
_ended = deliveries.c.ended_at.is_not(None)
Index("ix_deliveries_ended_at", deliveries.c.ended_at, postgresql_where=_ended, sqlite_where=_ended)
_of_events = notifications.c.object_type == "EVENT"
Index("ix_notifications_of_events", notifications.c.object_id, postgresql_where=_of_events, sqlite_where=_of_events)
_total = event_sheds.c.is_total
Index(
    "ix_event_sheds_totals",
    *(
        event_sheds.c[name]
        for name in (
            *("event_id", "client_id", "resource", "starts_at_ms", "ends_at_ms"),
            *("requested_kw", "baseline_kw", "demand_kw", "delivered_kw", "state"),
        )
    ),
    postgresql_where=_total,
    sqlite_where=_total,
)
_troubled = read_reports.c.trouble.is_not(None)
Index("ix_read_reports_troubled", read_reports.c.read_at, postgresql_where=_troubled, sqlite_where=_troubled)
_holds = alarms.c.cleared_at.is_(None)
Index("ix_alarms_open", alarms.c.kind, alarms.c.subject, unique=True, postgresql_where=_holds, sqlite_where=_holds)
