"""Clients that were removed, so that their tokens end everywhere."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "removed_clients",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("removed_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_removed_clients"),
    )
