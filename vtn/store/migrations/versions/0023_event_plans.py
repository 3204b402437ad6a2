"""Drafts, templates and repeats of events; what vens and resources can shed in columns of their own."""

import sqlalchemy as sa
from alembic import op

from vtn.store.sheddable import fill_sheddable

revision = "0023"
down_revision = "0021"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Make the tables, add the columns and fill them."""
    op.add_column("resources", sa.Column("shed_w", sa.BigInteger()))
    op.add_column("vens", sa.Column("max_w", sa.BigInteger()))
    fill_sheddable(op.get_bind())
    op.create_index("ix_resources_ven_id_shed_w", "resources", ["ven_id", "shed_w"])
    _plans()
    op.create_table(
        "issued_forms",
        sa.Column("token", KEY, nullable=False),
        sa.Column("event_ids", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("token", name="pk_issued_forms"),
    )
    op.create_index("ix_issued_forms_made_at", "issued_forms", ["made_at"])


def _plans() -> None:
    op.create_table(
        "event_plans",
        sa.Column("id", KEY, nullable=False),
        sa.Column("kind", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("typed", sa.Text(), nullable=False),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", KEY, nullable=False),
        sa.Column("changed_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_plans"),
    )
    op.create_index("ix_event_plans_kind_changed_at", "event_plans", ["kind", "changed_at"])
    op.create_table(
        "event_repeats",
        sa.Column("id", KEY, nullable=False),
        sa.Column("plan_id", KEY, nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("days", sa.Text(), nullable=False),
        sa.Column("clock", sa.Text(), nullable=False),
        sa.Column("last_day", sa.Text()),
        sa.Column("lead_s", sa.Integer(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("next_at", KEY),
        sa.Column("made_by", sa.Text(), nullable=False),
        sa.Column("made_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_event_repeats"),
        sa.ForeignKeyConstraint(["plan_id"], ["event_plans.id"], name="fk_event_repeats_plan_id", ondelete="CASCADE"),
    )
    op.create_index("ix_event_repeats_plan_id", "event_repeats", ["plan_id"])
    op.create_index("ix_event_repeats_next_at", "event_repeats", ["next_at"])
    op.create_table(
        "event_occurrences",
        sa.Column("repeat_id", KEY, nullable=False),
        sa.Column("starts_at", KEY, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("event_id", KEY),
        sa.Column("reason", sa.Text()),
        sa.Column("noted_at", KEY, nullable=False),
        sa.PrimaryKeyConstraint("repeat_id", "starts_at", name="pk_event_occurrences"),
        sa.ForeignKeyConstraint(
            ["repeat_id"], ["event_repeats.id"], name="fk_event_occurrences_repeat_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_event_occurrences_noted_at", "event_occurrences", ["noted_at"])
