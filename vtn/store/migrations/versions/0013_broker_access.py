"""Accounts at the MQTT broker, the tokens shown to it, and leases of work that one process does for all."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "broker_accounts",
        sa.Column("username", KEY, nullable=False),
        sa.Column("ven_id", KEY),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("password", sa.Text()),
        sa.Column("made_at", KEY, nullable=False),
        sa.Column("asked_at", KEY),
        sa.Column("applied_at", KEY),
        sa.PrimaryKeyConstraint("username", name="pk_broker_accounts"),
        sa.UniqueConstraint("ven_id", name="uq_broker_accounts_ven_id"),
    )
    op.create_table(
        "broker_logins",
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("reads", sa.Text(), nullable=False),
        sa.Column("issued_at", KEY, nullable=False),
        sa.Column("expires_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("client_id", name="pk_broker_logins"),
    )
    op.create_table(
        "leases",
        sa.Column("name", KEY, nullable=False),
        sa.Column("held_by", sa.Text(), nullable=False),
        sa.Column("held_until", KEY, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
