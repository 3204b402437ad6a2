"""Results of events: what was delivered by one method, and who took part."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "performance_results",
        sa.Column("id", KEY, nullable=False),
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("event_name", sa.Text()),
        sa.Column("program_id", KEY, nullable=False),
        sa.Column("starts_at", KEY, nullable=False),
        sa.Column("ends_at", KEY, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("step_s", sa.Integer(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("holidays", sa.Text(), nullable=False),
        sa.Column("circuits", sa.Boolean(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("vens_done", sa.Integer(), nullable=False),
        sa.Column("vens", sa.Integer()),
        sa.Column("trouble", sa.Text()),
        sa.Column("inputs_sha256", sa.Text()),
        sa.Column("sums", sa.Text()),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", KEY, nullable=False),
        sa.Column("touched_at", KEY, nullable=False),
        sa.Column("frozen_by", sa.Text()),
        sa.Column("frozen_at", KEY),
        sa.PrimaryKeyConstraint("id", name="pk_performance_results"),
    )
    op.create_index("ix_performance_results_event_id_made_at", "performance_results", ["event_id", "made_at"])
    op.create_index("ix_performance_results_made_at", "performance_results", ["made_at"])
    op.create_table(
        "performance_participants",
        sa.Column("result_id", KEY, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("client_id", KEY, nullable=False),
        sa.Column("resource", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("requested_wh", sa.BigInteger()),
        sa.Column("delivered_wh", sa.BigInteger()),
        sa.Column("shortfall_wh", sa.BigInteger()),
        sa.Column("performance_permille", sa.BigInteger()),
        sa.Column("gaps", sa.Integer(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["result_id"],
            ["performance_results.id"],
            name="fk_performance_participants_result_id",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("result_id", "position", name="pk_performance_participants"),
    )
    op.create_index(
        "ix_performance_participants_result_id_client_id_resource",
        "performance_participants",
        ["result_id", "client_id", "resource"],
    )
