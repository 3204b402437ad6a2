"""Commands without their bytes, which can be made again from the other members."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop the column that nothing reads."""
    op.drop_column("bridge_commands", "payload")


def downgrade() -> None:
    """Add the column, empty."""
    op.add_column("bridge_commands", sa.Column("payload", sa.Text(), nullable=True))
