"""The broker that a VTN announces: connections to it as one of the clients, and what comes from it.

paho-mqtt is imported when a VTN announces a broker, and not before. It speaks MQTT 3.1.1, which every broker has to.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
import tempfile
from collections.abc import Callable, MutableSequence, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from multidict import CIMultiDict
from yarl import URL

from oadr_conformance.errors import Mismatch, Skipped
from oadr_conformance.told import ToldInbox
from oadr_conformance.wire import HttpExchange, Obj, Purpose

if TYPE_CHECKING:
    from paho.mqtt.client import Client

SCHEMES: Final = ("mqtts", "wss", "mqtt", "ws")
"""Schemes of a broker's URI that our ruling knows (MQTT-003)."""
PORTS: Final = {"mqtts": 8883, "ssl": 8883, "tls": 8883, "wss": 443, "mqtt": 1883, "tcp": 1883, "ws": 80}
"""Scheme of a broker's URI, others in use included, and its usual port; the ones we would rather use come first."""
ENCRYPTED: Final = ("mqtts", "ssl", "tls", "wss")
ANONYMOUS, TOKEN, CERTIFICATE = "ANONYMOUS", "OAUTH2_BEARER_TOKEN", "CERTIFICATE"
_TIMEOUT_S: Final = 10.0
_NO_LIBRARY: Final = "needs the library paho-mqtt, for this VTN announces a broker: pip install 'openadr-fleet[mqtt]'"


@dataclass(frozen=True)
class BrokerAccount:
    """Say where a client finds the broker, and as whom it comes."""

    uri: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    certificates: Obj = field(default_factory=dict, repr=False)
    """caCert, clientCert and clientKey as the VTN gave them, PEM."""


def account(binding: Obj, client_id: Callable[[], str], token: str) -> BrokerAccount:
    """Return the account that this `MQTT` of a `GET /notifiers` gives a client."""
    uris = sorted((str(uri) for uri in binding["URIS"]), key=_preference)
    authentication = binding["authentication"]
    method = authentication["method"]
    if method == TOKEN:
        name = str(authentication["username"])
        if name == "{clientID}":
            name = client_id()
        # A password is an extension, for brokers that cannot verify tokens (MQTT-047).
        return BrokerAccount(uris[0], name, str(authentication.get("password") or token))
    return BrokerAccount(uris[0], certificates=authentication if method == CERTIFICATE else {})


def _preference(uri: str) -> int:
    schemes = list(PORTS)
    scheme = URL(uri).scheme
    return schemes.index(scheme) if scheme in schemes else len(schemes)


class BrokerLink:
    """One connection, and what it hears. ``trust`` makes the TLS context that verifies the broker."""

    def __init__(
        self,
        account: BrokerAccount,
        inbox: ToldInbox,
        log: MutableSequence[HttpExchange],
        trust: Callable[[], ssl.SSLContext],
    ) -> None:
        self.inbox = inbox
        self._account = account
        self._log = log
        self._trust = trust
        self._loop = asyncio.get_running_loop()
        self._client: Client | None = None
        self._running = False
        self._sockets: list[ssl.SSLSocket] = []
        self._connected: asyncio.Future[str] = self._loop.create_future()
        self._subscribed: asyncio.Future[list[bool]] = self._loop.create_future()

    @property
    def identity(self) -> tuple[str | None, str | None, str]:
        """Return what tells this client from others at the broker."""
        return self._account.username, self._account.password, str(self._account.certificates.get("clientCert", ""))

    async def connect(self) -> None:
        """
        Connect.

        Raises:
            Skipped: the library is not installed.
            Mismatch: the broker cannot be reached or does not admit the client.
        """
        problem = await self._connect()
        if problem:
            who = f" as {self._account.username}" if self._account.username else ""
            raise Mismatch(f"a connection to the broker {self._account.uri}{who}", problem)

    async def refused(self) -> bool:
        """Return True if the broker does not admit the client; it has to be there all the same.

        Raises:
            Mismatch: it cannot be reached.
        """
        problem = await self._connect()
        if problem and not problem.startswith(_REFUSED):
            raise Mismatch(f"an answer of the broker {self._account.uri}", problem)
        return bool(problem)

    async def subscribe(self, filters: Sequence[str]) -> list[bool]:
        """Return which of the filters the broker grants."""
        if self._client is None or not self._running:
            return [False for _ in filters]
        self._subscribed = self._loop.create_future()
        self._client.subscribe([(name, 1) for name in filters])
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._subscribed
        except TimeoutError:
            return [False for _ in filters]

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish, and wait a moment for the receipt, which a broker may withhold."""
        if self._client is not None and self._running:
            receipt = self._client.publish(topic, payload, qos=1)
            try:
                await asyncio.to_thread(receipt.wait_for_publish, 1.0)
            except (RuntimeError, ValueError):
                return  # it ended the connection

    async def close(self) -> None:
        """Leave."""
        client, self._client = self._client, None
        if client is not None and self._running:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    async def _connect(self) -> str:
        """Return why there is no connection; empty if there is one."""
        client = self._client = self._made()
        url = URL(self._account.uri)
        try:
            if url.scheme in ENCRYPTED:
                client.tls_set_context(await asyncio.to_thread(self._context))
            port = url.port or PORTS.get(url.scheme, PORTS["mqtt"])
            await asyncio.to_thread(client.connect, url.host or "", port)
            client.loop_start()
            self._running = True
            async with asyncio.timeout(_TIMEOUT_S):
                return await self._connected
        except TimeoutError:
            return f"nothing within {_TIMEOUT_S:g} s"
        except (OSError, ValueError) as error:
            for each in self._sockets:  # paho leaves open what failed
                each.close()
            return _reason(error)

    def _made(self) -> Client:
        try:
            from paho.mqtt import client as paho  # only where a VTN announces a broker
            from paho.mqtt.enums import CallbackAPIVersion
        except ModuleNotFoundError:
            raise Skipped(_NO_LIBRARY) from None
        url = URL(self._account.uri)
        websocket = url.scheme in {"ws", "wss"}
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"conformance-{secrets.token_hex(6)}",
            protocol=paho.MQTTv311,
            transport="websockets" if websocket else "tcp",
            reconnect_on_failure=False,
        )
        client.connect_timeout = _TIMEOUT_S
        if websocket:
            client.ws_set_options(path=url.path_qs or "/mqtt")
        if self._account.username is not None:
            client.username_pw_set(self._account.username, self._account.password)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        return client

    def _context(self) -> ssl.SSLContext:
        context = self._trust()
        given = self._account.certificates
        if given:
            context.load_verify_locations(cadata=str(given["caCert"]))
            with tempfile.TemporaryDirectory() as folder:
                chain, key = Path(folder, "cert.pem"), Path(folder, "key.pem")
                chain.write_text(str(given["clientCert"]), encoding="ascii")
                key.touch(mode=0o600)
                key.write_text(str(given["clientKey"]), encoding="ascii")
                context.load_cert_chain(chain, key)
        wrap = context.wrap_socket

        def noted(*arguments: Any, **options: Any) -> ssl.SSLSocket:
            made = wrap(*arguments, **options)
            self._sockets.append(made)
            return made

        context.wrap_socket = noted  # type: ignore[method-assign]
        return context

    # Called by paho, in a thread of its own.

    def _on_connect(self, _client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        self._tell(self._connected, f"{_REFUSED}: {reason}" if reason.is_failure else "")

    def _on_disconnect(self, _client: object, _data: object, _flags: object, reason: Any, _properties: object) -> None:
        self._tell(self._connected, f"{_REFUSED}: it ended the connection ({reason})")
        self._loop.call_soon_threadsafe(self._no_subscription)

    def _on_subscribe(self, _client: object, _data: object, _mid: int, reasons: Any, _properties: object) -> None:
        self._tell(self._subscribed, [not reason.is_failure for reason in reasons])

    def _on_message(self, _client: object, _data: object, message: Any) -> None:
        self._loop.call_soon_threadsafe(self._take, message.topic, message.payload, message.qos, message.retain)

    def _tell(self, future: asyncio.Future[Any], value: object) -> None:
        self._loop.call_soon_threadsafe(lambda: None if future.done() else future.set_result(value))

    def _no_subscription(self) -> None:
        if not self._subscribed.done():
            self._subscribed.set_result([False])

    def _take(self, topic: str, payload: bytes, qos: int, retained: bool) -> None:
        headers = CIMultiDict({"Topic": topic, "QoS": str(qos), "Retain": str(int(retained))})
        exchange = HttpExchange(
            Purpose.CHECK, "the broker", "PUBLISH", f"{self._account.uri}/{topic}", headers, payload
        )
        exchange.problem = "the suite received it"
        self._log.append(exchange)
        self.inbox.put(exchange)


_REFUSED: Final = "it refuses the client"


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message}); --ca names a file with its authority"
    if isinstance(error, ssl.SSLError | ConnectionResetError):  # a broker that asks for another certificate
        return f"{_REFUSED}: {error}"
    return f"it cannot be reached: {error}"
