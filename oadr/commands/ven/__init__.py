"""``oadr ven``: be a device that takes part in events, and look after it."""

from __future__ import annotations

import typer

from oadr.commands.ven import doctor, drivers, fleet, join, owner, run, setup, simulate
from oadr.terminal.options import examples

app = typer.Typer(
    add_completion=False,
    help="A device: takes part in events, switches its circuits, reports.",
    no_args_is_help=True,
    epilog=examples("ven run --config home-1.toml", "ven run --vtn http://127.0.0.1:8080/openadr3/3.1.0"),
)
app.command(
    epilog=examples(
        "ven run --config home-1.toml", "ven run --vtn http://127.0.0.1:8080/openadr3/3.1.0 --client-id home-1"
    )
)(run.run)
app.command(epilog=examples("ven setup", "ven setup --config /etc/oadr/ven.toml --no-run"))(setup.setup)
app.command(epilog=examples("ven join", "ven join - --config /etc/oadr/ven.toml < line.txt"))(join.join)
app.command(
    epilog=examples(
        "ven simulate evening.json --config home-1.toml", "ven simulate - --drawn ev=7kW --json < event.json"
    )
)(simulate.simulate)
app.command(epilog=examples("ven drivers", "ven drivers --json"))(drivers.drivers)
app.command(epilog=examples("ven doctor --config home-1.toml", "ven doctor --config home-1.toml --json"))(doctor.doctor)
app.command(epilog=examples("ven status --config home-1.toml", "ven status --json"))(owner.status)
app.command(epilog=examples("ven history --config home-1.toml", "ven history --limit 10 --json"))(owner.history)
app.command(epilog=examples("ven restore --config home-1.toml", "ven restore --reason 'too cold'"))(owner.restore)
app.command(epilog=examples("ven fleet lines.txt", "ven fleet lines.txt --count 500 --over 60 --json"))(fleet.fleet)
app.add_typer(owner.opt_app, name="opt")
