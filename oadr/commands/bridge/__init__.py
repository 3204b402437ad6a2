"""``oadr bridge``: carry the events of a VTN to legacy panels, look after that, and simulate such panels to try it."""

from __future__ import annotations

import typer

from oadr.commands.bridge import acl, check, database, reading, replay, run, simulate
from oadr.terminal.options import examples

app = typer.Typer(
    add_completion=False,
    help="Bridge between a VTN and legacy panels on an MQTT broker.",
    no_args_is_help=True,
    epilog=examples("bridge run --config bridge.toml", "bridge simulate panel-1 --broker mqtt://127.0.0.1"),
)
app.command(
    epilog=examples(
        "bridge run --config bridge.toml",
        "bridge run --vtn http://127.0.0.1:8080/openadr3/3.1.0 --client-id bridge-1 --broker mqtt://127.0.0.1",
    )
)(run.run)
app.command(
    epilog=examples(
        "bridge simulate panel-1 panel-2 --broker mqtt://127.0.0.1",
        "bridge simulate --count 10000 --processes 2 --fault silent=0.01 --fault restarts=0.05",
    )
)(simulate.simulate)
app.command(epilog=examples("bridge check --config bridge.toml", "bridge check --listen 30 --json"))(check.check)
app.command(
    epilog=examples("bridge migrate --config bridge.toml", "bridge migrate --database postgresql://oadr@db/panels")
)(database.migrate)
app.command(
    epilog=examples(
        "bridge acl --broker mosquitto --config bridge.toml --user mqtt-bridge > /etc/mosquitto/acl",
        "bridge acl --user mqtt-bridge",
    )
)(acl.acl)
app.command(epilog=examples("bridge panels", "bridge panels --config bridge.toml --json"))(reading.panels)
app.command(epilog=examples("bridge commands --panel panel-1", "bridge commands --event EVENT"))(reading.commands)
app.command(epilog=examples("bridge acks --panel panel-1", "bridge acks --event EVENT"))(reading.acks)
app.command(epilog=examples("bridge explain EVENT", "bridge explain EVENT --panel panel-1"))(reading.explain)
app.command(
    epilog=examples(
        "bridge replay panel.jsonl --broker mqtt://127.0.0.1",
        "bridge replay panel.jsonl --speed 10 --topic-prefix site-7",
    )
)(replay.replay)
