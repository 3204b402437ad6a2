"""All tables. Who needs every one of them, to copy, count or compare, takes ``metadata`` from here."""

from __future__ import annotations

from vtn.store import alarm_tables, event_versions
from vtn.store.console import plan_tables
from vtn.store.console import tables as console_tables
from vtn.store.facts import tables as fact_tables
from vtn.store.performance import tables as performance_tables
from vtn.store.tables import metadata
from vtn.store.v20b import event_tables, tables

__all__ = [
    "alarm_tables",
    "console_tables",
    "event_tables",
    "event_versions",
    "fact_tables",
    "metadata",
    "performance_tables",
    "plan_tables",
    "tables",
]
