"""Note what the software of a client calls itself, and how far its clock is off, beside its last contact.

Both were not noted until now, so they are not known of anybody before the next request.
"""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("contacts", sa.Column("software", sa.Text))
    op.add_column("contacts", sa.Column("clock_offset_s", sa.Float(53)))
