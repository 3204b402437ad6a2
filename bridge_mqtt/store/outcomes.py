"""What reports need to know of some panels in an event: their baselines, and the circuits that they said they limit."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.circuits import circuits_from_json
from bridge_mqtt.store.events import Baseline
from bridge_mqtt.store.schema import baselines, ven_acks
from openadr_profiles.panel import AckStatus, CircuitCurtailment, Op


async def baselines_of(connection: AsyncConnection, event_id: str, ven_ids: Sequence[str]) -> dict[str, Baseline]:
    """Return the frozen baselines of these panels."""
    statement = select(baselines).where(baselines.c.event_id == event_id, baselines.c.ven_id.in_(ven_ids))
    return {
        row["ven_id"]: Baseline(
            ven_id=row["ven_id"],
            frozen_at=row["frozen_at"],
            power_kw=row["power_kw"],
            circuits_kw=dict(row["circuits_kw"]),
            samples=row["samples"],
        )
        for row in (await connection.execute(statement)).mappings()
    }


async def circuits_told(
    connection: AsyncConnection, event_id: str, ven_ids: Sequence[str]
) -> dict[str, dict[str, CircuitCurtailment]]:
    """Return by panel the circuits of its last answer to a shed of this event that lists any, by their ids (B4)."""
    statement = (
        select(ven_acks.c.ven_id, ven_acks.c.circuits_curtailed)
        .where(
            ven_acks.c.event_id == event_id,
            ven_acks.c.ven_id.in_(ven_ids),
            ven_acks.c.op == Op.SHED_PANEL,
            ven_acks.c.status == AckStatus.ACCEPTED,
            ven_acks.c.matched.is_(True),
        )
        .order_by(ven_acks.c.id)
    )
    found: dict[str, dict[str, CircuitCurtailment]] = {}
    for ven_id, stored in await connection.execute(statement):
        circuits = None if stored is None else circuits_from_json(stored, [])
        if circuits is not None:
            found[ven_id] = {circuit.id: circuit for circuit in circuits}
    return found
