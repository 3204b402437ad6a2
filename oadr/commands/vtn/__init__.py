"""``oadr vtn``: run the server, bring its database up to date, manage who may get tokens.

Each command is imported when it is used: a server starts without those that administer it.
"""

from __future__ import annotations

from typing import ClassVar

import typer

from oadr.process.late_commands import LateCommands
from oadr.terminal.options import examples

_HERE = "oadr.commands.vtn"


class _VtnCommands(LateCommands):
    places: ClassVar = {
        "run": (f"{_HERE}.run:app", "Serve until interrupted."),
        "dispatch": (f"{_HERE}.dispatch:app", "Deliver notifications until interrupted, without serving the API."),
        "migrate": (f"{_HERE}.database:app", "Bring the tables of the database up to date."),
        "init": (f"{_HERE}.database:app", "Write a configuration, make the database and the first client."),
        "backup": (f"{_HERE}.database:app", "Write everything in the database into a new file."),
        "verify": (f"{_HERE}.database:app", "Read a backup to its end and check every row of it."),
        "restore": (f"{_HERE}.database:app", "Put a backup into an empty database."),
        "client": (f"{_HERE}.clients:app", "Clients: who may get tokens, and for what."),
        "user": (f"{_HERE}.users:app", "Users of the console: people, with a role and a password."),
        "key": (f"{_HERE}.keys:key_app", "The key that signs tokens."),
        "secrets": (f"{_HERE}.keys:secrets_app", "The key that seals the secrets in the database."),
        "outbox": (f"{_HERE}.outbox:app", "Notifications that wait, or were given up."),
        "20b": (f"{_HERE}.openadr_20b:app", "OpenADR 2.0b: look into its messages."),
    }


app = typer.Typer(
    add_completion=False,
    cls=_VtnCommands,
    help="The OpenADR 3 server: run it, and say who may use it.",
    no_args_is_help=True,
    epilog=examples("vtn client add utility --role bl", "vtn run --port 8080"),
)


@app.callback()
def _vtn() -> None:
    """Have no options of its own."""
