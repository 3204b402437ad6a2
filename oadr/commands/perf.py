"""``oadr perf``: what an event delivered, by readings of meters and a baseline."""

from __future__ import annotations

import asyncio
import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.errors import Exit, Failure
from oadr.events.fleet import find_event
from oadr.terminal.options import examples, parsed_by
from oadr.terminal.output import AllOption, JsonOption, show_json, show_rows, wants_json
from oadr.terminal.text import visible
from openadr_profiles.fleet.quantities import length
from openadr_profiles.fleet.recipients import reached
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.v31 import AGGREGATED_REPORT, Event, Report, Ven
from openadr_profiles.v31.timeline import Timeline

if TYPE_CHECKING:
    from openadr_client import VtnClient
    from vtn.performance.evaluation import EventResult
    from vtn.performance.fleet import FleetStep
    from vtn.performance.from_reports import Meter
    from vtn.performance.result import ParticipantResult, StepResult

app = typer.Typer(
    add_completion=False,
    help="Say what an event delivered: baseline less meter, beside what was asked.",
    no_args_is_help=True,
    epilog=examples("perf methods", "perf event 3f2a --method high-5-of-10 --step 15m"),
)

_LONGEST_EVENT: Final = timedelta(days=31)
_METHODS: Final = {"name": "Method", "text": "What it takes"}
_ROWS: Final = {
    "participant": "Participant",
    "requestedKwh": "Requested kWh",
    "deliveredKwh": "Delivered kWh",
    "shortfallKwh": "Short kWh",
    "performance": "Factor",
    "gaps": "Gaps",
    "notes": "Notes",
}
_CSV: Final = (
    "event_id",
    "participant",
    "start",
    "end",
    "requested_kwh",
    "baseline_kwh",
    "metered_kwh",
    "delivered_kwh",
    "shortfall_kwh",
    "delivered_kw",
    "estimated",
    "method",
    "inputs_sha256",
)


def _zone(text: str) -> tzinfo:
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text[:80]!r}: expected a zone such as Europe/Berlin or UTC") from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r}: expected a day such as 2026-12-25") from None


@app.command(epilog=examples("perf methods", "perf methods --json"))
def methods(*, as_json: JsonOption = False) -> None:
    """List the ways to tell what would have been drawn without an event."""
    from vtn.performance.methods import METHODS

    rows = [{"name": method.name, "text": method.text} for method in METHODS.values()]
    rows.append({"name": "X-of-Y[+add|+mul]", "text": "as high-3-of-5+add:20%:up; also low-, mid- and newest-"})
    show_rows(rows, _METHODS, as_json=as_json, title="Methods", empty="no methods")


@app.command(epilog=examples("perf event 3f2a", "perf event 3f2a --method high-4-of-5 --csv > settled.csv"))
@with_connection
def event(
    event_id: Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")],
    *,
    method: Annotated[str, typer.Option(help="A method of `oadr perf methods`.")] = "10-of-10",
    step: Annotated[
        timedelta, typer.Option(parser=parsed_by(length), metavar="TIME", help="Length of a step; it divides a day.")
    ] = "15m",  # type: ignore[assignment] # defaults pass through the parser
    zone: Annotated[
        tzinfo, typer.Option(parser=parsed_by(_zone), metavar="ZONE", help="The zone whose days are compared.")
    ] = "UTC",  # type: ignore[assignment]
    holiday: Annotated[
        list[date] | None,
        typer.Option(parser=parsed_by(_day), metavar="DAY", help="A day that counts as a Sunday. Repeatable."),
    ] = None,
    circuits: Annotated[bool, typer.Option("--circuits", help="Each resource by itself instead of each VEN.")] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A line for each participant and step, for settlement.")
    ] = False,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Say what an event delivered, by participant: from the USAGE and DEMAND that VENs have reported.

    Exits with 7 if nothing can be said about anybody. What is not known is no 0: it is left empty.
    """
    from vtn.performance.calendar import Calendar
    from vtn.performance.methods import parsed
    from vtn.performance.profile import check_step

    try:
        how = parsed(method)
        check_step(step)
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from None
    read = act(settings, lambda client: _read(client, event_id))
    found = _evaluated(read, how, step, Calendar(zone, frozenset(holiday or ())), circuits=circuits)
    if as_csv:
        _write_csv(read.event.id, found)
    elif wants_json(as_json):
        show_json(_as_json(read.event, found))
    else:
        title = visible(
            f"Event {read.event.event_name or read.event.id}, {local_time(found.start)} to {local_time(found.end)}, "
            f"baseline {found.method}"
        )
        show_rows(
            [_row(one) for one in found.participants],
            _ROWS,
            as_json=False,
            title=title,
            empty="the event reaches no VEN",
            everything=everything,
            least_needed=("gaps", "shortfallKwh"),
        )
    if not any(one.known for one in found.participants):
        raise Failure("nothing is known of anybody: see the notes, or try another --method", Exit.CHECK_FAILED)


@dataclass(frozen=True, slots=True)
class _Read:
    """Hold an event, the others of its program, the vens it reaches, and all reports of the program."""

    event: Event
    others: Sequence[Event]
    vens: Sequence[Ven]
    reports: Sequence[Report]


async def _read(client: VtnClient, event_id: str) -> _Read:
    event = await find_event(client, event_id)
    others, vens, resources, reports = await asyncio.gather(
        client.events.search(program_id=event.program_id),
        client.vens.search(),
        client.resources.search(),
        client.reports.search(program_id=event.program_id),
    )
    to = reached(event.targets, vens, resources)
    return _Read(event, [one for one in others if one.id != event.id], to, reports)


def _evaluated(read: _Read, method: Any, step: timedelta, calendar: Any, *, circuits: bool) -> EventResult:
    from vtn.performance import from_reports
    from vtn.performance.baselines import EvaluatedTime
    from vtn.performance.evaluation import evaluate

    timeline = Timeline.of(read.event, anchor=read.event.modification_date_time)
    if timeline.end is None or timeline.end - timeline.start > _LONGEST_EVENT:
        raise Failure("an event is evaluated that has an end, and lasts 31 days at most", Exit.USAGE)
    if timeline.end > datetime.now(UTC):
        raise Failure(f"the event is not over before {local_time(timeline.end)}", Exit.USAGE)
    reported = from_reports.read(read.reports, event_id=read.event.id)
    names = {ven.client_id: ven.ven_name for ven in read.vens}
    of_the_event = names.keys() | {client_id for client_id, _ in reported.asked}
    metered = {meter for meter in (*reported.readings, *reported.baselines) if meter[0] in of_the_event}
    silent = {(client_id, AGGREGATED_REPORT) for client_id in of_the_event - {client_id for client_id, _ in metered}}
    meters = from_reports.meters_of(metered | silent, circuits=circuits)
    days = frozenset(_days_of(read.others, calendar))

    def name(meter: Meter) -> str:
        client_id, resource = meter
        ven = names.get(client_id, client_id)
        return ven if resource == AGGREGATED_REPORT else f"{ven} {resource}"

    try:
        return evaluate(
            EvaluatedTime(timeline.start, timeline.end),
            reported,
            meters,
            method,
            step=step,
            calendar=calendar,
            event_days=days,
            name=name,
        )
    except ValueError as error:
        raise Failure(str(error), Exit.USAGE) from None


def _days_of(events: Iterable[Event], calendar: Any) -> Iterator[date]:
    """Yield the days on which other events of the program asked for something, and were not called off."""
    from vtn.performance.event_days import event_days

    for other in events:
        timeline = Timeline.of(other, anchor=other.modification_date_time)
        asks = any(interval.payloads for interval in other.intervals or ())
        if asks and not timeline.cancelled:
            yield from event_days(timeline.start, timeline.end, calendar)


def _row(one: ParticipantResult) -> dict[str, Any]:
    from vtn.performance.result import rounded

    return {
        "participant": one.name,
        "requestedKwh": rounded(one.requested_kwh),
        "deliveredKwh": rounded(one.delivered_kwh),
        "shortfallKwh": rounded(one.shortfall_kwh),
        "performance": rounded(one.performance),
        "gaps": one.gaps,
        "notes": list(one.notes),
    }


def _as_json(event: Event, found: EventResult) -> dict[str, Any]:
    return {
        "eventID": event.id,
        "eventName": event.event_name,
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "method": found.method,
        "stepS": int(found.step.total_seconds()),
        "inputsSha256": found.inputs,
        "curve": [_fleet_step(one, found.step) for one in found.fleet.curve],
        "participants": [
            _plain(_row(one))
            | {
                "baselineDays": [day.isoformat() for day in one.days],
                "adjustment": None if one.change is None else float(round(one.change, 6)),
                "steps": [_step(each, found.step) for each in one.steps],
            }
            for one in found.participants
        ],
    }


def _fleet_step(one: FleetStep, step: timedelta) -> dict[str, Any]:
    return _step(one.whole, step) | {"known": _step(one.known, step), "participantsKnown": one.participants_known}


def _step(one: StepResult, step: timedelta) -> dict[str, Any]:
    from vtn.performance.result import in_kw, rounded

    return _plain(
        {
            "start": one.start.isoformat().replace("+00:00", "Z"),
            "requestedKwh": rounded(one.requested_kwh),
            "baselineKwh": rounded(one.baseline_kwh),
            "meteredKwh": rounded(one.metered_kwh),
            "deliveredKwh": rounded(one.delivered_kwh),
            "shortfallKwh": rounded(one.shortfall_kwh),
            "deliveredKw": rounded(in_kw(one.delivered_kwh, step)),
            "estimated": one.estimated,
        }
    )


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: float(value) if isinstance(value, Decimal) else value for key, value in values.items()}


def _write_csv(event_id: str, found: EventResult) -> None:
    from vtn.performance.result import in_kw, rounded

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(_CSV)
    for one in found.participants:
        name = visible(one.name)
        for each in one.steps:
            quantities = (
                each.requested_kwh,
                each.baseline_kwh,
                each.metered_kwh,
                each.delivered_kwh,
                each.shortfall_kwh,
                in_kw(each.delivered_kwh, found.step),
            )
            writer.writerow(
                (
                    event_id,
                    f"'{name}" if name[:1] in {"=", "+", "-", "@"} else name,
                    each.start.isoformat(),
                    (each.start + found.step).isoformat(),
                    *("" if value is None else rounded(value) for value in quantities),
                    "yes" if each.estimated else "no",
                    found.method,
                    found.inputs,
                )
            )
