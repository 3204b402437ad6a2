"""``oadr vtn``: run the server, bring its database up to date, manage who may get tokens."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar

import structlog
import typer

from oadr.commands.options import examples
from oadr.config import load
from oadr.errors import Exit, Failure, reporting
from oadr.process import lean, loop
from oadr.terminal.output import JsonOption, show_json, show_rows, wants_json

if TYPE_CHECKING:
    from vtn.auth.clients import Client, Clients
    from vtn.settings import Settings

T = TypeVar("T")

PREFIX = "OADR_VTN_"

app = typer.Typer(
    add_completion=False,
    help="The OpenADR 3 server: run it, and say who may use it.",
    no_args_is_help=True,
    epilog=examples("vtn client add utility --role bl", "vtn run --port 8080"),
)
client_app = typer.Typer(
    help="Clients: who may get tokens, and for what.",
    no_args_is_help=True,
    epilog=examples("vtn client add home-1 --role ven", "vtn client list"),
)
key_app = typer.Typer(
    help="The key that signs tokens.",
    no_args_is_help=True,
    epilog=examples("vtn key rotate", "vtn key rotate --end-tokens"),
)
app.add_typer(client_app, name="client")
app.add_typer(key_app, name="key")
secrets_app = typer.Typer(
    help="The key that seals the secrets in the database.",
    no_args_is_help=True,
    epilog=examples("vtn secrets status", "vtn secrets rotate"),
)
app.add_typer(secrets_app, name="secrets")

ConfigOption: TypeAlias = Annotated[
    Path | None, typer.Option("--config", help="TOML file with the settings (docs/vtn.md lists them).")
]
DatabaseOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--database",
        "--database-url",
        help=f"A file of SQLite, or postgresql://USER:PASSWORD@HOST/NAME [{PREFIX}DATABASE__URL].",
    ),
]

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

_LONGEST_SECRET_BYTES = 4 * 4096
_EARLIER = "oadr-vtn.sqlite3"

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
    epilog=examples("vtn run --port 8080", "vtn run --host 0.0.0.0 --tls-cert vtn.pem --tls-key vtn.key --workers 2")
)
def run(
    *,
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help=f"Address to listen on [{PREFIX}HOST; 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help=f"Port; 0 takes a free one [{PREFIX}PORT; 8080].")] = None,
    database_url: DatabaseOption = None,
    public_url: Annotated[
        str | None, typer.Option(help=f"Origin that clients use, as https://vtn.example [{PREFIX}PUBLIC_URL].")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help=f"Certificate chain, PEM [{PREFIX}TLS__CERT].")] = None,
    tls_key: Annotated[Path | None, typer.Option(help=f"Its private key, PEM [{PREFIX}TLS__KEY].")] = None,
    behind_proxy: Annotated[
        bool | None, typer.Option("--behind-proxy", help=f"A proxy terminates TLS [{PREFIX}BEHIND_PROXY].")
    ] = None,
    insecure_http: Annotated[
        bool | None,
        typer.Option("--insecure-http", help=f"Plain HTTP for others too; tests only [{PREFIX}INSECURE_HTTP]."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help=f"Processes that serve together [{PREFIX}WORKERS; 1].")] = None,
) -> None:
    """Serve until interrupted."""
    with reporting():
        flags = {
            "host": host,
            "port": port,
            "database.url": database_url,
            "public_url": public_url,
            "tls.cert": tls_cert,
            "tls.key": tls_key,
            "behind_proxy": behind_proxy,
            "insecure_http": insecure_http,
            "workers": workers,
        }
        _serve(_settings(config, flags))


@app.command(epilog=examples("vtn migrate", "vtn migrate --config vtn.toml"))
def migrate(*, config: ConfigOption = None, database_url: DatabaseOption = None) -> None:
    """Bring the tables of the database up to date (`run` does it too unless database.migrate is off)."""
    with reporting():
        from vtn.app import migrate_database

        name = asyncio.run(migrate_database(_settings(config, {"database.url": database_url})))
        typer.echo(f"{name} is up to date")


@app.command(epilog=examples("vtn init", "vtn init /etc/openadr/vtn.toml --client-id utility"))
def init(
    file: Annotated[Path, typer.Argument(help="The configuration to write.")] = Path("vtn.toml"),
    *,
    client_id: Annotated[str, typer.Option(help="Id of the first client, which is business logic.")] = "operator",
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a configuration, make the database and the first client. Its secret is shown now and never again."""
    with reporting():
        from vtn.access import Role
        from vtn.administration import write_example
        from vtn.paths import default_database
        from vtn.store.vault import Vault

        vault = Vault(_settings(None, {"database.url": database_url}))
        url = _url(database_url) or default_database()
        write_example(file, database_url=url, key_file=vault.file.absolute())
        vault.ensure()
        made = _with_clients(file, database_url, lambda clients: clients.add(client_id, Role.BL))
        if wants_json(as_json):
            show_json({"config": str(file), "client_id": made.client_id, "client_secret": made.secret})
        else:
            typer.echo(f"client_id      {made.client_id}\nclient_secret  {made.secret}")
            typer.echo(f"Keep the secret now; it is not shown again. Next: oadr vtn run --config {file}", err=True)


@app.command(epilog=examples("vtn backup vtn-2026-11-28.gz", "vtn backup vtn.jsonl --config vtn.toml"))
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write; packed if its name ends in .gz.")],
    *,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Write everything in the database into a new file, while the server may go on running.

    Secrets in it stay sealed: to restore it takes the key file too, of which you keep a copy elsewhere.
    """
    with reporting():
        from vtn.administration import back_up
        from vtn.store.vault import Vault

        settings = _settings(config, {"database.url": database_url})
        count = asyncio.run(back_up(settings, file))
        typer.echo(f"{count} rows are in {file}")
        typer.echo(
            f"Its secrets are sealed with the key in {Vault(settings).file}; keep a copy of it elsewhere.", err=True
        )


@app.command(epilog=examples("vtn verify vtn-2026-11-28.gz", "vtn verify vtn.jsonl && echo whole"))
def verify(file: Annotated[Path, typer.Argument(help="What `oadr vtn backup` has written.")]) -> None:
    """Read a backup to its end and check every row of it; needs no database."""
    with reporting():
        from vtn.administration import verify as check

        content = check(file)
        typer.echo(f"{file} is whole: {content.rows} rows, revision {content.revision}")
        if not content.has_sums:
            typer.echo("An earlier version wrote it, without checksums.", err=True)
        if content.plain_secrets:
            typer.echo("Secrets in it are in plain text: keep it where only you can read it.", err=True)
        if content.keys:
            typer.echo(f"To restore it takes the key {', '.join(sorted(content.keys))}.", err=True)


@app.command(
    epilog=examples("vtn restore vtn-2026-11-28.gz", "vtn restore vtn.gz --database postgresql://oadr@db/oadr")
)
def restore(
    file: Annotated[Path, typer.Argument(help="What `oadr vtn backup` has written.")],
    *,
    drop_secrets: Annotated[
        bool,
        typer.Option("--drop-secrets", help="Leave out what is sealed, if its key is lost: all tokens end."),
    ] = False,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Put a backup into an empty database, of the same kind or the other. Takes the key file of its secrets too."""
    with reporting():
        from vtn.administration import restore as put_back

        settings = _settings(config, {"database.url": database_url})
        count = asyncio.run(put_back(settings, file, drop_secrets=drop_secrets))
        typer.echo(f"{count} rows are restored")


@client_app.command(
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
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register a client. A secret that is made is shown now and never again.

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
        given = _secret_in(secret_file)
    _show_credentials(_with_clients(config, database_url, act), given=given, as_json=as_json)


@client_app.command(name="list", epilog=examples("vtn client list", "vtn client list --json"))
def list_(*, config: ConfigOption = None, database_url: DatabaseOption = None, as_json: JsonOption = False) -> None:
    """List clients, without their secrets."""

    async def act(clients: Clients) -> list[dict[str, Any]]:
        return [_row(client) for client in await clients.list()]

    rows = _with_clients(config, database_url, act, make=False)
    show_rows(rows, _COLUMNS, as_json=as_json, title="Clients", empty="no clients; add one with: oadr vtn client add")


@client_app.command(epilog=examples("vtn client suspend home-1", "vtn client suspend home-1 --config vtn.toml"))
def suspend(
    client_id: Annotated[str, typer.Argument(help="Id of the client.")],
    *,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Give a client no more tokens, and end those it has within a minute."""
    _with_clients(config, database_url, lambda clients: clients.suspend(client_id), make=False)
    typer.echo(f"{client_id} is suspended")


@client_app.command(epilog=examples("vtn client resume home-1", "vtn client resume home-1 --config vtn.toml"))
def resume(
    client_id: Annotated[str, typer.Argument(help="Id of the client.")],
    *,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Give a suspended client tokens again."""
    _with_clients(config, database_url, lambda clients: clients.resume(client_id), make=False)
    typer.echo(f"{client_id} may get tokens again")


@client_app.command(epilog=examples("vtn client rotate home-1", "vtn client rotate home-1 --secret-file home-1.secret"))
def rotate(
    client_id: Annotated[str, typer.Argument(help="Id of the client.")],
    *,
    secret_file: SecretFileOption = None,
    allow_weak_secret: WeakSecretOption = False,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a client a new secret; the old one and all its tokens end.

    Examples: oadr vtn client rotate home-1, or oadr vtn client rotate home-1 --secret-file /run/secrets/home-1
    """
    with reporting():
        given = _secret_in(secret_file)
    made = _with_clients(
        config,
        database_url,
        lambda clients: clients.rotate(client_id, secret=given, weak_secret=allow_weak_secret),
        make=False,
    )
    _show_credentials({"client_id": made.client_id, "client_secret": made.secret}, given=given, as_json=as_json)


@client_app.command(epilog=examples("vtn client remove home-1", "vtn client remove home-1 --config vtn.toml"))
def remove(
    client_id: Annotated[str, typer.Argument(help="Id of the client.")],
    *,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Forget a client and end its tokens within a minute; what it has written stays."""
    _with_clients(config, database_url, lambda clients: clients.remove(client_id), make=False)
    typer.echo(f"{client_id} is removed")


@key_app.command(name="rotate", epilog=examples("vtn key rotate", "vtn key rotate --end-tokens"))
def rotate_key(
    *,
    end_tokens: Annotated[
        bool, typer.Option("--end-tokens", help="End every token now, for a key that others may know.")
    ] = False,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Sign tokens with a new key; what older keys signed holds until it expires."""
    with reporting():
        from vtn.administration import rotate_signing_key
        from vtn.app import system_now

        settings = _settings(config, {"database.url": database_url})
        kid = asyncio.run(rotate_signing_key(settings, now=system_now, end_tokens=end_tokens))
        typer.echo(f"tokens are signed with the key {kid} from now on")


@secrets_app.command(name="status", epilog=examples("vtn secrets status", "vtn secrets status --json"))
def secrets_status(
    *, config: ConfigOption = None, database_url: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List the keys, whether the key file has them, and how many secrets each has sealed."""
    with reporting():
        from vtn.administration import keys_in_use

        found = asyncio.run(keys_in_use(_settings(config, {"database.url": database_url})))
        rows = [{"key": key, "in_file": there, "secrets": count} for key, there, count in found]
        columns = {"key": "Key", "in_file": "In the file", "secrets": "Secrets"}
        show_rows(rows, columns, as_json=as_json, title="Keys of secrets", empty="there are no secrets yet")


@secrets_app.command(name="rotate", epilog=examples("vtn secrets rotate", "vtn secrets rotate --forget-old"))
def rotate_secrets_key(
    *,
    forget_old: Annotated[
        bool, typer.Option("--forget-old", help="Take older keys out of the file; older backups still need them.")
    ] = False,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Seal all secrets under a new key. A server that runs goes on; other hosts need the new key file."""
    with reporting():
        from vtn.administration import rotate_secrets

        settings = _settings(config, {"database.url": database_url})
        key, count, gone = asyncio.run(rotate_secrets(settings, forget_old=forget_old))
        typer.echo(f"{count} secrets are sealed with the key {key} from now on")
        if gone:
            typer.echo(f"No longer in the file: {', '.join(gone)}", err=True)


@secrets_app.command(name="reseal", epilog=examples("vtn secrets reseal", "vtn secrets reseal --config vtn.toml"))
def reseal_secrets(*, config: ConfigOption = None, database_url: DatabaseOption = None) -> None:
    """Seal all secrets under the first key of the file, where the file comes from elsewhere."""
    with reporting():
        from vtn.administration import reseal_secrets as seal_again

        count = asyncio.run(seal_again(_settings(config, {"database.url": database_url})))
        typer.echo(f"{count} secrets are sealed with the first key of the file")


def _settings(config: Path | None, flags: Mapping[str, object]) -> Settings:
    """The settings, after saying on standard error which database they lead to."""
    from sqlalchemy.engine import make_url

    from vtn.settings import Settings

    given = flags.get("database.url")
    url = _url(given) if isinstance(given, str) else None
    settings = load(Settings, prefix=PREFIX, file=config, flags={**flags, "database.url": url})
    name = make_url(settings.database.url.get_secret_value()).render_as_string(hide_password=True)
    typer.echo(f"database: {name.replace('+aiosqlite', '').replace('+asyncpg', '')}", err=True)
    if not settings.database.model_fields_set and Path(_EARLIER).exists():
        typer.echo(f"Earlier versions used {_EARLIER} in this folder: --database {_EARLIER} uses it still.", err=True)
    return settings


def _url(database: str | None) -> str | None:
    """A URL as it is, and a file as a URL of SQLite."""
    if database is None or ":" in database:
        return database
    return f"sqlite:///{database}"


def _serve(settings: Settings) -> None:
    lean.import_aiohttp()
    from vtn.app import build
    from vtn.processes.supervisor import Supervisor

    async def serve() -> None:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        with suppress(asyncio.CancelledError):
            if settings.workers > 1:
                supervisor = Supervisor(settings, command=_worker())
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, supervisor.renew_certificate)
                await supervisor.run()
            else:
                server = build(settings)
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, server.renew_certificate)
                await server.run()

    with suppress(KeyboardInterrupt):
        loop.run(serve())


def _worker() -> list[str]:
    level = logging.getLevelName(structlog.get_logger().get_effective_level())
    return [sys.executable, "-m", "oadr.vtn_worker", level.lower()]


def _with_clients(
    config: Path | None, database_url: str | None, act: Callable[[Clients], Awaitable[T]], *, make: bool = True
) -> T:
    async def run_() -> T:
        from vtn.app import client_registry

        async with client_registry(_settings(config, {"database.url": database_url}), make=make) as clients:
            return await act(clients)

    with reporting():
        return asyncio.run(run_())
    raise AssertionError  # reporting() leaves by an exception or lets the answer through


def _secret_in(file: Path | None) -> str | None:
    """Read a secret: the whole file but for the end of its last line. It is never shown, nor part of an error."""
    if file is None:
        return None
    name = "standard input" if file == Path("-") else str(file)
    try:
        with nullcontext(sys.stdin.buffer) if file == Path("-") else file.open("rb") as stream:
            raw = stream.read(_LONGEST_SECRET_BYTES + 1)
        text = raw.decode()
    except OSError as error:
        raise Failure(f"--secret-file: cannot read {name}: {error.strerror}", Exit.USAGE) from None
    except UnicodeDecodeError:
        raise Failure(f"--secret-file: {name} is not UTF-8 text", Exit.USAGE) from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(raw) > _LONGEST_SECRET_BYTES:
        raise Failure(f"--secret-file: {name} is {'too long' if text else 'empty'}; expected a secret", Exit.USAGE)
    return text


def _show_credentials(made: dict[str, Any], *, given: str | None, as_json: bool) -> None:
    """Show a secret that was made; one that was given is known already."""
    if given is not None:
        del made["client_secret"]
    if wants_json(as_json):
        show_json(made)
        return
    typer.echo(f"client_id      {made['client_id']}")
    if given is None:
        typer.echo(f"client_secret  {made['client_secret']}")
        typer.echo("Keep the secret now; it is not shown again.", err=True)


def _row(client: Client) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "role": client.role.value,
        "scopes": " ".join((*sorted(client.scopes), *client.unknown_scopes)),
        "token_lifetime_s": client.token_lifetime_s,
        "created": client.created_at.isoformat().replace("+00:00", "Z"),
        "suspended": client.suspended,
    }
