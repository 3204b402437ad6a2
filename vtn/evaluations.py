"""Evaluate events in the background: what was asked for, one evaluation after the other, a part of the VENs at a time.

Statements go to the database in parts; the arithmetic of a part runs in a thread beside the event loop. Whoever removes
a result ends its evaluation, from any server; so does the end of this server.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import structlog

from openadr_profiles.performance import EvaluationRequest
from openadr_profiles.v31 import AGGREGATED_REPORT, Invalid
from vtn.errors import NotFound, Overloaded, Refused, Unavailable
from vtn.performance.baselines import EvaluatedTime
from vtn.performance.calendar import Calendar
from vtn.performance.evaluation import Evaluation
from vtn.performance.event_days import LONGEST_EVENT, event_days
from vtn.performance.from_reports import Meter, meters_of
from vtn.performance.kept import participant_row, sums_of
from vtn.performance.methods import Method, parsed
from vtn.performance.needed import (
    Gridding,
    MsSpan,
    NeededReadings,
    StoredReading,
    as_instant,
    needed_of_event,
)
from vtn.performance.profile import EnergySeries, check_step, steps_of
from vtn.performance.result import RequestedPower
from vtn.store.facts.planned import PlannedEvent
from vtn.store.facts.tables import BASELINE, DRAWN
from vtn.store.performance.inputs import AskedPower, KnownMeter, PerformanceInputs
from vtn.store.performance.results import EvaluationRemoved, PerformanceStore
from vtn.store.stamps import stamp

_log = structlog.get_logger(__name__)

_MOST_WAITING: Final = 8
_VENS_AT_ONCE: Final = 50
_MOST_METERS_AT_ONCE: Final = 200
_READ_WITHIN_S: Final = 30.0
_LOOK_S: Final = 0.25
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


class Evaluations:
    """Takes orders for evaluations and carries them out, one at a time in each server."""

    def __init__(self, inputs: PerformanceInputs, results: PerformanceStore, now: Callable[[], datetime]) -> None:
        self._inputs = inputs
        self._results = results
        self._now = now
        self._waiting: asyncio.Queue[tuple[str, AskedEvaluation, str]] = asyncio.Queue(_MOST_WAITING)

    async def ask(self, request: EvaluationRequest, *, by: str) -> str:
        """Have an event evaluated, and return the id of its result.

        Raises Invalid, naming the member, for an event that is not over or a question that makes no sense, and
        Overloaded while as many wait as may.
        """
        asked = await self._checked(request)
        if self._waiting.full():
            raise Overloaded(f"{_MOST_WAITING} evaluations wait already: ask again later")
        event, time = asked.planned.event, asked.time
        id_ = await self._results.ask(
            {
                "event_id": event.id,
                "event_name": event.event_name,
                "program_id": event.program_id,
                "starts_at": stamp(time.start),
                "ends_at": stamp(time.end),
                "method": asked.method.name,
                "step_s": request.step_s,
                "zone": request.zone,
                "holidays": msgspec.json.encode(sorted(set(request.holidays))).decode(),
                "circuits": request.circuits,
            },
            by=by,
        )
        try:
            self._waiting.put_nowait((id_, asked, by))
        except asyncio.QueueFull:
            await self._results.remove(id_)
            raise Overloaded(f"{_MOST_WAITING} evaluations wait already: ask again later") from None
        return id_

    async def run(self) -> None:
        """Evaluate what was asked for, until cancelled."""
        while True:
            id_, asked, by = await self._waiting.get()
            try:
                await self._evaluate(id_, asked, by)
            except EvaluationRemoved:
                _log.info("an evaluation ended: its result was removed", result=id_)
            except (ValueError, Refused) as error:
                await self._fail(id_, str(error))
            except Exception:  # one evaluation that fails ends no other
                _log.exception("an event could not be evaluated", result=id_)
                await self._fail(id_, "it could not be evaluated; the server's log says why")

    async def _fail(self, id_: str, trouble: str) -> None:
        with suppress(Unavailable):  # then it is told as one whose server is gone
            await self._results.fail(id_, trouble)

    async def _evaluate(self, id_: str, asked: AskedEvaluation, by: str) -> None:
        await self._until_read()  # before it is asked who was reached: reports say it of who sees the event no more
        reached = await self._inputs.reached(asked.planned)
        await self._results.begin(id_, len(reached))
        part = _Parts(self._inputs, asked, await self._event_days(asked))
        done = 0
        async for vens, rows in part.each(reached):
            done += vens
            await self._results.add(id_, [{"result_id": id_, **row} for row in rows], vens_done=done)
        sums = sums_of(part.evaluation.fleet(), asked.step)
        written = msgspec.json.encode(sums).decode()
        frozen_by = by if asked.request.freeze else None
        inputs = part.evaluation.inputs
        await self._results.finish(id_, inputs_sha256=inputs, sums=written, frozen_by=frozen_by)

    async def _until_read(self) -> None:
        """Wait for what the reports say that are there; raises ValueError if that is not known in time."""
        last, waited_s = await self._inputs.last_report(), 0.0
        while last and (unread := await self._inputs.unread_reports(last)):
            if waited_s >= _READ_WITHIN_S:
                raise ValueError(
                    f"{unread} reports are not read into the tables yet: ask again later; if that does not help, no "
                    "server of this database reads them ([facts] read)"
                )
            await asyncio.sleep(_LOOK_S)
            waited_s += _LOOK_S

    async def _checked(self, request: EvaluationRequest) -> AskedEvaluation:
        try:
            method = parsed(request.method)
        except ValueError as error:
            raise Invalid("method", str(error)) from None
        step = timedelta(seconds=request.step_s)
        try:
            check_step(step)
        except ValueError as error:
            raise Invalid("stepS", str(error)) from None
        try:
            zone = ZoneInfo(request.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Invalid("zone", "expected the name of a time zone, such as Europe/Berlin or UTC") from None
        try:
            planned = await self._inputs.event(request.event_id)
        except NotFound:
            raise Invalid("eventID", "there is no such event") from None
        timeline = planned.timeline
        if timeline.cancelled:
            raise Invalid("eventID", "the event was cancelled: there is nothing to evaluate")
        if timeline.end is None or not timedelta() < timeline.end - timeline.start <= LONGEST_EVENT:
            raise Invalid("eventID", "expected an event that has an end, and lasts 31 days at most")
        if timeline.end > self._now():
            raise Invalid("eventID", f"expected an event that is over: this one ends at {stamp(timeline.end)}")
        time = EvaluatedTime(timeline.start, timeline.end)
        return AskedEvaluation(request, planned, time, method, step, Calendar(zone, frozenset(request.holidays)))

    async def _event_days(self, asked: AskedEvaluation) -> frozenset[date]:
        """Return the days on which other events of the program asked for something."""
        rule = asked.method.days
        if rule is None or not rule.skip_event_days:
            return frozenset()
        first = asked.time.start - timedelta(days=rule.look_back_days + 1)
        found: set[date] = set()
        for start, end in await self._inputs.other_times(asked.planned.event, ending_after=stamp(first)):
            found.update(event_days(start, end, asked.calendar))
        return frozenset(found)


@dataclass(slots=True)
class _Found:
    """Hold what was read of the meters of a part: the readings, and the series that were made of them."""

    readings: dict[int, list[StoredReading]] = field(default_factory=lambda: defaultdict(list))
    series: dict[int, EnergySeries] = field(default_factory=dict)
    too_many: set[int] = field(default_factory=set)
    """Hold the meters with more readings than are looked at."""


class _Parts:
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
    return RequestedPower(as_instant(one.starts_at_ms), as_instant(one.ends_at_ms), Decimal(repr(one.requested_kw)))


def _batches(names: Mapping[str, str], size: int) -> Iterator[dict[str, str]]:
    every = list(names.items())
    for start in range(0, len(every), size):
        yield dict(every[start : start + size])
