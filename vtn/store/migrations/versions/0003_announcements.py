"""On PostgreSQL, changes of what VENs poll are announced to every process that listens, with the commit."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the triggers. They also see what foreign keys delete, and writers other than this program."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        "CREATE FUNCTION openadr_announce() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_notify('openadr_changed', TG_TABLE_NAME); RETURN NULL; END $$"
    )
    for table in ("programs", "events", "vens", "resources"):
        op.execute(
            f"CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION openadr_announce()"
        )
