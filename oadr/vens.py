"""``oadr vens``: the VENs a VTN knows, and what is granted to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from oadr.business_logic import BusinessLogic, act, with_connection
from oadr.output import JsonOption, plain, show_one, show_rows
from openadr_profiles.v31 import BlVenRequest, Ven

if TYPE_CHECKING:
    from ven.client import VtnClient

app = typer.Typer(add_completion=False, help="List VENs, and grant them targets.", no_args_is_help=True)

_COLUMNS = {"id": "ven", "venName": "Name", "clientID": "Client", "targets": "Targets", "resourceNames": "Resources"}


@app.command(name="list")
@with_connection
def list_(*, settings: BusinessLogic, as_json: JsonOption = False) -> None:
    """List vens with their targets and resources."""

    async def read(client: VtnClient) -> list[dict[str, Any]]:
        names: dict[str, list[str]] = {}
        for resource in await client.resources.search():
            names.setdefault(resource.ven_id, []).append(resource.resource_name)
        return [{**plain(ven), "resourceNames": sorted(names.get(ven.id, []))} for ven in await client.vens.search()]

    show_rows(act(settings, read), _COLUMNS, as_json=as_json, title="VENs", empty="no vens")


@app.command()
@with_connection
def add(
    name: Annotated[str, typer.Argument(help="The ven's name, unique in the VTN.")],
    *,
    for_client: Annotated[
        str | None, typer.Option("--for-client", help="Client id the VEN gets its tokens with; default: its name.")
    ] = None,
    target: Annotated[list[str] | None, typer.Option(help="Target granted to it, as group:north. Repeatable.")] = None,
    settings: BusinessLogic,
    as_json: JsonOption = False,
) -> None:
    """Enrol a VEN, or grant targets to one that is enrolled: with --target, its targets become exactly these.

    Credentials are made on the VTN's side: oadr vtn client add.
    """

    async def enrol(client: VtnClient) -> Ven:
        known = await client.vens.search(ven_name=name)
        if not known:
            request = BlVenRequest(client_id=for_client or name, ven_name=name, targets=tuple(target or ()) or None)
            return await client.vens.create(request)
        ven = known[0]
        request = BlVenRequest(
            client_id=for_client or ven.client_id,
            ven_name=name,
            attributes=ven.attributes,
            targets=tuple(target) if target else ven.targets,
        )
        return await client.vens.replace(ven.id, request)

    show_one(plain(act(settings, enrol)), _COLUMNS, as_json=as_json, title="Enrolled")
