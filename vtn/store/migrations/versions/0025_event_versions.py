"""Versions of events are kept, and events are searched by name and start.

What an event was is kept by a trigger: in the transaction of the change, whoever writes, and without a statement of its
own. The version as issued stays, and the last 49 after it; texts above 256 KiB are left out.
"""

import sqlalchemy as sa
from alembic import op

from vtn.store.event_times import fill_in

revision = "0025"
down_revision = "0023"

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TARGETS = sa.Text().with_variant(sa.ARRAY(sa.Text()), "postgresql")

_LONGEST = 256 * 1024
_KEPT = 49

_KEEP = """
INSERT INTO event_versions
    (event_id, version, made_at, replaced_at, written_by, program_id, targets, members)
SELECT old.id, coalesce(max(version), 0) + 1, coalesce(max(replaced_at), old.created_at), new.modified_at,
    old.written_by, old.program_id, old.targets,
    CASE WHEN {octets} <= {longest} THEN old.members END
FROM event_versions WHERE event_id = old.id;
"""
_PRUNE = """
DELETE FROM event_versions WHERE event_id = old.id AND version > 1
    AND version <= (SELECT max(version) FROM event_versions WHERE event_id = old.id) - {kept};
"""
_OF = "AFTER UPDATE OF members, targets, program_id ON events"
_CHANGED = "old.members <> new.members OR old.targets <> new.targets OR old.program_id <> new.program_id"


def upgrade() -> None:
    """Make the table and the trigger, and fill the columns of the events that there are."""
    op.create_table(
        "event_versions",
        sa.Column("event_id", KEY, nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("made_at", KEY, nullable=False),
        sa.Column("replaced_at", KEY, nullable=False),
        sa.Column("written_by", sa.Text()),
        sa.Column("program_id", KEY, nullable=False),
        sa.Column("targets", TARGETS, nullable=False),
        sa.Column("members", sa.Text()),
        sa.ForeignKeyConstraint(["event_id"], ["events.id"], name="fk_event_versions_event_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("event_id", "version", name="pk_event_versions"),
    )
    op.add_column("events", sa.Column("name", sa.Text()))
    op.add_column("events", sa.Column("starts_at", KEY))
    op.add_column("events", sa.Column("cancelled_at", KEY))
    op.add_column("events", sa.Column("written_by", sa.Text()))
    op.create_index("ix_events_starts_at", "events", ["starts_at"])
    of_events = sa.text("object_type = 'EVENT'")
    op.create_index(
        "ix_notifications_of_events",
        "notifications",
        ["object_id"],
        postgresql_where=of_events,
        sqlite_where=of_events,
    )
    fill_in(op.get_bind())
    if op.get_bind().dialect.name == "postgresql":
        body = _KEEP.format(octets="octet_length(old.members)", longest=_LONGEST) + _PRUNE.format(kept=_KEPT)
        op.execute(
            "CREATE FUNCTION openadr_keep_event_version() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN {body} RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER event_versions_kept {_OF} FOR EACH ROW WHEN ({_CHANGED}) "
            "EXECUTE FUNCTION openadr_keep_event_version()"
        )
    else:
        octets = "length(CAST(old.members AS BLOB))"
        body = _KEEP.format(octets=octets, longest=_LONGEST) + _PRUNE.format(kept=_KEPT)
        op.execute(f"CREATE TRIGGER event_versions_kept {_OF} WHEN {_CHANGED} BEGIN {body} END")
