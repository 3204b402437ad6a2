"""Read events with what decides who sees them, and remember the last ones while nothing changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import RowMapping, select

from openadr_profiles.fleet.cancellation import planned
from openadr_profiles.fleet.status import planned_kwh, state_of
from openadr_profiles.v31 import Event, decode, encode
from openadr_profiles.v31.timeline import Timeline
from vtn.errors import NotFound
from vtn.store.database import Database
from vtn.store.fact_cache import FactCache
from vtn.store.tables import events, programs

_REMEMBERED: Final = 64

EVENT_COLUMNS: Final = (
    events.c.id,
    events.c.program_id,
    events.c.created_at,
    events.c.modified_at,
    events.c.targets,
    events.c.members,
    programs.c.targets.label("program_targets"),
)


@dataclass(frozen=True, slots=True)
class PlannedEvent:
    """Hold an event as issued, and the targets of its program."""

    event: Event
    program_targets: tuple[str, ...]
    timeline: Timeline
    starts_at: datetime
    """Hold the start as issued, also of an event that was cancelled."""
    ends_at: datetime | None
    """Hold the end as issued; None if it is open."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the targets of the event; none of them is for everybody."""
        return self.event.targets or ()

    def state(self, at: datetime) -> str:
        """Return ``scheduled``, ``active``, ``completed`` or ``cancelled``."""
        return state_of(self.timeline, at)

    def until(self, at: datetime) -> datetime:
        """Return the moment up to which energy counts: a cancelled event delivers nothing more."""
        return min(at, self.event.modification_date_time) if self.timeline.cancelled else at

    def planned_kwh(self, at: datetime) -> float | None:
        """Return the kWh that the event asks of each ven until a moment; None if it does not ask in kW."""
        kwh = planned_kwh(self.event, self.timeline, at)
        return None if kwh is None else float(kwh)


class PlannedEvents:
    """Read events of the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: FactCache[PlannedEvent | None] = FactCache(database.watch(events, programs), most=_REMEMBERED)

    async def get(self, event_id: str) -> PlannedEvent:
        """Return an event; raises NotFound."""

        async def look_up() -> PlannedEvent | None:
            row = await self._database.row(
                select(*EVENT_COLUMNS)
                .select_from(events.join(programs, programs.c.id == events.c.program_id))
                .where(events.c.id == event_id)
            )
            return None if row is None else planned_event(row)

        found = await self._known.get(event_id, look_up)
        if found is None:
            raise NotFound
        return found


def planned_event(row: RowMapping | Any) -> PlannedEvent:
    """Return the event of a row with ``EVENT_COLUMNS``."""
    head = encode(
        {
            "id": row["id"],
            "createdDateTime": row["created_at"],
            "modificationDateTime": row["modified_at"],
            "targets": list(row["targets"]) or None,
        }
    )
    event = decode(head[:-1] + b"," + row["members"].encode() + b"}", Event)
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    start, end = planned(event) or (timeline.start, timeline.end)
    return PlannedEvent(event, tuple(row["program_targets"]), timeline, start, end)
