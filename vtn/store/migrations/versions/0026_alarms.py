"""Alarms that hold or held, and the messages that tell of them."""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "alarms",
        sa.Column("id", SERIAL, nullable=False, autoincrement=True),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("subject", KEY, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("raised_at", KEY, nullable=False),
        sa.Column("seen_at", KEY, nullable=False),
        sa.Column("cleared_at", KEY),
        sa.Column("acknowledged_at", KEY),
        sa.Column("acknowledged_by", sa.Text()),
        sa.Column("note", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_alarms"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alarms_cleared_at", "alarms", ["cleared_at"])
    holds = sa.text("cleared_at IS NULL")
    op.create_index(
        "ix_alarms_open", "alarms", ["kind", "subject"], unique=True, postgresql_where=holds, sqlite_where=holds
    )
    op.create_table(
        "alarm_messages",
        sa.Column("id", SERIAL, nullable=False, autoincrement=True),
        sa.Column("alarm_id", SERIAL),
        sa.Column("channel", KEY, nullable=False),
        sa.Column("is_clear", sa.Boolean(), nullable=False),
        sa.Column("noted_at", KEY, nullable=False),
        sa.Column("due_at", KEY, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("ended_at", KEY),
        sa.Column("outcome", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_alarm_messages"),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.id"], name="fk_alarm_messages_alarm_id", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_alarm_messages_alarm_id", "alarm_messages", ["alarm_id"])
    op.create_index("ix_alarm_messages_channel_ended_at_due_at", "alarm_messages", ["channel", "ended_at", "due_at"])
