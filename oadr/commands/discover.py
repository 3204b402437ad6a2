"""``oadr discover``: VTNs that announce themselves on the local network."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from oadr.errors import Exit, Failure, reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_rows

app = typer.Typer(help="Find VTNs on the local network (multicast DNS).")

_COLUMNS = {"name": "Name", "url": "Address", "version": "Version", "programs": "Programs", "note": "Note"}


@app.callback(invoke_without_command=True, epilog=examples("discover", "discover --wait 10 --json"))
def discover(
    *,
    wait: Annotated[float, typer.Option(help="Seconds to listen.", min=0.1, max=60)] = 3.0,
    interface: Annotated[
        list[str] | None, typer.Option(help="An own address to ask from; repeatable. Default: all.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List VTNs that announce themselves. Nothing is configured and nothing is sent to them."""
    with reporting():
        from openadr_client import discover as find_vtns

        try:
            found = asyncio.run(find_vtns(wait_s=wait, interfaces=interface))
        except OSError as error:
            raise Failure(f"this network has no multicast: {error}", Exit.UNREACHABLE) from error
        rows = [
            {
                "name": one.name,
                "url": one.url,
                "version": one.version,
                "programs": ", ".join(one.program_names),
                "addresses": list(one.addresses),
                "requires_auth": one.requires_auth,
                "openapi_url": one.openapi_url,
                "note": "" if one.is_protected else "not protected by TLS",
            }
            for one in found
        ]
        show_rows(rows, _COLUMNS, as_json=as_json, title="VTNs", empty="no VTN announces itself here")
