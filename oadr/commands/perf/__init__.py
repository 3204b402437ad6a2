"""``oadr perf``: what an event delivered, by readings of meters and a baseline."""

from __future__ import annotations

import typer

from oadr.commands.perf import commands
from oadr.terminal.options import examples

app = typer.Typer(
    add_completion=False,
    help="Say what an event delivered: baseline less meter, beside what was asked.",
    no_args_is_help=True,
    epilog=examples("perf methods", "perf event 3f2a --method high-5-of-10 --step 15m"),
)
app.command(epilog=examples("perf methods", "perf methods --json"))(commands.methods)
app.command(epilog=examples("perf event 3f2a", "perf event 3f2a --method high-4-of-5 --csv > settled.csv"))(
    commands.event
)
app.command(epilog=examples("perf freeze 3f2a", "perf freeze 3f2a --method high-4-of-5 --zone America/New_York"))(
    commands.freeze
)
app.command(epilog=examples("perf results", "perf results 77aa --csv > settled.csv"))(commands.results)
