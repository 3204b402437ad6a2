"""``oadr vens``: the VENs a VTN knows, and what is granted to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oadr.business_logic import BusinessLogic, act, with_connection
from oadr.errors import Exit, Failure
from oadr.issuing import capacity_kw
from oadr.lookup import find
from oadr.output import AllOption, JsonOption, plain, show_one, show_rows
from oadr.quantities import local_time
from openadr_profiles.v31 import BlVenRequest, Report, Resource, Ven

if TYPE_CHECKING:
    from ven.client import VtnClient

app = typer.Typer(add_completion=False, help="List VENs, grant them targets, remove them.", no_args_is_help=True)

_COLUMNS = {"id": "ven", "venName": "Name", "clientID": "Client", "targets": "Targets"}
_LIST_COLUMNS = _COLUMNS | {
    "resourceCount": "Resources",
    "canShed": "Can shed kW",
    "lastReportLocal": "Last report",
    "problems": "Problems",
}


@app.command(name="list", epilog="Examples:  oadr vens list  |  oadr vens list --target group:north --all")
@with_connection
def list_(
    *,
    target: Annotated[
        list[str] | None, typer.Option(help="Only vens that hold one of these targets themselves. Repeatable.")
    ] = None,
    reports: Annotated[
        bool, typer.Option("--reports/--no-reports", help="Read all reports to tell who reported last, and when.")
    ] = True,
    everything: AllOption = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """List vens with targets, resources, what they can shed, their last report, and what is wrong with them."""

    async def read(client: VtnClient) -> list[dict[str, Any]]:
        resources: dict[str, list[Resource]] = {}
        for resource in await client.resources.search():
            resources.setdefault(resource.ven_id, []).append(resource)
        last = _last_reports(await client.reports.search()) if reports else None
        vens = await client.vens.search(targets=target or ())
        return [_row(ven, resources.get(ven.id, ()), last, datetime.now(UTC)) for ven in vens]

    rows = act(settings, read)
    show_rows(rows, _LIST_COLUMNS, as_json=as_json, title="VENs", empty="no vens", everything=everything)


@app.command(
    epilog="Examples:  oadr vens add home-1 --target group:north  |  oadr vens add home-2 --for-client device-2"
)
@with_connection
def add(
    name: Annotated[str, typer.Argument(help="The ven's name, unique in the VTN.")],
    *,
    for_client: Annotated[
        str | None, typer.Option("--for-client", help="Client id the VEN gets its tokens with; default: its name.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="Target granted to it, as group:north. Repeatable.")] = None,
    known: Annotated[
        bool, typer.Option("--known", help="Only change a ven that is enrolled; a name that is not is refused.")
    ] = False,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Enrol a VEN, or grant targets to one that is enrolled: with --target, its targets become exactly these.

    Credentials are made on the VTN's side: oadr vtn client add.
    """

    async def enrol(client: VtnClient) -> tuple[Ven, str]:
        found = await client.vens.search(ven_name=name)
        if not found:
            if known:
                raise Failure(f"no ven is named {name!r}; oadr vens list shows those there are", Exit.REFUSED)
            request = BlVenRequest(client_id=for_client or name, ven_name=name, targets=tuple(target or ()) or None)
            return await client.vens.create(request), "Enrolled"
        ven = found[0]
        request = BlVenRequest(
            client_id=for_client or ven.client_id,
            ven_name=name,
            attributes=ven.attributes,
            targets=tuple(target) if target else ven.targets,
        )
        if request.targets == ven.targets and request.client_id == ven.client_id:
            return ven, "Enrolled before, nothing changed"
        return await client.vens.replace(ven.id, request), "Changed"

    ven, what = act(settings, enrol)
    if what == "Enrolled":
        typer.echo(
            f"{ven.id} is new and counts as silent in events until client {for_client or name} connects", err=True
        )
    show_one(plain(ven), _COLUMNS, as_json=as_json, title=what)


@app.command(epilog="Examples:  oadr vens remove home-1  |  oadr vens remove 3f2a --json")
@with_connection
def remove(
    ven: Annotated[str, typer.Argument(help="Its name, its id, or a unique beginning of the id.")],
    *,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Remove a ven and its resources. Its reports stay; a VEN that still runs registers itself again."""

    async def take_out(client: VtnClient) -> Ven:
        found = await find(client.vens, ven, kind="ven", every=client.vens.search, name_of=lambda each: each.ven_name)
        return await client.vens.delete(found.id)

    show_one(plain(act(settings, take_out)), _COLUMNS, as_json=as_json, title="Removed")


def _last_reports(reports: Sequence[Report]) -> dict[str, datetime]:
    last: dict[str, datetime] = {}
    for report in reports:
        at = report.modification_date_time
        last[report.client_id] = max(at, last.get(report.client_id, at))
    return last


def _row(ven: Ven, resources: Sequence[Resource], last: dict[str, datetime] | None, now: datetime) -> dict[str, Any]:
    can = capacity_kw(ven, resources)
    at = None if last is None else last.get(ven.client_id)
    return {
        **plain(ven),
        "resourceNames": sorted(resource.resource_name for resource in resources),
        "resourceCount": len(resources),
        "canShed": None if can is None else float(can),
        "lastReport": None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "lastReportLocal": None if at is None else local_time(at.astimezone(UTC).replace(microsecond=0)),
        "problems": _problems(ven, resources, at, now, asked=last is not None),
    }


def _problems(
    ven: Ven, resources: Sequence[Resource], last: datetime | None, now: datetime, *, asked: bool
) -> list[str]:
    found = []
    if not resources:
        found.append("no resources: has it ever connected?")
    if asked and last is None:
        found.append("has never reported")
    elif last is not None and (now - last).days >= 1:
        found.append(f"silent for {(now - last).days} d")
    if not ven.targets and not any(resource.targets for resource in resources):
        found.append("holds no target: gets only events for everybody")
    return found
