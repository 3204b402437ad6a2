"""A connection to an MQTT broker of which only so much is kept, for hints and commands: no session waits for us there.

A broker that speaks MQTT 5 is told the longest message that we take. MQTT 3.1.1 has no word for it: a message is read
whole, of up to 256 MiB, before it is thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from openadr_client.errors import BrokerError, BrokerUnreachable
from openadr_client.mqtt_connection import V5, AwareClient, ProtocolChoice, leave
from openadr_client.settings import BrokerSettings

if TYPE_CHECKING:
    from openadr_client.tls import NamedContext

import aiomqtt  # after mqtt_connection.py, which says what to install if it is missing
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_LONGEST_TOPIC: Final = 65_536


@dataclass(frozen=True, slots=True)
class RetainedMessage:
    """Hold a message that the broker keeps as the last word on its topic; without a payload it forgets that word."""

    topic: str
    payload: bytes


class BoundedQueue(asyncio.Queue[aiomqtt.Message]):
    """Keep a bounded number of messages and of their bytes, and note that some did not fit."""

    def __init__(self, *, most: int, longest: int, most_bytes: int) -> None:
        super().__init__(most)
        self.overflowed = False
        self._longest = longest
        self._most_bytes = most_bytes
        self._bytes = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Keep a message if there is room; of one that is too long to be read at all only that it came."""
        if len(item.payload) > self._longest:
            item.payload = b""
        if self.full() or self._bytes + len(item.payload) > self._most_bytes:
            self.overflowed = True
            return
        super().put_nowait(item)

    def _put(self, item: aiomqtt.Message) -> None:
        self._bytes += len(item.payload)
        super()._put(item)

    def _get(self) -> aiomqtt.Message:
        message = super()._get()
        self._bytes -= len(message.payload)
        return message


class BoundedClient(AwareClient):
    """One connection; `BoundedConnector` makes it. What `arrivals` has no room for is not kept."""

    def __init__(
        self,
        broker: BrokerSettings,
        *,
        tls: NamedContext | None,
        version: aiomqtt.ProtocolVersion,
        arrivals: BoundedQueue,
        longest: int,
        will: RetainedMessage | None,
    ) -> None:
        self.arrivals = arrivals
        is_new = version is V5
        properties = Properties(PacketTypes.CONNECT) if is_new else None  # type: ignore[no-untyped-call] # paho's
        if properties is not None:
            properties.MaximumPacketSize = longest + _LONGEST_TOPIC
        super().__init__(
            broker,
            tls=tls,
            arrivals=arrivals,
            version=version,
            clean_session=None if is_new else True,
            properties=properties,
            will=None if will is None else aiomqtt.Will(will.topic, will.payload, qos=1, retain=True),
        )

    async def next_message(self) -> aiomqtt.Message:
        """Return the next message; raises BrokerUnreachable when the connection is lost."""
        try:
            return await anext(self.messages)
        except aiomqtt.MqttError as error:
            why = error.__cause__ or error
            raise BrokerUnreachable(f"connection to {self._settings.url} lost: {why}") from error

    async def put(self, message: RetainedMessage) -> None:
        """Publish with QoS 1, to be kept by the broker, and wait for the receipt; raises BrokerUnreachable."""
        await self.say(message.topic, message.payload, qos=1, retain=True)

    async def say(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        """Publish, and wait for the receipt that this QoS has; raises BrokerUnreachable."""
        try:
            await self.publish(topic, payload, qos=qos, retain=retain)
        except aiomqtt.MqttError as error:
            raise BrokerUnreachable(f"the broker {self._settings.url} did not take a message: {error}") from error

    def hang_up(self, last: RetainedMessage) -> None:
        """Say one more thing, if the connection takes it at once, and close; waits for nothing."""
        with contextlib.suppress(ValueError):  # of paho, for a topic that is none
            self._client.publish(last.topic, last.payload, qos=0, retain=True)
        self._give_up()


class BoundedConnector:
    """Connect in MQTT 5, or in 3.1.1 where the broker does not know it.

    Of messages that wait to be read there are at most ``most`` with ``most_bytes`` together; of one whose payload has
    more than ``longest`` bytes only that it came is known.
    """

    def __init__(self, *, longest: int, most: int = 100, most_bytes: int = 32 * 1024 * 1024) -> None:
        self._longest = longest
        self._most = most
        self._most_bytes = most_bytes
        self._choice = ProtocolChoice()

    @contextlib.asynccontextmanager
    async def connected(
        self, broker: BrokerSettings, *, tls: NamedContext | None, will: RetainedMessage | None = None
    ) -> AsyncIterator[BoundedClient]:
        """Hold a connection. A ``will`` is said when it ends, by the broker or by us, who then wait for nothing.

        Raises:
            BrokerUnreachable, BrokerUntrusted, BrokerRefused: there is no connection.
        """
        arrivals = BoundedQueue(most=self._most, longest=self._longest, most_bytes=self._most_bytes)
        client = BoundedClient(
            broker, tls=tls, version=self._choice.version, arrivals=arrivals, longest=self._longest, will=will
        )
        try:
            await client.enter()
        except BrokerError as error:
            self._choice.failed(error, was_open=client.was_open)
            raise
        self._choice.succeeded()
        try:
            yield client
        finally:
            if will is None:
                await leave(client)
            else:
                client.hang_up(will)


async def first_end(*works: Coroutine[Any, Any, None]) -> None:
    """Run works beside each other until the first one ends, and end as it did."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()
