"""``oadr vtn client add-many``: VEN clients by the hundred, with their join lines in one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from oadr.commands.vtn.join import CaFileOption, TokenUrlOption, UrlOption, join_lines
from oadr.commands.vtn.options import ConfigOption, DatabaseOption, load_settings
from oadr.commands.vtn.registered import run_with_clients
from oadr.errors import Exit, Failure, reporting

if TYPE_CHECKING:
    from vtn.auth.clients import Clients

_MOST: Final = 10_000


def add_many(
    file: Annotated[Path, typer.Argument(help="File to write the join lines to, one a line; it must not exist.")],
    *,
    count: Annotated[int, typer.Option(help="So many clients.", min=1, max=_MOST)],
    prefix: Annotated[str, typer.Option(help="Beginning of their ids; a number from 1 on follows.")] = "home-",
    url: UrlOption = None,
    token_url: TokenUrlOption = None,
    ca_file: CaFileOption = None,
    config: ConfigOption = None,
    database_url: DatabaseOption = None,
) -> None:
    """Register many clients with the role VEN, as for oadr ven fleet. The file holds their secrets (0600).

    Nothing is done if one of the ids is taken.
    """
    ids = [f"{prefix}{number}" for number in range(1, count + 1)]

    async def act(clients: Clients) -> None:
        from vtn.access import Role

        taken = {client.client_id for client in await clients.list()} & set(ids)
        if taken:
            raise Failure(f"client {min(taken)} exists already; choose another --prefix", Exit.REFUSED)
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise Failure(f"{file} cannot be made: {error.strerror}", Exit.USAGE) from None
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            for client_id in ids:
                made = await clients.add(client_id, Role.VEN)
                opened.write(f"{lines.line(made.client_id, made.secret)}\n")
                opened.flush()  # each secret is kept as soon as there is one

    with reporting():
        settings = load_settings(config, {"database.url": database_url})
        lines = join_lines(settings, url=url, token_url=token_url, ca_file=ca_file)
        lines.must_be_possible(ids[-1])
        if lines.line(ids[-1], "-") is None:
            raise Failure(lines.note or "there is no join line", Exit.USAGE)
    run_with_clients(settings, act)
    typer.echo(f"{count} clients are added; their join lines are in {file}: keep it to yourself")
    if lines.note is not None:
        typer.echo(lines.note, err=True)
