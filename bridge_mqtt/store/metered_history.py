"""Mean power over time from the readings of meters: for spans whose samples are too many, or are not kept any more.

A reading counts up, so the mean of a step is what two readings differ by, however many samples lie between them. Steps
are whole minutes, and whole quarters of an hour where minutes are not kept.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Float, Select, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.metering.meter import MINUTE, PANEL, QUARTER, used
from bridge_mqtt.store import readings as stored_readings
from bridge_mqtt.store.history import MeanPower
from bridge_mqtt.store.schema import panels, readings, telemetry

MOST_SAMPLES: Final = 20_000
"""Spans with more samples are answered from readings."""
MOST_READINGS: Final = 200_000
"""So many readings are looked at for one answer; where there would be more, the steps are longer."""
_LONGER_S: Final = (QUARTER, 3_600, 21_600, 86_400)


async def is_needed(connection: AsyncConnection, ven_id: str | None, start: datetime, end: datetime) -> bool:
    """Return True if the samples of a panel, or of all, are too many in this span, or do not go back far enough."""
    time = telemetry.c.received_at if ven_id is None else telemetry.c.timestamp
    in_span = [time >= start, time < end]
    of_readings = [readings.c.kind == QUARTER, readings.c.at >= start, readings.c.at < end]
    if ven_id is not None:
        in_span.append(telemetry.c.ven_id == ven_id)
        of_readings.append(readings.c.ven_id == ven_id)
    some = select(telemetry.c.id).where(*in_span).limit(MOST_SAMPLES + 1).subquery()
    if (await connection.execute(select(func.count()).select_from(some))).scalar_one() > MOST_SAMPLES:
        return True
    first_reading = (await connection.execute(select(func.min(readings.c.at)).where(*of_readings))).scalar_one()
    first_sample = (await connection.execute(select(func.min(time)).where(*in_span))).scalar_one()
    if first_reading is None:
        return False
    return first_sample is None or (first_sample - first_reading).total_seconds() > QUARTER


async def means(
    connection: AsyncConnection,
    ven_id: str | None,
    start: datetime,
    end: datetime,
    step_s: int,
    *,
    channel: str = PANEL,
) -> tuple[list[MeanPower], int]:
    """Return the mean power in each whole step of a panel's channel, or of all panels together, oldest first.

    The second value is the length of the steps in s, which are longer than ``step_s`` if there were too many readings.
    Steps in which nothing was measured are left out; what was measured around a gap is shown at its end.
    """
    count = 1
    if ven_id is None:
        count = (await connection.execute(select(func.count()).select_from(panels))).scalar_one()
    least_s = MINUTE if await _has_minutes(connection, ven_id, start, end) else QUARTER
    step_s = affordable_step_s(step_s, panels=count, span_s=(end - start).total_seconds(), least_s=least_s)
    kind = QUARTER if step_s % QUARTER == 0 else MINUTE
    first, last = -int(-start.timestamp() // step_s), int(end.timestamp() // step_s)
    moments = [datetime.fromtimestamp(number * step_s, UTC) for number in range(first, last + 1)]
    in_span = [readings.c.kind == kind, readings.c.at.in_(moments)]
    if ven_id is not None:
        in_span.append(readings.c.ven_id == ven_id)
    rows = (await connection.execute(_sums(connection, in_span, channel))).all()
    found = [
        MeanPower(at=datetime.fromtimestamp(at.timestamp() - step_s, UTC), used_kw=float(kw), shed_kw=None)
        for at, kw in rows
    ]
    return found, step_s


async def mean_of_each(
    connection: AsyncConnection, ven_ids: Collection[str], start: datetime, end: datetime
) -> dict[str, MeanPower]:
    """Return the mean power of each of these panels from ``start`` until ``end``, to the minute or the quarter."""
    found: dict[str, MeanPower] = {}
    for kind in (MINUTE, QUARTER):
        missing = [ven_id for ven_id in ven_ids if ven_id not in found]
        if not missing:
            break
        begin = await stored_readings.next_to(connection, missing, start, kind=kind, before=True)
        final = await stored_readings.next_to(connection, missing, end, kind=kind, before=True)
        for ven_id in begin.keys() & final.keys():
            energy = used(begin[ven_id], final[ven_id], PANEL)
            if energy is not None and energy.mean_kw is not None:
                samples = final[ven_id].samples - begin[ven_id].samples
                found[ven_id] = MeanPower(at=start, used_kw=energy.mean_kw, shed_kw=None, samples=samples)
    return found


def affordable_step_s(step_s: int, *, panels: int, span_s: float, least_s: int) -> int:
    """Return the shortest steps in s, not below ``step_s``, of which a span has few enough readings of all panels."""
    step_s = -(-step_s // least_s) * least_s
    for longer_s in (step_s, *(each for each in _LONGER_S if each > step_s)):
        if panels * (span_s / longer_s + 1) <= MOST_READINGS:
            return longer_s
    days = int(panels * span_s / 86_400 / max(1, MOST_READINGS - panels)) + 1
    return max(step_s, days * 86_400)


async def _has_minutes(connection: AsyncConnection, ven_id: str | None, start: datetime, end: datetime) -> bool:
    """Return True if readings of minutes go back as far as those of quarters."""
    first = {}
    for kind in (MINUTE, QUARTER):
        in_span = [readings.c.kind == kind, readings.c.at >= start, readings.c.at < end]
        if ven_id is not None:
            in_span.append(readings.c.ven_id == ven_id)
        first[kind] = (await connection.execute(select(func.min(readings.c.at)).where(*in_span))).scalar_one()
    minute, quarter = first[MINUTE], first[QUARTER]
    return minute is not None and (quarter is None or minute <= quarter)


def _sums(connection: AsyncConnection, in_span: list[ColumnElement[bool]], channel: str) -> Select[Any]:
    """Return the statement for the sum of the panels' means of each step, by the moment at which it ends."""
    count = _count_of(connection, channel)
    shown = select(readings.c.ven_id, readings.c.at, count.label("count")).where(*in_span).subquery()
    kwh, covered_s = _number(connection, shown.c.count, 0), _number(connection, shown.c.count, 1)

    def grown(value: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return by how much a value is above that of the panel's reading before."""
        return value - func.lag(value).over(partition_by=shown.c.ven_id, order_by=shown.c.at)

    differences = (
        select(
            shown.c.at,
            grown(kwh).label("kwh"),
            grown(covered_s).label("covered_s"),
        )
        .where(shown.c.count.is_not(None))
        .subquery()
    )
    return (
        select(differences.c.at, func.sum(differences.c.kwh / differences.c.covered_s * 3600.0))
        .where(differences.c.covered_s > 0)
        .group_by(differences.c.at)
        .order_by(differences.c.at)
    )


def _count_of(connection: AsyncConnection, channel: str) -> ColumnElement[Any]:
    """Return what a reading says of a channel, as JSON."""
    if connection.dialect.name == "sqlite":
        each = func.json_each(readings.c.meter, "$[2]").table_valued("key", "value")
        return select(each.c.value).where(each.c.key == channel).correlate(readings).scalar_subquery()
    return func.json_extract_path(readings.c.meter, "2", channel)


def _number(connection: AsyncConnection, count: ColumnElement[Any], place: int) -> ColumnElement[Any]:
    if connection.dialect.name == "sqlite":
        return func.json_extract(count, f"$[{place}]")
    return cast(func.json_extract_path_text(count, str(place)), Float)
