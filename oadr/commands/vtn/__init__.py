"""``oadr vtn``: run the server, bring its database up to date, manage who may get tokens."""

from __future__ import annotations

import typer

from oadr.commands.vtn import clients, database, keys, run
from oadr.terminal.options import examples

app = typer.Typer(
    add_completion=False,
    help="The OpenADR 3 server: run it, and say who may use it.",
    no_args_is_help=True,
    epilog=examples("vtn client add utility --role bl", "vtn run --port 8080"),
)
app.add_typer(clients.app, name="client")
app.add_typer(keys.key_app, name="key")
app.add_typer(keys.secrets_app, name="secrets")
app.command(
    epilog=examples("vtn run --port 8080", "vtn run --host 0.0.0.0 --tls-cert vtn.pem --tls-key vtn.key --workers 2")
)(run.run)
app.command(epilog=examples("vtn migrate", "vtn migrate --config vtn.toml"))(database.migrate)
app.command(epilog=examples("vtn init", "vtn init /etc/openadr/vtn.toml --client-id utility"))(database.init)
app.command(epilog=examples("vtn backup vtn-2026-11-28.gz", "vtn backup vtn.jsonl --config vtn.toml"))(database.backup)
app.command(epilog=examples("vtn verify vtn-2026-11-28.gz", "vtn verify vtn.jsonl && echo whole"))(database.verify)
app.command(
    epilog=examples("vtn restore vtn-2026-11-28.gz", "vtn restore vtn.gz --database postgresql://oadr@db/oadr")
)(database.restore)
