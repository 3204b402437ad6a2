"""Earlier versions of events: what each was before it was changed, kept by a trigger in the transaction of the change.

An event that was never changed has no row here; its present version is in ``events``. The trigger (migration 0025)
writes nothing for a PUT that changes nothing. Of each event the version as issued stays and the last 49 after it; the
text of a version is left out if it is longer than 256 KiB. All go with their event.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Column, ForeignKey, Integer, Table, Text, select

from openadr_profiles.v31 import EventRequest, decode
from vtn.store.database import Database
from vtn.store.large import WHOLE_BYTES, Row, shown_within
from vtn.store.stamps import Stamps
from vtn.store.tables import events, metadata
from vtn.store.types import KEY, Targets

event_versions = Table(
    "event_versions",
    metadata,
    Column("event_id", KEY, ForeignKey("events.id", ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),  # 1: as issued
    Column("made_at", KEY, nullable=False),
    Column("replaced_at", KEY, nullable=False),
    Column("written_by", Text),  # the client that wrote this version; null: an earlier version did not note it
    Column("program_id", KEY, nullable=False),
    Column("targets", Targets, nullable=False),
    Column("members", Text),  # null: too long to be kept
)
"""Hold what events were before they were changed."""


class EventVersion(Struct, frozen=True, gc=False):
    """One version of an event. ``replaced_at`` is None for the present one, ``event`` if its text was too long."""

    number: int
    made_at: datetime
    replaced_at: datetime | None
    written_by: str | None
    event: EventRequest | None


class EventVersionStore:
    """Reads the versions of events."""

    def __init__(self, database: Database, _: Stamps | None = None) -> None:
        self._database = database

    async def of(self, event_id: str) -> Sequence[EventVersion]:
        """Return the versions of an event, the present one first, 51 at most; none if there is no such event."""
        its = event_versions.c
        before = select(*its).where(its.event_id == event_id).order_by(its.version.desc())
        present = select(*shown_within(events, WHOLE_BYTES)).where(events.c.id == event_id)
        async with self._database.snapshot() as connection:
            row = (await connection.execute(present)).mappings().first()
            if row is None:
                return ()
            earlier = (await connection.execute(before)).mappings().all()
        number, made_at = (earlier[0]["version"] + 1, earlier[0]["replaced_at"]) if earlier else (1, row["created_at"])
        now = _version({**row, "version": number, "made_at": made_at, "replaced_at": None})
        return (now, *map(_version, earlier))


def _version(row: Row) -> EventVersion:
    members = row["members"]
    return EventVersion(
        number=row["version"],
        made_at=datetime.fromisoformat(row["made_at"]),
        replaced_at=None if row["replaced_at"] is None else datetime.fromisoformat(row["replaced_at"]),
        written_by=row["written_by"],
        event=None if members is None else event_of(members, row["targets"]),
    )


def event_of(members: str, targets: Sequence[str]) -> EventRequest:
    """Return the event of a stored text."""
    return replace(decode(f"{{{members}}}".encode(), EventRequest), targets=tuple(targets) or None)
