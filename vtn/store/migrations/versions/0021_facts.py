"""Add tables of what reports say: readings, opts, sheds and curves of events; and the queue that fills them.

Triggers put every report that is added, changed or removed into the queue, in the transaction that does so, whoever
writes and also what foreign keys delete. The reports that are there are put into it here.
"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KW = sa.Float(53)


def upgrade() -> None:
    """Make the tables and the triggers, and queue all reports."""
    _make_queue()
    _make_read_reports()
    _make_readings()
    _make_event_tables()
    # Only the totals of an event are asked for again and again, and all of them; most rows are circuits.
    total = sa.text("is_total = 1" if op.get_bind().dialect.name == "sqlite" else "is_total")
    op.create_index(
        "ix_event_sheds_totals",
        "event_sheds",
        [
            *("event_id", "client_id", "resource", "starts_at_ms", "ends_at_ms"),
            *("requested_kw", "baseline_kw", "demand_kw", "delivered_kw", "state"),
        ],
        postgresql_where=total,
        sqlite_where=total,
    )
    troubled = sa.text("trouble IS NOT NULL")
    op.create_index(
        "ix_read_reports_troubled", "read_reports", ["read_at"], postgresql_where=troubled, sqlite_where=troubled
    )
    if op.get_bind().dialect.name == "postgresql":
        _make_triggers_postgresql()
    else:
        _make_triggers_sqlite()
    op.execute("INSERT INTO report_queue (report_id) SELECT id FROM reports ORDER BY created_at, id")


def _make_queue() -> None:
    op.create_table(
        "report_queue",
        sa.Column("seq", SERIAL, autoincrement=True, nullable=False),
        sa.Column("report_id", KEY, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_report_queue"),
        sqlite_autoincrement=True,
    )


def _make_read_reports() -> None:
    op.create_table(
        "read_reports",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("report_id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("program_id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("changed_at", KEY, nullable=False),
        sa.Column("read_at", KEY, nullable=False),
        sa.Column("taken", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("assumed", sa.Integer(), nullable=False),
        sa.Column("trouble", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_read_reports"),
        sa.UniqueConstraint("report_id", name="uq_read_reports_report_id"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_read_reports_event_id_client_id_changed_at", "read_reports", ["event_id", "client_id", "changed_at"]
    )
    op.create_table(
        "report_corrections",
        sa.Column("newer_id", SERIAL, nullable=False),
        sa.Column("older_id", SERIAL, nullable=False),
        sa.PrimaryKeyConstraint("newer_id", "older_id", name="pk_report_corrections"),
        sa.ForeignKeyConstraint(
            ["newer_id"], ["read_reports.id"], name="fk_report_corrections_newer_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_report_corrections_older_id", "report_corrections", ["older_id"])


def _make_readings() -> None:
    op.create_table(
        "meters",
        sa.Column("id", SERIAL, autoincrement=True, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("resource", KEY, nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("latest_ends_at_ms", sa.BigInteger()),
        sa.Column("latest_kw", KW),
        sa.PrimaryKeyConstraint("id", name="pk_meters"),
        sa.UniqueConstraint("client_id", "resource", name="uq_meters_client_id_resource"),
    )
    op.create_table(
        "readings",
        sa.Column("meter_id", SERIAL, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("starts_at_ms", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("length_ms", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("kwh", KW, nullable=False),
        sa.Column("estimated", sa.Boolean(), nullable=False),
        sa.Column("source_id", SERIAL, nullable=False),
        sa.PrimaryKeyConstraint("meter_id", "kind", "starts_at_ms", "length_ms", name="pk_readings"),
        postgresql_partition_by="RANGE (starts_at_ms)",
    )
    op.create_index("ix_readings_source_id", "readings", ["source_id"])


def _make_event_tables() -> None:
    op.create_table(
        "event_opts",
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("resource", KEY, nullable=False),
        sa.Column("opted_in", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("decided_at_ms", sa.BigInteger()),
        sa.Column("is_participant", sa.Boolean(), nullable=False),
        sa.Column("source_id", SERIAL, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "client_id", "resource", name="pk_event_opts"),
    )
    op.create_index("ix_event_opts_source_id", "event_opts", ["source_id"])
    powers = ("requested_kw", "baseline_kw", "demand_kw", "delivered_kw", "gross_kw", "final_kw")
    op.create_table(
        "event_sheds",
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("resource", KEY, nullable=False),
        sa.Column("starts_at_ms", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("interval_id", sa.BigInteger(), nullable=False),
        sa.Column("ends_at_ms", sa.BigInteger()),
        *(sa.Column(name, KW) for name in powers),
        sa.Column("state", sa.Text()),
        sa.Column("is_total", sa.Boolean(), nullable=False),
        sa.Column("source_id", SERIAL, nullable=False),
        sa.PrimaryKeyConstraint("event_id", "client_id", "resource", "starts_at_ms", name="pk_event_sheds"),
    )
    op.create_index("ix_event_sheds_source_id", "event_sheds", ["source_id"])
    op.create_table(
        "event_curve",
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False, autoincrement=False),
        *(sa.Column(name, KW) for name in ("requested_kw", "baseline_kw", "delivered_kw")),
        sa.Column("reporting", sa.Integer(), nullable=False),
        sa.Column("taking_part", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "at_ms", name="pk_event_curve"),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_event_curve_event_id", ondelete="CASCADE"),
    )


def _make_triggers_postgresql() -> None:
    for table in ("read_reports", "event_curve"):
        op.execute(
            f"CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION openadr_announce()"
        )
    op.execute(
        "CREATE FUNCTION openadr_queue_report() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO report_queue (report_id) VALUES (coalesce(NEW.id, OLD.id)); RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER queue_report AFTER INSERT OR UPDATE OR DELETE ON reports "
        "FOR EACH ROW EXECUTE FUNCTION openadr_queue_report()"
    )


def _make_triggers_sqlite() -> None:
    for event, row in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
        queue = f"INSERT INTO report_queue (report_id) VALUES ({row}.id);"  # noqa: S608 (names above)
        op.execute(f"CREATE TRIGGER reports_{event.lower()}_queued AFTER {event} ON reports BEGIN {queue} END")
