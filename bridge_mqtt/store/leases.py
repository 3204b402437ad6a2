"""The leases of several bridges on one database, by the clock of the database."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, delete, func, literal_column, select, type_coerce, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.leases import LEAD, BridgeLease, claim, is_presence, presence
from bridge_mqtt.store.schema import Instant, leases
from bridge_mqtt.store.upsert import insert_or_skip, insert_or_update

_IDLE_MS: Final = "7000"
_COLUMNS: Final = (leases.c.name, leases.c.holder, leases.c.epoch, leases.c.expires_at)


async def now(connection: AsyncConnection) -> datetime:
    """Return the time of the database."""
    moment: datetime = (await connection.execute(select(_now(connection)))).scalar_one()
    return moment


async def renew(
    connection: AsyncConnection, holder: str, *, epoch: int | None, wants_lead: bool, valid: timedelta
) -> BridgeLease | None:
    """Show that a bridge is alive, and renew or take the lead for it; return its lease, None if another one leads.

    ``epoch`` is the one under which it leads, None if it has just started. A bridge that does not ``want`` the lead
    only shows that it is alive.
    """
    await _end_if_stopped(connection)
    await _write(connection, BridgeLease(presence(holder), holder, 0, await now(connection) + valid))
    if not wants_lead:
        return None
    await connection.execute(
        insert_or_skip(connection, leases, ["name"]).values(
            name=LEAD, holder=holder, epoch=0, expires_at=await now(connection)
        )
    )
    found = _lease((await connection.execute(_of(LEAD).with_for_update())).one())
    ours = claim(found, LEAD, holder, epoch=epoch, now=await now(connection), valid=valid)
    if ours is not None:
        await _write(connection, ours)
    return ours


async def held_until(connection: AsyncConnection, holder: str) -> datetime | None:
    """Return until when a process works under this name at most, None if none does; lock the name until the end.

    Of several that ask at the same time under one name, and show that they are alive if there is none, one gets None.
    """
    await _end_if_stopped(connection)
    over = BridgeLease(presence(holder), holder, 0, await now(connection))
    await connection.execute(
        insert_or_skip(connection, leases, ["name"]).values(
            name=over.name, holder=over.holder, epoch=over.epoch, expires_at=over.expires_at
        )
    )
    await connection.execute(_of(over.name).with_for_update())
    return await shown_until(connection, holder)


async def shown_until(connection: AsyncConnection, holder: str) -> datetime | None:
    """Return until when the leases under a name are valid, None if none is."""
    ours = select(func.max(leases.c.expires_at)).where(
        leases.c.name.in_([presence(holder), LEAD]), leases.c.holder == holder, leases.c.expires_at > _now(connection)
    )
    until: datetime | None = (await connection.execute(ours)).scalar_one()
    return until


async def end_all(connection: AsyncConnection, holder: str) -> None:
    """End the leases under a name whose process is known to be gone."""
    ended = {"expires_at": await now(connection)}
    await connection.execute(update(leases).where(leases.c.holder == holder).values(ended))


async def leads(connection: AsyncConnection, holder: str, epoch: int) -> bool:
    """Return True if a bridge leads under this epoch, and go on to lead until the end of the transaction.

    The row stays locked: nobody takes the lead over before this transaction has ended. This is asked in every turn, and
    a statement that others wait for: the limit for transactions that stand still is set with it.
    """
    statement = _LEAD_OR_END if connection.dialect.name == "postgresql" else _LEAD
    found = (await connection.execute(statement)).one_or_none()
    return found is not None and (found.holder, found.epoch) == (holder, epoch)


async def give_up(connection: AsyncConnection, holder: str, *, epoch: int | None) -> None:
    """End the leases of a bridge now, so that another one need not wait."""
    ended = {"expires_at": await now(connection)}
    await connection.execute(update(leases).where(leases.c.name == presence(holder)).values(ended))
    if epoch is not None:
        mine = (leases.c.name == LEAD) & (leases.c.holder == holder) & (leases.c.epoch == epoch)
        await connection.execute(update(leases).where(mine).values(ended))


async def leader(connection: AsyncConnection) -> BridgeLease | None:
    """Return the lease of the bridge that leads, or led last."""
    found = (await connection.execute(_of(LEAD))).one_or_none()
    return None if found is None else _lease(found)


async def absent(connection: AsyncConnection, holder: str) -> list[str]:
    """Return the client ids of the other bridges that have not shown for a while that they are alive."""
    rows = await connection.execute(
        select(*_COLUMNS).where(leases.c.holder != holder, leases.c.expires_at <= _now(connection))
    )
    return sorted(row.holder for row in rows if is_presence(row.name))


async def others(connection: AsyncConnection, holder: str) -> list[str]:
    """Return the client ids of all other bridges that are known."""
    rows = await connection.execute(select(leases.c.name, leases.c.holder).where(leases.c.holder != holder))
    return sorted(row.holder for row in rows if is_presence(row.name))


async def forget(connection: AsyncConnection, holders: Collection[str]) -> None:
    """Forget bridges that are gone, unless they have shown since that they are alive."""
    await connection.execute(
        delete(leases).where(
            leases.c.name.in_([presence(each) for each in holders]), leases.c.expires_at <= _now(connection)
        )
    )


async def _end_if_stopped(connection: AsyncConnection) -> None:
    """Have the database end this transaction if nothing happens in it for 7 s: a bridge that is stopped keeps no locks.

    SQLite cannot: several bridges that may be stopped need PostgreSQL.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(select(_ending_if_stopped()))


def _ending_if_stopped() -> ColumnElement[str]:
    return func.set_config("idle_in_transaction_session_timeout", _IDLE_MS, True)


def _of(name: str) -> Any:
    return select(*_COLUMNS).where(leases.c.name == name)


_LEAD: Final = _of(LEAD).with_for_update(read=True)
_LEAD_OR_END: Final = _of(LEAD).add_columns(_ending_if_stopped()).with_for_update(read=True)


def _lease(row: Any) -> BridgeLease:
    return BridgeLease(row.name, row.holder, row.epoch, row.expires_at)


async def _write(connection: AsyncConnection, lease: BridgeLease) -> None:
    columns = ("holder", "epoch", "expires_at")
    await connection.execute(
        insert_or_update(connection, leases, ["name"], columns).values(
            name=lease.name, holder=lease.holder, epoch=lease.epoch, expires_at=lease.expires_at
        )
    )


def _now(connection: AsyncConnection) -> ColumnElement[datetime]:
    if connection.dialect.name == "postgresql":
        return func.clock_timestamp(type_=Instant())
    # as Instant writes it: milliseconds are what SQLite knows
    return type_coerce(literal_column("strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000+00:00'"), Instant())
