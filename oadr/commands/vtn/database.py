"""``oadr vtn init``, ``migrate``, ``backup``, ``verify`` and ``restore``: what happens to the database."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from oadr.commands.vtn.options import ConfigOption, DatabaseOption, load_settings, url_of
from oadr.commands.vtn.registered import with_clients
from oadr.errors import reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_json, wants_json

app = typer.Typer(add_completion=False)


@app.command(epilog=examples("vtn migrate", "vtn migrate --config vtn.toml"))
def migrate(*, config: ConfigOption = None, database_url: DatabaseOption = None) -> None:
    """Bring the tables of the database up to date (`run` does it too unless database.migrate is off)."""
    with reporting():
        from vtn.app import migrate_database

        name = asyncio.run(migrate_database(load_settings(config, {"database.url": database_url})))
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

        vault = Vault(load_settings(None, {"database.url": database_url}))
        url = url_of(database_url) or default_database()
        write_example(file, database_url=url, key_file=vault.file.absolute())
        vault.ensure()
        made = with_clients(file, database_url, lambda clients: clients.add(client_id, Role.BL))
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

        settings = load_settings(config, {"database.url": database_url})
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

        settings = load_settings(config, {"database.url": database_url})
        count = asyncio.run(put_back(settings, file, drop_secrets=drop_secrets))
        typer.echo(f"{count} rows are restored")
