"""On PostgreSQL, new targets go into their indexes at once.

A list of what is to be put there later is read by every search, entry by entry, and makes reading the whole table look
cheap to the planner.
"""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Set it, and put into place what waits."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for index in ("ix_programs_targets", "ix_events_targets"):
        op.execute(f"ALTER INDEX {index} SET (fastupdate = off)")
        op.execute(f"SELECT gin_clean_pending_list('{index}')")
