"""A connection to an MQTT broker: persistent session, QoS 1, and nothing acknowledged before it is stored.

aiomqtt acknowledges a message as soon as it is queued. paho below it can leave that to the application
(``manual_ack_set`` and ``ack``), but aiomqtt does not pass it on, so ``_Client`` switches it on; that is all it adds.
The broker sends only so many unacknowledged messages at a time (Mosquitto: 20), so while nothing is stored the broker
keeps the rest, and our queue stays short. Each connection is a new client object: what an old one had not sent dies
with it, and a message can never leave twice.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Self, cast

import structlog

from openadr_client.backoff import Backoff
from openadr_client.errors import (
    BrokerError,
    BrokerRefused,
    BrokerUnreachable,
    BrokerUntrusted,
    LibraryMissing,
    NotSent,
    Unconfirmed,
)
from openadr_client.settings import BrokerSettings

if TYPE_CHECKING:
    from openadr_client.tls import NamedContext

try:
    import aiomqtt
    from paho.mqtt.client import MQTT_ERR_NO_CONN
except ModuleNotFoundError as missing:
    raise LibraryMissing(
        f"MQTT needs the library {missing.name}: install it with  pip install 'openadr-fleet[mqtt]'", name=missing.name
    ) from missing

_log = structlog.get_logger(__name__)

NODELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
_REFUSED_SUBSCRIPTION: Final = 128
_BATCH: Final = 500


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
    we are away the broker keeps messages for us, unless the session is not ``lasting``.
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
    ) -> None:
        self._settings = settings
        self._lasting = lasting
        self._filters = filters
        self._take = take
        self._now = now
        self._on_change = on_change
        self._sleep = sleep
        self._tls = settings.tls_context()
        # Clients that lost the same broker come back one after the other.
        self._backoff = Backoff(first_s=settings.reconnect_least_s, longest_s=settings.reconnect_most_s)
        self._client: _Client | None = None
        self.connected_since: datetime | None = None
        self.reconnects = 0
        self.problem: str | None = None

    async def __aenter__(self) -> Self:
        """Connect and subscribe; raises BrokerUnreachable, BrokerUntrusted or BrokerRefused."""
        await self._connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect()

    async def run(self) -> None:
        """Hand over messages until cancelled; after a lost connection, connect again with back-off."""
        while True:
            stop_if_cancelled()
            try:
                if self._client is None:
                    await self._reconnect()
                await self._receive()
            except aiomqtt.MqttError as error:
                self.problem = f"connection to {self._settings.url} lost: {error.__cause__ or error}"
                _log.warning("broker connection lost", broker=self._settings.url, problem=self.problem)
                await self.disconnect()

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1, not retained, and wait for the receipt; raises NotSent or Unconfirmed."""
        client = self._client
        if client is None:
            raise NotSent("there is no connection to the broker")
        try:
            await client.publish(topic, payload, qos=1, retain=False)
        except aiomqtt.MqttCodeError as error:
            if error.rc == MQTT_ERR_NO_CONN:
                raise NotSent(str(error)) from error
            raise Unconfirmed(str(error)) from error
        except aiomqtt.MqttError as error:
            raise Unconfirmed(str(error)) from error

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
        client = _Client(self._settings, tls=self._tls, now=self._now, lasting=self._lasting)
        await client.enter()
        try:
            if refused := await client.subscribe_to(self._filters):
                raise BrokerRefused(f"the broker {self._settings.url} refuses the subscription to {', '.join(refused)}")
        except BaseException:
            await leave(client)
            raise
        self._client = client
        self.connected_since = self._now()
        self.problem = None
        _log.info("connected to the broker", broker=self._settings.url, client_id=self._settings.client_id)
        self._on_change()

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
            while len(batch) < _BATCH and not client.arrivals.empty():
                batch.append(client.arrivals.get_nowait())
                arrived.append(client.arrivals.last_arrival)
            await self._take(
                [
                    Received(str(message.topic), _bytes(message.payload), at, message.retain)
                    for message, at in zip(batch, arrived, strict=True)
                ]
            )
            for message in batch:
                client.acknowledge(message)
            stop_if_cancelled()


class _Arrivals(asyncio.Queue[aiomqtt.Message]):
    """A queue that notes when each message came, and refuses only messages that the broker does not repeat."""

    def __init__(self, now: Callable[[], datetime], unconfirmed: int) -> None:
        super().__init__()
        self._now = now
        self._unconfirmed = unconfirmed
        self._times: deque[datetime] = deque()
        self.last_arrival = now()
        self.dropped = 0

    def put_nowait(self, item: aiomqtt.Message) -> None:
        """Keep a message; QoS 0 ones only up to the limit."""
        if item.qos == 0 and self.qsize() >= self._unconfirmed:
            self.dropped += 1
            raise asyncio.QueueFull
        super().put_nowait(item)

    def _put(self, item: aiomqtt.Message) -> None:
        self._times.append(self._now())
        super()._put(item)

    def _get(self) -> aiomqtt.Message:
        self.last_arrival = self._times.popleft()
        return super()._get()


class AwareClient(aiomqtt.Client):
    """aiomqtt for a broker of the settings, of which nothing stays open whatever happens."""

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        tls: NamedContext | None,
        arrivals: asyncio.Queue[aiomqtt.Message],
        **options: Any,
    ) -> None:
        super().__init__(
            settings.host,
            settings.port,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            identifier=settings.client_id,
            keepalive=settings.keepalive_s,
            timeout=settings.timeout_s,
            queue_type=cast(Any, lambda maxsize: arrivals),
            tls_context=tls,
            socket_options=NODELAY,
            **options,
        )
        self._settings = settings
        self._tls = tls
        self._is_opening = False
        self._is_given_up = False
        self.was_open = False
        """True once there was a connection to the broker's address, with TLS if it has to be, whoever was there."""

    async def enter(self) -> None:
        """Connect; raises BrokerUnreachable, BrokerUntrusted or BrokerRefused."""
        self._is_opening = True
        try:
            with connection_errors(self._settings):
                await self.__aenter__()
        except BaseException:
            self._give_up()
            raise
        finally:
            self.take_note_of_the_end()

    async def subscribe_to(self, names: Sequence[str]) -> list[str]:
        """Subscribe with QoS 1 and return what the broker refuses; raises BrokerError."""
        with connection_errors(self._settings):
            granted: Sequence[Any] = await self.subscribe([(name, 1) for name in names])
        if len(granted) != len(names):
            raise BrokerRefused(
                f"the broker {self._settings.url} answers {len(names)} subscriptions with {len(granted)} codes"
            )
        codes = [code if isinstance(code, int) else code.value for code in granted]
        return [name for name, code in zip(names, codes, strict=True) if code >= _REFUSED_SUBSCRIPTION]

    def _client_connect(self) -> None:
        """Open the connection as the parent does, in a thread, which nobody may wait for any more at its end."""
        try:
            super()._client_connect()
            self.was_open = True
        finally:
            self._loop.call_soon_threadsafe(self._opened)

    def _opened(self) -> None:
        self._is_opening = False
        if self._is_given_up:
            self._close()

    def _give_up(self) -> None:
        """Close what an attempt to connect has left open, at once or as soon as its thread is done with it."""
        self._is_given_up = True
        if not self._is_opening:
            self._close()

    def _close(self) -> None:
        """Close the socket after its reader and aiomqtt's own task are gone."""
        if self._connected.cancelled():
            self._connected = asyncio.Future()  # aiomqtt looks into it when paho disconnects
        self._client.disconnect()
        self._client._sock_close()  # noqa: SLF001 # disconnect() leaves it open if its message cannot be sent at once
        if self._tls is not None:
            self._tls.close_last()  # paho forgets a socket whose handshake failed

    def take_note_of_the_end(self) -> None:
        """Retrieve why the connection ended, or asyncio complains later that nobody has."""
        for outcome in (self._connected, self._disconnected):
            if outcome.done() and not outcome.cancelled():
                outcome.exception()


class _Client(AwareClient):
    """aiomqtt with acknowledgment by hand."""

    def __init__(
        self, settings: BrokerSettings, *, tls: NamedContext | None, now: Callable[[], datetime], lasting: bool
    ) -> None:
        self.arrivals = _Arrivals(now, settings.queue)
        super().__init__(
            settings,
            tls=tls,
            arrivals=self.arrivals,
            clean_session=not lasting,
            max_inflight_messages=settings.inflight,
        )
        self.pending_calls_threshold = 10 * settings.inflight
        self._client.manual_ack_set(True)

    def acknowledge(self, message: aiomqtt.Message) -> None:
        """Tell the broker that it need not send the message again."""
        self._client.ack(message.mid, message.qos)


def stop_if_cancelled() -> None:
    """Raise CancelledError if this task was cancelled and has not noticed.

    aiomqtt waits with ``asyncio.wait_for``, which in Python 3.11 loses a cancellation that comes together with the
    awaited result; a loop around it would then never end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def connection_errors(settings: BrokerSettings) -> Iterator[None]:
    """Turn aiomqtt's exceptions into our own errors."""
    where = f"the broker {settings.url}"
    try:
        yield
    except aiomqtt.MqttCodeError as error:
        who = f" as user {settings.username!r}" if settings.username else ""
        raise BrokerRefused(f"{where} refuses client {settings.client_id!r}{who}: {error}") from error
    except (aiomqtt.MqttError, ssl.SSLError) as error:
        cause = error.__context__ if isinstance(error, aiomqtt.MqttError) else error
        if isinstance(cause, ssl.SSLError):
            raise BrokerUntrusted(f"no TLS with {where}: {cause}") from error
        hint = "; does it ask for another client certificate?" if settings.tls else ""
        raise BrokerUnreachable(f"{where} cannot be reached: {error}{hint}") from error


async def leave(client: AwareClient) -> None:
    """Close a connection in order, also one that is broken."""
    try:
        await client.__aexit__(None, None, None)
    except aiomqtt.MqttError:
        _log.debug("the connection was gone before it could be closed")
    finally:
        client.take_note_of_the_end()


def _bytes(payload: object) -> bytes:
    return payload if isinstance(payload, bytes) else bytes(cast(bytearray, payload))
