"""Forgetting: samples after days, readings of minutes after months, those of quarters of an hour never (no. 43)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.metering.meter import MARK, MINUTE
from bridge_mqtt.store import readings, telemetry

Turn = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


async def forget_measurements(turn: Turn, now: datetime, *, samples_days: float, minutes_days: float) -> None:
    """Delete what was measured longer ago, piece by piece, each in a transaction of its own; others go on in between.

    A meter counts on, so that readings of quarters stay right when those of minutes go.
    """
    samples_before, minutes_before = now - timedelta(days=samples_days), now - timedelta(days=minutes_days)

    async def forget_samples(connection: AsyncConnection) -> bool:
        return await telemetry.forget(connection, samples_before)

    async def forget_minutes(connection: AsyncConnection) -> bool:
        return await readings.forget(connection, (MARK, MINUTE), minutes_before)

    for forget in (forget_samples, forget_minutes):
        await forget_in_pieces(turn, forget)


async def forget_in_pieces(turn: Turn, forget: Callable[[AsyncConnection], Awaitable[bool]]) -> None:
    """Forget while there may be more, each piece in a transaction of its own; others go on in between."""
    more = True
    while more:
        async with turn() as connection:
            more = await forget(connection)
        await asyncio.sleep(0)
