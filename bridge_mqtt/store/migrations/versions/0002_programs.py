"""Programs, whose names and default units say how events are to be read."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; the next poll fills it."""
    op.create_table(
        "bridge_programs",
        sa.Column("program_id", sa.String(length=128), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("program_id"),
    )


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("bridge_programs")
