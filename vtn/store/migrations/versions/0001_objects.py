"""Programs, events, reports, vens, resources; clients and the keys that sign their tokens."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TARGETS = sa.Text().with_variant(postgresql.ARRAY(sa.Text()), "postgresql")


def _object(name: str, *columns: sa.Column[object] | sa.Constraint) -> None:
    op.create_table(
        name,
        sa.Column("id", KEY, nullable=False),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("modified_at", KEY, nullable=False),
        *columns,
        sa.Column("members", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
    )
    _index(name, "created_at", "id")


def _index(table: str, *columns: str) -> None:
    op.create_index(f"ix_{table}_{'_'.join(columns)}", table, list(columns))


def upgrade() -> None:
    """Make the first tables."""
    _object(
        "programs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("targets", TARGETS, nullable=False),
        sa.UniqueConstraint("name", name="uq_programs_name"),
    )
    _object(
        "events",
        sa.Column("program_id", KEY, nullable=False),
        sa.Column("targets", TARGETS, nullable=False),
        sa.Column("targets_inside", sa.Boolean(), nullable=False),
        sa.Column("ends_at", KEY),
        sa.ForeignKeyConstraint(["program_id"], ["programs.id"], name="fk_events_program_id", ondelete="CASCADE"),
    )
    _index("events", "program_id", "created_at", "id")
    _index("events", "ends_at")
    _object(
        "reports",
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("client_name", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_reports_event_id", ondelete="CASCADE"),
    )
    for column in ("event_id", "client_id", "client_name"):
        _index("reports", column, "created_at", "id")
    _object(
        "vens",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("targets", TARGETS, nullable=False),
        sa.UniqueConstraint("client_id", name="uq_vens_client_id"),
        sa.UniqueConstraint("name", name="uq_vens_name"),
    )
    _object(
        "resources",
        sa.Column("ven_id", KEY, nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("targets", TARGETS, nullable=False),
        sa.ForeignKeyConstraint(["ven_id"], ["vens.id"], name="fk_resources_ven_id", ondelete="CASCADE"),
        sa.UniqueConstraint("ven_id", "name", name="uq_resources_ven_id_name"),
    )
    _index("resources", "client_id", "created_at", "id")
    _index("resources", "name")
    op.create_table(
        "clients",
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("token_lifetime_s", sa.Integer()),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("suspended", sa.Boolean(), nullable=False),
        sa.Column("tokens_valid_from", KEY),
        sa.PrimaryKeyConstraint("client_id", name="pk_clients"),
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("created_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("kid", name="pk_signing_keys"),
    )
    if op.get_bind().dialect.name == "postgresql":
        for table in ("programs", "events"):
            op.create_index(f"ix_{table}_targets", table, ["targets"], postgresql_using="gin")
