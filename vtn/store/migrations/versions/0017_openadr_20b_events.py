"""OpenADR 2.0b: issues of events with their numbers, projections and deliveries, and what VENs opted for."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _of_an_issue(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["event_id", "issue"],
        ["oadr20b_events.event_id", "oadr20b_events.issue"],
        name=f"fk_{table}_event_id_issue",
        ondelete="CASCADE",
    )


def _of_a_ven(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["ven_id"], ["vens.id"], name=f"fk_{table}_ven_id", ondelete="CASCADE")


def upgrade() -> None:
    """Make the tables."""
    _issues()
    _deliveries()
    op.create_table(
        "oadr20b_opts",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("ven_id", KEY, nullable=False),
        sa.Column("event_id", KEY),
        sa.Column("issue", sa.Integer()),
        sa.Column("number", sa.Integer()),
        sa.Column("opt_id", KEY),
        sa.Column("opt_type", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("response_code", sa.Text()),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("received_at", KEY, nullable=False),
        sa.Column("ends_at", KEY),
        sa.Column("cancelled_at", KEY),
        _of_a_ven("oadr20b_opts"),
        sa.PrimaryKeyConstraint("id", name="pk_oadr20b_opts"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_oadr20b_opts_ven_id_event_id_id", "oadr20b_opts", ["ven_id", "event_id", "id"])
    op.create_index("ix_oadr20b_opts_ven_id_opt_id", "oadr20b_opts", ["ven_id", "opt_id"])


def _issues() -> None:
    op.create_table(
        "oadr20b_events",
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("issue", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("wire_id", KEY, nullable=False),
        sa.Column("program_id", KEY, nullable=False),
        sa.Column("state", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("market_context", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("event_modified_at", KEY, nullable=False),
        sa.Column("program_modified_at", KEY, nullable=False),
        sa.Column("anchor", KEY),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("changed_at", KEY, nullable=False),
        sa.Column("starts_at", KEY),
        sa.Column("over_at", KEY),
        sa.Column("rolls_at", KEY),
        sa.PrimaryKeyConstraint("event_id", "issue", name="pk_oadr20b_events"),
        sa.UniqueConstraint("wire_id", name="uq_oadr20b_events_wire_id"),
    )
    op.create_index("ix_oadr20b_events_over_at", "oadr20b_events", ["over_at"])
    op.create_table(
        "oadr20b_projections",
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("issue", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("made_at", KEY, nullable=False),
        _of_an_issue("oadr20b_projections"),
        sa.PrimaryKeyConstraint("event_id", "issue", "number", name="pk_oadr20b_projections"),
    )


def _deliveries() -> None:
    op.create_table(
        "oadr20b_deliveries",
        sa.Column("ven_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("issue", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("registration_id", KEY, nullable=False),
        sa.Column("first_number", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("shown_number", sa.Integer(), nullable=False),
        sa.Column("cancelled_at", KEY),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.Column("request_id", KEY, nullable=False),
        sa.Column("sent_at", KEY, nullable=False),
        sa.Column("sent_times", sa.Integer(), nullable=False),
        sa.Column("due_at", KEY),
        sa.Column("answered_number", sa.Integer()),
        sa.Column("answered_at", KEY),
        sa.Column("opt_type", sa.Text()),
        sa.Column("response_code", sa.Text()),
        sa.Column("report_id", KEY),
        sa.Column("is_report_due", sa.Boolean(), nullable=False),
        _of_a_ven("oadr20b_deliveries"),
        _of_an_issue("oadr20b_deliveries"),
        sa.PrimaryKeyConstraint("ven_id", "event_id", "issue", name="pk_oadr20b_deliveries"),
    )
    op.create_index("ix_oadr20b_deliveries_ven_id_is_closed", "oadr20b_deliveries", ["ven_id", "is_closed"])
    op.create_index("ix_oadr20b_deliveries_event_id_issue", "oadr20b_deliveries", ["event_id", "issue"])
