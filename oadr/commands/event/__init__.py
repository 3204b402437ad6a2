"""``oadr event``: issue events and see what became of them. Its rules are in ``openadr_profiles.fleet``."""

from __future__ import annotations

import typer

from oadr.commands.event import create, preview, show, watch, withdraw
from oadr.terminal.options import examples

app = typer.Typer(
    add_completion=False,
    help="Issue events, list them, see what became of them.",
    no_args_is_help=True,
    epilog=examples("event create --shed 5kW --for 1h --target group:north", "event status 3f2a --watch"),
)
app.command(
    epilog=examples(
        "event create --shed 5kW --start 18:00 --for 1h --target group:north",
        "event create --total 500kW --start +10m --for 30m --target group:south --dry-run",
    )
)(create.create)
app.command(epilog=examples("event preview event.json", "event preview event.csv --program peaks --json"))(
    preview.preview
)
app.command(epilog=examples("event update 3f2a --for 2h", "event update 3f2a --shed 2kW --yes"))(create.update)
app.command(name="list", epilog=examples("event list --active", "event list --target group:north --json"))(show.list_)
app.command(epilog=examples("event get 3f2a", "event get 3f2a > event.json"))(show.get)
app.command(epilog=examples("event cancel 3f2a", "event cancel 3f2a 77b0"))(withdraw.cancel)
app.command(epilog=examples("event delete 3f2a", "event delete 3f2a --json"))(withdraw.delete)
app.command(epilog=examples("event status 3f2a", "event status 3f2a --watch --every 5s"))(show.status)
app.command(epilog=examples("event watch", "event watch --target group:north --json"))(watch.watch)
