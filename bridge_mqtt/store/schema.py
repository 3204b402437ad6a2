"""The tables of the bridge. Migrations create them; a test compares the two.

``ven_acks`` carries the name that tools of the original system know; all other names begin with ``bridge_`` so that
the bridge can share a database with a VTN.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData()

BigId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER


class Instant(TypeDecorator[datetime]):
    """An aware instant in UTC: ``timestamptz`` in PostgreSQL, sortable text in SQLite, which knows no zones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return the column type of this database."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(32))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """UTC; refuses an instant without zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone")
        utc = value.astimezone(UTC)
        return utc.isoformat(timespec="microseconds") if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return an aware instant in UTC."""
        if value is None:
            return None
        moment: datetime = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC)


class AnyText(TypeDecorator[str]):
    """``text`` that takes what others have written: NUL and halves of pairs, which no database holds, are escaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as ``storable`` has it."""
        return storable(value)


def storable(value: str | None) -> str | None:
    r"""Return a text with ``\x00`` and ``\ud800`` in letters, as every database takes it."""
    if value is None:
        return None
    return value.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")


panels = Table(
    "bridge_panels",
    metadata,
    Column("ven_id", String(255), primary_key=True),
    Column("dialect", String(16)),
    Column("last_seen_at", Instant),
    Column("sample_at", Instant),
    Column("sample_received_at", Instant),
    Column("message_num", BigInteger),
    Column("used_power_kw", Float),
    Column("shed_power_kw", Float),
    Column("baseline_power_kw", Float),
    Column("event_id", String(255)),
    Column("tells_event", Boolean, nullable=False, default=False),
    Column("restarted_at", Instant),
    Column("answered_at", Instant),
    Column("free_since", Instant),
    Column("loads", JSON),
    Column("error", AnyText),
)

shadows = Table(
    "bridge_shadows",
    metadata,
    Column("ven_id", String(255), primary_key=True),
    Column("received_at", Instant, nullable=False),
    Column("reported", JSON, nullable=False),
)

added_panels = Table(
    "bridge_added_panels",
    metadata,
    Column("ven_id", String(255), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("registration_id", String(255), unique=True),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("groups", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
)

telemetry = Table(
    "bridge_telemetry",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("ven_id", String(255), nullable=False),
    Column("timestamp", Instant, nullable=False),
    Column("message_num", BigInteger, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("event_id", String(255)),
    Column("used_power_kw", Float),
    Column("shed_power_kw", Float),
    Column("baseline_power_kw", Float),
    Column("battery_soc", Float),
    Column("loads", JSON, nullable=False),
    Column("meter", JSON),  # what the panel's virtual meter showed then: with the last sample of each batch
    UniqueConstraint("ven_id", "timestamp", "message_num", name="uq_bridge_telemetry_sample"),
    Index("ix_bridge_telemetry_received", "received_at"),
    Index("ix_bridge_telemetry_panel", "ven_id", "received_at"),
)

readings = Table(
    "bridge_readings",
    metadata,
    Column("ven_id", String(255), primary_key=True),
    Column("kind", Integer, primary_key=True),  # 60 and 900: of each minute and quarter; 0: of a moment asked for
    Column("at", Instant, primary_key=True),
    Column("meter", JSON, nullable=False),
    Index("ix_bridge_readings_at", "kind", "at"),
)

programs = Table(
    "bridge_programs",
    metadata,
    Column("program_id", String(128), primary_key=True),
    Column("body", AnyText, nullable=False),
)

events = Table(
    "bridge_events",
    metadata,
    Column("event_id", String(128), primary_key=True),
    Column("program_id", String(128), nullable=False),
    Column("modified_at", Instant, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("body", AnyText, nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", AnyText),
    Column("state_at", Instant, nullable=False),
    Column("withdrawn_at", Instant),
    Column("ended_at", Instant),
    Column("reported", Boolean, nullable=False),
    Index("ix_bridge_events_state", "state"),
)

event_viewers = Table(
    "bridge_event_viewers",
    metadata,
    Column("event_id", String(128), primary_key=True),
    Column("ven_id", String(255), primary_key=True),
)

transitions = Table(
    "bridge_event_transitions",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("event_id", String(128), nullable=False, index=True),
    Column("from_state", String(16)),
    Column("to_state", String(16), nullable=False),
    Column("reason", AnyText),
    Column("at", Instant, nullable=False),
)

windows = Table(
    "bridge_windows",
    metadata,
    Column("event_id", String(128), primary_key=True),
    Column("start", Instant, primary_key=True),
    Column("end", Instant),
    Column("request", String(64), nullable=False),
    Column("request_kw", Float, nullable=False),
    Column("decided_at", Instant, nullable=False),
    Column("version", Integer, nullable=False, server_default="0"),
)

allocations = Table(
    "bridge_allocations",
    metadata,
    Column("event_id", String(128), primary_key=True),
    Column("window_start", Instant, primary_key=True),
    Column("ven_id", String(255), primary_key=True),
    Column("requested_kw", Float, nullable=False),
    Column("capability_kw", Float, nullable=False),
    Column("delivered_kw", Float),
    Column("excluded", String(32)),
    Column("recoveries", Integer, nullable=False, default=0),
    Column("reason", AnyText),
    Column("shed_kwh", Float),
    Column("given_back_kw", Float),
    Column("given_back_at", Instant),
    Column("version", Integer, nullable=False, server_default="0"),
)

explanations = Table(
    "bridge_explanations",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("event_id", String(128), nullable=False),
    Column("window_start", Instant, nullable=False),
    Column("ven_id", String(255)),
    Column("at", Instant, nullable=False),
    Column("before_kw", Float),
    Column("asked_kw", Float, nullable=False),
    Column("reason", AnyText, nullable=False),
    Index("ix_bridge_explanations_event", "event_id", "id"),
    Index("ix_bridge_explanations_at", "at"),
)

season_energy = Table(
    "bridge_season_energy",
    metadata,
    Column("season", String(10), primary_key=True),
    Column("ven_id", String(255), primary_key=True),
    Column("shed_kwh", Float, nullable=False),
)

counted_events = Table(
    "bridge_counted_events",
    metadata,
    Column("event_id", String(128), primary_key=True),
    Column("counted_until", Instant, nullable=False),
)

baselines = Table(
    "bridge_baselines",
    metadata,
    Column("event_id", String(128), primary_key=True),
    Column("ven_id", String(255), primary_key=True),
    Column("frozen_at", Instant, nullable=False),
    Column("power_kw", Float),
    Column("circuits_kw", JSON, nullable=False),
    Column("samples", Integer, nullable=False),
)

commands = Table(
    "bridge_commands",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("correlation_id", String(255), nullable=False, unique=True),
    Column("ven_id", String(255), nullable=False),
    Column("event_id", String(128)),
    Column("window_start", Instant),
    Column("op", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("amount_kw", Float),
    Column("window_end", Instant),
    Column("queued_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("deadline_at", Instant),
    Column("answered_at", Instant),
    Column("answered_by", String(16)),
    Column("status", String(16)),
    Column("error", AnyText),
    Column("response_ms", Integer),
    Column("actual_kw", Float),
    Column("late", Boolean, nullable=False, default=False),
    Column("double_shed", Boolean, nullable=False, default=False),
    Column("load_id", String(255)),
    Column("enabled", Boolean),
    Index("ix_bridge_commands_event", "event_id", "ven_id"),
    Index("ix_bridge_commands_panel", "ven_id", text("queued_at DESC")),
    Index("ix_bridge_commands_queued", "queued_at"),
    Index(
        "uq_bridge_commands_outstanding",
        "ven_id",
        unique=True,
        postgresql_where=text("state IN ('queued', 'sent')"),
        sqlite_where=text("state IN ('queued', 'sent')"),
    ),
)

holdings = Table(
    "bridge_holdings",
    metadata,
    Column("ven_id", String(255), primary_key=True),
    Column("event_id", String(128), nullable=False),
    Column("window_start", Instant, nullable=False),
    Column("window_end", Instant),
    Column("amount_kw", Float, nullable=False),
    Column("until", Instant),
    Column("correlation_id", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("since", Instant, nullable=False),
)

ven_acks = Table(
    "ven_acks",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("ven_id", String(255), nullable=False),
    Column("event_id", String(255)),
    Column("correlation_id", String(255)),
    Column("op", String(50), nullable=False),
    Column("status", String(50), nullable=False),
    Column("timestamp", Instant, nullable=False),
    Column("panel_timestamp", Instant),
    Column("received_at", Instant, nullable=False),
    Column("requested_shed_kw", Float),
    Column("actual_shed_kw", Float),
    Column("circuits_curtailed", JSON),
    Column("raw_payload", AnyText),
    Column("payload_hash", String(64), nullable=False),
    Column("dialect", String(16)),
    Column("error", AnyText),
    Column("matched", Boolean, nullable=False),
    Column("late", Boolean, nullable=False),
    Column("duplicates", Integer, nullable=False, default=0),
    Column("response_ms", Integer),
    Column("warnings", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("ven_id", "payload_hash", name="uq_ven_acks_payload"),
    Index("ix_ven_acks_event_id_ven_id", "event_id", "ven_id"),
    Index("ix_ven_acks_ven_id_timestamp", "ven_id", text("timestamp DESC")),
    Index("ix_ven_acks_correlation_id", "correlation_id"),
    Index("ix_ven_acks_timestamp", "timestamp"),
    Index("ix_ven_acks_received", "received_at"),
)

reports = Table(
    "bridge_reports",
    metadata,
    Column("event_id", String(128), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("body", AnyText, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("sent_at", Instant),
    Column("report_id", String(128)),
    Column("problem", AnyText),
)

quarantine = Table(
    "bridge_quarantine",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("received_at", Instant, nullable=False),
    Column("topic", AnyText, nullable=False),
    Column("ven_id", AnyText),
    Column("reason", AnyText, nullable=False),
    Column("size", Integer, nullable=False),
    Column("payload", AnyText, nullable=False),
    Index("ix_bridge_quarantine_received", "received_at"),
)

leases = Table(
    "bridge_leases",
    metadata,
    Column("name", String(160), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

inbox = Table(
    "bridge_inbox",
    metadata,
    Column("id", BigId, primary_key=True),
    Column("topic", AnyText, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("received_at", Instant, nullable=False),
    Column("retained", Boolean, nullable=False),
)
