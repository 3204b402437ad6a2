"""``oadr vens`` for VENs of OpenADR 2.0b: enrol them by certificate, disable them, and end or renew registrations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

import typer

from oadr.business_logic.connection import BusinessLogic, act, with_connection
from oadr.errors import Exit, Failure
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, plain, show_one
from openadr_profiles.fleet.problems import Condition20b
from openadr_profiles.v31 import Ven
from openadr_profiles.ven_20b import CLIENT_PREFIX, EnrolledVen, EnrolmentRequest, OrderRequest

if TYPE_CHECKING:
    from openadr_client import VtnClient

NameArgument: TypeAlias = Annotated[str, typer.Argument(metavar="NAME", help="The ven's name.")]

_COLUMNS: Final = {
    "venID": "ven",
    "venName": "Name",
    "clientID": "Client",
    "wireID": "venID in messages",
    "fingerprints": "Fingerprints",
    "registered": "Registered",
    "disabled": "Disabled",
    "waiting": "Messages waiting",
}


def enrol(settings: BusinessLogic, given: EnrolmentRequest, *, as_json: bool, title: str) -> None:
    """Enrol a VEN, or change what is known of it, and show it."""

    async def send(client: VtnClient) -> EnrolledVen:
        return _offered(await client.vens_20b.enrol(given))

    show_one(plain(act(settings, send)), _COLUMNS, as_json=as_json, title=title)


def add_to(app: typer.Typer) -> None:
    """Add these commands to ``oadr vens``."""

    @app.command(epilog=examples("vens disable home-1", "vens disable 3f2a --json"))
    @with_connection
    def disable(name: NameArgument, *, settings: BusinessLogic, as_json: JsonOption = False) -> None:
        """Refuse everything a VEN of OpenADR 2.0b sends, until it is enabled again; what is known of it stays."""
        enrol(settings, EnrolmentRequest(ven_name=name, disabled=True), as_json=as_json, title="Disabled")

    @app.command(epilog=examples("vens enable home-1", "vens enable 3f2a --json"))
    @with_connection
    def enable(name: NameArgument, *, settings: BusinessLogic, as_json: JsonOption = False) -> None:
        """Take what a VEN of OpenADR 2.0b sends, after it was disabled."""
        enrol(settings, EnrolmentRequest(ven_name=name, disabled=False), as_json=as_json, title="Enabled")

    @app.command(epilog=examples("vens reregister home-1", "vens reregister home-1 --json"))
    @with_connection
    def reregister(name: NameArgument, *, settings: BusinessLogic, as_json: JsonOption = False) -> None:
        """Ask a VEN of OpenADR 2.0b, at its next poll, to register again; it keeps its registration until then."""
        _order(settings, name, "REREGISTER", as_json=as_json, title="Asked to register again")

    @app.command(epilog=examples("vens unregister home-1", "vens unregister home-1 --json"))
    @with_connection
    def unregister(name: NameArgument, *, settings: BusinessLogic, as_json: JsonOption = False) -> None:
        """Tell a VEN of OpenADR 2.0b, at its next poll, that its registration ends; it may refuse.

        It stays enrolled and may register again: to keep it out, disable it or remove it.
        """
        _order(settings, name, "CANCEL", as_json=as_json, title="Told that its registration ends")


async def enrolled(client: VtnClient, every: Sequence[Ven]) -> Mapping[str, EnrolledVen]:
    """Return what a VTN knows of those vens that are of OpenADR 2.0b, by their ids; nothing is asked if none is."""
    if not any(ven.client_id.startswith(CLIENT_PREFIX) for ven in every):
        return {}
    return {each.ven_id: each for each in await client.vens_20b.search() or ()}


def state(ven: EnrolledVen | None) -> Condition20b | None:
    """Return what rules about problems ask of a VEN of OpenADR 2.0b."""
    if ven is None:
        return None
    return Condition20b(
        disabled=ven.disabled,
        registered=ven.registered,
        offline=ven.offline,
        overdue=ven.overdue,
        cancel_refused_at=ven.cancel_refused_at,
    )


def _order(
    settings: BusinessLogic, name: str, order: Literal["REREGISTER", "CANCEL"], *, as_json: bool, title: str
) -> None:
    async def send(client: VtnClient) -> EnrolledVen:
        return _offered(await client.vens_20b.order(OrderRequest(ven_name=name, order=order)))

    show_one(plain(act(settings, send)), _COLUMNS, as_json=as_json, title=title)


def _offered(found: EnrolledVen | None) -> EnrolledVen:
    if found is None:
        raise Failure("this VTN does not serve OpenADR 2.0b; on ours, [v20b] in its settings turns it on", Exit.REFUSED)
    return found
