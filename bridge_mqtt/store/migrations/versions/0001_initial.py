"""The tables of the first version."""

import sqlalchemy as sa
from alembic import op

from bridge_mqtt.store.schema import BigId, Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table and index."""
    op.create_table(
        "bridge_allocations",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("window_start", Instant(), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("requested_kw", sa.Float(), nullable=False),
        sa.Column("capability_kw", sa.Float(), nullable=False),
        sa.Column("delivered_kw", sa.Float(), nullable=True),
        sa.Column("excluded", sa.String(length=32), nullable=True),
        sa.Column("recoveries", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "window_start", "ven_id"),
    )
    op.create_table(
        "bridge_baselines",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("frozen_at", Instant(), nullable=False),
        sa.Column("power_kw", sa.Float(), nullable=True),
        sa.Column("circuits_kw", sa.JSON(), nullable=False),
        sa.Column("samples", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "ven_id"),
    )
    op.create_table(
        "bridge_commands",
        sa.Column("id", BigId, nullable=False),
        sa.Column("correlation_id", sa.String(length=255), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=True),
        sa.Column("window_start", Instant(), nullable=True),
        sa.Column("op", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("amount_kw", sa.Float(), nullable=True),
        sa.Column("window_end", Instant(), nullable=True),
        sa.Column("queued_at", Instant(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("deadline_at", Instant(), nullable=True),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("answered_by", sa.String(length=16), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("response_ms", sa.Integer(), nullable=True),
        sa.Column("actual_kw", sa.Float(), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("double_shed", sa.Boolean(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("correlation_id"),
    )
    op.create_index("ix_bridge_commands_event", "bridge_commands", ["event_id", "ven_id"], unique=False)
    op.create_index(
        "uq_bridge_commands_outstanding",
        "bridge_commands",
        ["ven_id"],
        unique=True,
        postgresql_where=sa.text("state IN ('queued', 'sent')"),
        sqlite_where=sa.text("state IN ('queued', 'sent')"),
    )
    op.create_table(
        "bridge_event_transitions",
        sa.Column("id", BigId, nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("from_state", sa.String(length=16), nullable=True),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_bridge_event_transitions_event_id"), "bridge_event_transitions", ["event_id"], unique=False
    )
    op.create_table(
        "bridge_events",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("program_id", sa.String(length=128), nullable=False),
        sa.Column("modified_at", Instant(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("state_at", Instant(), nullable=False),
        sa.Column("withdrawn_at", Instant(), nullable=True),
        sa.Column("ended_at", Instant(), nullable=True),
        sa.Column("reported", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_bridge_events_state", "bridge_events", ["state"], unique=False)
    op.create_table(
        "bridge_holdings",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("window_start", Instant(), nullable=False),
        sa.Column("window_end", Instant(), nullable=True),
        sa.Column("amount_kw", sa.Float(), nullable=False),
        sa.Column("until", Instant(), nullable=True),
        sa.Column("correlation_id", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("since", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("ven_id"),
    )
    op.create_table(
        "bridge_panels",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("dialect", sa.String(length=16), nullable=True),
        sa.Column("last_seen_at", Instant(), nullable=True),
        sa.Column("sample_at", Instant(), nullable=True),
        sa.Column("sample_received_at", Instant(), nullable=True),
        sa.Column("message_num", sa.BigInteger(), nullable=True),
        sa.Column("used_power_kw", sa.Float(), nullable=True),
        sa.Column("shed_power_kw", sa.Float(), nullable=True),
        sa.Column("baseline_power_kw", sa.Float(), nullable=True),
        sa.Column("event_id", sa.String(length=255), nullable=True),
        sa.Column("tells_event", sa.Boolean(), nullable=False),
        sa.Column("restarted_at", Instant(), nullable=True),
        sa.Column("answered_at", Instant(), nullable=True),
        sa.Column("loads", sa.JSON(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("ven_id"),
    )
    op.create_table(
        "bridge_quarantine",
        sa.Column("id", BigId, nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("ven_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bridge_quarantine_received", "bridge_quarantine", ["received_at"], unique=False)
    op.create_table(
        "bridge_reports",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("due_at", Instant(), nullable=False),
        sa.Column("sent_at", Instant(), nullable=True),
        sa.Column("report_id", sa.String(length=128), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", "name"),
    )
    op.create_table(
        "bridge_telemetry",
        sa.Column("id", BigId, nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("timestamp", Instant(), nullable=False),
        sa.Column("message_num", sa.BigInteger(), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=True),
        sa.Column("used_power_kw", sa.Float(), nullable=True),
        sa.Column("shed_power_kw", sa.Float(), nullable=True),
        sa.Column("baseline_power_kw", sa.Float(), nullable=True),
        sa.Column("battery_soc", sa.Float(), nullable=True),
        sa.Column("loads", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("ven_id", "timestamp", "message_num", name="uq_bridge_telemetry_sample"),
    )
    op.create_index("ix_bridge_telemetry_received", "bridge_telemetry", ["received_at"], unique=False)
    op.create_table(
        "bridge_windows",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("start", Instant(), nullable=False),
        sa.Column("end", Instant(), nullable=True),
        sa.Column("request", sa.String(length=64), nullable=False),
        sa.Column("request_kw", sa.Float(), nullable=False),
        sa.Column("decided_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "start"),
    )
    op.create_table(
        "ven_acks",
        sa.Column("id", BigId, nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("event_id", sa.String(length=255), nullable=True),
        sa.Column("correlation_id", sa.String(length=255), nullable=True),
        sa.Column("op", sa.String(length=50), nullable=False),
        sa.Column("status", sa.String(length=50), nullable=False),
        sa.Column("timestamp", Instant(), nullable=False),
        sa.Column("panel_timestamp", Instant(), nullable=True),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("requested_shed_kw", sa.Float(), nullable=True),
        sa.Column("actual_shed_kw", sa.Float(), nullable=True),
        sa.Column("circuits_curtailed", sa.JSON(), nullable=True),
        sa.Column("raw_payload", sa.Text(), nullable=True),
        sa.Column("payload_hash", sa.String(length=64), nullable=False),
        sa.Column("dialect", sa.String(length=16), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("matched", sa.Boolean(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("duplicates", sa.Integer(), nullable=False),
        sa.Column("response_ms", sa.Integer(), nullable=True),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("ven_id", "payload_hash", name="uq_ven_acks_payload"),
    )
    op.create_index("ix_ven_acks_correlation_id", "ven_acks", ["correlation_id"], unique=False)
    op.create_index("ix_ven_acks_event_id_ven_id", "ven_acks", ["event_id", "ven_id"], unique=False)
    op.create_index("ix_bridge_commands_panel", "bridge_commands", ["ven_id", sa.text("queued_at DESC")])
    op.create_index("ix_ven_acks_ven_id_timestamp", "ven_acks", ["ven_id", sa.text("timestamp DESC")])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_ven_acks_event_id_ven_id", table_name="ven_acks")
    op.drop_index("ix_ven_acks_correlation_id", table_name="ven_acks")
    op.drop_table("ven_acks")
    op.drop_table("bridge_windows")
    op.drop_index("ix_bridge_telemetry_received", table_name="bridge_telemetry")
    op.drop_table("bridge_telemetry")
    op.drop_table("bridge_reports")
    op.drop_index("ix_bridge_quarantine_received", table_name="bridge_quarantine")
    op.drop_table("bridge_quarantine")
    op.drop_table("bridge_panels")
    op.drop_table("bridge_holdings")
    op.drop_index("ix_bridge_events_state", table_name="bridge_events")
    op.drop_table("bridge_events")
    op.drop_index(op.f("ix_bridge_event_transitions_event_id"), table_name="bridge_event_transitions")
    op.drop_table("bridge_event_transitions")
    op.drop_index(
        "uq_bridge_commands_outstanding",
        table_name="bridge_commands",
        postgresql_where=sa.text("state IN ('queued', 'sent')"),
        sqlite_where=sa.text("state IN ('queued', 'sent')"),
    )
    op.drop_index("ix_bridge_commands_event", table_name="bridge_commands")
    op.drop_table("bridge_commands")
    op.drop_table("bridge_baselines")
    op.drop_table("bridge_allocations")
