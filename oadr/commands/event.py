"""``oadr event``: issue events and see what became of them. Its rules are in ``openadr_profiles.fleet``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from oadr.commands.business_logic import BusinessLogic, act, contacts_of, with_connection
from oadr.commands.lookup import find, resources_of
from oadr.commands.options import examples, parsed_by
from oadr.errors import Exit, Failure
from oadr.terminal.output import AllOption, JsonOption, plain, show_json, show_one, show_rows, wants_json
from oadr.terminal.quantities import length, moment, power_kw
from oadr.terminal.text import visible
from openadr_profiles.contact import Contact
from openadr_profiles.fleet.cancellation import PLANNED_PERIOD, cancelled, planned
from openadr_profiles.fleet.division import Basis, share_out
from openadr_profiles.fleet.preview import Preview, Safety, examine
from openadr_profiles.fleet.recipients import Recipient, recipients
from openadr_profiles.fleet.wording import kw_text, local_time
from openadr_profiles.v31 import (
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
    Resource,
    Start,
    Unit,
    Value,
    ValuesMap,
    Ven,
)
from openadr_profiles.v31.timeline import Timeline

if TYPE_CHECKING:
    from openadr_client.client import VtnClient
    from openadr_profiles.fleet.status import EventStatus

app = typer.Typer(
    add_completion=False,
    help="Issue events, list them, see what became of them.",
    no_args_is_help=True,
    epilog=examples("event create --shed 5kW --for 1h --target group:north", "event status 3f2a --watch"),
)

_DEFAULT_PROGRAM = "demand-response"


def _moment(text: str) -> datetime:
    return moment(text, now=datetime.now(UTC))


ShedOption = Annotated[
    list[Decimal] | None,
    typer.Option(
        parser=parsed_by(power_kw),
        metavar="POWER",
        help="Every VEN reached sheds this much: 5kW, 500W, 0kW. Repeat for consecutive intervals of equal length.",
    ),
]
LimitOption = Annotated[
    list[Decimal] | None,
    typer.Option(
        parser=parsed_by(power_kw), metavar="POWER", help="Draw no more than 3kW; 0kW is none. Repeatable like --shed."
    ),
]
LevelOption = Annotated[
    list[int] | None, typer.Option(min=0, max=3, help="SIMPLE level, 0 is normal. Repeatable like --shed.")
]
FileOption = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", metavar="FILE", help="Event as JSON or YAML, or CSV of intervals; - is standard input."
    ),
]
TargetOption = Annotated[
    list[str] | None, typer.Option(help="Who it is for, as group:north or a ven's id. Repeatable; none: all.")
]
PriorityOption = Annotated[int | None, typer.Option(min=0, help="0 is the highest; none is the lowest.")]
YesOption = Annotated[
    bool,
    typer.Option("--yes", "-y", help="Do not ask; needed without a terminal for everybody or above confirm_above_kw."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show what would be issued, and issue nothing.")]
WHEN = "now, +1m, 18:00 or tomorrow 18:00 (local), or an instant such as 2026-01-31T16:00:00Z."


@app.command(
    epilog="Examples:  oadr event create --shed 5kW --start 18:00 --for 1h --target group:north  |  "
    "oadr event create --total 500kW --start +10m --for 30m --target group:south --dry-run"
)
@with_connection
def create(
    *,
    shed: ShedOption = None,
    total: Annotated[
        list[Decimal] | None,
        typer.Option(
            parser=parsed_by(power_kw),
            metavar="POWER",
            help="All VENs reached shed this much together, shared out (--share). Repeatable like --shed.",
        ),
    ] = None,
    limit: LimitOption = None,
    level: LevelOption = None,
    file: FileOption = None,
    share: Annotated[
        Basis,
        typer.Option(help="How --total is shared: by what each VEN says it can shed (equal if one has not), or equal."),
    ] = "capacity",
    start: Annotated[datetime, typer.Option(parser=parsed_by(_moment), metavar="WHEN", help=WHEN)] = "now",  # type: ignore[assignment] # defaults pass through the parser
    for_: Annotated[
        timedelta,
        typer.Option("--for", parser=parsed_by(length), metavar="TIME", help="The whole event, as 1h, 90m, 45s."),
    ] = "1h",  # type: ignore[assignment] # see above
    target: TargetOption = None,
    program: Annotated[
        str, typer.Option(help="Name of the program it belongs to; made if it does not exist.")
    ] = _DEFAULT_PROGRAM,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    priority: PriorityOption = None,
    report: Annotated[bool, typer.Option(help="Ask VENs for energy, power and baseline per circuit.")] = True,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Issue an event: give exactly one of --shed, --total, --limit, --level and --file.

    Shows first what will happen and asks when it goes to everybody or is large.
    """
    _exactly_one(shed, total, limit, level, file)

    async def issue(client: VtnClient) -> list[Event]:
        now = datetime.now(UTC)
        draft = _UNKNOWN_PROGRAM

        def request(values: Sequence[Value], type_: EventPayloadType, targets: Sequence[str]) -> EventRequest:
            return reduction_event(
                draft,
                type_,
                values,
                start=start,
                length=for_,
                targets=targets,
                name=name,
                priority=priority,
                report=report,
            )

        if file is not None:
            from oadr.events.files import read_event

            read = read_event(file, now=now, program_id=lambda: draft)
            members = {"event_name": name, "priority": priority, "targets": tuple(target) if target else None}
            read = msgspec.structs.replace(read, **{key: each for key, each in members.items() if each is not None})
            fleet = await _Fleet.read(client, read.targets or ())
            requests: list[tuple[EventRequest, Sequence[Recipient]]] = [(read, fleet.recipients(read.targets or ()))]
        elif total:
            fleet = await _Fleet.read(client, target or ())
            requests = _divided(total, share, target or (), fleet, request)
        else:
            type_, values = _asked(shed or (), limit or (), level or ())
            fleet = await _Fleet.read(client, target or ())
            requests = [(request(values, type_, target or ()), fleet.recipients(target or ()))]
        _agree(
            examine(requests, fleet.events, fleet.vens, fleet.resources, now=now, safety=_safety(settings)),
            yes,
            dry_run,
        )
        if dry_run:
            return [
                Event(id="", created_date_time=now, modification_date_time=now, **msgspec.structs.asdict(each))
                for each, _ in requests
            ]
        owner = await program_named(client, program) if any(each.program_id == draft for each, _ in requests) else None
        ready = [
            msgspec.structs.replace(each, program_id=owner.id) if owner and each.program_id == draft else each
            for each, _ in requests
        ]
        return await create_all(client, ready)

    events = act(settings, issue)
    now = datetime.now(UTC)
    rows = [_row(event, now) for event in events]
    title = "Would be issued" if dry_run else "Issued"
    if total:
        show_rows(rows, _COLUMNS, as_json=as_json, title=title, empty="")
    else:
        show_one(rows[0], _COLUMNS, as_json=as_json, title=title)


@app.command(epilog="Examples:  oadr event update 3f2a --for 2h  |  oadr event update 3f2a --shed 2kW --yes")
@with_connection
def update(
    event_id: Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")],
    *,
    shed: ShedOption = None,
    limit: LimitOption = None,
    level: LevelOption = None,
    file: FileOption = None,
    start: Annotated[datetime | None, typer.Option(parser=parsed_by(_moment), metavar="WHEN", help=WHEN)] = None,
    for_: Annotated[
        timedelta | None,
        typer.Option("--for", parser=parsed_by(length), metavar="TIME", help="The whole event, as 1h, 90m, 45s."),
    ] = None,
    target: TargetOption = None,
    name: Annotated[str | None, typer.Option(help="A name for people.")] = None,
    priority: PriorityOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Change an event: what is not given stays. The same limits and questions hold as for create."""
    given = [each for each in (shed, limit, level, file) if each]
    if len(given) > 1:
        raise typer.BadParameter("give at most one of --shed, --limit, --level and --file")
    if file is not None and (start is not None or for_ is not None):
        raise typer.BadParameter("--start and --for do not go with --file, which says when")

    async def change(client: VtnClient) -> Event:
        now = datetime.now(UTC)
        old = await _event(client, event_id)
        if file is not None:
            from oadr.events.files import read_event

            request = read_event(file, now=now, program_id=lambda: old.program_id)
        else:
            request = changed(old, _asked(shed or (), limit or (), level or ()) if given else None, start, for_)
        members = {"event_name": name, "priority": priority, "targets": tuple(target) if target else None}
        request = msgspec.structs.replace(request, **{key: each for key, each in members.items() if each is not None})
        fleet = await _Fleet.read(client, request.targets or ())
        others = [event for event in fleet.events if event.id != old.id]
        to = fleet.recipients(request.targets or ())
        _agree(
            examine([(request, to)], others, fleet.vens, fleet.resources, now=now, safety=_safety(settings)),
            yes,
            dry_run,
        )
        if dry_run:
            return Event(
                id=old.id,
                created_date_time=old.created_date_time,
                modification_date_time=now,
                **msgspec.structs.asdict(request),
            )
        return await client.events.replace(old.id, request)

    event = act(settings, change)
    title = "Would be changed" if dry_run else "Changed"
    show_one(_row(event, datetime.now(UTC)), _COLUMNS, as_json=as_json, title=title)


@app.command(name="list", epilog="Examples:  oadr event list --active  |  oadr event list --target group:north --json")
@with_connection
def list_(
    *,
    active: Annotated[bool, typer.Option("--active", help="Leave out events that are over.")] = False,
    target: Annotated[list[str] | None, typer.Option(help="Only events with one of these targets. Repeatable.")] = None,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List events, newest first."""

    async def read(client: VtnClient) -> tuple[list[Event], dict[str, str]]:
        events = await client.events.search(targets=target or (), active=active or None)
        programs = await client.programs.search() if events else []
        return events, {program.id: program.program_name for program in programs}

    events, programs = act(settings, read)
    now = datetime.now(UTC)
    rows = [_row(event, now) | {"programName": programs.get(event.program_id)} for event in events]
    show_rows(rows, _LIST_COLUMNS, as_json=as_json, title="Events", empty="no events", everything=everything)


@app.command(epilog="Examples:  oadr event get 3f2a  |  oadr event get 3f2a > event.json")
@with_connection
def get(
    event_id: Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")],
    *,
    settings: BusinessLogic,
) -> None:
    """Print one event as the VTN holds it (always JSON)."""
    show_json(plain(act(settings, lambda client: _event(client, event_id))))


@app.command(epilog="Examples:  oadr event cancel 3f2a  |  oadr event cancel 3f2a 77b0")
@with_connection
def cancel(
    event_ids: Annotated[list[str], typer.Argument(metavar="EVENT_ID...", help="Ids, or unique beginnings of them.")],
    *,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Call events off: VENs and panels return to normal; the plan as issued and the reports stay on record.

    An event that is over is refused (exit code 7); one that is cancelled already stays as it is.
    """

    async def call_off(client: VtnClient) -> list[Event]:
        events = [await _event(client, event_id) for event_id in event_ids]
        now = datetime.now(UTC)
        for event in events:
            timeline = Timeline.of(event, anchor=event.modification_date_time)
            if timeline.transpired(now) and not timeline.cancelled:
                ended = local_time(timeline.end or now)
                raise Failure(f"event {event.id} is over since {ended}; there is nothing to cancel", Exit.CHECK_FAILED)
        done = []
        for event in events:
            if Timeline.of(event, anchor=event.modification_date_time).cancelled:
                _tell(f"event {event.id} was cancelled before; nothing is changed")
                done.append(event)
            else:
                done.append(await client.events.replace(event.id, cancelled(event)))
        return done

    rows = [_row(event, datetime.now(UTC)) for event in act(settings, call_off)]
    if len(rows) == 1:
        show_one(rows[0], _COLUMNS, as_json=as_json, title="Cancelled")
    else:
        show_rows(rows, _COLUMNS, as_json=as_json, title="Cancelled", empty="")


@app.command(epilog="Examples:  oadr event delete 3f2a  |  oadr event delete 3f2a --json")
@with_connection
def delete(
    event_id: Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")],
    *,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Remove an event and its reports; VENs and panels return to normal."""

    async def remove(client: VtnClient) -> Event:
        return await client.events.delete((await _event(client, event_id)).id)

    event = act(settings, remove)
    show_one(_row(event, datetime.now(UTC)), _COLUMNS, as_json=as_json, title="Deleted")


@app.command(epilog="Examples:  oadr event status 3f2a  |  oadr event status 3f2a --watch --every 5s")
@with_connection
def status(
    event_id: Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")],
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Every participant and circuit, not only the exceptions.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again and again until the event is over.")] = False,
    every: Annotated[
        timedelta, typer.Option(parser=parsed_by(length), metavar="TIME", help="How often with --watch, at least 1s.")
    ] = "5s",  # type: ignore[assignment] # defaults pass through the parser
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Show how many were reached, take part and deliver, then who does not, and why (O6)."""
    pause_s = max(1.0, every.total_seconds())

    async def follow(client: VtnClient) -> None:
        while True:
            at = datetime.now(UTC)
            found = await read_status(client, event_id, at=at)
            _show_status(found, as_json=as_json, everything=everything, clear=watch)
            if not watch or found.state in {"completed", "cancelled"}:
                return
            await asyncio.sleep(pause_s)

    act(settings, follow)


def _show_status(found: EventStatus, *, as_json: bool, everything: bool, clear: bool) -> None:
    if wants_json(as_json):
        show_json(found.as_json())
        sys.stdout.flush()
        return
    from rich.console import Console

    from oadr.events.status_view import status_tables

    console = Console()
    if clear:
        console.clear()
    console.print(*status_tables(found, everything=everything), sep="\n")


async def read_status(client: VtnClient, event_id: str, *, at: datetime) -> EventStatus:
    """Read the VTN's objects and return the status of an event."""
    from openadr_profiles.fleet.status import event_status

    event = await _event(client, event_id)
    fleet = await _Fleet.read(client, event.targets or ())
    reports = await client.reports.search(event_id=event.id)
    return event_status(
        event, fleet.vens, fleet.resources, reports, at=at, others=fleet.every_event, contacts=fleet.contacts
    )


async def program_named(client: VtnClient, name: str) -> Program:
    """Return the program of that name; create it if there is none."""
    from openadr_client.errors import Conflict

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


def changed(
    event: Event,
    asked: tuple[EventPayloadType, list[Value]] | None,
    start: datetime | None,
    length: timedelta | None,
) -> EventRequest:
    """The event with other values, another start or another length; None keeps what it has.

    A new length is shared out equally over the intervals. Raises Failure if the event repeats or has no end, since then
    nothing says what its length is.
    """
    request = EventRequest(**{name: getattr(event, name) for name in EventRequest.__struct_fields__})
    if asked is None and start is None and length is None:
        return request
    timeline = Timeline.of(event, anchor=event.modification_date_time)
    if timeline.cancelled or timeline.cycle is not None or timeline.end is None:
        kind = "is cancelled" if timeline.cancelled else "has no end" if timeline.end is None else "repeats"
        raise Failure(f"event {event.id} {kind}; give the whole event with --file", Exit.CHECK_FAILED)
    begin, whole = start or timeline.start, length or timeline.end - timeline.start
    if asked is not None:
        type_, values = asked
        new = reduction_event(event.program_id, type_, values, start=begin, length=whole)
        return msgspec.structs.replace(
            request,
            duration=None,
            interval_period=new.interval_period,
            payload_descriptors=new.payload_descriptors,
            intervals=new.intervals,
        )
    intervals = event.intervals or ()
    if length is not None:
        each = Duration.of(whole / max(1, len(intervals)))
        plain_intervals = tuple(Interval(id=one.id, payloads=one.payloads) for one in intervals)
        period = IntervalPeriod(start=Start.of(begin), duration=each)
        return msgspec.structs.replace(
            request, duration=None, interval_period=period, intervals=plain_intervals or None
        )
    if any(one.interval_period and one.interval_period.start for one in intervals):
        raise Failure(
            f"event {event.id} has intervals with starts of their own; give it with --file", Exit.CHECK_FAILED
        )
    period = msgspec.structs.replace(event.interval_period or IntervalPeriod(), start=Start.of(begin))
    return msgspec.structs.replace(request, interval_period=period)


_REPORTS = (
    ReportDescriptor(payload_type=ReportPayloadType.USAGE, reading_type=ReadingType.SUMMED, units=Unit.KWH),
    ReportDescriptor(payload_type=ReportPayloadType.DEMAND, reading_type=ReadingType.MEAN, units=Unit.KW),
    ReportDescriptor(payload_type=ReportPayloadType.BASELINE, reading_type=ReadingType.ESTIMATED, units=Unit.KW),
)

_UNKNOWN_PROGRAM = "-"

_COLUMNS = {
    "id": "Event",
    "eventName": "Name",
    "state": "State",
    "startLocal": "Start",
    "endLocal": "End",
    "asks": "Asks for",
    "targets": "Targets",
}
_LIST_COLUMNS = {
    "id": "Event",
    "programName": "Program",
    **{key: each for key, each in _COLUMNS.items() if key != "id"},
}


@dataclass(frozen=True)
class _Fleet:
    """Hold what an event is judged by: the vens it may reach, their resources and contacts, and all events.

    ``contacts`` is by client id; None if the VTN tells of none.
    """

    vens: Sequence[Ven]
    resources: Sequence[Resource]
    every_event: Sequence[Event]
    contacts: Mapping[str, Contact] | None = None

    @staticmethod
    async def read(client: VtnClient, targets: Sequence[str]) -> _Fleet:
        """All vens and resources, or with targets those that hold one: a large VTN is not read whole for a group."""
        events = await client.events.search()
        if not targets:
            everybody = await client.vens.search()
            return _Fleet(everybody, await client.resources.search(), events, await contacts_of(client))
        held = await client.resources.search(targets=targets)
        vens = {ven.id: ven for ven in await client.vens.search(targets=targets)}
        for id_ in {*targets, *(resource.ven_id for resource in held)} - set(vens):
            ven = await _ven_with_id(client, id_)
            if ven is not None:
                vens[id_] = ven
        contacts = await contacts_of(client, [ven.client_id for ven in vens.values()])
        return _Fleet(list(vens.values()), await resources_of(client, vens), events, contacts)

    @property
    def events(self) -> list[Event]:
        """The events that are not over."""
        now = datetime.now(UTC)
        return [
            each
            for each in self.every_event
            if not Timeline.of(each, anchor=each.modification_date_time).transpired(now)
        ]

    def recipients(self, targets: Sequence[str]) -> list[Recipient]:
        """Return the vens that an event with these targets reaches, with what each can shed."""
        return recipients(targets, self.vens, self.resources, contacts=self.contacts)


async def _ven_with_id(client: VtnClient, id_: str) -> Ven | None:
    from openadr_client.errors import Refused

    if not id_ or not id_.replace("-", "").replace("_", "").isalnum() or not id_.isascii():
        return None
    try:
        return await client.vens.get(id_)
    except Refused:
        return None


async def _event(client: VtnClient, text: str) -> Event:
    return await find(client.events, text, kind="event", every=client.events.search)


async def create_all(client: VtnClient, requests: Sequence[EventRequest]) -> list[Event]:
    """Create all events or none: when one is refused, those that were made are removed again."""
    from openadr_client.errors import VtnError

    made: list[Event] = []
    try:
        for request in requests:
            made.append(await client.events.create(request))  # noqa: PERF401 - what was made must be known on failure
    except (VtnError, asyncio.CancelledError) as error:
        left = []
        for event in made:
            try:
                await client.events.delete(event.id)
            except VtnError:
                left.append(event.id)
        if left:
            ids = " ".join(left)
            raise Failure(f"{error}; and these could not be removed: oadr event delete {ids}", Exit.REFUSED) from error
        raise
    return made


def _divided(
    total: Sequence[Decimal],
    share: Basis,
    targets: Sequence[str],
    fleet: _Fleet,
    request: Any,
) -> list[tuple[EventRequest, Sequence[Recipient]]]:
    """One event for each group of equal share, targeted at the ids of its vens; with a single group, as targeted."""
    everybody = fleet.recipients(targets)
    try:
        division = share_out(total, everybody, basis=share)
    except ValueError as error:
        raise Failure(f"--total {kw_text(max(total))}: {error}", Exit.USAGE) from None
    how = "by what each says it can shed" if division.basis == "capacity" else "equally"
    reason = ", since not all have said what they can shed" if share == "capacity" and division.basis == "equal" else ""
    _tell(f"{kw_text(max(total))} is shared out {how}{reason}")
    if division.basis == "capacity":
        can = sum((each.capacity_kw or Decimal(0) for each in everybody), Decimal(0))
        if can < max(total):
            _tell(f"warning: {kw_text(max(total))} is more than the {kw_text(can)} they say they can shed")
    if division.left_kw:
        _tell(f"{kw_text(division.left_kw)} is left over by rounding to whole watts")
    whole = len(division.parts) == 1 and len(division.parts[0].recipients) == len(everybody)
    type_ = EventPayloadType.DISPATCH_SETPOINT_RELATIVE
    return [
        (
            request(
                [_lowered(kw) for kw in part.kw], type_, targets if whole else [each.ven_id for each in part.recipients]
            ),
            part.recipients,
        )
        for part in division.parts
    ]


def _agree(preview: Preview, yes: bool, dry_run: bool) -> None:
    """Show what would happen; raise Failure (exit code 7) unless it may."""
    for line in preview.summary:
        _tell(line)
    for line in preview.warnings:
        _tell(f"warning: {line}")
    if preview.refused:
        reasons = "; ".join(preview.refused)
        raise Failure(f"refused: {reasons}. Change it, or the limit in [safety] of the settings", Exit.CHECK_FAILED)
    if dry_run or yes or not preview.confirm:
        return
    reasons = "; ".join(preview.confirm)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Failure(f"not issued: {reasons}. Give --yes to issue it without a question", Exit.CHECK_FAILED)
    try:
        agreed = typer.confirm(visible(f"{reasons}. Issue it?"), err=True)
    except typer.Abort as error:
        _tell("")
        if isinstance(error.__context__, KeyboardInterrupt):
            raise Failure("nothing was issued", Exit.INTERRUPTED) from None
        told = "nothing was issued, as nobody answered. Give --yes to issue it without a question"
        raise Failure(told, Exit.CHECK_FAILED) from None
    if not agreed:
        raise Failure("nothing was issued", Exit.CHECK_FAILED)


def _tell(line: str) -> None:
    typer.echo(visible(line), err=True)


def _safety(settings: BusinessLogic) -> Safety:
    limits = settings.safety
    return Safety(
        confirm_above_kw=limits.confirm_above_kw,
        max_kw_per_ven=limits.max_kw_per_ven,
        max_total_kw=limits.max_total_kw,
        max_days_ahead=limits.max_days_ahead,
    )


def _row(event: Event, now: datetime) -> dict[str, Any]:
    """An event as a row: the standard's members, and beside them its state and its start and end as planned."""
    from openadr_profiles.fleet.status import state_of

    timeline = Timeline.of(event, anchor=event.modification_date_time)
    start, end = planned(event) or (timeline.start, timeline.end)
    known = not timeline.cancelled or planned(event) is not None
    return {
        **plain(event),
        "state": state_of(timeline, now),
        "start": _time(start) if known else None,
        "end": (_time(end) if end else "open") if known else None,
        "startLocal": local_time(start) if known else None,
        "endLocal": (local_time(end) if end else "open") if known else None,
        "asks": [
            _words(payload, event)
            for interval in event.intervals or ()
            for payload in interval.payloads
            if payload.type != PLANNED_PERIOD
        ],
    }


def _words(payload: ValuesMap, event: Event) -> str:
    units = next((each.units for each in event.payload_descriptors or () if each.payload_type == payload.type), None)
    unit = "" if units is None else f" {'kW' if units == Unit.KW else units}"
    if payload.type == EventPayloadType.DISPATCH_SETPOINT_RELATIVE and all(
        isinstance(value, int | float) and value <= 0 for value in payload.values
    ):
        return ", ".join(f"shed {_number(-value)}{unit}" for value in payload.values if isinstance(value, int | float))
    values = ", ".join(
        f"{_number(value) if isinstance(value, int | float) else value}{unit}" for value in payload.values
    )
    if payload.type == EventPayloadType.DISPATCH_SETPOINT_RELATIVE:
        return f"change by {values}"
    return f"{payload.type.lower().replace('_', ' ')} {values}"


def _number(value: float) -> str:
    return str(value) if isinstance(value, bool) else f"{value + 0:.12g}"


def _time(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _exactly_one(*given: object) -> None:
    if sum(map(bool, given)) != 1:
        raise typer.BadParameter("give exactly one of --shed, --total, --limit, --level and --file")


def _lowered(kw: Decimal) -> float:
    """A shed as the change of power that the event carries; zero without a sign."""
    return -float(kw) if kw else 0.0


def _asked(
    shed: Sequence[Decimal], limit: Sequence[Decimal], level: Sequence[int]
) -> tuple[EventPayloadType, list[Value]]:
    if shed:
        return EventPayloadType.DISPATCH_SETPOINT_RELATIVE, [_lowered(kw) for kw in shed]
    if limit:
        return EventPayloadType.IMPORT_CAPACITY_LIMIT, [float(kw) for kw in limit]
    return EventPayloadType.SIMPLE, list(level)
