"""The outbox, and what each panel holds because of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import RowMapping, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Command, Holding, HoldingState
from bridge_mqtt.pauses import with_pauses
from bridge_mqtt.store.bulk import delete_some, insert_many, update_many
from bridge_mqtt.store.schema import commands, holdings
from bridge_mqtt.store.upsert import pieces
from openadr_profiles.panel import CommandState, Op

_OUTSTANDING = (CommandState.QUEUED, CommandState.SENT)
_PINGS_COUNT_FOR = timedelta(days=1)
_LATER = (
    "state",
    "sent_at",
    "deadline_at",
    "answered_at",
    "answered_by",
    "status",
    "error",
    "response_ms",
    "actual_kw",
    "late",
    "double_shed",
)


async def queue(connection: AsyncConnection, new: Sequence[Command]) -> None:
    """Write commands that are to be sent; the database refuses a second one for a panel that waits for an answer."""
    if new:
        rows = [
            {
                "correlation_id": command.correlation_id,
                "ven_id": command.ven_id,
                "event_id": command.event_id,
                "window_start": command.window_start,
                "window_end": command.window_end,
                "op": command.op,
                "reason": command.reason,
                "state": command.state,
                "amount_kw": None if command.amount_kw is None else float(command.amount_kw),
                "queued_at": command.queued_at,
                "late": False,
                "double_shed": False,
                "load_id": command.load_id,
                "enabled": command.enabled,
            }
            for command in new
        ]
        await insert_many(connection, commands, (), rows)


async def outstanding(connection: AsyncConnection) -> dict[str, Command]:
    """Return the command of each panel that is queued or waits for its answer."""
    rows = (await connection.execute(select(commands).where(commands.c.state.in_(_OUTSTANDING)))).mappings()
    return {row["ven_id"]: _command(row) async for row in with_pauses(rows)}


async def by_correlation(connection: AsyncConnection, correlation_ids: Collection[str]) -> dict[str, Command]:
    """Return the commands with these correlation ids."""
    found: dict[str, Command] = {}
    for some in pieces(list(correlation_ids)):
        rows = await connection.execute(select(commands).where(commands.c.correlation_id.in_(some)))
        found |= {row["correlation_id"]: _command(row) async for row in with_pauses(rows.mappings())}
    return found


async def save(connection: AsyncConnection, changed: Sequence[Command]) -> None:
    """Write what happens to commands after they were queued."""
    if changed:
        names = ("correlation_id", *_LATER)
        rows = [{name: getattr(command, name) for name in names} for command in changed]
        await update_many(connection, commands, "correlation_id", rows)


async def confirm(connection: AsyncConnection, confirmed: Mapping[str, datetime]) -> None:
    """Record at which time telemetry showed what commands did that nobody has answered, by correlation id."""
    if confirmed:
        unanswered = (commands.c.correlation_id == bindparam("of"), commands.c.answered_by.is_(None))
        statement = update(commands).where(*unanswered)
        statement = statement.values(state=CommandState.ACKED, answered_by="telemetry", answered_at=bindparam("at"))
        await connection.execute(statement, [{"of": each, "at": at} for each, at in confirmed.items()])


async def were_told(connection: AsyncConnection, shown: Mapping[str, str]) -> set[str]:
    """Return the panels that were told to shed for an event by us, of those that show it."""
    told: set[str] = set()
    for some in pieces(list(shown)):
        statement = (
            select(commands.c.ven_id, commands.c.event_id)
            .where(
                commands.c.ven_id.in_(some),
                commands.c.event_id.in_({shown[ven_id] for ven_id in some}),
                commands.c.op == Op.SHED_PANEL,
            )
            .distinct()
        )
        told |= {row.ven_id for row in await connection.execute(statement) if shown[row.ven_id] == row.event_id}
    return told


async def last_pings(connection: AsyncConnection) -> dict[str, datetime]:
    """Return the time of the last ping by panel, of the last day with commands: an older one has told nothing new."""
    newest = (await connection.execute(select(func.max(commands.c.queued_at)))).scalar()
    if newest is None:
        return {}
    panel = commands.c.ven_id + ""  # by the column itself SQLite would read all commands in the order of the panels
    statement = (
        select(panel, func.max(commands.c.sent_at))
        .where(
            commands.c.queued_at >= newest - _PINGS_COUNT_FOR, commands.c.op == Op.PING, commands.c.sent_at.is_not(None)
        )
        .group_by(panel)
    )
    return {ven_id: sent_at for ven_id, sent_at in await connection.execute(statement) if sent_at is not None}


async def last_responses(connection: AsyncConnection, ven_ids: Collection[str], since: datetime) -> dict[str, int]:
    """Return the ms that each of these panels took for its newest answer since then; not all have one."""
    if not ven_ids:
        return {}
    newest = (
        select(func.max(commands.c.id))
        .where(commands.c.ven_id.in_(list(ven_ids)), commands.c.queued_at >= since, commands.c.response_ms.is_not(None))
        .group_by(commands.c.ven_id)
    )
    statement = select(commands.c.ven_id, commands.c.response_ms).where(commands.c.id.in_(newest))
    return {row.ven_id: row.response_ms for row in await connection.execute(statement)}


async def panels_that_shed(connection: AsyncConnection, event_id: str) -> set[str]:
    """Return the panels that said yes to a shed for an event, or showed it in their metering."""
    statement = (
        select(commands.c.ven_id)
        .where(commands.c.event_id == event_id, commands.c.op == Op.SHED_PANEL, commands.c.state == CommandState.ACKED)
        .distinct()
    )
    return set((await connection.execute(statement)).scalars())


async def of_event(connection: AsyncConnection, event_id: str) -> list[Command]:
    """Return all commands of an event, oldest first."""
    statement = select(commands).where(commands.c.event_id == event_id).order_by(commands.c.id)
    return [_command(row) for row in (await connection.execute(statement)).mappings()]


async def of_panel(connection: AsyncConnection, ven_id: str, limit: int) -> list[Command]:
    """Return the newest commands of a panel."""
    statement = select(commands).where(commands.c.ven_id == ven_id).order_by(commands.c.id.desc()).limit(limit)
    return [_command(row) for row in (await connection.execute(statement)).mappings()]


async def forget(connection: AsyncConnection, before: datetime, *, at_most: int = 5_000) -> bool:
    """Delete commands that were queued before this and are neither on their way nor about what a panel holds.

    Deletes a piece of them; returns True if there may be more.
    """
    are_over = commands.c.state.not_in(_OUTSTANDING)
    about_nothing = commands.c.correlation_id.not_in(select(holdings.c.correlation_id))
    return await delete_some(connection, commands.c.queued_at, before, at_most, are_over, about_nothing)


async def held(connection: AsyncConnection) -> dict[str, Holding]:
    """Return what each panel holds or may hold."""
    rows = (await connection.execute(select(holdings))).mappings()
    return {row["ven_id"]: _holding(row) async for row in with_pauses(rows)}


async def hold_all(connection: AsyncConnection, new: Sequence[Holding]) -> None:
    """Write what panels hold, instead of what they held."""
    if new:
        rows = [
            {
                "ven_id": holding.ven_id,
                "event_id": holding.event_id,
                "window_start": holding.window_start,
                "window_end": holding.window_end,
                "amount_kw": float(holding.amount_kw),
                "until": holding.until,
                "correlation_id": holding.correlation_id,
                "state": holding.state,
                "since": holding.since,
            }
            for holding in new
        ]
        columns = [name for name in rows[0] if name != "ven_id"]
        await insert_many(connection, holdings, ["ven_id"], rows, update=columns)


async def drop_all(connection: AsyncConnection, ven_ids: Sequence[str]) -> None:
    """Record that panels hold no shed of ours."""
    for some in pieces(ven_ids):
        await connection.execute(delete(holdings).where(holdings.c.ven_id.in_(some)))


def _command(row: RowMapping) -> Command:
    members = dict(row)
    members |= {
        "op": Op(row["op"]),
        "state": CommandState(row["state"]),
        "amount_kw": None if row["amount_kw"] is None else Decimal(str(row["amount_kw"])),
    }
    return Command(**members)


def _holding(row: RowMapping) -> Holding:
    members = {name: row[name] for name in row}
    return Holding(**members | {"state": HoldingState(row["state"]), "amount_kw": Decimal(str(row["amount_kw"]))})
