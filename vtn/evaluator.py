"""Check what is asked of an evaluation, and carry it out; loaded with the first that is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import structlog

from openadr_profiles.performance import EvaluationRequest
from openadr_profiles.v31 import Invalid
from vtn.errors import NotFound, Refused, Unavailable
from vtn.evaluated_parts import AskedEvaluation, EvaluatedParts
from vtn.performance.baselines import EvaluatedTime
from vtn.performance.calendar import Calendar
from vtn.performance.event_days import LONGEST_EVENT, event_days
from vtn.performance.kept import sums_of
from vtn.performance.methods import parsed
from vtn.performance.profile import check_step
from vtn.store.performance.inputs import PerformanceInputs
from vtn.store.performance.results import EvaluationRemoved, PerformanceStore
from vtn.store.stamps import stamp

_log = structlog.get_logger(__name__)

_READ_WITHIN_S: Final = 30.0
_LOOK_S: Final = 0.25


class Evaluator:
    """Checks and carries out evaluations. ``now`` gives aware instants."""

    def __init__(self, inputs: PerformanceInputs, results: PerformanceStore, now: Callable[[], datetime]) -> None:
        self._inputs = inputs
        self._results = results
        self._now = now

    async def begin(self, asked: AskedEvaluation, *, by: str) -> str:
        """Store that an evaluation is asked for, and return the id of its result."""
        request, event, time = asked.request, asked.planned.event, asked.time
        return await self._results.ask(
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

    async def forget(self, id_: str) -> None:
        """Remove a result that will not be evaluated."""
        await self._results.remove(id_)

    async def evaluate(self, id_: str, asked: AskedEvaluation, by: str) -> None:
        """Evaluate what was asked for; what keeps it from that is kept with the result, and ends no other."""
        try:
            await self._evaluate(id_, asked, by)
        except EvaluationRemoved:
            _log.info("an evaluation ended: its result was removed", result=id_)
        except (ValueError, Refused) as error:
            await self._fail(id_, str(error))
        except Exception:  # one evaluation that fails ends no other
            _log.exception("an event could not be evaluated", result=id_)
            await self._fail(id_, "it could not be evaluated; the server's log says why")

    async def checked(self, request: EvaluationRequest) -> AskedEvaluation:
        """Return what is to be evaluated; raises Invalid, naming the member."""
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

    async def _fail(self, id_: str, trouble: str) -> None:
        with suppress(Unavailable):  # then it is told as one whose server is gone
            await self._results.fail(id_, trouble)

    async def _evaluate(self, id_: str, asked: AskedEvaluation, by: str) -> None:
        await self._until_read()  # before it is asked who was reached: reports say it of who sees the event no more
        reached = await self._inputs.reached(asked.planned)
        await self._results.begin(id_, len(reached))
        part = EvaluatedParts(self._inputs, asked, await self._event_days(asked))
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
