"""Events as last read from the VTN, with their states and the baselines frozen at their start."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import RowMapping, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import EventState
from bridge_mqtt.store.bulk import insert_many
from bridge_mqtt.store.schema import allocations, baselines, commands, events, transitions
from bridge_mqtt.store.upsert import insert_or_update
from openadr_profiles.panel import Op
from openadr_profiles.v31 import Event, decode, encode

_ROWS = 500
"""The rows that are read at a time, so that the loop can do something else in between."""
_BASELINE_LASTS = timedelta(days=1)
_BEGINNING = 1_000
_NAME = re.compile(r'\{"programID":"[^"\\]*","eventName":("(?:[^"\\]|\\.)*")')
"""Finds the name in what `openadr_profiles.v31.encode` writes, which begins with the members in their order."""
_FINAL = tuple(state for state in EventState if state.is_final)


@dataclass(frozen=True, kw_only=True)
class StoredEvent:
    """An event with what this bridge adds to it. ``received_at`` is when this version of it was first read."""

    event: Event
    received_at: datetime
    state: EventState
    reason: str | None
    withdrawn_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Transition:
    """One step of an event from state to state."""

    to_state: EventState
    reason: str | None
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """The mean power of a panel in kW over ``samples`` samples before an event; frozen when the event began."""

    ven_id: str
    frozen_at: datetime
    power_kw: float | None
    circuits_kw: dict[str, float]
    samples: int


async def save(connection: AsyncConnection, event: Event, received_at: datetime) -> None:
    """Store a new or changed event; a withdrawn one that is back is not withdrawn any more."""
    await save_all(connection, [event], received_at)


async def save_all(connection: AsyncConnection, new: Sequence[Event], received_at: datetime) -> None:
    """Store new or changed events, as `save` does."""
    if not new:
        return
    rows = [
        {
            "event_id": event.id,
            "program_id": event.program_id,
            "modified_at": event.modification_date_time,
            "received_at": received_at,
            "body": encode(event).decode(),
            "state": EventState.SCHEDULED,
            "state_at": received_at,
            "reason": None,
            "withdrawn_at": None,
            "reported": False,
        }
        for event in new
    ]
    ids = [event.id for event in new]
    known = select(events.c.event_id, events.c.state).where(events.c.event_id.in_(ids))
    before = {row.event_id: row.state for row in await connection.execute(known)}
    columns = ["program_id", "modified_at", "received_at", "body", "withdrawn_at", "reported"]
    await connection.execute(insert_or_update(connection, events, ["event_id"], columns), rows)
    reopened = update(events).where(events.c.event_id.in_(ids), events.c.state.in_(_FINAL))
    await connection.execute(reopened.values(state=EventState.SCHEDULED, reason=None, state_at=received_at))
    steps = [
        {"event_id": event_id, "from_state": was, "to_state": EventState.SCHEDULED, "reason": None, "at": received_at}
        for event_id in dict.fromkeys(ids)
        if (was := before.get(event_id)) is None or was in _FINAL
    ]
    if steps:
        await connection.execute(insert(transitions), steps)


async def withdraw(connection: AsyncConnection, event_id: str, at: datetime) -> None:
    """Record that the VTN does not have the event any more."""
    statement = update(events).where(events.c.event_id == event_id, events.c.withdrawn_at.is_(None))
    await connection.execute(statement.values(withdrawn_at=at))


async def advance(
    connection: AsyncConnection, event_id: str, before: EventState, after: EventState, reason: str | None, at: datetime
) -> None:
    """Write the new state and the step that led there."""
    statement = update(events).where(events.c.event_id == event_id)
    values = {"state": after, "reason": reason, "state_at": at} | ({"ended_at": at} if after.is_final else {})
    await connection.execute(statement.values(**values))
    step = {"event_id": event_id, "from_state": before, "to_state": after, "reason": reason, "at": at}
    await connection.execute(insert(transitions), step)


async def was_carried_out(connection: AsyncConnection, event_id: str) -> bool:
    """Return True if any panel was ever sent a shed for the event."""
    statement = select(commands.c.id).where(
        commands.c.event_id == event_id, commands.c.op == Op.SHED_PANEL, commands.c.sent_at.is_not(None)
    )
    return (await connection.execute(statement.limit(1))).first() is not None


async def why_missed(connection: AsyncConnection, event_id: str, since: datetime) -> str:
    """Return why no panel was sent a shed for the event: what most of its panels did instead."""
    its_panels = select(allocations.c.ven_id).where(allocations.c.event_id == event_id)
    most_first = func.count().desc()
    instead = (
        select(commands.c.event_id)
        .where(
            commands.c.ven_id.in_(its_panels),
            commands.c.event_id != event_id,
            commands.c.op == Op.SHED_PANEL,
            commands.c.window_end.is_(None) | (commands.c.window_end > since),
        )
        .group_by(commands.c.event_id)
        .order_by(most_first, commands.c.event_id)
    )
    left_out = (
        select(allocations.c.excluded)
        .where(allocations.c.event_id == event_id, allocations.c.excluded.is_not(None))
        .group_by(allocations.c.excluded)
        .order_by(most_first, allocations.c.excluded)
    )
    reason = (await connection.execute(left_out.limit(1))).scalar()
    if reason is not None and reason.startswith("follows another event"):
        other = (await connection.execute(instead.limit(1))).scalar()
        return reason if other is None else f"displaced by {other}"
    return "nothing to shed" if reason is None else f"no panel took part: {reason}"


async def open_(connection: AsyncConnection) -> dict[str, StoredEvent]:
    """Return the events with which something may still happen."""
    statement = select(events).where(events.c.state.not_in(_FINAL))
    return {row["event_id"]: _stored(row) for row in (await connection.execute(statement)).mappings()}


async def open_versions(connection: AsyncConnection) -> dict[str, datetime]:
    """Return the modification time of each event with which something may still happen and that is not withdrawn."""
    statement = select(events.c.event_id, events.c.modified_at).where(
        events.c.state.not_in(_FINAL), events.c.withdrawn_at.is_(None)
    )
    return {row.event_id: row.modified_at for row in await connection.execute(statement)}


async def to_report(connection: AsyncConnection) -> list[StoredEvent]:
    """Return the events that have begun and whose reports are not all written yet."""
    statement = select(events).where(events.c.reported.is_(False), events.c.state != EventState.SCHEDULED)
    return [_stored(row) for row in (await connection.execute(statement)).mappings()]


async def reported(connection: AsyncConnection, event_id: str) -> None:
    """Record that all reports of the event are written."""
    await connection.execute(update(events).where(events.c.event_id == event_id).values(reported=True))


async def get(connection: AsyncConnection, event_id: str) -> StoredEvent | None:
    """Return one event."""
    row = (await connection.execute(select(events).where(events.c.event_id == event_id))).mappings().one_or_none()
    return None if row is None else _stored(row)


async def names(connection: AsyncConnection, event_ids: Collection[str]) -> dict[str, str]:
    """Return the names of events by id; of each its beginning alone is read, for an event may be many megabytes."""
    beginning = func.substr(events.c.body, 1, _BEGINNING)
    found = await connection.execute(select(events.c.event_id, beginning).where(events.c.event_id.in_(list(event_ids))))
    named = ((event_id, _NAME.match(text)) for event_id, text in found)
    return {event_id: msgspec.json.decode(match[1], type=str) for event_id, match in named if match is not None}


async def newest(connection: AsyncConnection, limit: int, *, skip: int = 0) -> list[StoredEvent]:
    """Return the events read last, without the first ``skip`` of them."""
    statement = select(events).order_by(events.c.received_at.desc(), events.c.event_id).offset(skip).limit(limit)
    return [_stored(row) for row in (await connection.execute(statement)).mappings()]


async def known_versions(connection: AsyncConnection, event_ids: Collection[str]) -> dict[str, datetime]:
    """Return the modification time of the version we have of each event that is not withdrawn."""
    statement = select(events.c.event_id, events.c.modified_at).where(
        events.c.event_id.in_(list(event_ids)), events.c.withdrawn_at.is_(None)
    )
    return {row.event_id: row.modified_at for row in await connection.execute(statement)}


async def history(connection: AsyncConnection, event_id: str) -> list[Transition]:
    """Return the steps of an event, oldest first."""
    statement = select(transitions).where(transitions.c.event_id == event_id).order_by(transitions.c.id)
    rows = (await connection.execute(statement)).mappings()
    return [Transition(to_state=EventState(row["to_state"]), reason=row["reason"], at=row["at"]) for row in rows]


async def freeze(connection: AsyncConnection, event_id: str, new: Sequence[Baseline]) -> None:
    """Store baselines; one that is frozen already stays as it is."""
    if new:
        rows = [
            {
                "event_id": event_id,
                "ven_id": baseline.ven_id,
                "frozen_at": baseline.frozen_at,
                "power_kw": baseline.power_kw,
                "circuits_kw": msgspec.json.encode(baseline.circuits_kw).decode(),
                "samples": baseline.samples,
            }
            for baseline in new
        ]
        await insert_many(connection, baselines, ["event_id", "ven_id"], rows)


async def last_frozen(connection: AsyncConnection, ven_ids: Collection[str], since: datetime) -> dict[str, Baseline]:
    """Return the newest baseline of each of these panels in events that went on after ``since``, a day old at most."""
    lately = select(events.c.event_id).where(or_(events.c.ended_at.is_(None), events.c.ended_at >= since))
    statement = (
        select(baselines)
        .where(
            baselines.c.event_id.in_(lately),
            baselines.c.ven_id.in_(sorted(ven_ids)),
            baselines.c.frozen_at >= since - _BASELINE_LASTS,
        )
        .order_by(baselines.c.frozen_at)
    )
    return {row["ven_id"]: _baseline(row) for row in (await connection.execute(statement)).mappings()}


async def frozen(connection: AsyncConnection, event_ids: Collection[str]) -> dict[str, dict[str, Baseline]]:
    """Return the frozen baselines by event and panel."""
    if not event_ids:
        return {}
    found: dict[str, dict[str, Baseline]] = {}
    statement = select(baselines).where(baselines.c.event_id.in_(list(event_ids)))
    async with connection.stream(statement.execution_options(yield_per=_ROWS)) as rows:
        async for row in rows.mappings():
            found.setdefault(row["event_id"], {})[row["ven_id"]] = _baseline(row)
    return found


def _baseline(row: RowMapping) -> Baseline:
    return Baseline(
        ven_id=row["ven_id"],
        frozen_at=row["frozen_at"],
        power_kw=row["power_kw"],
        circuits_kw=dict(row["circuits_kw"]),
        samples=row["samples"],
    )


def _stored(row: RowMapping) -> StoredEvent:
    return StoredEvent(
        event=decode(row["body"], Event),
        received_at=row["received_at"],
        state=EventState(row["state"]),
        reason=row["reason"],
        withdrawn_at=row["withdrawn_at"],
        ended_at=row["ended_at"],
    )
