"""Notifications from the websocket that a VTN announces in `/notifiers` (`WEBSOCKET`): no broker, no open port."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, NoReturn

import aiohttp
import msgspec
import structlog

from openadr_client.errors import (
    NoWay,
    TemporarilyUnavailable,
    Unauthorized,
    Unreachable,
    UnreadableNotification,
    UntrustedServer,
)
from openadr_client.notifications import MAX_NOTIFICATION, ReadAgain, Tell, Way, read_notification
from openadr_client.topic_choice import OBJECT_KINDS
from openadr_client.transport import origin, unreachable

if TYPE_CHECKING:
    from openadr_client.client import VtnClient
    from openadr_profiles.v31 import Notifiers

_log = structlog.get_logger(__name__)

_PING_EVERY_S: Final = 30.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, connect=30.0, sock_read=30.0)
"""Real seconds for each step of the opening; aiohttp lifts the limit of reading once the websocket is open."""
_TOKEN_OVER: Final = 4401
_TEXT_OR_BINARY: Final = (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
_REMEMBERED: Final = 1000
"""Numbers of notifications of which a repeat is not told again."""


class _Message(msgspec.Struct, frozen=True):
    """Hold what our VTN adds to a notification, or sends in place of one."""

    resume: str | None = None
    id: str | None = None
    status: str | None = None
    missed: bool = True


class WebsocketReceiver:
    """Receives from the VTN's websocket what we may see, about some kinds of objects.

    A connection goes on where the last one has ended, if the VTN still knows what happened since; otherwise it begins
    with `ReadAgain`. What is told twice is told on once.
    """

    way: Way = "websocket"

    def __init__(self, vtn: VtnClient, *, objects: Collection[str] = OBJECT_KINDS) -> None:
        self._vtn = vtn
        self._objects = tuple(objects)
        self._resume: str | None = None
        self._told: OrderedDict[int, None] = OrderedDict()
        """Numbers of the last notifications beyond the place from which we would go on."""

    async def receive(self, tell: Tell, notifiers: Notifiers | None = None, /) -> None:
        """Connect and tell until the connection ends; see `Receiver`. At the end of the token it returns.

        Raises:
            NoWay: the VTN has no websocket, or none that we may use.
            VtnError: there is no connection, or it has ended.
        """
        url = self._url(notifiers or await self._vtn.notifiers())
        token = await self._vtn.access_token()
        headers = {} if token is None else {"Authorization": f"Bearer {token.text}"}
        async with self._connected(url, headers) as socket:
            while (message := await socket.receive()).type in _TEXT_OR_BINARY:
                self._read(message.data, tell)
            code = end_code(socket, message)
            if code != _TOKEN_OVER:
                raise Unreachable(f"{origin(url)} ended the websocket (code {code})")

    def _url(self, notifiers: Notifiers | None) -> str:
        found = () if notifiers is None else notifiers.websocket_uris
        if not found:
            raise NoWay("the VTN announces no websocket")
        schemes = ("wss://",) if self._vtn.base_url.startswith("https:") else ("wss://", "ws://")
        url = next((uri for uri in found if uri.lower().startswith(schemes)), None)
        if url is None:
            raise NoWay(
                f"none of the VTN's websockets can be used: {', '.join(map(origin, found))}; "
                f"expected {' or '.join(schemes)}"
            )
        return url

    @asynccontextmanager
    async def _connected(self, url: str, headers: dict[str, str]) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        params = [("objects", kind) for kind in self._objects]
        if self._resume is not None:
            params.append(("after", self._resume))
        tls = self._vtn.tls_context() if url.lower().startswith("wss:") else None
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.ws_connect(
                    url,
                    headers=headers,
                    params=params,
                    ssl=True if tls is None else tls,
                    heartbeat=_PING_EVERY_S,
                    max_msg_size=MAX_NOTIFICATION,
                ) as socket,
            ):
                _log.info("listening to the VTN's websocket", server=origin(url))
                yield socket
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 400 and self._resume is not None:
                self._resume = None  # the place may be what it does not like
                raise TemporarilyUnavailable(f"{origin(url)} does not go on where we were", status=400) from error
            _refuse(url, error)
        except aiohttp.ClientSSLError as error:
            raise UntrustedServer(f"no trusted TLS connection to {origin(url)}: {error}") from error
        except aiohttp.ClientConnectorError as error:
            raise unreachable(url, error.os_error, was_sent=False) from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unreachable(f"cannot reach {origin(url)}: {error or type(error).__name__}") from error

    def _read(self, data: str | bytes, tell: Tell) -> None:
        """Tell what a message says, and remember from where to go on."""
        try:
            message = msgspec.json.decode(data, type=_Message)
            if message.status == "OPEN" and message.missed:
                self._told.clear()
                tell(ReadAgain("connected to the websocket", self.way))
            elif message.status is None and self._is_new(message):
                tell(read_notification(data, way=self.way, id_=message.id))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, UnreadableNotification) as error:
            _log.warning("a message of the websocket could not be read", problem=str(error))
            tell(ReadAgain("a notification that could not be read", self.way))
            return
        if message.resume is not None:
            self._resume = message.resume
            behind = _number(message.resume)
            if behind is not None:
                self._told = OrderedDict.fromkeys(number for number in self._told if number > behind)

    def _is_new(self, message: _Message) -> bool:
        number = None if message.id is None else _number(message.id)
        if number is None:
            return True
        is_new = number not in self._told
        self._told[number] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return is_new


def end_code(socket: aiohttp.ClientWebSocketResponse, last: aiohttp.WSMessage) -> int | None:
    """Return the code with which a websocket ended, given the last message of it.

    ``socket.close_code`` becomes 1006 if aiohttp's own answer to the server's close frame cannot be written any more.
    """
    return last.data if last.type is aiohttp.WSMsgType.CLOSE else socket.close_code


def _number(text: str) -> int | None:
    """Return the number of a notification, or that in a place; None for those of another VTN."""
    number = text.partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 18 else None


def _refuse(url: str, error: aiohttp.WSServerHandshakeError) -> NoReturn:
    """Raise what an answer to the opening means."""
    what = f"{origin(url)} opens no websocket: {error.status} {error.message}"
    if error.status == 401:
        raise Unauthorized(what) from error
    if error.status == 429 or error.status >= 500:
        raise TemporarilyUnavailable(what, status=error.status) from error
    raise NoWay(what) from error
