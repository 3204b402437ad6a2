"""On PostgreSQL, the lists of vens in deliveries are kept as they are, outside of their rows.

To try to compress the ids of ten thousand vens, which do not get smaller by it, took a third of the statement that
finds them, while somebody waits for an answer. Lists that are there already stay as they were written.
"""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Change how the column is stored."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE deliveries ALTER COLUMN vens SET STORAGE EXTERNAL")
