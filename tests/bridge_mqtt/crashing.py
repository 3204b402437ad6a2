"""Runs a bridge as a process of its own that ends itself like ``kill -9`` at a given point, or stops there.

    python -m tests.bridge_mqtt.crashing SETTINGS.json before|after|stop|never

``before``: the row says "sent", the message has not left. ``after``: the broker has confirmed the message. ``stop``: as
``before``, but the process is only stopped, and sends the message when somebody lets it go on.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from bridge_mqtt import dispatcher
from bridge_mqtt.serving import run_bridge
from bridge_mqtt.settings import Settings
from openadr_client.mqtt import MqttLink
from openadr_client.mqtt_window import Fate


def main() -> None:
    """Run until the point is reached."""
    settings = Settings.model_validate_json(Path(sys.argv[1]).read_text())
    point = sys.argv[2]
    publish = MqttLink.publish_all
    is_stopped = False
    dispatcher._RECONCILE = timedelta(seconds=1)  # type: ignore[misc] # nobody tells this process what a test puts into its store

    async def publish_and_die(self: MqttLink, messages: Sequence[tuple[str, bytes]]) -> list[Fate]:
        nonlocal is_stopped
        if is_stopped:
            return await publish(self, messages)
        if point == "after":
            await publish(self, messages)
        is_stopped = True
        os.kill(os.getpid(), signal.SIGSTOP if point == "stop" else signal.SIGKILL)
        return await publish(self, messages)

    if point != "never":
        MqttLink.publish_all = publish_and_die  # type: ignore[method-assign] # the crash is the point
    asyncio.run(run_bridge(settings))


if __name__ == "__main__":
    main()
