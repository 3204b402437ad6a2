"""``oadr vtn``: run the server, bring its database up to date, manage who may get tokens."""

from __future__ import annotations

import typer

from oadr.commands.vtn import clients, database, dispatch, keys, many, openadr_20b, outbox, run, users
from oadr.terminal.options import examples

app = typer.Typer(
    add_completion=False,
    help="The OpenADR 3 server: run it, and say who may use it.",
    no_args_is_help=True,
    epilog=examples("vtn client add utility --role bl", "vtn run --port 8080"),
)
clients.app.command(
    name="add-many",
    epilog=examples(
        "vtn client add-many lines.txt --count 500", "vtn client add-many lines.txt --count 9 --prefix lab-"
    ),
)(many.add_many)
app.add_typer(clients.app, name="client")
app.add_typer(users.app, name="user")
app.add_typer(keys.key_app, name="key")
app.add_typer(keys.secrets_app, name="secrets")
app.add_typer(outbox.app, name="outbox")
app.add_typer(openadr_20b.app, name="20b")
app.command(
    epilog=examples("vtn run --port 8080", "vtn run --host 0.0.0.0 --tls-cert vtn.pem --tls-key vtn.key --workers 2")
)(run.run)
app.command(epilog=examples("vtn dispatch", "vtn dispatch --config vtn.toml"))(dispatch.dispatch)
app.command(epilog=examples("vtn migrate", "vtn migrate --config vtn.toml"))(database.migrate)
app.command(epilog=examples("vtn init", "vtn init /etc/openadr/vtn.toml --client-id utility"))(database.init)
app.command(epilog=examples("vtn backup vtn-2026-11-28.gz", "vtn backup vtn.jsonl --config vtn.toml"))(database.backup)
app.command(epilog=examples("vtn verify vtn-2026-11-28.gz", "vtn verify vtn.jsonl && echo whole"))(database.verify)
app.command(
    epilog=examples("vtn restore vtn-2026-11-28.gz", "vtn restore vtn.gz --database postgresql://oadr@db/oadr")
)(database.restore)
