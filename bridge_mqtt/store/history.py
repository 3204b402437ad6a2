"""Tell what panels measured over time, for readers: pages of samples, and means that the database works out itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Integer, and_, cast, extract, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store.schema import telemetry
from openadr_profiles.panel import Load

_SAMPLE = (
    telemetry.c.id,
    telemetry.c.timestamp,
    telemetry.c.event_id,
    telemetry.c.used_power_kw,
    telemetry.c.shed_power_kw,
    telemetry.c.baseline_power_kw,
    telemetry.c.battery_soc,
    telemetry.c.loads,
)


@dataclass(frozen=True, kw_only=True)
class PastSample:
    """A sample of a panel, in kW; ``timestamp`` is of the panel's own clock."""

    id: int
    timestamp: datetime
    event_id: str | None
    used_power_kw: float | None
    shed_power_kw: float | None
    baseline_power_kw: float | None
    battery_soc: float | None
    loads: tuple[Load, ...]


@dataclass(frozen=True, kw_only=True)
class MeanPower:
    """Mean power in kW over a span of time, of ``samples`` samples."""

    at: datetime
    used_kw: float | None
    shed_kw: float | None
    event_id: str | None = None
    samples: int = 0


async def page(
    connection: AsyncConnection,
    ven_id: str,
    *,
    start: datetime | None,
    end: datetime | None,
    before: tuple[datetime, int] | None,
    limit: int,
) -> list[PastSample]:
    """Return samples of a panel from ``start`` until before ``end``, newest first, up to that of ``before``."""
    statement = select(*_SAMPLE).where(telemetry.c.ven_id == ven_id)
    if start is not None:
        statement = statement.where(telemetry.c.timestamp >= start)
    if end is not None:
        statement = statement.where(telemetry.c.timestamp < end)
    if before is not None:
        moment, id_ = before
        same = and_(telemetry.c.timestamp == moment, telemetry.c.id <= id_)
        statement = statement.where(telemetry.c.timestamp <= moment, or_(telemetry.c.timestamp < moment, same))
    statement = statement.order_by(telemetry.c.timestamp.desc(), telemetry.c.id.desc()).limit(limit)
    return [
        PastSample(**dict(row) | {"loads": msgspec.convert(row["loads"] or (), tuple[Load, ...])})
        for row in (await connection.execute(statement)).mappings()
    ]


async def of_panel(
    connection: AsyncConnection, ven_id: str, *, start: datetime, end: datetime, step_s: int
) -> list[MeanPower]:
    """Return a panel's mean power in each step of ``step_s`` seconds from ``start`` until ``end``, oldest first."""
    step = _step(connection, step_s)
    statement = (
        select(
            step.label("step"),
            func.avg(telemetry.c.used_power_kw),
            func.avg(telemetry.c.shed_power_kw),
            func.max(telemetry.c.event_id),
            func.count(),
        )
        .where(telemetry.c.ven_id == ven_id, telemetry.c.timestamp >= start, telemetry.c.timestamp < end)
        .group_by("step")
        .order_by("step")
    )
    return [
        MeanPower(at=_moment(number, step_s), used_kw=used, shed_kw=shed, event_id=event_id, samples=count)
        for number, used, shed, event_id, count in await connection.execute(statement)
    ]


async def of_all(connection: AsyncConnection, *, start: datetime, end: datetime, step_s: int) -> list[MeanPower]:
    """Return the power of all panels together: in each step the sum of their means, oldest first (no. 43)."""
    step = _step(connection, step_s)
    means = (
        select(
            step.label("step"),
            func.avg(telemetry.c.used_power_kw).label("used"),
            func.avg(telemetry.c.shed_power_kw).label("shed"),
            func.count().label("samples"),
        )
        .where(telemetry.c.received_at >= start, telemetry.c.received_at < end)
        .group_by("step", telemetry.c.ven_id)
        .subquery()
    )
    statement = (
        select(means.c.step, func.sum(means.c.used), func.sum(means.c.shed), func.sum(means.c.samples))
        .group_by(means.c.step)
        .order_by(means.c.step)
    )
    return [
        MeanPower(at=_moment(number, step_s), used_kw=used, shed_kw=shed, samples=int(count))
        for number, used, shed, count in await connection.execute(statement)
    ]


async def mean_of_each(
    connection: AsyncConnection, ven_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, MeanPower]:
    """Return the mean power of each of these panels from ``start`` until ``end``."""
    if not ven_ids:
        return {}
    statement = (
        select(
            telemetry.c.ven_id, func.avg(telemetry.c.used_power_kw), func.avg(telemetry.c.shed_power_kw), func.count()
        )
        .where(telemetry.c.ven_id.in_(list(ven_ids)), telemetry.c.received_at >= start, telemetry.c.received_at < end)
        .group_by(telemetry.c.ven_id)
    )
    return {
        ven_id: MeanPower(at=start, used_kw=used, shed_kw=shed, samples=count)
        for ven_id, used, shed, count in await connection.execute(statement)
    }


def _step(connection: AsyncConnection, step_s: int) -> ColumnElement[Any]:
    """Return the number of the step that a sample is in, counted from 1970."""
    if connection.dialect.name == "sqlite":
        return cast(func.strftime("%s", telemetry.c.timestamp), Integer) // step_s
    return func.floor(extract("epoch", telemetry.c.timestamp) / step_s)


def _moment(number: Any, step_s: int) -> datetime:
    return datetime.fromtimestamp(int(number) * step_s, UTC)
