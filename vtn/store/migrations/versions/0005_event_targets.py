"""On SQLite, which has no index over the elements of a list: the events of each target, kept by triggers."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table, fill it from the events that are there, and keep it right whoever writes."""
    if op.get_bind().dialect.name != "sqlite":
        return
    op.execute(
        "CREATE TABLE event_targets ("
        "target TEXT NOT NULL, event_id TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE, "
        "PRIMARY KEY (target, event_id)) WITHOUT ROWID"
    )
    op.execute("CREATE INDEX ix_event_targets_event_id ON event_targets (event_id)")
    op.execute("CREATE INDEX ix_events_targets ON events (targets)")
    op.execute("INSERT INTO event_targets SELECT DISTINCT value, events.id FROM events, json_each(events.targets)")
    added = "INSERT INTO event_targets SELECT DISTINCT value, new.id FROM json_each(new.targets);"
    op.execute(f"CREATE TRIGGER event_targets_added AFTER INSERT ON events BEGIN {added} END")
    removed = "DELETE FROM event_targets WHERE event_id = old.id;"
    changed = "AFTER UPDATE OF targets ON events WHEN old.targets <> new.targets"
    op.execute(f"CREATE TRIGGER event_targets_changed {changed} BEGIN {removed} {added} END")
