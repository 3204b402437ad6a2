"""Evaluate an event a part of its VENs after the other: read their readings, and have their baselines computed.

Statements go to the database in parts; the arithmetic of a part runs in a thread beside the event loop.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from openadr_profiles.performance import EvaluationRequest
from openadr_profiles.v31 import AGGREGATED_REPORT
from vtn.performance.baselines import EvaluatedTime
from vtn.performance.calendar import Calendar
from vtn.performance.evaluation import Evaluation
from vtn.performance.from_reports import Meter, meters_of
from vtn.performance.kept import participant_row
from vtn.performance.methods import Method
from vtn.performance.needed import (
    Gridding,
    MsSpan,
    NeededReadings,
    StoredReading,
    as_instant,
    needed_of_event,
)
from vtn.performance.profile import EnergySeries, steps_of
from vtn.performance.result import RequestedPower
from vtn.store.facts.planned import PlannedEvent
from vtn.store.facts.tables import BASELINE, DRAWN
from vtn.store.performance.inputs import AskedPower, KnownMeter, PerformanceInputs

_VENS_AT_ONCE: Final = 50
_MOST_METERS_AT_ONCE: Final = 200
MOST_READINGS: Final = 300_000
"""Readings that are in memory together, and those of one meter that are looked at: every 14 s in the last 49 days."""
MOST_STEPS_KEPT: Final = 5_000_000
"""Steps of all participants of a result, at most."""


@dataclass(frozen=True, slots=True)
class AskedEvaluation:
    """Hold what is to be evaluated, checked."""

    request: EvaluationRequest
    planned: PlannedEvent
    time: EvaluatedTime
    method: Method
    step: timedelta
    calendar: Calendar


@dataclass(slots=True)
class _Found:
    """Hold what was read of the meters of a part: the readings, and the series that were made of them."""

    readings: dict[int, list[StoredReading]] = field(default_factory=lambda: defaultdict(list))
    series: dict[int, EnergySeries] = field(default_factory=dict)
    too_many: set[int] = field(default_factory=set)
    """Hold the meters with more readings than are looked at."""


class EvaluatedParts:
    """Evaluates one part of the VENs of an event after the other."""

    def __init__(self, inputs: PerformanceInputs, asked: AskedEvaluation, days: frozenset[date]) -> None:
        self._inputs = inputs
        self._asked = asked
        self.evaluation = Evaluation(
            asked.time, asked.method, step=asked.step, calendar=asked.calendar, event_days=days
        )
        steps = steps_of(asked.time.start, asked.time.end, asked.step)
        plan = self.evaluation.plan
        self.steps_of_the_event = len(steps)
        self.participants = 0
        self._needed = needed_of_event(asked.time, plan, asked.step)
        self._gridding = Gridding(self._needed, plan, steps)
        self._reported_needed = needed_of_event(asked.time, None, asked.step)
        self._reported_gridding = Gridding(self._reported_needed, None, steps)

    async def each(self, reached: Mapping[str, str]) -> AsyncIterator[tuple[int, list[dict[str, Any]]]]:
        """Yield the rows of the participants of some clients after those of others, with the number of clients.

        Raises ValueError when there are more steps than are kept.
        """
        for names in _batches(reached, _VENS_AT_ONCE):
            rows = await self._of(names)
            if self.participants * self.steps_of_the_event > MOST_STEPS_KEPT:
                raise ValueError(f"more than {MOST_STEPS_KEPT:,} steps of participants: choose a longer step")
            yield len(names), rows

    async def _of(self, names: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the rows of the participants of these clients."""
        known = {(one.client_id, one.resource): one for one in await self._inputs.meters(names)}
        silent = {(client_id, AGGREGATED_REPORT) for client_id in names.keys() - {meter[0] for meter in known}}
        chosen = meters_of({*known, *silent}, circuits=self._asked.request.circuits)
        asked: dict[Meter, list[RequestedPower]] = defaultdict(list)
        for one in await self._inputs.asked(self._asked.planned.event.id, names):
            asked[one.client_id, one.resource].append(_requested(one))
        rows: list[dict[str, Any]] = []
        for start in range(0, len(chosen), _MOST_METERS_AT_ONCE):
            some = chosen[start : start + _MOST_METERS_AT_ONCE]
            rows += await self._evaluated(some, names, known, asked)
        return rows

    async def _evaluated(
        self,
        chosen: Sequence[Meter],
        names: Mapping[str, str],
        known: Mapping[Meter, KnownMeter],
        asked: Mapping[Meter, Sequence[RequestedPower]],
    ) -> list[dict[str, Any]]:
        ids = [known[meter].id for meter in chosen if meter in known]
        drawn = await self._series(ids, DRAWN, self._needed, self._gridding)
        reported = _Found()
        if self._asked.method.reported:
            reported = await self._series(ids, BASELINE, self._reported_needed, self._reported_gridding)
        return await asyncio.to_thread(self._rows, chosen, names, known, asked, drawn, reported)

    def _rows(
        self,
        chosen: Sequence[Meter],
        names: Mapping[str, str],
        known: Mapping[Meter, KnownMeter],
        asked: Mapping[Meter, Sequence[RequestedPower]],
        drawn: _Found,
        reported: _Found,
    ) -> list[dict[str, Any]]:
        nothing = EnergySeries(self._asked.step)
        rows = []
        for meter in chosen:
            client_id, resource = meter
            id_ = known[meter].id if meter in known else -1
            name = names[client_id] if resource == AGGREGATED_REPORT else f"{names[client_id]} {resource}"
            result = self.evaluation.add(
                name,
                drawn.series.get(id_, nothing),
                reported.series.get(id_),
                asked.get(meter, ()),
                used=(meter, drawn.readings.get(id_, ()), reported.readings.get(id_, ())),
            )
            if id_ in drawn.too_many or id_ in reported.too_many:
                result = replace(result, notes=(f"more than {MOST_READINGS:,} readings",))
            row = {"client_id": client_id, "resource": resource, "position": self.participants}
            rows.append(row | participant_row(result))
            self.participants += 1
        return rows

    async def _series(self, ids: Sequence[int], kind: int, needed: NeededReadings, gridding: Gridding) -> _Found:
        """Read what is needed of meters: first what every meter needs, then more of those with gaps or overlaps."""
        found = _Found()
        await self._read(found, ids, kind, needed.at_once)
        overlapping, lacking = await asyncio.to_thread(self._gridded, found, ids, gridding)
        if lacking:
            for id_ in lacking:
                del found.readings[id_]
            await self._read(found, lacking, kind, needed.with_gaps)
            more, _ = await asyncio.to_thread(self._gridded, found, lacking, gridding)
            long = await self._inputs.with_long_readings(lacking, kind, needed.whole, above_ms=gridding.usual_ms)
            overlapping = sorted({*overlapping, *more, *long})
        for id_ in overlapping:  # one at a time: there may be much of each
            found.readings.pop(id_, None)
            await self._read(found, [id_], kind, (needed.whole,))
            its = found.readings[id_] = sorted(found.readings.get(id_, ()))
            found.series[id_] = await asyncio.to_thread(gridding.whole, its, self._asked.step)
        for id_ in found.too_many:
            found.series[id_] = EnergySeries(self._asked.step)
        return found

    async def _read(self, found: _Found, ids: Sequence[int], kind: int, spans: Sequence[MsSpan]) -> None:
        """Read meters together, or one half after the other where that is too much; one with too much is left out."""
        rows = await self._inputs.readings(ids, kind, spans, most=MOST_READINGS + 1)
        if len(rows) <= MOST_READINGS:
            await asyncio.to_thread(_sort_in, found.readings, rows)
            return
        del rows  # before there are others
        if len(ids) == 1:
            found.too_many.update(ids)
            return
        middle = len(ids) // 2
        await self._read(found, ids[:middle], kind, spans)
        await self._read(found, ids[middle:], kind, spans)

    def _gridded(self, found: _Found, ids: Sequence[int], gridding: Gridding) -> tuple[list[int], list[int]]:
        """Put readings on the grid; return the meters whose readings overlap, and those with gaps."""
        overlapping, lacking = [], []
        for id_ in ids:
            readings = found.readings[id_] = sorted(found.readings.get(id_, ()))
            series = gridding.series(readings, self._asked.step)
            if series is None:
                overlapping.append(id_)
                continue
            found.series[id_] = series
            if gridding.lacks(series):
                lacking.append(id_)
        return overlapping, lacking


def _sort_in(found: dict[int, list[StoredReading]], rows: Iterable[Sequence[Any]]) -> None:
    for meter_id, start, length, kwh, estimated in rows:
        found[meter_id].append((start, length, kwh, bool(estimated)))


def _requested(one: AskedPower) -> RequestedPower:
    end = None if one.ends_at_ms is None else as_instant(one.ends_at_ms)
    return RequestedPower(as_instant(one.starts_at_ms), end, Decimal(repr(one.requested_kw)))


def _batches(names: Mapping[str, str], size: int) -> Iterator[dict[str, str]]:
    every = list(names.items())
    for start in range(0, len(every), size):
        yield dict(every[start : start + size])
