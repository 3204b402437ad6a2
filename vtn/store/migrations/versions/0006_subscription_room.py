"""On PostgreSQL, counting a client's subscriptions and storing one more are one statement, and clients take turns."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the function. Each of its statements sees what was committed before it began: the count follows the lock."""
    if op.get_bind().dialect.name != "postgresql":
        return
    op.execute(
        "CREATE FUNCTION openadr_may_subscribe(client text, most integer) RETURNS boolean "
        "LANGUAGE plpgsql VOLATILE AS $$ BEGIN "
        "PERFORM pg_advisory_xact_lock(hashtext('subscriptions ' || client)); "
        "RETURN (SELECT count(*) FROM subscriptions WHERE client_id = client) < most; END $$"
    )
