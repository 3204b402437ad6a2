"""Shadow documents: what each panel has reported of itself last."""

import sqlalchemy as sa
from alembic import op

from bridge_mqtt.store.schema import Instant

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add their table."""
    op.create_table(
        "bridge_shadows",
        sa.Column("ven_id", sa.String(length=255), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.Column("reported", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("ven_id"),
    )


def downgrade() -> None:
    """Forget them."""
    op.drop_table("bridge_shadows")
