"""Resource groups and their members."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TARGETS = sa.Text().with_variant(postgresql.ARRAY(sa.Text()), "postgresql")


def upgrade() -> None:
    """Make both tables."""
    op.create_table(
        "resource_groups",
        sa.Column("id", KEY, nullable=False),
        sa.Column("created_at", KEY, nullable=False),
        sa.Column("modified_at", KEY, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("targets", TARGETS, nullable=False),
        sa.Column("members", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_resource_groups"),
        sa.UniqueConstraint("name", name="uq_resource_groups_name"),
    )
    op.create_index("ix_resource_groups_created_at_id", "resource_groups", ["created_at", "id"])
    table = "resource_group_children"
    op.create_table(
        table,
        sa.Column("group_id", KEY, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("resource_id", KEY),
        sa.Column("child_group_id", KEY),
        sa.PrimaryKeyConstraint("group_id", "place", name=f"pk_{table}"),
        *(
            sa.ForeignKeyConstraint([column], [f"{parents}.id"], name=f"fk_{table}_{column}", ondelete="CASCADE")
            for column, parents in (
                ("group_id", "resource_groups"),
                ("resource_id", "resources"),
                ("child_group_id", "resource_groups"),
            )
        ),
        sa.CheckConstraint("(resource_id IS NULL) <> (child_group_id IS NULL)", name="one_child"),
        sa.UniqueConstraint("resource_id", "group_id", name=f"uq_{table}_resource_id_group_id"),
        sa.UniqueConstraint("child_group_id", "group_id", name=f"uq_{table}_child_group_id_group_id"),
    )
