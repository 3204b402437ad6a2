"""Clients of a real broker, as a test that asks who may do what needs them."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY

from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

_REFUSED = 0x80


class MqttClient:
    """One connection: what it may subscribe to, and all that it gets."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self.got: list[tuple[str, bytes]] = []
        self.ended = False

    async def subscribe(self, topic_filter: str) -> bool:
        """Subscribe; True if the broker grants it."""
        (code,) = await self._client.subscribe(topic_filter, 1)
        return (code if isinstance(code, int) else code.value) < _REFUSED

    async def unsubscribe(self, topic_filter: str) -> None:
        """End a subscription."""
        await self._client.unsubscribe(topic_filter)

    async def publish(self, topic: str, payload: str, *, retain: bool = False) -> None:
        """Publish and wait for the receipt, which a broker gives too when nobody may read it."""
        await self._client.publish(topic, payload, qos=1, retain=retain)

    async def until(self, payload: str) -> list[tuple[str, str]]:
        """Wait for a message with this payload; return what came before it, and forget all of it."""
        await wait_until(lambda: any(each == payload.encode() for _, each in self.got), what=f"the message {payload}")
        place = next(place for place, (_, each) in enumerate(self.got) if each == payload.encode())
        before, self.got = self.got[:place], self.got[place + 1 :]
        return [(topic, each.decode()) for topic, each in before]

    async def break_off(self) -> None:
        """End the connection without a goodbye, so that the broker publishes the last will."""
        connection: Any = self._client._client.socket()
        connection.shutdown(socket.SHUT_RDWR)
        await self.has_ended()

    async def has_ended(self) -> None:
        """Wait until the broker has ended the connection."""
        await wait_until(lambda: self.ended, what="the end of the connection")

    async def listen(self) -> None:
        """Take messages until the connection ends."""
        try:
            async for message in self._client.messages:
                self.got.append((str(message.topic), bytes(message.payload)))
        except aiomqtt.MqttError:
            self.ended = True


@asynccontextmanager
async def connected(
    broker: Mosquitto,
    username: str | None,
    password: str | None,
    *,
    client_id: str | None = None,
    tls: ssl.SSLContext | None = None,
    version: int = 5,
    will: str | None = None,
    keep_session: bool = False,
) -> AsyncIterator[MqttClient]:
    """A connection as this user; raises aiomqtt.MqttError if it is refused."""
    five = version == 5
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=username,
        password=password,
        identifier=client_id or uuid4().hex,
        tls_context=tls,
        protocol=aiomqtt.ProtocolVersion.V5 if five else aiomqtt.ProtocolVersion.V311,
        clean_start=not keep_session if five else MQTT_CLEAN_START_FIRST_ONLY,
        clean_session=None if five else not keep_session,
        will=None if will is None else aiomqtt.Will(will, "a last will", qos=1),
    )
    try:
        with suppress(_Ended):
            async with client:
                connection = MqttClient(client)
                listening = asyncio.create_task(connection.listen())
                try:
                    yield connection
                finally:
                    listening.cancel()
                    await asyncio.wait([listening])
                    if connection.ended:
                        raise _Ended
    finally:
        for outcome in (client._connected, client._disconnected):
            if outcome.done() and not outcome.cancelled():
                outcome.exception()


class _Ended(Exception):
    """The broker has ended the connection already: there is nothing left to disconnect."""


async def is_refused(broker: Mosquitto, username: str | None, password: str | None, **more: object) -> bool:
    """Return True if the broker refuses this user."""
    try:
        async with connected(broker, username, password, **more):  # type: ignore[arg-type]
            return False
    except aiomqtt.MqttError:
        return True
