"""Why each panel has its part of an event, what it gave back, and what it has shed in a season."""

import sqlalchemy as sa
from alembic import op

from bridge_mqtt.store.schema import BigId, Instant

revision = "0006"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and tables; splits from before have no reasons."""
    op.add_column("bridge_windows", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
    op.add_column("bridge_allocations", sa.Column("reason", sa.Text()))
    op.add_column("bridge_allocations", sa.Column("shed_kwh", sa.Float()))
    op.add_column("bridge_allocations", sa.Column("given_back_kw", sa.Float()))
    op.add_column("bridge_allocations", sa.Column("given_back_at", Instant()))
    op.add_column("bridge_allocations", sa.Column("version", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "bridge_explanations",
        sa.Column("id", BigId, nullable=False),
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("window_start", Instant(), nullable=False),
        sa.Column("ven_id", sa.String(length=255)),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("before_kw", sa.Float()),
        sa.Column("asked_kw", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bridge_explanations_event", "bridge_explanations", ["event_id", "id"])
    op.create_index("ix_bridge_explanations_at", "bridge_explanations", ["at"])
    op.create_table(
        "bridge_season_energy",
        sa.Column("season", sa.String(length=10), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("shed_kwh", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("season", "ven_id"),
    )
    op.create_table(
        "bridge_counted_events",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("counted_until", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("bridge_counted_events")
    op.drop_table("bridge_season_energy")
    op.drop_table("bridge_explanations")
    for name in ("version", "given_back_at", "given_back_kw", "shed_kwh", "reason"):
        op.drop_column("bridge_allocations", name)
    op.drop_column("bridge_windows", "version")
