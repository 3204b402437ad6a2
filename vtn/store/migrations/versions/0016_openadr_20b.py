"""OpenADR 2.0b: registrations, certificates, messages that wait for an acknowledgement, reports, and nonces."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _of_a_ven(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["ven_id"], ["oadr20b_vens.ven_id"], name=f"fk_{table}_ven_id", ondelete="CASCADE")


def upgrade() -> None:
    """Make the tables."""
    _vens()
    _messages()
    _reports()
    op.create_table(
        "oadr20b_nonces",
        sa.Column("nonce", KEY, nullable=False),
        sa.Column("expires_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("nonce", name="pk_oadr20b_nonces"),
    )
    op.create_index("ix_oadr20b_nonces_expires_at", "oadr20b_nonces", ["expires_at"])


def _vens() -> None:
    op.create_table(
        "oadr20b_vens",
        sa.Column("ven_id", KEY, nullable=False),
        sa.Column("wire_id", KEY, nullable=False),
        sa.Column("registration_id", KEY),
        sa.Column("registered_by", sa.Text()),
        sa.Column("registered_at", KEY),
        sa.Column("ven_name", sa.Text()),
        sa.Column("push_url", sa.Text()),
        sa.Column("is_report_only", sa.Boolean(), nullable=False),
        sa.Column("signs", sa.Boolean(), nullable=False),
        sa.Column("is_disabled", sa.Boolean(), nullable=False),
        sa.Column("cancel_refused_at", KEY),
        sa.PrimaryKeyConstraint("ven_id", name="pk_oadr20b_vens"),
        sa.ForeignKeyConstraint(["ven_id"], ["vens.id"], name="fk_oadr20b_vens_ven_id", ondelete="CASCADE"),
        sa.UniqueConstraint("wire_id", name="uq_oadr20b_vens_wire_id"),
        sa.UniqueConstraint("registration_id", name="uq_oadr20b_vens_registration_id"),
    )
    op.create_table(
        "oadr20b_certificates",
        sa.Column("fingerprint", KEY, nullable=False),
        sa.Column("ven_id", KEY, nullable=False),
        sa.Column("added_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name="pk_oadr20b_certificates"),
        _of_a_ven("oadr20b_certificates"),
    )
    op.create_index("ix_oadr20b_certificates_ven_id", "oadr20b_certificates", ["ven_id"])


def _messages() -> None:
    op.create_table(
        "oadr20b_outbox",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("ven_id", KEY, nullable=False),
        sa.Column("is_control", sa.Boolean(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", KEY, nullable=False),
        sa.Column("request_id", KEY, nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("offered_at", KEY),
        sa.Column("offers", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oadr20b_outbox"),
        _of_a_ven("oadr20b_outbox"),
        sa.UniqueConstraint("ven_id", "kind", "key", name="uq_oadr20b_outbox_ven_id_kind_key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_oadr20b_outbox_ven_id_id", "oadr20b_outbox", ["ven_id", "id"])


def _reports() -> None:
    op.create_table(
        "oadr20b_capabilities",
        sa.Column("ven_id", KEY, nullable=False),
        sa.Column("specifier_id", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("registered_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("ven_id", "specifier_id", name="pk_oadr20b_capabilities"),
        _of_a_ven("oadr20b_capabilities"),
    )
    op.create_table(
        "oadr20b_report_requests",
        sa.Column("id", KEY, nullable=False),
        sa.Column("ven_id", KEY, nullable=False),
        sa.Column("specifier_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("digest", KEY, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("reports", sa.Text(), nullable=False),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("updated_at", KEY),
        sa.Column("silent_at", KEY),
        sa.Column("is_silent", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_oadr20b_report_requests"),
        _of_a_ven("oadr20b_report_requests"),
        sa.UniqueConstraint("ven_id", "event_id", "digest", name="uq_oadr20b_report_requests_ven_id_event_id_digest"),
    )
    op.create_index("ix_oadr20b_report_requests_silent_at", "oadr20b_report_requests", ["silent_at"])
    op.create_table(
        "oadr20b_carriers",
        sa.Column("ven_id", KEY, nullable=False),
        sa.Column("program_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.PrimaryKeyConstraint("ven_id", "program_id", name="pk_oadr20b_carriers"),
        _of_a_ven("oadr20b_carriers"),
        sa.ForeignKeyConstraint(
            ["program_id"], ["programs.id"], name="fk_oadr20b_carriers_program_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_oadr20b_carriers_event_id", ondelete="CASCADE"),
        sa.UniqueConstraint("event_id", name="uq_oadr20b_carriers_event_id"),
    )
