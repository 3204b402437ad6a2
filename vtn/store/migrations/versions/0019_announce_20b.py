"""On PostgreSQL, changes of what every poll of OpenADR 2.0b looks at are announced to the processes that listen.

Until then what was read of these tables could be used for a moment only, so that an empty poll asked the database.
"""

from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    """Make the triggers."""
    if op.get_bind().dialect.name != "postgresql":
        return
    for table in ("oadr20b_vens", "oadr20b_certificates", "oadr20b_outbox", "oadr20b_capabilities"):
        op.execute(
            f"CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION openadr_announce()"
        )
