"""Payload descriptors that early versions stored without ``objectType`` get it: answers must fit the schema.

That is no change of an event: the trigger that keeps versions does not see it.
"""

import sqlalchemy as sa
from alembic import op

from vtn.store.descriptor_kinds import complete_descriptors

revision = "0030"
down_revision = "0029"

_TRIGGER = "event_versions_kept"


def upgrade() -> None:
    """Complete them."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute(f"ALTER TABLE events DISABLE TRIGGER {_TRIGGER}")
        complete_descriptors(connection)
        op.execute(f"ALTER TABLE events ENABLE TRIGGER {_TRIGGER}")
        return
    made = connection.execute(sa.text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": _TRIGGER})
    (text,) = made.scalars()
    op.execute(f"DROP TRIGGER {_TRIGGER}")
    complete_descriptors(connection)
    connection.exec_driver_sql(text)
