"""A bare loop of aiomqtt that the bridge is compared with: it commands each panel and counts the answers.

``python -m bench.bare_backend PORT PANELS`` sends ``bare/cmd/{panel}`` with QoS 1, a hundred on their way as the bridge
has, and prints the seconds from the first command to the last answer on ``bare/ack/+``. Nothing is decided or stored.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from itertools import count
from typing import Final

import aiomqtt

PREFIX: Final = "bare"
_INFLIGHT: Final = 100


async def run(port: int, panels: int) -> float:
    """Command all panels once; return the seconds until the last of them has answered."""
    async with aiomqtt.Client("127.0.0.1", port, max_inflight_messages=_INFLIGHT) as client:
        client.pending_calls_threshold = _INFLIGHT  # so many are meant, no reason for warnings
        await client.subscribe(f"{PREFIX}/ack/+", qos=1)
        numbers = count()
        began = time.perf_counter()

        async def publish() -> None:
            for number in numbers:
                if number >= panels:
                    return
                await client.publish(f"{PREFIX}/cmd/panel-{number}", _command(number), qos=1)

        async with asyncio.TaskGroup() as group:
            for _ in range(_INFLIGHT):
                group.create_task(publish())
            left = panels
            async for _ in client.messages:
                left -= 1
                if not left:
                    return time.perf_counter() - began
    raise AssertionError("messages of a connected client do not end")


def _command(number: int) -> str:
    command = {"op": "event", "event_id": PREFIX, "shed_kw": 1.0, "duration_sec": 60, "correlationId": f"bare-{number}"}
    return json.dumps(command)


if __name__ == "__main__":
    print(asyncio.run(run(int(sys.argv[1]), int(sys.argv[2]))))
