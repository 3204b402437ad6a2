"""Readings of the virtual meters of panels, and how long a panel has been free of events."""

import sqlalchemy as sa
from alembic import op

from bridge_mqtt.store.schema import Instant

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them; meters begin at 0 with the next sample."""
    op.create_table(
        "bridge_readings",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("meter", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("ven_id", "kind", "at"),
    )
    op.create_index("ix_bridge_readings_at", "bridge_readings", ["kind", "at"])
    op.create_index("ix_bridge_telemetry_panel", "bridge_telemetry", ["ven_id", "received_at"])
    op.add_column("bridge_telemetry", sa.Column("meter", sa.JSON()))
    op.add_column("bridge_panels", sa.Column("free_since", Instant()))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("bridge_panels", "free_since")
    op.drop_column("bridge_telemetry", "meter")
    op.drop_index("ix_bridge_telemetry_panel", table_name="bridge_telemetry")
    op.drop_table("bridge_readings")
