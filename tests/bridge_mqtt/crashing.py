"""Runs a bridge as a process of its own that ends itself like ``kill -9`` at a given point.

    python -m tests.bridge_mqtt.crashing SETTINGS.json before|after|never

``before``: the row says "sent", the message has not left. ``after``: the broker has confirmed the message.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from bridge_mqtt.service import run_bridge
from bridge_mqtt.settings import Settings
from openadr_client.mqtt import MqttLink


def main() -> None:
    """Run until the point is reached."""
    settings = Settings.model_validate_json(Path(sys.argv[1]).read_text())
    point = sys.argv[2]
    publish = MqttLink.publish

    async def publish_and_die(self: MqttLink, topic: str, payload: bytes) -> None:
        if point == "after":
            await publish(self, topic, payload)
        os.kill(os.getpid(), signal.SIGKILL)

    if point != "never":
        MqttLink.publish = publish_and_die  # type: ignore[method-assign] # the crash is the point
    asyncio.run(run_bridge(settings))


if __name__ == "__main__":
    main()
