"""``ven_acks`` as tools of the original know it: the index on the time, and defaults for columns they do not write."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_DEFAULTS = {
    "received_at": "now()",
    "created_at": "now()",
    "payload_hash": "replace(gen_random_uuid()::text, '-', '')",
    "matched": "false",
    "late": "false",
    "duplicates": "0",
    "warnings": "'[]'::json",
}


def upgrade() -> None:
    """Add them; defaults to PostgreSQL only, which the original had: SQLite cannot alter a column."""
    op.create_index("ix_ven_acks_timestamp", "ven_acks", ["timestamp"])
    if op.get_bind().dialect.name == "postgresql":
        for column, value in _DEFAULTS.items():
            op.execute(f"ALTER TABLE ven_acks ALTER COLUMN {column} SET DEFAULT {value}")


def downgrade() -> None:
    """Take them away."""
    op.drop_index("ix_ven_acks_timestamp", table_name="ven_acks")
    if op.get_bind().dialect.name == "postgresql":
        for column in _DEFAULTS:
            op.execute(f"ALTER TABLE ven_acks ALTER COLUMN {column} DROP DEFAULT")
