"""The outbox, and what each panel holds because of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import RowMapping, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Command, Holding, HoldingState
from bridge_mqtt.store.schema import commands, holdings
from bridge_mqtt.store.upsert import insert_or_update
from openadr_profiles.panel import CommandState, Op

_OUTSTANDING = (CommandState.QUEUED, CommandState.SENT)


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
            }
            for command in new
        ]
        await connection.execute(insert(commands), rows)


async def outstanding(connection: AsyncConnection) -> dict[str, Command]:
    """Return the command of each panel that is queued or waits for its answer."""
    rows = (await connection.execute(select(commands).where(commands.c.state.in_(_OUTSTANDING)))).mappings()
    return {row["ven_id"]: _command(row) for row in rows}


async def by_correlation(connection: AsyncConnection, correlation_ids: Collection[str]) -> dict[str, Command]:
    """Return the commands with these correlation ids."""
    if not correlation_ids:
        return {}
    statement = select(commands).where(commands.c.correlation_id.in_(list(correlation_ids)))
    return {row["correlation_id"]: _command(row) for row in (await connection.execute(statement)).mappings()}


async def queued(connection: AsyncConnection, limit: int) -> list[Command]:
    """Return the commands to send next, oldest first."""
    statement = (
        select(commands)
        .where(commands.c.state == CommandState.QUEUED)
        .order_by(commands.c.queued_at, commands.c.id)
        .limit(limit)
    )
    return [_command(row) for row in (await connection.execute(statement)).mappings()]


async def change(connection: AsyncConnection, correlation_id: str, **values: Any) -> None:
    """Write members of one command."""
    await connection.execute(update(commands).where(commands.c.correlation_id == correlation_id).values(**values))


async def unsend(connection: AsyncConnection, correlation_id: str) -> None:
    """Put a command that never left this process back into the outbox."""
    statement = update(commands).where(
        commands.c.correlation_id == correlation_id, commands.c.state == CommandState.SENT
    )
    await connection.execute(statement.values(state=CommandState.QUEUED, sent_at=None, deadline_at=None, payload=None))


async def were_told(connection: AsyncConnection, shown: Mapping[str, str]) -> set[str]:
    """Return the panels that were told to shed for an event by us, of those that show it."""
    if not shown:
        return set()
    statement = (
        select(commands.c.ven_id, commands.c.event_id)
        .where(
            commands.c.ven_id.in_(list(shown)),
            commands.c.event_id.in_(set(shown.values())),
            commands.c.op == Op.SHED_PANEL,
        )
        .distinct()
    )
    return {row.ven_id for row in await connection.execute(statement) if shown[row.ven_id] == row.event_id}


async def last_pings(connection: AsyncConnection, ven_ids: Collection[str]) -> dict[str, datetime]:
    """Return the time of the last ping by panel."""
    if not ven_ids:
        return {}
    statement = (
        select(commands.c.ven_id, func.max(commands.c.sent_at))
        .where(commands.c.ven_id.in_(list(ven_ids)), commands.c.op == Op.PING, commands.c.sent_at.is_not(None))
        .group_by(commands.c.ven_id)
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


async def held(connection: AsyncConnection) -> dict[str, Holding]:
    """Return what each panel holds or may hold."""
    rows = (await connection.execute(select(holdings))).mappings()
    return {row["ven_id"]: _holding(row) for row in rows}


async def hold(connection: AsyncConnection, new: Holding) -> None:
    """Write what a panel holds, instead of what it held."""
    values = {
        "ven_id": new.ven_id,
        "event_id": new.event_id,
        "window_start": new.window_start,
        "window_end": new.window_end,
        "amount_kw": float(new.amount_kw),
        "until": new.until,
        "correlation_id": new.correlation_id,
        "state": new.state,
        "since": new.since,
    }
    columns = [name for name in values if name != "ven_id"]
    await connection.execute(insert_or_update(connection, holdings, ["ven_id"], columns), values)


async def drop(connection: AsyncConnection, ven_id: str) -> None:
    """Record that the panel holds no shed of ours."""
    await connection.execute(delete(holdings).where(holdings.c.ven_id == ven_id))


def _command(row: RowMapping) -> Command:
    members = {name: row[name] for name in row if name != "payload"}
    members |= {
        "op": Op(row["op"]),
        "state": CommandState(row["state"]),
        "amount_kw": None if row["amount_kw"] is None else Decimal(str(row["amount_kw"])),
    }
    return Command(**members)


def _holding(row: RowMapping) -> Holding:
    members = {name: row[name] for name in row}
    return Holding(**members | {"state": HoldingState(row["state"]), "amount_kw": Decimal(str(row["amount_kw"]))})
