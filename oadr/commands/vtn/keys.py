"""``oadr vtn key`` and ``oadr vtn secrets``: change the keys that sign tokens and seal secrets."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from oadr.commands.vtn.options import ConfigOption, DatabaseOption, load_settings
from oadr.errors import reporting
from oadr.terminal.options import examples
from oadr.terminal.output import JsonOption, show_rows

key_app = typer.Typer(
    help="The key that signs tokens.",
    no_args_is_help=True,
    epilog=examples("vtn key rotate", "vtn key rotate --end-tokens"),
)
secrets_app = typer.Typer(
    help="The key that seals the secrets in the database.",
    no_args_is_help=True,
    epilog=examples("vtn secrets status", "vtn secrets rotate"),
)


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

        settings = load_settings(config, {"database.url": database_url})
        kid = asyncio.run(rotate_signing_key(settings, now=system_now, end_tokens=end_tokens))
        typer.echo(f"tokens are signed with the key {kid} from now on")


@secrets_app.command(name="status", epilog=examples("vtn secrets status", "vtn secrets status --json"))
def secrets_status(
    *, config: ConfigOption = None, database_url: DatabaseOption = None, as_json: JsonOption = False
) -> None:
    """List the keys, whether the key file has them, and how many secrets each has sealed."""
    with reporting():
        from vtn.administration import keys_in_use

        found = asyncio.run(keys_in_use(load_settings(config, {"database.url": database_url})))
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

        settings = load_settings(config, {"database.url": database_url})
        key, count, gone = asyncio.run(rotate_secrets(settings, forget_old=forget_old))
        typer.echo(f"{count} secrets are sealed with the key {key} from now on")
        if gone:
            typer.echo(f"No longer in the file: {', '.join(gone)}", err=True)


@secrets_app.command(name="reseal", epilog=examples("vtn secrets reseal", "vtn secrets reseal --config vtn.toml"))
def reseal_secrets(*, config: ConfigOption = None, database_url: DatabaseOption = None) -> None:
    """Seal all secrets under the first key of the file, where the file comes from elsewhere."""
    with reporting():
        from vtn.administration import reseal_secrets as seal_again

        count = asyncio.run(seal_again(load_settings(config, {"database.url": database_url})))
        typer.echo(f"{count} secrets are sealed with the first key of the file")
