"""Count what became of deliveries in all, and find those that were given up."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table and the index."""
    op.create_table(
        "delivery_totals",
        sa.Column("push", KEY, nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger(), nullable=False),
        sa.Column("dead", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("push", name="pk_delivery_totals"),
    )
    dead = sa.text("outcome = 'DEAD'")
    op.create_index("ix_deliveries_dead", "deliveries", ["endpoint_id", "id"], postgresql_where=dead, sqlite_where=dead)
