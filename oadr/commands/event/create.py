"""``oadr event create`` and ``update``: issue an event, or change one, after showing what it will do."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.commands.event.options import (
    WHEN,
    DryRunOption,
    FileOption,
    LevelOption,
    LimitOption,
    PriorityOption,
    ShedOption,
    TargetOption,
    YesOption,
    moment_from_now,
)
from oadr.errors import Exit, Failure
from oadr.events.confirmation import confirm, safety_of, tell
from oadr.events.fleet import AffectedFleet, find_event
from oadr.events.other_versions import with_20b
from oadr.events.publishing import create_all, program_named
from oadr.events.rows import COLUMNS, event_row
from oadr.terminal.options import examples, parsed_by
from oadr.terminal.output import JsonOption, show_one, show_rows
from openadr_profiles.fleet.building import EventNotChangeable, asked_payload, changed, divided_events, reduction_event
from openadr_profiles.fleet.division import Basis, share_out
from openadr_profiles.fleet.preview import examine
from openadr_profiles.fleet.quantities import length, power_kw
from openadr_profiles.fleet.recipients import Recipient
from openadr_profiles.fleet.wording import kw_text
from openadr_profiles.v31 import (
    Event,
    EventPayloadType,
    EventRequest,
    Value,
)

if TYPE_CHECKING:
    from openadr_client import VtnClient


_DEFAULT_PROGRAM = "demand-response"
_UNKNOWN_PROGRAM = "-"


app = typer.Typer(add_completion=False)


@app.command(
    epilog=examples(
        "event create --shed 5kW --start 18:00 --for 1h --target group:north",
        "event create --total 500kW --start +10m --for 30m --target group:south --dry-run",
    )
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
    start: Annotated[datetime, typer.Option(parser=parsed_by(moment_from_now), metavar="WHEN", help=WHEN)] = "now",  # type: ignore[assignment] # defaults pass through the parser
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
            fleet = await AffectedFleet.read(client, read.targets or ())
            requests: list[tuple[EventRequest, Sequence[Recipient]]] = [(read, fleet.recipients(read.targets or ()))]
        elif total:
            fleet = await AffectedFleet.read(client, target or ())
            requests = _divided(total, share, target or (), fleet, request)
        else:
            type_, values = asked_payload(shed or (), limit or (), level or ())
            fleet = await AffectedFleet.read(client, target or ())
            requests = [(request(values, type_, target or ()), fleet.recipients(target or ()))]
        preview = examine(requests, fleet.events, fleet.vens, fleet.resources, now=now, safety=safety_of(settings))
        preview = await with_20b(preview, client, requests, fleet, program=program, draft=draft, now=now)
        confirm(preview, yes, dry_run)
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
    rows = [event_row(event, now) for event in events]
    title = "Would be issued" if dry_run else "Issued"
    if total:
        show_rows(rows, COLUMNS, as_json=as_json, title=title, empty="")
    else:
        show_one(rows[0], COLUMNS, as_json=as_json, title=title)


@app.command(epilog=examples("event update 3f2a --for 2h", "event update 3f2a --shed 2kW --yes"))
@with_connection
def update(
    event_id: Annotated[str, typer.Argument(help="Id of the event, or a unique beginning of it.")],
    *,
    shed: ShedOption = None,
    limit: LimitOption = None,
    level: LevelOption = None,
    file: FileOption = None,
    start: Annotated[
        datetime | None, typer.Option(parser=parsed_by(moment_from_now), metavar="WHEN", help=WHEN)
    ] = None,
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
        old = await find_event(client, event_id)
        if file is not None:
            from oadr.events.files import read_event

            request = read_event(file, now=now, program_id=lambda: old.program_id)
        else:
            asked = asked_payload(shed or (), limit or (), level or ()) if given else None
            try:
                request = changed(old, asked, start, for_)
            except EventNotChangeable as error:
                raise Failure(f"{error}; give {error.instead} with --file", Exit.CHECK_FAILED) from None
        members = {"event_name": name, "priority": priority, "targets": tuple(target) if target else None}
        request = msgspec.structs.replace(request, **{key: each for key, each in members.items() if each is not None})
        fleet = await AffectedFleet.read(client, request.targets or ())
        others = [event for event in fleet.events if event.id != old.id]
        to = fleet.recipients(request.targets or ())
        preview = examine([(request, to)], others, fleet.vens, fleet.resources, now=now, safety=safety_of(settings))
        preview = await with_20b(preview, client, [(request, to)], fleet, program="", draft="", now=now)
        confirm(preview, yes, dry_run)
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
    show_one(event_row(event, datetime.now(UTC)), COLUMNS, as_json=as_json, title=title)


def _divided(
    total: Sequence[Decimal],
    share: Basis,
    targets: Sequence[str],
    fleet: AffectedFleet,
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
    tell(f"{kw_text(max(total))} is shared out {how}{reason}")
    if division.basis == "capacity":
        can = sum((each.capacity_kw or Decimal(0) for each in everybody), Decimal(0))
        if can < max(total):
            tell(f"warning: {kw_text(max(total))} is more than the {kw_text(can)} they say they can shed")
    if division.left_kw:
        tell(f"{kw_text(division.left_kw)} is left over by rounding to whole watts")
    return divided_events(division, targets, len(everybody), request)


def _exactly_one(*given: object) -> None:
    if sum(map(bool, given)) != 1:
        raise typer.BadParameter("give exactly one of --shed, --total, --limit, --level and --file")
