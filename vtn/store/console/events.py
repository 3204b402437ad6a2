"""Events as lists of the console show them: found by name, program, state and time. Each list is one statement."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, or_, select

from openadr_profiles.v31 import Event, Invalid, Program, decode, encode
from vtn.store.database import Database
from vtn.store.large import WITH_PAGE_BYTES, shown_within
from vtn.store.stamps import Stamps, stamp
from vtn.store.tables import events, programs
from vtn.store.types import octets
from vtn.store.v20b.tables import oadr20b_carriers

LONGEST_SEARCH: Final = 128
"""Letters of a search."""
_PROGRAM_BYTES: Final = 16 * 1024
_PROGRAMS: Final = 60
_IN_A_LANE_BYTES: Final = 4 * 1024


class EventPhase(StrEnum):
    """Name what an event is at a moment."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class EventSort(StrEnum):
    """Name an order of events; the values stand in addresses of pages."""

    START = "start"
    CHANGED = "changed"
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSearch:
    """Hold what is asked for of all events. ``text`` is in the name of an event or its program, or begins its id."""

    text: str = ""
    state: EventPhase | None = None
    program_id: str | None = None
    sort: EventSort = EventSort.START


@dataclass(frozen=True, slots=True)
class ListedEvent:
    """An event of a list. ``ends_at`` is when it is over for every VEN, random starts included; None: open.

    ``event`` is None if it is too long to be read with a list, or cannot be read. ``starts_at`` is None if an earlier
    version wrote something that cannot be read.
    """

    id: str
    name: str | None
    program_id: str
    program_name: str
    state: EventPhase
    starts_at: datetime | None
    ends_at: datetime | None
    cancelled_at: datetime | None
    created_at: datetime
    modified_at: datetime
    written_by: str | None
    targets: tuple[str, ...]
    program_targets: tuple[str, ...]
    event: Event | None
    program: Program | None


class ConsoleEvents:
    """Find events for lists and lanes. Events that only stand for reports of OpenADR 2.0b are left out."""

    def __init__(self, database: Database, stamps: Stamps) -> None:
        self._database = database
        self._stamps = stamps

    async def search(self, search: EventSearch, *, skip: int, limit: int) -> Sequence[ListedEvent]:
        """Return a part of the events that are asked for."""
        now = self._stamps.now
        found = _selected().where(*self._clauses(search, now)).order_by(*_ORDERS[search.sort])
        return await self._listed(found.limit(limit).offset(skip), now)

    async def between(
        self, since: datetime, until: datetime, *, program_id: str | None = None, limit: int
    ) -> Sequence[ListedEvent]:
        """Return the first events, by program and start, that hold at some time between two moments.

        Cancelled ones are left out.
        """
        its = events.c
        clauses = [
            its.cancelled_at.is_(None),
            its.starts_at < stamp(until),
            or_(its.ends_at.is_(None), its.ends_at > stamp(since)),
        ]
        if program_id is not None:
            clauses.append(its.program_id == program_id)
        found = (
            _selected(_IN_A_LANE_BYTES).where(*clauses).order_by(programs.c.name, its.starts_at, its.id).limit(limit)
        )
        return await self._listed(found, self._stamps.now)

    async def active_and_next(self, *, limit: int) -> tuple[Sequence[ListedEvent], Sequence[ListedEvent]]:
        """Return the active events, the last begun first, and the scheduled ones, the next first."""
        now = self._stamps.now
        active = _selected().where(_is(EventPhase.ACTIVE, now)).order_by(events.c.starts_at.desc(), events.c.id)
        following = _selected().where(_is(EventPhase.SCHEDULED, now)).order_by(events.c.starts_at, events.c.id)
        return (
            await self._listed(active.limit(limit), now),
            await self._listed(following.limit(limit), now),
        )

    async def counts(self) -> Mapping[EventPhase, int]:
        """Return how many events there are in each state."""
        now = self._stamps.now
        counted = [func.count().filter(_is(state, now)).label(state.value) for state in EventPhase]
        row = await self._database.row(select(*counted).select_from(events).where(_NO_CARRIER))
        return {state: 0 if row is None else row[state.value] for state in EventPhase}

    async def there(self, ids: Collection[str]) -> frozenset[str]:
        """Return those of these ids that an event has."""
        found = await self._database.rows(select(events.c.id).where(events.c.id.in_(ids)))
        return frozenset(row["id"] for row in found)

    async def program_names(self, *, limit: int) -> Sequence[tuple[str, str]]:
        """Return ids and names of the first programs by name."""
        found = select(programs.c.id, programs.c.name).order_by(programs.c.name).limit(limit)
        return [(row["id"], row["name"]) for row in await self._database.rows(found)]

    async def programs(self, ids: Collection[str]) -> dict[str, Program]:
        """Return those of these programs that are there and can be read, by their ids; 60 at most."""
        columns = (
            programs.c.id.label("program_id"),
            *(programs.c[name].label(f"program_{name}") for name in ("created_at", "modified_at")),
            case((octets(programs.c.members) <= _PROGRAM_BYTES, programs.c.members)).label("program_members"),
        )
        rows = await self._database.rows(select(*columns).where(programs.c.id.in_(sorted(ids)[:_PROGRAMS])))
        return {each.id: each for row in rows if (each := _program(row)) is not None}

    def _clauses(self, search: EventSearch, now: str) -> list[ColumnElement[bool]]:
        clauses: list[ColumnElement[bool]] = []
        if search.text:
            text = search.text[:LONGEST_SEARCH].lower()
            clauses.append(
                or_(
                    func.lower(events.c.name).contains(text, autoescape=True),
                    func.lower(programs.c.name).contains(text, autoescape=True),
                    events.c.id.startswith(text, autoescape=True),
                )
            )
        if search.state is not None:
            clauses.append(_is(search.state, now))
        if search.program_id:
            clauses.append(events.c.program_id == search.program_id)
        return clauses

    async def _listed(self, statement: Select[Any], now: str) -> Sequence[ListedEvent]:
        return [listed(row, now) for row in await self._database.rows(statement)]


_NO_CARRIER: Final = ~exists().where(oadr20b_carriers.c.event_id == events.c.id)
_ORDERS: Final[Mapping[EventSort, Sequence[ColumnElement[Any]]]] = {
    EventSort.START: (events.c.starts_at.desc(), events.c.id.desc()),
    EventSort.CHANGED: (events.c.modified_at.desc(), events.c.id.desc()),
    EventSort.NAME: (func.lower(func.coalesce(events.c.name, "")), events.c.starts_at.desc(), events.c.id.desc()),
}


def with_program(most_bytes: int = WITH_PAGE_BYTES) -> Select[Any]:
    """Select events with what ``listed`` needs; texts above so many bytes are left out."""
    return select(
        *shown_within(events, most_bytes),
        programs.c.name.label("program_name"),
        programs.c.targets.label("program_targets"),
        *(programs.c[name].label(f"program_{name}") for name in ("created_at", "modified_at")),
        case((octets(programs.c.members) <= _PROGRAM_BYTES, programs.c.members)).label("program_members"),
    ).select_from(events.join(programs, programs.c.id == events.c.program_id))


def _selected(most_bytes: int = WITH_PAGE_BYTES) -> Select[Any]:
    return with_program(most_bytes).where(_NO_CARRIER)


def _is(state: EventPhase, now: str) -> ColumnElement[bool]:
    """Return a clause for the events in a state."""
    its = events.c
    not_over = or_(its.ends_at.is_(None), its.ends_at > now)
    clauses: dict[EventPhase, Sequence[ColumnElement[bool]]] = {
        EventPhase.CANCELLED: (its.cancelled_at.is_not(None),),
        EventPhase.SCHEDULED: (its.cancelled_at.is_(None), its.starts_at > now),
        EventPhase.ACTIVE: (its.cancelled_at.is_(None), its.starts_at <= now, not_over),
        EventPhase.COMPLETED: (its.cancelled_at.is_(None), its.starts_at <= now, its.ends_at <= now),
    }
    return and_(*clauses[state])


def state_at(starts_at: str | None, ends_at: str | None, cancelled_at: str | None, now: str) -> EventPhase:
    """Return the state of an event at a moment, all given as stamps."""
    if cancelled_at is not None:
        return EventPhase.CANCELLED
    if starts_at is not None and starts_at > now:
        return EventPhase.SCHEDULED
    return EventPhase.COMPLETED if ends_at is not None and ends_at <= now else EventPhase.ACTIVE


def listed(row: Mapping[Any, Any], now: str) -> ListedEvent:
    """Return the event of a row of ``with_program``, as it is at a stamp."""
    return ListedEvent(
        id=row["id"],
        name=row["name"],
        program_id=row["program_id"],
        program_name=row["program_name"],
        state=state_at(row["starts_at"], row["ends_at"], row["cancelled_at"], now),
        starts_at=_instant(row["starts_at"]),
        ends_at=_instant(row["ends_at"]),
        cancelled_at=_instant(row["cancelled_at"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        modified_at=datetime.fromisoformat(row["modified_at"]),
        written_by=row["written_by"],
        targets=tuple(row["targets"] or ()),
        program_targets=tuple(row["program_targets"]),
        event=_event(row),
        program=_program(row),
    )


def _event(row: Mapping[Any, Any]) -> Event | None:
    if row["members"] is None:
        return None
    head = {
        "id": row["id"],
        "createdDateTime": row["created_at"],
        "modificationDateTime": row["modified_at"],
        "targets": list(row["targets"]) or None,
    }
    try:
        return decode(encode(head)[:-1] + b"," + row["members"].encode() + b"}", Event)
    except Invalid:  # an earlier version took it
        return None


def _program(row: Mapping[Any, Any]) -> Program | None:
    if row["program_members"] is None:
        return None
    head = {
        "id": row["program_id"],
        "createdDateTime": row["program_created_at"],
        "modificationDateTime": row["program_modified_at"],
    }
    try:
        return decode(encode(head)[:-1] + b"," + row["program_members"].encode() + b"}", Program)
    except Invalid:
        return None


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
