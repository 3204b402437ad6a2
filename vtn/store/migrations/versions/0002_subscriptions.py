"""Subscriptions."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TARGETS = sa.Text().with_variant(postgresql.ARRAY(sa.Text()), "postgresql")


def upgrade() -> None:
    """Make the table of subscriptions."""
    op.create_table(
        "subscriptions",
        sa.Column("id", KEY, nullable=False),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("modified_at", KEY, nullable=False),
        sa.Column("program_id", KEY),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.Column("objects", TARGETS, nullable=False),
        sa.Column("targets", TARGETS, nullable=False),
        sa.Column("has_tokens", sa.Boolean(), nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_subscriptions"),
        sa.ForeignKeyConstraint(
            ["program_id"], ["programs.id"], name="fk_subscriptions_program_id", ondelete="CASCADE"
        ),
    )
    for columns in (("created_at", "id"), ("program_id", "created_at", "id"), ("client_id", "created_at", "id")):
        op.create_index(f"ix_subscriptions_{'_'.join(columns)}", "subscriptions", list(columns))
