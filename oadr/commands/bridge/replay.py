"""``oadr bridge replay``: let a broker hear again what panels have said."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oadr.config import load
from oadr.errors import reporting
from oadr.terminal.output import JsonOption, show_json, wants_json

if TYPE_CHECKING:
    from bridge_mqtt.replaying import Replayed
    from bridge_mqtt.settings import Broker


def replay(
    file: Annotated[Path, typer.Argument(help="A recording: a JSON object on each line.")],
    *,
    broker: Annotated[str, typer.Option(metavar="URL", help="The broker to publish at.")] = "mqtt://127.0.0.1:1883",
    speed: Annotated[float, typer.Option(min=0.001, max=100_000, help="So many times as fast as it was.")] = 1.0,
    to_panels: Annotated[
        bool, typer.Option("--to-panels", help="Publish the recorded commands too: real panels would obey them.")
    ] = False,
    topic_prefix: Annotated[str, typer.Option(metavar="LEVELS", help="Levels before the topics, as site-7.")] = "",
    ca_file: Annotated[Path | None, typer.Option(help="CA of the broker, for mqtts://.")] = None,
    certificate: Annotated[Path | None, typer.Option(help="Our certificate, for mqtts://.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its private key.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Publish recorded traffic of panels at a broker, in its order and at its distances.

    Only what panels sent, unless --to-panels. A file with a line that cannot be used publishes nothing.
    """
    with reporting():
        from bridge_mqtt.settings import Broker

        given = {
            "url": broker,
            "client_id": "openadr-replay",
            "topic_prefix": topic_prefix,
            "ca_file": ca_file,
            "client_certificate": certificate,
            "client_key": key,
        }
        settings = load(Broker, prefix="OADR_REPLAY_", flags=given, environment={})
        done = asyncio.run(_replay(file, settings, speed=speed, to_panels=to_panels))
        if wants_json(as_json):
            show_json({"published": done.published, "leftOut": done.left_out})
        else:
            typer.echo(f"{done.published} messages published, {done.left_out} to panels left out")


async def _replay(file: Path, broker: Broker, *, speed: float, to_panels: bool) -> Replayed:
    from bridge_mqtt.replaying import replay as replayed

    return await replayed(file, broker, prefix=broker.topic_prefix, speed=speed, to_panels=to_panels)
