"""Templates of which an event is issued again and again, and what became of each time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, update

from openadr_profiles.fleet.recurrence import Recurrence
from openadr_profiles.v31 import EventRequest
from vtn.access import Caller
from vtn.errors import Conflict, NotFound
from vtn.store.console.plan_tables import event_occurrences, event_plans, event_repeats
from vtn.store.database import Database
from vtn.store.event import EventStore
from vtn.store.failures import ConstraintViolated
from vtn.store.ids import new_id
from vtn.store.stamps import Stamps, stamp

MOST_REPEATS: Final = 200
"""Repeats that are kept at once."""


class OccurrenceState(StrEnum):
    """Name what became of a time of a repeat."""

    ISSUED = "ISSUED"
    MISSED = "MISSED"
    REFUSED = "REFUSED"


class RepeatRow(Struct, frozen=True, kw_only=True):
    """A repeat with the name and the form of its template. ``next_at`` is a stamp; None: there is no next time."""

    id: str
    plan_id: str
    name: str
    typed: str
    zone: str
    days: str
    clock: str
    last_day: str | None
    lead_s: int
    is_paused: bool
    next_at: str | None
    made_by: str

    @property
    def recurrence(self) -> Recurrence:
        """Return its times."""
        last = None if self.last_day is None else date.fromisoformat(self.last_day)
        return Recurrence(ZoneInfo(self.zone), frozenset(map(int, self.days)), time.fromisoformat(self.clock), last)

    @property
    def starts_at(self) -> datetime | None:
        """Return the start of the next event."""
        return None if self.next_at is None else datetime.fromisoformat(self.next_at)


class OccurrenceRow(Struct, frozen=True, kw_only=True):
    """Hold what became of one time of a repeat."""

    repeat_id: str
    name: str
    starts_at: str
    state: OccurrenceState
    event_id: str | None
    reason: str | None
    noted_at: str


class RepeatStore:
    """Repeats, by the start of their next event."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def add(
        self, plan_id: str, recurrence: Recurrence, *, zone: str, lead_s: int, by: str, after: datetime
    ) -> str:
        """Store a repeat whose first event starts after an instant; raises Conflict, NotFound without its template."""
        first = recurrence.after(after)
        row: dict[str, Any] = {
            "id": new_id(),
            "plan_id": plan_id,
            "zone": zone,
            "days": "".join(map(str, sorted(recurrence.days))),
            "clock": recurrence.clock.isoformat(timespec="minutes"),
            "last_day": None if recurrence.last_day is None else recurrence.last_day.isoformat(),
            "lead_s": lead_s,
            "is_paused": False,
            "next_at": None if first is None else stamp(first),
            "made_by": by,
            "made_at": self._stamps.next(),
        }
        try:
            async with self._database.write() as connection:
                count = (await connection.execute(select(func.count()).select_from(event_repeats))).scalar_one()
                if count >= MOST_REPEATS:
                    raise Conflict(f"there are {count} repeats, as many as are kept: remove some")
                await connection.execute(insert(event_repeats).values(row))
        except ConstraintViolated as error:
            raise NotFound("there is no such template") from error
        return str(row["id"])

    async def any(self) -> bool:
        """Return True if there is a repeat."""
        return await self._database.row(select(event_repeats.c.id).limit(1)) is not None

    async def all(self) -> Sequence[RepeatRow]:
        """Return all repeats, those whose next event starts first at the top."""
        c = event_repeats.c
        joined = event_repeats.join(event_plans, event_plans.c.id == c.plan_id)
        columns = [column for column in c if column.key != "made_at"]
        chosen = select(*columns, event_plans.c.name, event_plans.c.typed).select_from(joined)
        ordered = chosen.order_by(c.next_at.is_(None), c.next_at, c.id).limit(MOST_REPEATS)
        return [RepeatRow(**row) for row in await self._database.rows(ordered)]

    async def occurrences(self, limit: int = 30) -> Sequence[OccurrenceRow]:
        """Return what became of the last times, newest first."""
        c = event_occurrences.c
        joined = event_occurrences.join(event_repeats, event_repeats.c.id == c.repeat_id).join(
            event_plans, event_plans.c.id == event_repeats.c.plan_id
        )
        chosen = select(*c, event_plans.c.name).select_from(joined).order_by(c.noted_at.desc(), c.starts_at.desc())
        rows = await self._database.rows(chosen.limit(limit))
        return [OccurrenceRow(**{**row, "state": OccurrenceState(row["state"])}) for row in rows]

    async def pause(self, repeat_id: str, *, paused: bool, now: datetime) -> None:
        """Pause a repeat, or go on with its next time after now that is not settled; raises NotFound."""
        found = next((each for each in await self.all() if each.id == repeat_id), None)
        if found is None:
            raise NotFound("there is no such repeat")
        values: dict[str, Any] = {"is_paused": paused}
        c = event_occurrences.c
        last = select(func.max(c.starts_at)).where(c.repeat_id == repeat_id)
        async with self._database.write() as connection:
            if not paused:
                settled = (await connection.execute(last)).scalar()  # issued before its start, it may be still to come
                at = now if settled is None else max(now, datetime.fromisoformat(settled))
                following = found.recurrence.after(at)
                values["next_at"] = None if following is None else stamp(following)
            await connection.execute(update(event_repeats).where(event_repeats.c.id == repeat_id).values(values))

    async def remove(self, repeat_id: str) -> None:
        """Remove a repeat; events that it has issued stay. Raises NotFound."""
        async with self._database.write() as connection:
            gone = delete(event_repeats).where(event_repeats.c.id == repeat_id)
            if not (await connection.execute(gone)).rowcount:
                raise NotFound("there is no such repeat")

    async def settle(
        self,
        repeat: RepeatRow,
        state: OccurrenceState,
        *,
        reason: str | None = None,
        events: EventStore | None = None,
        requests: Sequence[EventRequest] = (),
        by: Caller | None = None,
    ) -> bool:
        """Note what became of the next time of a repeat, with its events, and go on to the time after it.

        Return False if another process did so before; then nothing is stored. All of it is one transaction.
        """
        starts_at = repeat.starts_at
        if starts_at is None:
            return False
        following = repeat.recurrence.after(starts_at)
        c = event_repeats.c
        moved = (
            update(event_repeats)
            .where(c.id == repeat.id, c.next_at == repeat.next_at, ~c.is_paused)
            .values(next_at=None if following is None else stamp(following))
        )
        try:
            async with self._database.write() as connection:
                if not (await connection.execute(moved)).rowcount:
                    return False
                ids = []
                if events is not None and by is not None:
                    ids = [await events.create_in(connection, request, by=by) for request in requests]
                row = {"repeat_id": repeat.id, "starts_at": repeat.next_at, "state": str(state), "reason": reason}
                row |= {"event_id": ids[0] if ids else None, "noted_at": self._stamps.next()}
                await connection.execute(insert(event_occurrences).values(row))
        except ConstraintViolated:  # this time was settled before, or the program or the repeat is gone by now
            return False
        return True
