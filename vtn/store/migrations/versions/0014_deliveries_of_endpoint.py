"""An index to find all deliveries of an endpoint by: they go with its subscription, however many others are there."""

from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Make the index."""
    op.create_index("ix_deliveries_endpoint_id", "deliveries", ["endpoint_id"])
