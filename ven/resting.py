"""Answer what an owner asks of a VEN that is not running, from its state file, which is only read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openadr_profiles.v31 import Program
from ven.desk_rows import MOST_EVENTS, choice_row, event_row, instant_text, number, past_rows
from ven.errors import BadStore, VenError
from ven.events.placing import PlacedEvent, Placing
from ven.records import Decided, ReceivedEvent
from ven.settings import VenSettings
from ven.store import StateFile
from ven.store.inspection import inspect, last_write


class NoStateFile(VenError):
    """There is no state file: no VEN has run with these settings."""


class StateFileInUse(VenError):
    """A VEN is running with the state file, so that only it can be asked."""


async def resting_status(settings: VenSettings, now: datetime) -> dict[str, Any]:
    """Return what `OwnerDesk.status` does, as the last run left it, with the instant of its last write.

    ``limit_kw`` is a limit that the last run has set and not ended. Nothing is known of what circuits draw.

    Raises:
        NoStateFile, StateFileInUse
        BadStore: the state file cannot be read, or is of another version.
    """
    async with _opened(settings, now) as store:
        limits = {each.circuit_id: each.limit_kw for each in await store.own_limits.own()}
        overrides = {each.circuit_id: each.reason for each in await store.own_limits.overrides()}
        choices = await store.opts.choices()
        kept = _KeptEvents(
            {each.id: each for each in await store.events.programs()},
            {each.event_id: each for each in await store.events.decisions()},
            await store.events.all(),
        )
        link_lost = await store.link.heard_at() is not None
        written = last_write(settings.store)
    # The file is closed before the events are placed, which may take seconds: a VEN that starts waits for it.
    return {
        "ven_name": settings.ven_name,
        "running": False,
        "last_write": instant_text(written),
        "read_at": None,
        "circuits": [
            {
                "id": each.id,
                "name": each.label,
                "power_kw": None,
                "limit_kw": number(limits.get(each.id)),
                "left_alone": overrides.get(each.id),
            }
            for each in settings.circuits
        ],
        "events": await _events(kept, settings, now),
        "choices": [choice_row(each) for each in choices if each.until is None or each.until > now],
        "link_lost": link_lost,
        "pending_writes": 0,
        "problems": [],
    }


async def resting_history(settings: VenSettings, most: int, now: datetime) -> list[dict[str, Any]]:
    """Return the last decisions, newest first, as `OwnerDesk.history`; raises as `resting_status`."""
    async with _opened(settings, now) as store:
        past = await store.opts.past()
    return past_rows(past, most)


@asynccontextmanager
async def _opened(settings: VenSettings, now: datetime) -> AsyncIterator[StateFile]:
    path = settings.store
    if not path.exists():
        raise NoStateFile(f"there is no state file {path}: no VEN has run with these settings")
    found = inspect(path)
    if found.is_open:
        raise StateFileInUse(f"a VEN is running with {path}")
    if found.problem is not None:
        raise BadStore(f"{path} {found.problem}: {found.to_do}")
    async with StateFile(path, now=now, read_only=True) as store:
        yield store


@dataclass(frozen=True)
class _KeptEvents:
    """Hold what a state file has of events: programs and decisions by the ids of programs and events."""

    programs: dict[str, Program]
    decisions: dict[str, Decided]
    events: list[ReceivedEvent]


async def _events(kept: _KeptEvents, settings: VenSettings, now: datetime) -> list[dict[str, Any]]:
    """Return the events that are not over, by start, with the last decisions on them."""
    placing = Placing(settings.ven_name, settings.shedding, feeds_in=settings.feeds_in)
    placed: list[PlacedEvent] = []
    for received in kept.events:
        try:
            event = await placing.place(received, kept.programs.get(received.event.program_id))
        except Exception:  # noqa: S112 # as in the VEN, one that cannot be placed keeps no other from being shown
            continue
        if not event.timeline.transpired(now):
            placed.append(event)
    rows = []
    for event in sorted(placed, key=lambda each: each.timeline.start)[:MOST_EVENTS]:
        decided = kept.decisions.get(event.received.event.id)
        row = event_row(
            event.received.event,
            event.timeline,
            None if decided is None else decided.decision,
            program_name=event.context.program_name,
            decided_at=None if decided is None else decided.decided_at,
        )
        rows.append(row | {"requested_kw": None, "circuits": {}})
    return rows
