"""Bearer tokens of subscriptions are sealed, in a column of their own.

Tokens that are there are sealed when a server or a command opens the database next: a migration has no key.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the column; null: the subscription has no tokens, or has them in its members still."""
    op.add_column("subscriptions", sa.Column("tokens", sa.Text()))
