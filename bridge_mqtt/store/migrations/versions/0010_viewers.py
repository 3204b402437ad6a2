"""The panels that see an event, when each panel is a ven of its own."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the next poll fills it."""
    op.create_table(
        "bridge_event_viewers",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "ven_id"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("bridge_event_viewers")
