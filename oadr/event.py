"""``oadr event``: issue events and see what became of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oadr.business_logic import BusinessLogic, act, with_connection
from oadr.output import JsonOption, plain, show_json, show_one, show_rows, wants_json
from oadr.quantities import length, moment, power_kw
from openadr_profiles.v31 import (
    NOW,
    ZERO,
    Duration,
    Event,
    EventPayloadDescriptor,
    EventPayloadType,
    EventRequest,
    Interval,
    IntervalPeriod,
    Program,
    ProgramRequest,
    ReadingType,
    ReportDescriptor,
    ReportPayloadType,
    Start,
    Unit,
    Value,
    ValuesMap,
)
from openadr_profiles.v31.timeline import Timeline

if TYPE_CHECKING:
    from oadr.status import EventStatus
    from ven.client import VtnClient

app = typer.Typer(add_completion=False, help="Issue events, list them, see what became of them.", no_args_is_help=True)

_DEFAULT_PROGRAM = "demand-response"


def _moment(text: str) -> datetime:
    return moment(text, now=datetime.now(UTC))


@app.command()
@with_connection
def create(
    *,
    shed: Annotated[
        list[Decimal] | None,
        typer.Option(
            parser=power_kw, metavar="POWER", help="Shed 5kW. Repeat for consecutive intervals of equal length."
        ),
    ] = None,
    limit: Annotated[
        list[Decimal] | None,
        typer.Option(parser=power_kw, metavar="POWER", help="Draw no more than 3kW. Repeatable like --shed."),
    ] = None,
    level: Annotated[
        list[int] | None, typer.Option(min=0, max=3, help="SIMPLE level, 0 is normal. Repeatable like --shed.")
    ] = None,
    start: Annotated[
        datetime,
        typer.Option(parser=_moment, metavar="WHEN", help="now, +1m, or an instant such as 2026-01-31T16:00:00Z."),
    ] = "now",  # type: ignore[assignment] # defaults pass through the parser
    for_: Annotated[
        timedelta, typer.Option("--for", parser=length, metavar="TIME", help="The whole event, as 1h, 90m, 45s.")
    ] = "1h",  # type: ignore[assignment] # see above
    target: Annotated[
        list[str] | None, typer.Option(help="Who it is for, as group:north. Repeatable; none: all.")
    ] = None,
    program: Annotated[
        str, typer.Option(help="Name of the program it belongs to; made if it does not exist.")
    ] = _DEFAULT_PROGRAM,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    priority: Annotated[int | None, typer.Option(min=0, help="0 is the highest; none is the lowest.")] = None,
    report: Annotated[bool, typer.Option(help="Ask VENs for energy, power and baseline per circuit.")] = True,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Issue an event: give exactly one of --shed, --limit and --level."""
    payload_type, values = _asked(shed or (), limit or (), level or ())

    async def issue(client: VtnClient) -> Event:
        owner = await program_named(client, program)
        request = reduction_event(
            owner.id,
            payload_type,
            values,
            start=start,
            length=for_,
            targets=target or (),
            name=name,
            priority=priority,
            report=report,
        )
        return await client.events.create(request)

    event = act(settings, issue)
    show_one(_row(event, datetime.now(UTC)), _COLUMNS, as_json=as_json, title="Issued")


@app.command(name="list")
@with_connection
def list_(
    *,
    active: Annotated[bool, typer.Option("--active", help="Leave out events that are over.")] = False,
    target: Annotated[list[str] | None, typer.Option(help="Only events with one of these targets. Repeatable.")] = None,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List events, newest first."""
    events = act(settings, lambda client: client.events.search(targets=target or (), active=active or None))
    now = datetime.now(UTC)
    show_rows([_row(event, now) for event in events], _COLUMNS, as_json=as_json, title="Events", empty="no events")


@app.command()
@with_connection
def get(
    event_id: Annotated[str, typer.Argument(help="Id of the event.")],
    *,
    settings: BusinessLogic,
) -> None:
    """Print one event as the VTN holds it (always JSON)."""
    show_json(plain(act(settings, lambda client: client.events.get(event_id))))


@app.command()
@with_connection
def cancel(
    event_id: Annotated[str, typer.Argument(help="Id of the event.")],
    *,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Call an event off: VENs and panels return to normal; the event and its reports stay on record."""

    async def call_off(client: VtnClient) -> Event:
        return await client.events.replace(event_id, cancelled(await client.events.get(event_id)))

    event = act(settings, call_off)
    show_one(_row(event, datetime.now(UTC)), _COLUMNS, as_json=as_json, title="Cancelled")


@app.command()
@with_connection
def delete(
    event_id: Annotated[str, typer.Argument(help="Id of the event.")],
    *,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Remove an event and its reports; VENs and panels return to normal."""
    event = act(settings, lambda client: client.events.delete(event_id))
    show_one(_row(event, datetime.now(UTC)), _COLUMNS, as_json=as_json, title="Deleted")


@app.command()
@with_connection
def status(
    event_id: Annotated[str, typer.Argument(help="Id of the event.")],
    *,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Show who was targeted, reached, in or out and why, and requested against delivered kW per circuit."""
    found = act(settings, lambda client: read_status(client, event_id, at=datetime.now(UTC)))
    if wants_json(as_json):
        show_json(found.as_json())
    else:
        from rich.console import Console

        from oadr.status_view import status_tables

        Console().print(*status_tables(found), sep="\n")


async def read_status(client: VtnClient, event_id: str, *, at: datetime) -> EventStatus:
    """What became of an event, read from the VTN's objects."""
    from oadr.status import event_status

    event = await client.events.get(event_id)
    vens = await client.vens.search()
    resources = await client.resources.search()
    reports = await client.reports.search(event_id=event_id)
    return event_status(event, vens, resources, reports, at=at)


async def program_named(client: VtnClient, name: str) -> Program:
    """The program of that name; made if there is none."""
    from ven.errors import Conflict

    found = await client.programs.search(program_name=name)
    if found:
        return found[0]
    try:
        return await client.programs.create(ProgramRequest(program_name=name))
    except Conflict:  # somebody else was quicker
        return (await client.programs.search(program_name=name))[0]


def reduction_event(
    program_id: str,
    payload_type: EventPayloadType,
    values: Sequence[Value],
    *,
    start: datetime,
    length: timedelta,
    targets: Sequence[str] = (),
    name: str | None = None,
    priority: int | None = None,
    report: bool = True,
) -> EventRequest:
    """An event of consecutive intervals of equal length, one per value.

    A shed is a negative DISPATCH_SETPOINT_RELATIVE in kW. With ``report``, every VEN is asked for USAGE, DEMAND and
    BASELINE per circuit at the end.
    """
    each = Duration.of(length / len(values))
    in_kw = payload_type is not EventPayloadType.SIMPLE
    return EventRequest(
        program_id=program_id,
        event_name=name,
        priority=priority,
        targets=tuple(targets) or None,
        interval_period=IntervalPeriod(start=Start.of(start), duration=each),
        payload_descriptors=(EventPayloadDescriptor(payload_type=payload_type, units=Unit.KW),) if in_kw else None,
        report_descriptors=_REPORTS if report else None,
        intervals=tuple(
            Interval(id=index, payloads=(ValuesMap(type=payload_type, values=(value,)),))
            for index, value in enumerate(values)
        ),
    )


def cancelled(event: Event) -> EventRequest:
    """The event called off as the standard does it: no length, at the beginning of time (EVT-019, PAGE-030)."""
    return EventRequest(
        program_id=event.program_id,
        event_name=event.event_name,
        priority=event.priority,
        targets=event.targets,
        payload_descriptors=event.payload_descriptors,
        interval_period=IntervalPeriod(start=NOW, duration=ZERO),
        intervals=tuple(Interval(id=interval.id, payloads=interval.payloads) for interval in event.intervals or ()),
    )


_REPORTS = (
    ReportDescriptor(payload_type=ReportPayloadType.USAGE, reading_type=ReadingType.SUMMED, units=Unit.KWH),
    ReportDescriptor(payload_type=ReportPayloadType.DEMAND, reading_type=ReadingType.MEAN, units=Unit.KW),
    ReportDescriptor(payload_type=ReportPayloadType.BASELINE, reading_type=ReadingType.ESTIMATED, units=Unit.KW),
)

_COLUMNS = {
    "id": "Event",
    "state": "State",
    "start": "Start",
    "asks": "Asks for",
    "targets": "Targets",
}


def _row(event: Event, now: datetime) -> dict[str, Any]:
    from oadr.status import state_of

    timeline = Timeline.of(event, anchor=event.modification_date_time)
    return {
        **plain(event),
        "state": state_of(timeline, now),
        "start": _time(timeline.start),
        "end": _time(timeline.end) if timeline.end else "open",
        "asks": [_words(payload) for interval in event.intervals or () for payload in interval.payloads],
    }


def _words(payload: ValuesMap) -> str:
    values = ", ".join(str(value) for value in payload.values)
    if payload.type == EventPayloadType.DISPATCH_SETPOINT_RELATIVE:
        return f"change by {values}"
    return f"{payload.type.lower().replace('_', ' ')} {values}"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _asked(
    shed: Sequence[Decimal], limit: Sequence[Decimal], level: Sequence[int]
) -> tuple[EventPayloadType, list[Value]]:
    if sum(map(bool, (shed, limit, level))) != 1:
        raise typer.BadParameter("give exactly one of --shed, --limit and --level")
    if shed:
        return EventPayloadType.DISPATCH_SETPOINT_RELATIVE, [-float(kw) for kw in shed]
    if limit:
        return EventPayloadType.IMPORT_CAPACITY_LIMIT, [float(kw) for kw in limit]
    return EventPayloadType.SIMPLE, list(level)
