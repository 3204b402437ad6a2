"""A link to an MQTT broker: persistent session, QoS 1, and nothing acknowledged before it is stored.

aiomqtt acknowledges a message as soon as it is queued. paho below it can leave that to the application
(``manual_ack_set`` and ``ack``), but aiomqtt does not pass it on, so ``_Client`` switches it on; that is all it adds.
The broker sends only so many unacknowledged messages at a time (Mosquitto: 20, or what we ask for in MQTT 5), so while
nothing is stored the broker keeps the rest, and our queue stays short. Each connection is a new client object: what an
old one had not sent dies with it, and a message can never leave twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from openadr_client.backoff import Backoff
from openadr_client.errors import BrokerError, BrokerRefused, NotSent, Unconfirmed
from openadr_client.mqtt_arrivals import ArrivedMessages, bytes_of
from openadr_client.mqtt_connection import V5, AwareClient, ProtocolChoice, leave, stop_if_cancelled
from openadr_client.mqtt_prefix import TopicPrefix
from openadr_client.mqtt_window import Fate, PublishWindow
from openadr_client.settings import BrokerSettings
from openadr_client.tls_files import WatchedTls

if TYPE_CHECKING:
    from openadr_client.tls import NamedContext

import aiomqtt  # after mqtt_connection.py, which says what to install if it is missing
from paho.mqtt.client import MQTT_ERR_NO_CONN, MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_log = structlog.get_logger(__name__)

_BATCH: Final = 500
_FILES_EVERY_S: Final = 30.0
_SHORT_S: Final = 5.0
_SHORT_ONES: Final = 2
_REFUSED_TOPICS: Final = 1000
_PACKET_LENGTHS: Final = 4
"""Packets of so many times the longest payload are received at most (MQTT 5): what is longer, but not by much, can
still be refused by name."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message and when it arrived here."""

    topic: str
    payload: bytes
    received_at: datetime
    retained: bool


Take = Callable[[Sequence[Received]], Awaitable[None]]


class MqttLink:
    """One client of the broker that comes back whenever the connection is lost.

    ``take`` gets the messages in their order, in batches; when it returns they are stored, and are acknowledged. While
    we are away the broker keeps messages for us, unless the session is not ``lasting``. All topics stand below
    ``prefix``, which callers do not see; those that begin with ``$`` do not. Filters in ``unwanted`` are taken out of a
    session that an earlier run may have left. Of a payload only the first ``longest`` bytes are kept, if that is given,
    and a broker for MQTT 5 does not send packets of more than four times as many. QoS 0 messages that wait to be taken
    have 32 MiB together at most.
    A certificate file that has changed is used without a restart. Nothing is published while ``may_publish`` is false.
    Messages on topics of which ``may_wait`` is true are collected for a quarter of a second, others hardly at all.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        filters: Sequence[str],
        take: Take,
        now: Callable[[], datetime],
        on_change: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        lasting: bool = True,
        prefix: str = "",
        unwanted: Sequence[str] = (),
        longest: int | None = None,
        may_publish: Callable[[], bool] = lambda: True,
        may_wait: Callable[[str], bool] = lambda topic: False,
    ) -> None:
        self._settings = settings
        self._may_publish = may_publish
        self._may_wait = may_wait
        self._lasting = lasting
        self._topics = TopicPrefix(prefix)
        self._filters = list(filters)
        self._unwanted = [name for name in unwanted if name not in filters]
        self._longest = longest
        self._take = take
        self._now = now
        self._on_change = on_change
        self._sleep = sleep
        self._tls = WatchedTls(settings, now=now)
        self._choice = ProtocolChoice(settings.protocol, remembers=True)
        # Clients that lost the same broker come back one after the other.
        self._backoff = Backoff(first_s=settings.reconnect_least_s, longest_s=settings.reconnect_most_s)
        self._client: _Client | None = None
        self._is_renewing = False
        self.connected_since: datetime | None = None
        self.reconnects = 0
        self.refusals = 0
        """The number of our messages that the broker has refused so far, which it says in MQTT 5 only."""
        self._refused_topics: set[str] = set()
        self._connected_at_s = 0.0
        self._short_ones = 0
        self.problem: str | None = None

    async def __aenter__(self) -> Self:
        """Connect and subscribe; raises BrokerUnreachable, BrokerUntrusted or BrokerRefused."""
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    @property
    def protocol(self) -> str | None:
        """Return the version of MQTT that is spoken now, ``5`` or ``3.1.1``; None without a connection."""
        if self._client is None:
            return None
        return "5" if self._client.version is V5 else "3.1.1"

    @property
    def session_was_kept(self) -> bool:
        """Return True if the broker had a session of this client when the connection was made."""
        return self._client is not None and self._client.session_present

    @property
    def certificate_expires_at(self) -> datetime | None:
        """Return when the certificate that we show ends, or None if we show none."""
        return self._tls.expires_at

    async def run(self) -> None:
        """Hand over messages until cancelled; after a lost connection, connect again with back-off."""
        watching = asyncio.create_task(self._watch_files(), name="watch certificate files")
        try:
            while True:
                stop_if_cancelled()
                try:
                    if self._client is None:
                        await self._reconnect()
                    await self._receive()
                except aiomqtt.MqttError as error:
                    await self._lost(error)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1, not retained, and wait for the receipt; raises NotSent, Unconfirmed or BrokerRefused."""
        if self._client is None:
            raise NotSent("there is no connection to the broker")
        if not self._may_publish():
            raise NotSent("this client may not send now")
        (fate,) = await self.publish_all([(topic, payload)])
        if fate is Fate.NOT_SENT:
            raise NotSent(f"the connection to {self._settings.url} is lost")
        if fate is Fate.UNCONFIRMED:
            raise Unconfirmed(f"{self._settings.url} has not confirmed a message")
        if fate is Fate.REFUSED:
            raise BrokerRefused(f"the broker {self._settings.url} takes no message for {self._topics.outer(topic)}")

    async def publish_all(self, messages: Sequence[tuple[str, bytes]]) -> list[Fate]:
        """Publish messages, each a topic and its bytes, with QoS 1 and not retained; return what has become of each.

        They leave in their order, at most ``inflight`` of the settings before the first is confirmed.
        """
        client = self._client
        if client is None:
            return [Fate.NOT_SENT] * len(messages)
        return await client.window.publish([(self._topics.outer(topic), payload) for topic, payload in messages])

    def _note_answer(self, topic: str, refusal: str | None) -> None:
        """Count a refusal, and log it unless the last message on this topic was refused, too."""
        if refusal is None:
            self._refused_topics.discard(topic)
            return
        self.refusals += 1
        if topic not in self._refused_topics and len(self._refused_topics) < _REFUSED_TOPICS:
            self._refused_topics.add(topic)
            _log.warning("the broker refuses our message", broker=self._settings.url, topic=topic, problem=refusal)

    async def change_filters(self, filters: Sequence[str]) -> None:
        """Listen to these topics instead; raises BrokerError.

        What cannot be told the broker now, for want of a connection, is told with the next one.
        """
        dropped = [name for name in self._filters if name not in filters]
        self._unwanted = [name for name in {*self._unwanted, *dropped} if name not in filters]
        self._filters = list(filters)
        if self._client is not None:
            await self._subscribe(self._client, has_more=True)

    async def _lost(self, error: aiomqtt.MqttError) -> None:
        if self._is_renewing:
            _log.info("connecting again with other certificate files", broker=self._settings.url)
            self._is_renewing = False
        else:
            self.problem = f"connection to {self._settings.url} lost: {error.__cause__ or error}"
            is_short = time.monotonic() - self._connected_at_s < _SHORT_S
            self._short_ones = self._short_ones + 1 if is_short else 0
            if self._short_ones >= _SHORT_ONES:
                self.problem += f"; is another program connected with client id {self._settings.client_id!r}?"
            _log.warning("broker connection lost", broker=self._settings.url, problem=self.problem)
        await self.disconnect()

    async def _watch_files(self) -> None:
        """Connect again when certificate, key or authorities have changed on the disk; the session is kept."""
        while True:
            await self._sleep(_FILES_EVERY_S)
            if self._tls.refresh() and self._client is not None:
                self._is_renewing = True
                await self.disconnect()

    async def _reconnect(self) -> None:
        while True:
            stop_if_cancelled()
            try:
                await self._connect()
            except BrokerError as error:
                self.problem = str(error)
                delay_s = self._backoff.failed()
                _log.warning(
                    "broker not available", broker=self._settings.url, problem=str(error), retry_in_s=round(delay_s, 2)
                )
                await self._sleep(delay_s)
            else:
                self._backoff.succeeded()
                self.reconnects += 1
                return

    async def _connect(self) -> None:
        self._tls.refresh()
        client = await self._enter()
        try:
            await self._subscribe(client, has_more=client.session_present)
        except BaseException:
            await leave(client)
            raise
        self._client = client
        self.connected_since = self._now()
        self._connected_at_s = time.monotonic()
        self.problem = None
        _log.info(
            "connected to the broker",
            broker=self._settings.url,
            client_id=self._settings.client_id,
            protocol=self.protocol,
            session_kept=client.session_present,
        )
        self._on_change()

    async def _enter(self) -> _Client:
        """Connect, in MQTT 3.1.1 if the broker does not know 5; raises BrokerError."""
        while True:
            client = _Client(
                self._settings,
                tls=self._tls.context,
                now=self._now,
                lasting=self._lasting,
                version=self._choice.version,
                longest=self._longest,
                may_publish=self._may_publish,
                may_wait=lambda message: self._may_wait(self._topics.inner(str(message.topic))),
                on_answer=self._note_answer,
            )
            try:
                await client.enter()
            except BrokerError as error:
                if not self._choice.failed(error, was_open=client.was_open):
                    raise
                _log.debug("broker does not know MQTT 5", broker=self._settings.url, problem=str(error))
            else:
                self._choice.succeeded()
                return client

    async def _subscribe(self, client: _Client, *, has_more: bool) -> None:
        """Tell the broker what we listen to, and what we do not any more if the session may have it."""
        wanted = {self._topics.outer(name): name for name in self._filters}
        if wanted and (refused := await client.subscribe_to(list(wanted))):
            raise BrokerRefused(f"the broker {self._settings.url} refuses the subscription to {', '.join(refused)}")
        if self._unwanted and has_more:
            await client.leave_topics([self._topics.outer(name) for name in self._unwanted])

    async def disconnect(self) -> None:
        """Leave the broker; ``run`` connects again."""
        client, self._client, self.connected_since = self._client, None, None
        self._on_change()
        if client is not None:
            await leave(client)

    async def _receive(self) -> None:
        client = self._client
        if client is None:
            return
        while True:
            batch = [await anext(client.messages)]
            arrived = [client.arrivals.last_arrival]
            await client.arrivals.gather(batch[0])
            while len(batch) < _BATCH and not client.arrivals.empty():
                batch.append(client.arrivals.get_nowait())
                arrived.append(client.arrivals.last_arrival)
            await self._take(
                [
                    Received(self._topics.inner(str(message.topic)), bytes_of(message.payload), at, message.retain)
                    for message, at in zip(batch, arrived, strict=True)
                ]
            )
            for message in batch:
                client.acknowledge(message)
            stop_if_cancelled()


class _Client(AwareClient):
    """aiomqtt with acknowledgment by hand, and with a window of our own for what is published."""

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        tls: NamedContext | None,
        now: Callable[[], datetime],
        lasting: bool,
        version: aiomqtt.ProtocolVersion,
        longest: int | None,
        may_publish: Callable[[], bool],
        may_wait: Callable[[aiomqtt.Message], bool],
        on_answer: Callable[[str, str | None], None],
    ) -> None:
        self.arrivals = ArrivedMessages(now, unconfirmed=settings.queue, longest=longest, may_wait=may_wait)
        self.window = PublishWindow(
            self._hand_over, most=settings.inflight, timeout_s=settings.timeout_s, on_answer=on_answer
        )
        self._may_publish = may_publish
        super().__init__(
            settings,
            tls=tls,
            arrivals=self.arrivals,
            version=version,
            max_inflight_messages=settings.inflight,
            **_session(settings, version, lasting=lasting, longest=longest),
        )
        self._client.manual_ack_set(True)
        self._disconnected.add_done_callback(lambda _: self.window.end())

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Tell the broker that it need not send the message again."""
        self._client.ack(message.mid, message.qos)

    def _hand_over(self, topic: str, payload: bytes) -> int:
        """Give a message to paho and return its number; raises NotSent or Unconfirmed."""
        if not self._may_publish():
            raise NotSent("this client may not send now")
        try:
            info = self._client.publish(topic, payload, qos=1, retain=False)
        except ValueError as error:  # a topic or a length that no connection would take: not to be tried again
            raise Unconfirmed(str(error)) from error
        if info.rc == MQTT_ERR_NO_CONN:
            raise NotSent("the connection is lost")
        if info.rc != MQTT_ERR_SUCCESS:
            raise Unconfirmed(f"paho answers {info.rc}")
        return info.mid

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:
        super()._on_connect(client, userdata, flags, reason_code, properties)
        self.window.most = self._client.max_inflight_messages  # less, if the broker takes less at a time

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:
        refusal = str(reason_code) if reason_code.is_failure else None
        if not self.window.confirm(mid, refusal=refusal):
            super()._on_publish(client, userdata, mid, reason_code, properties)


def _session(
    settings: BrokerSettings, version: aiomqtt.ProtocolVersion, *, lasting: bool, longest: int | None
) -> dict[str, Any]:
    """Return how the broker is asked to keep our session and what to keep from us, in the words of this version."""
    if version is not V5:
        return {"clean_session": not lasting}
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's
    properties.ReceiveMaximum = settings.receive_maximum
    if longest is not None:
        properties.MaximumPacketSize = _PACKET_LENGTHS * longest
    if lasting:
        properties.SessionExpiryInterval = settings.session_expiry_s
    return {"clean_start": not lasting, "properties": properties}
