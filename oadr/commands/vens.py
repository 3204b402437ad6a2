"""``oadr vens``: the VENs a VTN knows, and what is granted to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.business_logic.lookup import contacts_of, find, resources_of
from oadr.commands import vens_20b
from oadr.errors import Exit, Failure
from oadr.terminal.options import examples
from oadr.terminal.output import AllOption, JsonOption, plain, show_one, show_rows
from openadr_profiles.contact import Contact
from openadr_profiles.fleet.problems import VenCondition, problems
from openadr_profiles.fleet.recipients import capacity_kw, last_contact
from openadr_profiles.fleet.wording import ago
from openadr_profiles.v31 import BlVenRequest, Report, Resource, Ven
from openadr_profiles.ven_20b import EnrolledVen, EnrolmentRequest

if TYPE_CHECKING:
    from openadr_client import VtnClient

app = typer.Typer(
    add_completion=False,
    help="List VENs, grant them targets, remove them.",
    no_args_is_help=True,
    epilog=examples("vens list", "vens add home-1 --target group:north"),
)

vens_20b.add_to(app)

_COLUMNS = {"id": "ven", "venName": "Name", "clientID": "Client", "targets": "Targets"}
_LIST_COLUMNS = _COLUMNS | {
    "resourceCount": "Resources",
    "canShed": "Can shed kW",
    "lastContactAgo": "Last contact",
    "protocol": "Protocol",
    "lastReportAgo": "Last report",
    "problems": "Problems",
}
_LEAST_NEEDED: Final = ("protocol", "clientID", "resourceCount", "lastReportAgo", "targets")
"""The columns that a narrow terminal leaves out, the first of them first."""


class FleetRead(NamedTuple):
    """Hold what was read of a VEN: its row of lists, and the ven and resources that it is made of."""

    row: dict[str, Any]
    ven: Ven
    resources: Sequence[Resource]


@app.command(name="list", epilog=examples("vens list", "vens list --target group:north --all"))
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
    """List vens with targets, what they can shed, their last contact and last report, and what is wrong with them."""

    read = act(settings, lambda client: read_fleet(client, target or (), reports=reports))
    rows = [each.row for each in read]
    same = all(row["clientID"] == row["venName"] for row in rows)
    columns = {key: heading for key, heading in _LIST_COLUMNS.items() if not (same and key == "clientID")}
    show_rows(
        rows,
        columns,
        as_json=as_json,
        title="VENs",
        empty="no vens",
        everything=everything,
        least_needed=_LEAST_NEEDED,
    )


@app.command(epilog=examples("vens add home-1 --target group:north", "vens add home-2 --fingerprint 01:23:45:…:01:23"))
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
    fingerprint: Annotated[
        str | None, typer.Option(help="For OpenADR 2.0b: fingerprint of its certificate, as oadr cert show prints it.")
    ] = None,
    drop_fingerprint: Annotated[
        str | None, typer.Option(help="For OpenADR 2.0b: a certificate by which it is known no more.")
    ] = None,
    ven_id: Annotated[
        str | None,
        typer.Option("--ven-id", help="For OpenADR 2.0b: its venID; default: the id of the ven."),
    ] = None,
    xml_signature: Annotated[
        bool | None,
        typer.Option("--xml-signature/--no-xml-signature", help="For OpenADR 2.0b: messages of it are signed, or not."),
    ] = None,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Enrol a VEN, or grant targets to one that is enrolled: with --target, its targets become exactly these.

    Credentials are made on the VTN's side: oadr vtn client add. A VEN of OpenADR 2.0b has none: it is known by its
    certificate, whose --fingerprint is given here. Give the next one before a change of certificate, and drop the old
    one after it.
    """
    if fingerprint or drop_fingerprint or ven_id or xml_signature is not None:
        if for_client or known:
            raise Failure("--for-client and --known are for VENs of OpenADR 3", Exit.USAGE)
        given = EnrolmentRequest(
            ven_name=name,
            add_fingerprint=fingerprint,
            drop_fingerprint=drop_fingerprint,
            wire_id=ven_id,
            targets=tuple(target) if target else None,
            xml_signature=xml_signature,
        )
        vens_20b.enrol(settings, given, as_json=as_json, title="Enrolled for OpenADR 2.0b")
        return

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


@app.command(epilog=examples("vens remove home-1", "vens remove 3f2a --json"))
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


async def read_fleet(client: VtnClient, targets: Sequence[str] = (), *, reports: bool) -> list[FleetRead]:
    """Read all that a VTN tells of its vens, or of those that hold one of the targets themselves.

    ``reports`` says whether all reports are read, to tell who reported last.
    """

    async def vens_and_resources() -> tuple[Sequence[Ven], Sequence[Resource]]:
        vens = await client.vens.search(targets=targets)
        return vens, await resources_of(client, [ven.id for ven in vens])

    async def reports_seen() -> dict[str, datetime] | None:
        return _last_reports(await client.reports.search()) if reports else None

    # Each list is read page after page, where the VTN goes on from the page before; several lists at a time.
    if targets:
        (vens, resources), last = await asyncio.gather(vens_and_resources(), reports_seen())
        contacts = await contacts_of(client, [ven.client_id for ven in vens])
    else:
        (vens, resources), last, contacts = await asyncio.gather(
            vens_and_resources(), reports_seen(), contacts_of(client)
        )
    of_20b = await vens_20b.enrolled(client, vens)
    of_ven: dict[str, list[Resource]] = {}
    for resource in resources:
        of_ven.setdefault(resource.ven_id, []).append(resource)
    now = datetime.now(UTC)
    return [
        FleetRead(_row(ven, its, last, contacts, of_20b.get(ven.id), now), ven, its)
        for ven in vens
        for its in (of_ven.get(ven.id, []),)
    ]


def _last_reports(reports: Sequence[Report]) -> dict[str, datetime]:
    last: dict[str, datetime] = {}
    for report in reports:
        at = report.modification_date_time
        last[report.client_id] = max(at, last.get(report.client_id, at))
    return last


def _row(
    ven: Ven,
    resources: Sequence[Resource],
    last: dict[str, datetime] | None,
    contacts: Mapping[str, Contact] | None,
    of_20b: EnrolledVen | None,
    now: datetime,
) -> dict[str, Any]:
    can = capacity_kw(ven, resources)
    reported = None if last is None else last.get(ven.client_id)
    contact = None if contacts is None else contacts.get(ven.client_id)
    seen = last_contact(contacts, ven.client_id)
    state = VenCondition(
        seen=seen,
        reported=reported,
        refused=None if contact is None else contact.last_refused,
        resources=len(resources),
        holds_target=bool(ven.targets) or any(resource.targets for resource in resources),
        of_20b=vens_20b.state(of_20b),
        clock_offset_s=None if contact is None else contact.clock_offset_s,
        contacts_known=contacts is not None,
        reports_known=last is not None,
    )
    return {
        **plain(ven),
        "resourceNames": sorted(resource.resource_name for resource in resources),
        "resourceCount": len(resources),
        "canShed": None if can is None else float(can),
        "lastContact": _time(seen),
        "lastContactAgo": None if seen is None else ago(seen, now=now),
        "protocol": None if contact is None else contact.protocol,
        "software": None if contact is None else contact.software,
        "clockOffset": None if contact is None else contact.clock_offset_s,
        "lastRefused": None if contact is None or contact.last_refused is None else plain(contact.last_refused),
        "lastReport": _time(reported),
        "lastReportAgo": None if reported is None else ago(reported, now=now),
        "problems": [each.text for each in problems(state, now=now)],
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat(timespec="seconds").replace("+00:00", "Z")
