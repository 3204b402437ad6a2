"""Evaluate an event, freeze its result, and list results: our VTN does the work, of others the reports are read."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.commands.perf.from_reports import evaluated_here
from oadr.commands.perf.options import (
    CircuitsOption,
    CsvOption,
    EventArgument,
    HolidayOption,
    MethodOption,
    Question,
    StepOption,
    ZoneOption,
    finished,
    question,
)
from oadr.commands.perf.showing import Evaluated, show_differences, show_evaluated, show_results
from oadr.errors import Exit, Failure
from oadr.events.fleet import find_event
from oadr.terminal.output import AllOption, JsonOption, show_rows
from openadr_profiles.performance import EvaluationRequest, ParticipantPerformance, PerformanceResult, PerformanceSums
from openadr_profiles.v31 import Event

if TYPE_CHECKING:
    from openadr_client import VtnClient
    from openadr_profiles.performance import PerformanceDifference

_METHODS: Final = {"name": "Method", "text": "What it takes"}
_UNDER_WAY: Final = frozenset({"WAITING", "EVALUATING"})
_EVERY_S: Final = 0.5
_NOT_OFFERED: Final = "this VTN keeps no results; `oadr perf event` works them out from its reports"


def methods(*, as_json: JsonOption = False) -> None:
    """List the ways to tell what would have been drawn without an event."""
    from vtn.performance.methods import METHODS

    rows = [{"name": method.name, "text": method.text} for method in METHODS.values()]
    rows.append({"name": "X-of-Y[+add|+mul]", "text": "as high-3-of-5+add:20%:up; also low-, mid- and newest-"})
    show_rows(rows, _METHODS, as_json=as_json, title="Methods", empty="no methods")


@with_connection
def event(
    event_id: EventArgument,
    *,
    method: MethodOption = "10-of-10",
    step: StepOption = "15m",  # type: ignore[assignment] # defaults pass through the parser
    zone: ZoneOption = "UTC",  # type: ignore[assignment] # defaults pass through the parser
    holiday: HolidayOption = None,
    circuits: CircuitsOption = False,
    as_csv: CsvOption = False,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Say what an event delivered, by participant: from the USAGE and DEMAND that VENs have reported.

    Exits with 7 if nothing can be said about anybody. What is not known is no 0: it is left empty.
    """
    asked = question(method, step, zone, holiday, circuits=circuits)
    found = act(settings, lambda client: _evaluated(client, event_id, asked))
    _show(found, as_csv=as_csv, as_json=as_json, everything=everything)


@with_connection
def freeze(
    event_id: EventArgument,
    *,
    method: MethodOption = "10-of-10",
    step: StepOption = "15m",  # type: ignore[assignment] # defaults pass through the parser
    zone: ZoneOption = "UTC",  # type: ignore[assignment] # defaults pass through the parser
    holiday: HolidayOption = None,
    circuits: CircuitsOption = False,
    as_csv: CsvOption = False,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Evaluate an event and keep the result for good: with the hash of its inputs, who froze it and when.

    Later corrections change nothing of it: `oadr perf results RESULT --now` shows what it would be now.
    """
    asked = question(method, step, zone, holiday, circuits=circuits)
    found = act(settings, lambda client: _frozen(client, event_id, asked))
    _show(found, as_csv=as_csv, as_json=as_json, everything=everything)


@with_connection
def results(
    result_id: Annotated[
        str | None, typer.Argument(metavar="[RESULT]", help="Id of a result, or a unique beginning of it.")
    ] = None,
    *,
    event_id: Annotated[str | None, typer.Option("--event", help="Only results of this event.")] = None,
    now: Annotated[bool, typer.Option("--now", help="Say of whom it would now be different.")] = False,
    as_csv: CsvOption = False,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List results, or show one: what was frozen, by whom and when, and what it would be now."""
    if result_id is None:
        if now or as_csv:
            raise Failure("--now and --csv are about one result: name it", Exit.USAGE)
        show_results(act(settings, lambda client: _listed(client, event_id)), as_json=as_json, everything=everything)
    elif now:
        was, is_now, differences = act(settings, lambda client: _compared(client, result_id))
        show_differences(was, is_now, differences, as_json=as_json)
    else:
        found = act(settings, lambda client: _kept(client, result_id))
        _show(found, as_csv=as_csv, as_json=as_json, everything=everything)


def _show(found: Evaluated, *, as_csv: bool, as_json: bool, everything: bool) -> None:
    show_evaluated(found, as_csv=as_csv, as_json=as_json, everything=everything)
    if not found.sums.participants_known:
        raise Failure("nothing is known of anybody: see the notes, or try another --method", Exit.CHECK_FAILED)


async def _evaluated(client: VtnClient, event_id: str, asked: Question) -> Evaluated:
    its_event = await _finished(client, event_id)
    started = await client.performance.evaluate(asked.request(its_event.id))
    if started is None:
        return await evaluated_here(client, its_event, asked)
    try:
        return await _whole(client, await _done(client, started))
    finally:
        await _drop(client, started)


async def _frozen(client: VtnClient, event_id: str, asked: Question) -> Evaluated:
    its_event = await _finished(client, event_id)
    started = await client.performance.evaluate(asked.request(its_event.id, freeze=True))
    if started is None:
        raise Failure(_NOT_OFFERED, Exit.REFUSED)
    return await _whole(client, await _done(client, started))


async def _finished(client: VtnClient, event_id: str) -> Event:
    its_event = await find_event(client, event_id)
    finished(its_event)
    return its_event


async def _listed(client: VtnClient, event_id: str | None) -> list[PerformanceResult]:
    found = await client.performance.search(event_id=event_id)
    if found is None:
        raise Failure(_NOT_OFFERED, Exit.REFUSED)
    return found


async def _kept(client: VtnClient, text: str) -> Evaluated:
    return await _whole(client, await _find(client, text))


async def _compared(
    client: VtnClient, text: str
) -> tuple[PerformanceResult, PerformanceResult, list[PerformanceDifference]]:
    """Evaluate again what a result was made of, as it is now, and return the differences."""
    was = await _find(client, text)
    request = EvaluationRequest(
        event_id=was.event_id,
        method=was.method,
        step_s=was.step_s,
        zone=was.zone,
        holidays=was.holidays,
        circuits=was.circuits,
    )
    started = await client.performance.evaluate(request)
    if started is None:
        raise Failure(_NOT_OFFERED, Exit.REFUSED)
    try:
        now = await _done(client, started)
        return was, now, await client.performance.differences(was.id, now.id)
    finally:
        await _drop(client, started)


async def _find(client: VtnClient, text: str) -> PerformanceResult:
    found = [each for each in await _listed(client, None) if each.id.startswith(text)]
    exact = [each for each in found if each.id == text]
    if len(exact or found) != 1:
        what = "several results begin" if found else "no result begins"
        raise Failure(f"{what} with {text[:80]!r}; `oadr perf results` lists them", Exit.USAGE)
    result = await client.performance.get((exact or found)[0].id)
    if not isinstance(result.sums, PerformanceSums):
        raise Failure(f"the result is {result.state}{f': {result.trouble}' if result.trouble else ''}", Exit.REFUSED)
    return result


async def _done(client: VtnClient, started: PerformanceResult) -> PerformanceResult:
    """Wait until a result is there; raises Failure for one that cannot be made."""
    result = started
    while result.state in _UNDER_WAY:
        await asyncio.sleep(_EVERY_S)
        result = await client.performance.get(started.id)
    if result.state == "FAILED":
        raise Failure(f"the event could not be evaluated: {result.trouble}", Exit.REFUSED)
    return result


async def _drop(client: VtnClient, draft: PerformanceResult) -> None:
    """Remove a draft that nobody looks at any more; the VTN removes what stays, after a day."""
    from openadr_client.errors import ClientError

    with suppress(ClientError):
        await client.performance.remove(draft.id)


async def _whole(client: VtnClient, result: PerformanceResult) -> Evaluated:
    if not isinstance(result.sums, PerformanceSums) or result.inputs_sha256 is None:
        raise Failure(f"the result is {result.state}", Exit.REFUSED)
    participants: list[ParticipantPerformance] = []
    async for page in client.performance.participants(result.id):
        participants += page
    return Evaluated(
        event_id=result.event_id,
        event_name=result.event_name,
        start=result.start,
        end=result.end,
        method=result.method,
        step=timedelta(seconds=result.step_s),
        inputs_sha256=result.inputs_sha256,
        sums=result.sums,
        participants=participants,
        result=result,
    )
