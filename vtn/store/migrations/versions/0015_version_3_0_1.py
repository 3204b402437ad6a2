"""Store what 3.0.1 says and 3.1 does not: types of targets, the face of a subscription, who named a ven."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the columns; null is right for everything that was written before."""
    for table in ("programs", "events", "vens", "resources", "subscriptions", "notifications"):
        op.add_column(table, sa.Column("target_records", sa.Text()))
    op.add_column("notifications", sa.Column("before_target_records", sa.Text()))
    for table in ("vens", "resources"):
        op.add_column(table, sa.Column("named_by_bl", sa.Boolean()))
    for table in ("subscriptions", "endpoints"):
        op.add_column(table, sa.Column("face", KEY))
