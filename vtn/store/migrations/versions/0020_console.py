"""People who use the console, their sessions, and what they did."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "console_users",
        sa.Column("name", KEY, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text()),
        sa.Column("subject", KEY),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("signed_in_at", KEY),
        sa.PrimaryKeyConstraint("name", name="pk_console_users"),
        sa.UniqueConstraint("subject", name="uq_console_users_subject"),
    )
    op.create_table(
        "console_sessions",
        sa.Column("token_hash", KEY, nullable=False),
        sa.Column("id", KEY, nullable=False),
        sa.Column("user_name", KEY, nullable=False),
        sa.Column("began_at", KEY, nullable=False),
        sa.Column("seen_at", KEY, nullable=False),
        sa.Column("ends_at", KEY, nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("token_hash", name="pk_console_sessions"),
        sa.UniqueConstraint("id", name="uq_console_sessions_id"),
        sa.ForeignKeyConstraint(
            ["user_name"],
            ["console_users.name"],
            name="fk_console_sessions_user_name",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_console_sessions_user_name", "console_sessions", ["user_name"])
    op.create_index("ix_console_sessions_ends_at", "console_sessions", ["ends_at"])
    op.create_table(
        "console_acts",
        sa.Column("seq", SERIAL, nullable=False, autoincrement=True),
        sa.Column("done_at", KEY, nullable=False),
        sa.Column("user_name", KEY, nullable=False),
        sa.Column("act", KEY, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("before", sa.Text()),
        sa.Column("after", sa.Text()),
        sa.Column("address", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_console_acts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_console_acts_done_at", "console_acts", ["done_at"])
    op.create_index("ix_console_acts_user_name_seq", "console_acts", ["user_name", "seq"])
