"""Commands that switch one circuit on or off."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add which circuit, and whether it is to be on."""
    op.add_column("bridge_commands", sa.Column("load_id", sa.String(255), nullable=True))
    op.add_column("bridge_commands", sa.Column("enabled", sa.Boolean(), nullable=True))


def downgrade() -> None:
    """Forget it."""
    op.drop_column("bridge_commands", "enabled")
    op.drop_column("bridge_commands", "load_id")
