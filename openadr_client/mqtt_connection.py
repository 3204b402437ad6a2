"""One connection to an MQTT broker: opened and closed without a trace, in MQTT 5 or 3.1.1, with errors of our own."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import structlog

from openadr_client.errors import BrokerRefused, BrokerUnreachable, BrokerUntrusted, LibraryMissing
from openadr_client.settings import BrokerSettings, MqttProtocol

if TYPE_CHECKING:
    from paho.mqtt.client import ConnectFlags, DisconnectFlags
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from openadr_client.tls import NamedContext

try:
    import aiomqtt
except ModuleNotFoundError as missing:
    raise LibraryMissing(
        f"MQTT needs the library {missing.name}: install it with  pip install 'openadr-fleet[mqtt]'", name=missing.name
    ) from missing

_log = structlog.get_logger(__name__)

NODELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
V5: Final = aiomqtt.ProtocolVersion.V5
V311: Final = aiomqtt.ProtocolVersion.V311
_FIXED: Final[dict[MqttProtocol, aiomqtt.ProtocolVersion]] = {"5": V5, "3.1.1": V311}
_REFUSED: Final = 128
_WRONG_VERSION: Final = {1, 132}


class ProtocolChoice:
    """Say which version of MQTT the next connection speaks: the one of the settings, or 5 unless the broker is too old.

    Brokers that do not know MQTT 5 say so, say nothing, or hang up. Where nobody was reached nobody said anything about
    a version, and 5 is tried first. After a connection too, since what is there next may be another broker; a choice
    that ``remembers`` goes on with what worked, because a silent broker costs the whole timeout.
    """

    def __init__(self, protocol: MqttProtocol = "auto", *, remembers: bool = False) -> None:
        self._fixed = _FIXED.get(protocol)
        self._remembers = remembers
        self.version = self._fixed or V5

    def succeeded(self) -> None:
        """Note that there was a connection."""
        if not self._remembers:
            self.version = self._fixed or V5

    def failed(self, error: Exception, *, was_open: bool) -> bool:
        """Note an attempt that failed; return True if 3.1.1, which comes next, may work where 5 did not."""
        if self._fixed is not None:
            return False
        number = code_of(error.__cause__)
        is_silent = isinstance(error, BrokerUnreachable) and number is None
        tried = self.version
        if not was_open:
            self.version = V5
        elif number in _WRONG_VERSION or is_silent:
            self.version = V5 if tried is V311 else V311
        return tried is V5 and self.version is V311


def code_of(error: BaseException | None) -> int | None:
    """Return the number of an answer of the broker, or None if there was none."""
    code = getattr(error, "rc", None)
    number = getattr(code, "value", code)
    return number if isinstance(number, int) else None


class AwareClient(aiomqtt.Client):
    """aiomqtt for a broker of the settings, of which nothing stays open whatever happens."""

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        tls: NamedContext | None,
        arrivals: asyncio.Queue[aiomqtt.Message],
        version: aiomqtt.ProtocolVersion,
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
            protocol=version,
            **options,
        )
        self.version = version
        self._settings = settings
        self._tls = tls
        self._is_opening = False
        self._is_given_up = False
        self.was_open = False
        """True once there was a connection to the broker's address, with TLS if it has to be, whoever was there."""
        self.session_present = False
        """True if the broker has kept a session of ours from before."""
        self._disconnected.add_done_callback(self._ended_early)  # with an answer that paho cannot read

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
        return [name for name, code in zip(names, codes, strict=True) if code >= _REFUSED]

    async def leave_topics(self, names: Sequence[str]) -> None:
        """Unsubscribe; raises BrokerError."""
        with connection_errors(self._settings):
            await self.unsubscribe(list(names))

    def _on_connect(
        self,
        client: Any,
        userdata: Any,
        flags: ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        """Note what the broker says of the session, and send no more at a time than it takes (MQTT 5)."""
        self.session_present = flags.session_present
        most = getattr(properties, "ReceiveMaximum", None)
        if isinstance(most, int) and 0 < most < self._client.max_inflight_messages:
            self._client._max_inflight_messages = most  # noqa: SLF001 # paho does not look at it
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: Any,
        userdata: Any,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        """Note at once that a broker has hung up instead of answering: aiomqtt waits for its answer to the end."""
        self._ended_early()
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _ended_early(self, _: object = None) -> None:
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError("it closed the connection instead of answering"))

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
