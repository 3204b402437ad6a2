"""``oadr vtn client``: say who may get tokens, and for what."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from oadr.commands.vtn import many
from oadr.commands.vtn.join import CaFileOption, TokenUrlOption, UrlOption, VenNameOption, join_lines
from oadr.commands.vtn.options import ConfigOption, DatabaseOption, load_settings
from oadr.commands.vtn.registered import run_with_clients, with_clients
from oadr.commands.vtn.secret_files import secret_in
from oadr.errors import Exit, Failure, reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_json, show_rows, wants_json
from openadr_profiles.join_line import BadJoinLine

if TYPE_CHECKING:
    from vtn.auth.clients import Client, Clients
    from vtn.join_lines import JoinLines
    from vtn.settings import Settings

app = typer.Typer(
    help="Clients: who may get tokens, and for what.",
    no_args_is_help=True,
    epilog=examples("vtn client add home-1 --role ven", "vtn client list"),
)

SecretFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        metavar="FILE|-",
        help="A secret of your own, from a file or with - from standard input; without it one is made.",
    ),
]

WeakSecretOption: TypeAlias = Annotated[
    bool, typer.Option("--allow-weak-secret", help="Take a secret of fewer than 12 characters too. For labs only.")
]

_COLUMNS = {
    "client_id": "Client",
    "role": "Role",
    "scopes": "Scopes",
    "created": "Created",
    "suspended": "Suspended",
}


class RoleName(StrEnum):
    """The two kinds of clients."""

    BL = "BL"
    VEN = "VEN"


@app.command(
    epilog=examples("vtn client add utility --role bl", "vtn client add home-1 --role ven --secret-file home-1.secret")
)
def add(
    client_id: Annotated[str, typer.Argument(help="Id of the client, as its tokens carry it.")],
    *,
    role: Annotated[
        RoleName,
        typer.Option(case_sensitive=False, help="BL sees and steers everything, VEN sees what is meant for it."),
    ],
    scope: Annotated[
        list[str] | None, typer.Option(help="A scope it gets; repeatable. Default: what its role usually has.")
    ] = None,
    token_lifetime: Annotated[
        int | None, typer.Option(help="Seconds its tokens hold, if not as for everybody else.", min=120)
    ] = None,
    secret_file: SecretFileOption = None,
    allow_weak_secret: WeakSecretOption = False,
    ven_name: VenNameOption = None,
    url: UrlOption = None,
    token_url: TokenUrlOption = None,
    ca_file: CaFileOption = None,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a client. A secret that is made is shown now and never again, for a VEN with its join line.

    Examples: oadr vtn client add home-1 --role ven, or
    oadr vtn client add lab --role bl --secret-file - --allow-weak-secret < secret.txt
    """

    async def act(clients: Clients) -> dict[str, Any]:
        from vtn.access import Role, scopes_named

        chosen = Role(role)
        scopes, unknown = (None, frozenset[str]()) if scope is None else scopes_named(scope, chosen)
        made = await clients.add(
            client_id,
            chosen,
            scopes=scopes,
            unknown_scopes=unknown,
            secret=given,
            weak_secret=allow_weak_secret,
            token_lifetime_s=token_lifetime,
        )
        for word in sorted(unknown):
            typer.echo(f"warning: this server knows no scope {word}; it is kept and grants nothing", err=True)
        return {"client_id": made.client_id, "client_secret": made.secret, "role": chosen.value}

    with reporting():
        given = secret_in(secret_file, option="--secret-file")
        settings = load_settings(config, {"database.url": database_url})
        lines = _lines(settings, role, given, ven_name=ven_name, url=url, token_url=token_url, ca_file=ca_file)
        if lines is not None:
            lines.must_be_possible(client_id, ven_name=ven_name)
    made = run_with_clients(settings, act)
    show_credentials(made, given=given, as_json=as_json, lines=lines, ven_name=ven_name)


@app.command(name="list", epilog=examples("vtn client list", "vtn client list --json"))
def list_(*, config: ConfigOption = None, database_url: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List clients, without their secrets."""

    async def act(clients: Clients) -> list[dict[str, Any]]:
        return [_row(client) for client in await clients.list()]

    rows = with_clients(config, database_url, act, make=False)
    show_rows(rows, _COLUMNS, as_json=as_json, title="Clients", empty="no clients; add one with: oadr vtn client add")


@app.command(epilog=examples("vtn client suspend home-1", "vtn client suspend home-1 --config vtn.toml"))
def suspend(
    client_id: Annotated[str, typer.Argument(help="Id of the client.")],
    *,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Give a client no more tokens, and end those it has within a minute."""
    with_clients(config, database_url, lambda clients: clients.suspend(client_id), make=False)
    typer.echo(f"{client_id} is suspended")


@app.command(epilog=examples("vtn client resume home-1", "vtn client resume home-1 --config vtn.toml"))
def resume(
    client_id: Annotated[str, typer.Argument(help="Id of the client.")],
    *,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Give a suspended client tokens again."""
    with_clients(config, database_url, lambda clients: clients.resume(client_id), make=False)
    typer.echo(f"{client_id} may get tokens again")


@app.command(epilog=examples("vtn client rotate home-1", "vtn client rotate home-1 --secret-file home-1.secret"))
def rotate(
    client_id: Annotated[str, typer.Argument(help="Id of the client.")],
    *,
    secret_file: SecretFileOption = None,
    allow_weak_secret: WeakSecretOption = False,
    ven_name: VenNameOption = None,
    url: UrlOption = None,
    token_url: TokenUrlOption = None,
    ca_file: CaFileOption = None,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a client a new secret; the old one and all its tokens end. For a VEN there is a new join line with it.

    Examples: oadr vtn client rotate home-1, or oadr vtn client rotate home-1 --secret-file /run/secrets/home-1
    """
    hand: JoinLines | None = None

    async def act(clients: Clients) -> dict[str, Any]:
        nonlocal hand
        roles = {client.client_id: client.role.value for client in await clients.list()}
        role = RoleName(roles.get(client_id, RoleName.BL.value))
        hand = _lines(settings, role, given, ven_name=ven_name, url=url, token_url=token_url, ca_file=ca_file)
        if hand is not None:
            hand.must_be_possible(client_id, ven_name=ven_name)
        made = await clients.rotate(client_id, secret=given, weak_secret=allow_weak_secret)
        return {"client_id": made.client_id, "client_secret": made.secret}

    with reporting():
        given = secret_in(secret_file, option="--secret-file")
        settings = load_settings(config, {"database.url": database_url})
    made = run_with_clients(settings, act, make=False)
    show_credentials(made, given=given, as_json=as_json, lines=hand, ven_name=ven_name, is_again=True)


@app.command(epilog=examples("vtn client remove home-1", "vtn client remove home-1 --config vtn.toml"))
def remove(
    client_id: Annotated[str, typer.Argument(help="Id of the client.")],
    *,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Forget a client and end its tokens within a minute; what it has written stays."""
    with_clients(config, database_url, lambda clients: clients.remove(client_id), make=False)
    typer.echo(f"{client_id} is removed")


@app.command(
    name="webhook-secret",
    epilog=examples("vtn client webhook-secret home-1 --config vtn.toml", "vtn client webhook-secret home-1 --json"),
)
def webhook_secret(
    client_id: Annotated[str, typer.Argument(help="Id of the client.")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the secret with which a client's receivers verify the signatures of webhooks.

    It is made of the client's id and the key in webhook.signing_key_file.
    """
    with reporting():
        from vtn.notify.signature import WebhookSigner

        file = load_settings(config, {}).webhook.signing_key_file
        if file is None:
            raise Failure("webhook.signing_key_file names no file: webhooks are not signed", Exit.USAGE)
        secret = WebhookSigner(file).secret(client_id)
    if wants_json(as_json):
        show_json({"client_id": client_id, "webhook_secret": secret})
    else:
        typer.echo(secret)


app.command(
    name="add-many",
    epilog=examples(
        "vtn client add-many lines.txt --count 500", "vtn client add-many lines.txt --count 9 --prefix lab-"
    ),
)(many.add_many)


def _lines(
    settings: Settings, role: RoleName, secret: str | None, *, ven_name: str | None, **given: Any
) -> JoinLines | None:
    """Return what makes the join line; None for business logic, and for a secret that is not to be shown."""
    if role is RoleName.VEN and secret is None:
        return join_lines(settings, **given)
    named = [name for name, value in ({"ven_name": ven_name} | given).items() if value is not None]
    if named:
        because = "the secret is not shown" if role is RoleName.VEN else "business logic has none"
        raise Failure(f"--{named[0].replace('_', '-')} is for the join line, and there is none: {because}", Exit.USAGE)
    return None


def show_credentials(
    made: dict[str, Any],
    *,
    given: str | None,
    as_json: bool,
    lines: JoinLines | None = None,
    ven_name: str | None = None,
    is_again: bool = False,
) -> None:
    """Show a secret that was made, with the join line if there is one; one that was given is known already.

    The secret is kept nowhere else: it is shown even if the line cannot be made. ``is_again`` says that there was one
    before, with which the device has joined.
    """
    line, failed = None, None
    if given is not None:
        del made["client_secret"]
    if lines is not None:
        try:
            line = lines.line(made["client_id"], made["client_secret"], ven_name=ven_name)
        except BadJoinLine as error:
            failed = error
        made["join_line"] = line
    if wants_json(as_json):
        show_json(made)
    else:
        typer.echo(f"client_id      {made['client_id']}")
        if given is None:
            typer.echo(f"client_secret  {made['client_secret']}")
        if line is not None:
            typer.echo(f"join_line      {line}")
        if given is None:
            typer.echo("Keep the secret now; it is not shown again.", err=True)
        if line is not None:
            typer.echo("On the device: oadr ven join, and then paste the join line. It holds the secret.", err=True)
        if line is not None and is_again:
            typer.echo("Of the settings there it changes what is new in the line, and nothing else.", err=True)
    if failed is not None:
        typer.echo(f"No join line: {failed}", err=True)
    if lines is not None and lines.note is not None:
        typer.echo(lines.note, err=True)


def _row(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "role": client.role.value,
        "scopes": " ".join((*sorted(client.scopes), *client.unknown_scopes)),
        "token_lifetime_s": client.token_lifetime_s,
        "created": client.created_at.isoformat().replace("+00:00", "Z"),
        "suspended": client.suspended,
    }
