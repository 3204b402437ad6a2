"""On PostgreSQL, deliveries go with their change and their endpoint by triggers instead of by foreign keys.

PostgreSQL looks up both keys of every row that is added, which is more than half of what it takes to add ten thousand
deliveries. All of them are added by one statement that makes sure of both by itself: its changes are those of the same
transaction, and it locks the endpoints. On SQLite a foreign key costs little, and stays.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

_PARENTS = (("notifications", "seq", "seq"), ("endpoints", "endpoint_id", "id"))


def upgrade() -> None:
    """Put triggers in the place of the foreign keys, and leave what is still to be made out of the index of ends."""
    op.drop_index("ix_deliveries_ended_at", "deliveries")
    ended = sa.text("ended_at IS NOT NULL")
    op.create_index("ix_deliveries_ended_at", "deliveries", ["ended_at"], postgresql_where=ended, sqlite_where=ended)
    if op.get_bind().dialect.name != "postgresql":
        return
    for parent, column, key in _PARENTS:
        delete = f"DELETE FROM deliveries USING gone WHERE deliveries.{column} = gone.{key}"  # noqa: S608 (names above)
        op.execute(
            f"CREATE FUNCTION openadr_{parent}_gone() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {delete}; RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER deliveries_go AFTER DELETE ON {parent} REFERENCING OLD TABLE AS gone "
            f"FOR EACH STATEMENT EXECUTE FUNCTION openadr_{parent}_gone()"
        )
        op.drop_constraint(f"fk_deliveries_{column}", "deliveries", type_="foreignkey")
