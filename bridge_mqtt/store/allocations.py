"""The splits of events over panels, window by window. Each change counts up the version of its window.

Whoever keeps a split in memory compares versions and reads only the parts that have changed since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Final, TypeVar

from sqlalchemy import Integer, RowMapping, bindparam, delete, exists, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Allocation, WindowPlan
from bridge_mqtt.pauses import with_pauses
from bridge_mqtt.store.bulk import insert_many
from bridge_mqtt.store.schema import allocations, baselines, commands, explanations, windows
from bridge_mqtt.store.upsert import insert_or_update

T = TypeVar("T")
Part = tuple[str, datetime, str]
"""The key of a panel's part: event, start of the window, panel."""

_ROWS: Final = 250
"""The rows that are made and written at a time, so that the loop can do something else in between."""
_ITS_PART: Final = update(allocations).where(
    allocations.c.event_id == bindparam("of_event"),
    allocations.c.window_start == bindparam("of_window"),
    allocations.c.ven_id == bindparam("of_panel"),
)
_VERSION_OF_WINDOW: Final = (
    select(windows.c.version)
    .where(windows.c.event_id == bindparam("of_event"), windows.c.start == bindparam("of_window"))
    .scalar_subquery()
)


async def plans(connection: AsyncConnection, event_ids: Collection[str]) -> dict[tuple[str, datetime], WindowPlan]:
    """Return the splits of these events, by event and start of the window."""
    if not event_ids:
        return {}
    ids = list(event_ids)
    parts: dict[tuple[str, datetime], dict[str, Allocation]] = {}
    for row in (await connection.execute(select(allocations).where(allocations.c.event_id.in_(ids)))).mappings():
        parts.setdefault((row["event_id"], row["window_start"]), {})[row["ven_id"]] = part_of(row)
    found = (await connection.execute(select(windows).where(windows.c.event_id.in_(ids)))).mappings()
    return {
        (row["event_id"], row["start"]): replace(_window(row), parts=parts.get((row["event_id"], row["start"]), {}))
        for row in found
    }


async def most_requested(connection: AsyncConnection, event_ids: Collection[str]) -> dict[str, float]:
    """Return the kW of the largest window of each of these events that was split already."""
    statement = (
        select(windows.c.event_id, func.max(windows.c.request_kw).label("kw"))
        .where(windows.c.event_id.in_(list(event_ids)))
        .group_by(windows.c.event_id)
    )
    return {row.event_id: row.kw for row in await connection.execute(statement)}


async def requested_of(connection: AsyncConnection, ven_id: str, event_ids: Collection[str]) -> dict[str, float]:
    """Return by event the kW that was asked of one panel in the last window that it took part in."""
    if not event_ids:
        return {}
    statement = (
        select(allocations.c.event_id, allocations.c.requested_kw)
        .where(allocations.c.ven_id == ven_id, allocations.c.event_id.in_(list(event_ids)))
        .order_by(allocations.c.window_start)
    )
    return {row.event_id: row.requested_kw for row in await connection.execute(statement)}


async def versions(
    connection: AsyncConnection, keys: Collection[tuple[str, datetime]]
) -> dict[tuple[str, datetime], int]:
    """Return the versions of these splits, by event and start of the window."""
    if not keys:
        return {}
    statement = select(windows.c.event_id, windows.c.start, windows.c.version)
    found = await connection.execute(statement.where(tuple_(windows.c.event_id, windows.c.start).in_(list(keys))))
    return {(row.event_id, row.start): row.version for row in found}


async def windows_of(connection: AsyncConnection, event_id: str) -> list[WindowPlan]:
    """Return the splits of an event without their parts, in the order in which they were decided."""
    statement = select(windows).where(windows.c.event_id == event_id).order_by(windows.c.decided_at, windows.c.start)
    return [_window(row) for row in (await connection.execute(statement)).mappings()]


async def with_parts(connection: AsyncConnection, plan: WindowPlan) -> WindowPlan:
    """Return a split with its parts; they are read a piece at a time."""
    statement = select(allocations).where(
        allocations.c.event_id == plan.event_id, allocations.c.window_start == plan.start
    )
    parts = {}
    async with connection.stream(statement.execution_options(yield_per=_ROWS)) as rows:
        async for row in rows.mappings():
            parts[row["ven_id"]] = part_of(row)
    return replace(plan, parts=parts)


async def changed_since(connection: AsyncConnection, plan: WindowPlan) -> dict[str, Allocation]:
    """Return the parts that have changed since this version of the split, by panel."""
    statement = select(allocations).where(
        allocations.c.event_id == plan.event_id,
        allocations.c.window_start == plan.start,
        allocations.c.version > plan.version,
    )
    rows = (await connection.execute(statement)).mappings()
    return {row["ven_id"]: part_of(row) async for row in with_pauses(rows)}


async def save_plan(
    connection: AsyncConnection, plan: WindowPlan, before: WindowPlan | None, decided_at: datetime
) -> int:
    """Store how a window is split now, only what differs from ``before``; return the new version."""
    row = {
        "event_id": plan.event_id,
        "start": plan.start,
        "end": plan.end,
        "request": plan.request,
        "request_kw": float(plan.request_kw),
        "decided_at": decided_at,
        "version": 1,
    }
    columns = ["end", "request", "request_kw", "decided_at"]
    statement = insert_or_update(
        connection, windows, ["event_id", "start"], columns, version=windows.c.version + 1
    ).returning(windows.c.version)
    version: int = (await connection.execute(statement, row)).scalar_one()
    known = before.parts if before is not None else {}
    gone = [ven_id for ven_id in known if ven_id not in plan.parts]
    for some in _pieces(gone):
        await connection.execute(
            delete(allocations).where(
                allocations.c.event_id == plan.event_id,
                allocations.c.window_start == plan.start,
                allocations.c.ven_id.in_(some),
            )
        )
    keys = ["event_id", "window_start", "ven_id"]
    columns = [column.name for column in allocations.c if column.name not in keys]
    for parts in _pieces(part for ven_id, part in plan.parts.items() if part != known.get(ven_id)):
        rows = [_row(plan, part, version) for part in parts]
        await insert_many(connection, allocations, keys, rows, update=columns)
    return version


async def begin(connection: AsyncConnection, event_id: str, start: datetime, now: datetime) -> None:
    """Record that a window which was split before its second has begun, and is kept from now on."""
    its_row = (windows.c.event_id == event_id, windows.c.start == start, windows.c.decided_at < windows.c.start)
    await connection.execute(update(windows).where(*its_row).values(decided_at=now))


async def forget_prepared(
    connection: AsyncConnection, event_ids: Collection[str], kept: Collection[tuple[str, datetime]]
) -> None:
    """Delete splits that were made before their second and are not to come any more, unless a panel was told of them.

    With the last split of an event its baselines go too: they were those of another moment.
    """
    was_told = exists().where(
        commands.c.event_id == windows.c.event_id,
        commands.c.window_start == windows.c.start,
        commands.c.sent_at.is_not(None),
    )
    for some in _pieces(event_ids):
        prepared = select(windows.c.event_id, windows.c.start).where(
            windows.c.event_id.in_(some), windows.c.decided_at < windows.c.start, ~was_told
        )
        gone = {(row.event_id, row.start) for row in await connection.execute(prepared)} - set(kept)
        for event_id, start in gone:
            for table, column in (
                (windows, windows.c.start),
                (allocations, allocations.c.window_start),
                (explanations, explanations.c.window_start),
            ):
                await connection.execute(delete(table).where(table.c.event_id == event_id, column == start))
        for event_id in {event_id for event_id, _ in gone}:
            has_others = exists().where(windows.c.event_id == event_id)
            await connection.execute(delete(baselines).where(baselines.c.event_id == event_id, ~has_others))


async def change_parts(connection: AsyncConnection, changed: Mapping[Part, Mapping[str, Any]]) -> None:
    """Write members of panels' parts, by event, start of the window and panel."""
    await _count_up(connection, changed)
    by_members: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for key, values in changed.items():
        by_members.setdefault(tuple(sorted(values)), []).append(_key(key) | dict(values))
    for names, rows in by_members.items():
        members: dict[str, Any] = {name: bindparam(name) for name in names}
        await connection.execute(_ITS_PART.values(version=_VERSION_OF_WINDOW, **members), rows)


async def count_recoveries(connection: AsyncConnection, losses: Mapping[Part, int]) -> None:
    """Count losses of a shed, by event, start of the window and panel."""
    if losses:
        await _count_up(connection, losses)
        more = allocations.c.recoveries + bindparam("more", type_=Integer)
        statement = _ITS_PART.values(version=_VERSION_OF_WINDOW, recoveries=more)
        await connection.execute(statement, [_key(key) | {"more": number} for key, number in losses.items()])


async def given_back_at(connection: AsyncConnection, keys: Collection[Part]) -> dict[Part, datetime]:
    """Return when panels were last seen to have given back their shed in a window, of those that were."""
    key = (allocations.c.event_id, allocations.c.window_start, allocations.c.ven_id)
    found: dict[Part, datetime] = {}
    for some in _pieces(keys):
        statement = select(*key, allocations.c.given_back_at).where(
            tuple_(*key).in_(some), allocations.c.given_back_at.is_not(None)
        )
        for row in await connection.execute(statement):
            found[row.event_id, row.window_start, row.ven_id] = row.given_back_at
    return found


async def _count_up(connection: AsyncConnection, changed: Iterable[Part]) -> None:
    """Give the windows of these parts their next version."""
    found = sorted({(event_id, window_start) for event_id, window_start, _ in changed})
    for some in _pieces(found):
        named = tuple_(windows.c.event_id, windows.c.start).in_(some)
        await connection.execute(update(windows).where(named).values(version=windows.c.version + 1))


def _pieces(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``_ROWS``."""
    rest = iter(items)
    while some := list(islice(rest, _ROWS)):
        yield some


def _key(part: Part) -> dict[str, Any]:
    event_id, window_start, ven_id = part
    return {"of_event": event_id, "of_window": window_start, "of_panel": ven_id}


def _row(plan: WindowPlan, part: Allocation, version: int) -> dict[str, Any]:
    return {
        "event_id": plan.event_id,
        "window_start": plan.start,
        "ven_id": part.ven_id,
        "requested_kw": float(part.requested_kw),
        "capability_kw": float(part.capability_kw),
        "delivered_kw": None if part.delivered_kw is None else float(part.delivered_kw),
        "excluded": part.excluded,
        "recoveries": part.recoveries,
        "reason": part.reason,
        "shed_kwh": part.shed_kwh,
        "given_back_kw": None if part.given_back_kw is None else float(part.given_back_kw),
        "given_back_at": part.given_back_at,
        "version": version,
    }


def _window(row: RowMapping) -> WindowPlan:
    return WindowPlan(
        event_id=row["event_id"],
        start=row["start"],
        end=row["end"],
        request=row["request"],
        request_kw=Decimal(str(row["request_kw"])),
        version=row["version"],
    )


def part_of(row: RowMapping) -> Allocation:
    """Return a panel's part from its row."""
    return Allocation(
        ven_id=row["ven_id"],
        requested_kw=Decimal(str(row["requested_kw"])),
        capability_kw=Decimal(str(row["capability_kw"])),
        delivered_kw=_kw(row["delivered_kw"]),
        excluded=row["excluded"],
        recoveries=row["recoveries"],
        reason=row["reason"],
        shed_kwh=row["shed_kwh"],
        given_back_kw=_kw(row["given_back_kw"]),
        given_back_at=row["given_back_at"],
    )


def _kw(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(str(value))
