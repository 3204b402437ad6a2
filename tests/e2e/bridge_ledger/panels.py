"""Panels that keep a book: what they were told, what they did, and which of their answers the broker has confirmed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from typing import Final

import aiomqtt

from bridge_mqtt.simulators.flat import FlatPanel
from oadr.process.running import cancel
from openadr_client import Clock

_AGAIN_S: Final = 0.1
MEASURES_EVERY_S: Final = 10.0


class BookKeepingPanel:
    """A panel program with all its faults, on a broker that comes and goes."""

    def __init__(self, ven_id: str, host: str, port: int, *, seed: int, clock: Clock) -> None:
        self.model = FlatPanel(ven_id, seed=seed)
        self.told: Counter[str] = Counter()
        """How often each command came, by its correlation id."""
        self.confirmed: dict[str, str] = {}
        """The operations whose answers the broker has confirmed, by correlation id."""
        self.took_part: set[str] = set()
        """The events that it has shed for and whose answers the broker has confirmed."""
        self._place = host, port
        self._clock = clock
        self._cut = asyncio.Event()
        self._may_connect = asyncio.Event()
        self._may_connect.set()

    def unplug(self) -> None:
        """Lose the connection and stay away."""
        self._may_connect.clear()
        self._cut.set()

    def plug_in(self) -> None:
        """Come back."""
        self._may_connect.set()

    def crash(self) -> None:
        """Restart: connection and memory are lost."""
        self.model.restart()
        self._cut.set()

    async def run(self) -> None:
        """Measure and obey until cancelled."""
        while True:
            await self._may_connect.wait()
            self._cut.clear()
            with suppress(aiomqtt.MqttError, OSError):
                async with aiomqtt.Client(
                    *self._place, identifier=self.model.ven_id, clean_session=True, timeout=30
                ) as client:
                    await client.subscribe(f"ven/cmd/{self.model.ven_id}", qos=1)
                    await self._be_there(client)
            await asyncio.sleep(_AGAIN_S)

    async def _be_there(self, client: aiomqtt.Client) -> None:
        tasks = [asyncio.create_task(work) for work in (self._measure(client), self._obey(client), self._cut.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel(tasks)  # aiomqtt may lose a request to end, in Python 3.11
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception) and not isinstance(result, aiomqtt.MqttError | OSError):
                    raise result

    async def _measure(self, client: aiomqtt.Client) -> None:
        while True:
            await client.publish("volttron/metering", json.dumps(self.model.sample(self._clock.now())), qos=1)
            await self._clock.sleep(MEASURES_EVERY_S)

    async def _obey(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = bytes(message.payload) if isinstance(message.payload, bytes | bytearray) else b""
            command = json.loads(payload)
            self.told[command["correlationId"]] += 1
            answer = self.model.command(payload, self._clock.now())
            if answer is not None:
                await client.publish(f"ven/ack/{self.model.ven_id}", json.dumps(answer), qos=1)
                self.confirmed[command["correlationId"]] = command["op"]
                if command["op"] == "event":
                    self.took_part.add(command["event_id"])
