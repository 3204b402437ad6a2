"""Indexes by which old acknowledgments and commands are found, among millions of younger ones."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add them."""
    op.create_index("ix_ven_acks_received", "ven_acks", ["received_at"])
    op.create_index("ix_bridge_commands_queued", "bridge_commands", ["queued_at"])


def downgrade() -> None:
    """Take them away."""
    op.drop_index("ix_ven_acks_received", table_name="ven_acks")
    op.drop_index("ix_bridge_commands_queued", table_name="bridge_commands")
