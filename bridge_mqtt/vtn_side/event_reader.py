"""Take what the VTN shows of events into the store: what is new, changed or gone, each event failing alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from bridge_mqtt.errors import StoreUnavailable
from bridge_mqtt.health import Health
from bridge_mqtt.store import Store, events
from openadr_client import Broken, Clock, Found, UnexpectedAnswer, VtnError, compare_events, is_newer
from openadr_profiles.v31 import Event

_log = structlog.get_logger(__name__)

Find = Callable[[str], Awaitable[Event | None]]


@dataclass(frozen=True)
class ReadEvents:
    """Say whether anything was new, and the problem for which the VTN has to be asked again."""

    changed: bool
    problem: VtnError | None = None


class EventReader:
    """Compares what is shown with what is stored."""

    def __init__(self, store: Store, health: Health, clock: Clock) -> None:
        self._store = store
        self._health = health
        self._clock = clock

    async def take(
        self, found: Found[Event], find: Find, *, only_programs: Collection[str] | None = None
    ) -> ReadEvents:
        """Store what is new or changed, then see about events that are not listed any more (VENCLIENT-012).

        Events of other programs than ``only_programs`` are left for later (None: there are none such). ``find`` reads
        one event. A passing failure of it is returned as the problem; what was read before that is stored.
        """
        self.name_broken(found.broken)
        async with self._store.reading() as connection:
            known = await events.known_versions(connection, [event.id for event in found])
            open_versions = await events.open_versions(connection)
        changes = compare_events(found, open_versions | known)
        new = [
            event
            for event in (*changes.added, *changes.changed)
            if only_programs is None or event.program_id in only_programs
        ]
        await self.save(new)
        later, gone, problem = await self._missing(changes.missing, open_versions, find)
        await self.save(later)
        await self.withdraw(gone)
        return ReadEvents(bool(new or later or gone), problem)

    def name_broken(self, broken: Iterable[Broken]) -> None:
        """Set aside events that cannot be read."""
        for each in broken:
            self._set_aside(each.id or "without a readable id", f"it cannot be read: {each.problem}")

    async def _missing(
        self, missing: Sequence[str], versions: Mapping[str, datetime], find: Find
    ) -> tuple[list[Event], list[str], VtnError | None]:
        """Return which of these events have a newer version, and which are gone: deleted, or over (then neither)."""
        newer: list[Event] = []
        gone: list[str] = []
        for event_id in missing:
            try:
                there = await find(event_id)
            except UnexpectedAnswer as error:
                self._set_aside(event_id, f"its newest version cannot be read: {error}")
            except VtnError as error:
                return newer, gone, error
            else:
                if there is None:
                    gone.append(event_id)
                elif is_newer(there, versions[event_id]):
                    newer.append(there)
        return newer, gone, None

    async def save(self, new: Sequence[Event]) -> None:
        """Store events; if the database takes them not all, then each by itself."""
        if not new:
            return
        try:
            await self._write(new)
        except StoreUnavailable:
            raise
        except Exception as error:
            if len(new) == 1:
                self._set_aside(new[0].id, f"it cannot be stored: {type(error).__name__}: {error}")
                return
            for event in new:
                await self.save([event])

    async def _write(self, new: Sequence[Event]) -> None:
        now = self._clock.now()
        async with self._store.transaction() as connection:
            await events.save_all(connection, new, now)
        for event in new:
            _log.info("event read", event_id=event.id, modified=event.modification_date_time.isoformat())
            self._health.put_back(_name(event.id))

    async def withdraw(self, gone: Sequence[str]) -> None:
        """Record that the VTN does not have these events any more."""
        if not gone:
            return
        now = self._clock.now()
        async with self._store.transaction() as connection:
            for event_id in gone:
                await events.withdraw(connection, event_id, now)
        for event_id in gone:
            self._health.put_back(_name(event_id))
            _log.info("event withdrawn", event_id=event_id)

    def _set_aside(self, event_id: str, reason: str) -> None:
        if self._health.set_aside(_name(event_id), reason):
            _log.warning("event set aside", event_id=event_id, problem=reason)


def _name(event_id: str) -> str:
    return f"event {event_id}"
