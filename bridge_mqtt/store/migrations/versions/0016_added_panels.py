"""Panels that are added through the HTTP interface."""

import sqlalchemy as sa
from alembic import op

from bridge_mqtt.store.schema import Instant

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add their table; panels of the settings have no row in it."""
    op.create_table(
        "bridge_added_panels",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("registration_id", sa.String(length=255)),
        sa.Column("latitude", sa.Float()),
        sa.Column("longitude", sa.Float()),
        sa.Column("groups", sa.JSON(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("ven_id"),
        sa.UniqueConstraint("registration_id"),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("bridge_added_panels")
