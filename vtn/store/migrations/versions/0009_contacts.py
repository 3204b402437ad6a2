"""When each client was last heard of, and its last refused request."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "contacts",
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("heard_at", KEY),
        sa.Column("refused_at", KEY),
        sa.Column("refused_status", sa.Integer()),
        sa.Column("refused_title", sa.Text()),
        sa.Column("refused_request", sa.Text()),
        sa.PrimaryKeyConstraint("client_id", name="pk_contacts"),
    )
