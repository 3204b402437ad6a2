"""Evaluate an event here, from the reports of its program, where the VTN is none of ours and keeps no results."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING

from oadr.commands.perf.options import Question, finished
from oadr.commands.perf.showing import Evaluated
from oadr.errors import Exit, Failure
from openadr_profiles.fleet.recipients import reached
from openadr_profiles.v31 import AGGREGATED_REPORT, Event
from openadr_profiles.v31.timeline import Timeline

if TYPE_CHECKING:
    from openadr_client import VtnClient
    from vtn.performance.calendar import Calendar
    from vtn.performance.from_reports import Meter


async def evaluated_here(client: VtnClient, event: Event, asked: Question) -> Evaluated:
    """Return what an event delivered, by all reports of its program: for hundreds of participants."""
    from vtn.performance import from_reports
    from vtn.performance.baselines import EvaluatedTime
    from vtn.performance.evaluation import evaluate
    from vtn.performance.kept import participant_row, sums_of
    from vtn.performance.told import participant_of

    others, vens, resources, reports = await asyncio.gather(
        client.events.search(program_id=event.program_id),
        client.vens.search(),
        client.resources.search(),
        client.reports.search(program_id=event.program_id),
    )
    timeline = finished(event)
    assert timeline.end is not None  # noqa: S101 # of one that is finished
    reported = from_reports.read(reports, event_id=event.id)
    names = {ven.client_id: ven.ven_name for ven in reached(event.targets, vens, resources)}
    of_the_event = names.keys() | {client_id for client_id, _ in reported.asked}
    metered = {meter for meter in (*reported.readings, *reported.baselines) if meter[0] in of_the_event}
    silent = {(client_id, AGGREGATED_REPORT) for client_id in of_the_event - {client_id for client_id, _ in metered}}
    meters = from_reports.meters_of(metered | silent, circuits=asked.circuits)
    days = frozenset(_days_of((each for each in others if each.id != event.id), asked.calendar))

    def name(meter: Meter) -> str:
        client_id, resource = meter
        ven = names.get(client_id, client_id)
        return ven if resource == AGGREGATED_REPORT else f"{ven} {resource}"

    try:
        found = evaluate(
            EvaluatedTime(timeline.start, timeline.end),
            reported,
            meters,
            asked.method,
            step=asked.step,
            calendar=asked.calendar,
            event_days=days,
            name=name,
        )
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from None
    participants = []
    for position, (meter, one) in enumerate(zip(meters, found.participants, strict=True)):
        row = participant_row(one) | {"position": position, "client_id": meter[0], "resource": meter[1]}
        participants.append(participant_of(row, found.start.isoformat(), asked.step))
    return Evaluated(
        event_id=event.id,
        event_name=event.event_name,
        start=found.start,
        end=found.end,
        method=found.method,
        step=asked.step,
        inputs_sha256=found.inputs,
        sums=sums_of(found.fleet, asked.step),
        participants=participants,
    )


def _days_of(events: Iterable[Event], calendar: Calendar) -> Iterator[date]:
    """Yield the days on which other events of the program asked for something, and were not called off."""
    from vtn.performance.event_days import event_days

    for other in events:
        timeline = Timeline.of(other, anchor=other.modification_date_time)
        asks = any(interval.payloads for interval in other.intervals or ())
        if asks and not timeline.cancelled:
            yield from event_days(timeline.start, timeline.end, calendar)
