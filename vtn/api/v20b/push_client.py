"""One message to one VEN over mutual TLS, and its answer: bounded in time and size, and from that VEN (B-TRN-005)."""

from __future__ import annotations

import io
import ssl
from collections.abc import Collection
from contextvars import ContextVar
from typing import Any, Final

import aiohttp

from openadr_profiles.v20b import fingerprint
from openadr_profiles.v20b.errors import NotAMessage, Refused
from openadr_profiles.v20b.messages import Message
from vtn.api.v20b.push_address import PushAddresses, url_of
from vtn.api.v20b.services import Service20b
from vtn.api.v20b.wire import MessageWire
from vtn.errors import Forbidden
from vtn.notify.url_judge import NotCallable
from vtn.store.v20b.vens import Ven20b
from vtn.v20b_settings import V20bPush

_OK: Final = 200


class NotPushed(Exception):
    """A message did not reach its VEN, or what came back is no answer to it; the text says why."""


class PushClient:
    """Calls VENs, each time over a connection of its own. ``max_bytes`` bounds an answer."""

    def __init__(
        self,
        settings: V20bPush,
        addresses: PushAddresses,
        wire: MessageWire,
        context: ssl.SSLContext,
        *,
        max_bytes: int,
    ) -> None:
        self._settings = settings
        self._addresses = addresses
        self._wire = wire
        self._context = context
        self._max_bytes = max_bytes
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Get ready to call."""
        settings = self._settings
        self._session = aiohttp.ClientSession(
            # How many calls there are at once, the pusher says.
            connector=await self._addresses.judge.connector(
                _Connector, context=self._context, limit=0, force_close=True
            ),
            timeout=aiohttp.ClientTimeout(total=settings.timeout_s, connect=settings.connect_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Accept-Encoding": "identity", "Content-Type": "application/xml", "User-Agent": "OpenADR-Fleet"},
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Hang up."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def call(
        self, ven: Ven20b, fingerprints: Collection[str], service: Service20b, message: Message
    ) -> tuple[Message, str]:
        """Send a message; return the answer, and the fingerprint it came with, one of ``fingerprints``.

        Raises NotPushed, and sends nothing to who shows another certificate.
        """
        address, session = ven.push_url or "", self._session
        if session is None:
            raise NotPushed("this server is ending")
        if problem := self._addresses.problem(address):  # the rules may have changed since it was stored
            raise NotPushed(f"its address may not be called: {problem}")
        body = await self._wire.written(message, signed=self._wire.signs_for(ven))
        peer = _Peer(frozenset(fingerprints))
        _expected.set(peer)
        try:
            async with session.post(url_of(address, service), data=io.BytesIO(body), allow_redirects=False) as response:
                if response.status != _OK:
                    raise NotPushed(f"it answered with status {response.status}")
                raw = await self._read(response)
        except NotCallable as error:
            raise NotPushed(f"its host {error}") from None
        except _WrongCertificate as error:
            raise NotPushed(str(error)) from None
        except TimeoutError:
            raise NotPushed("it did not answer in time" if peer.shown else "there was no connection in time") from None
        except aiohttp.ClientConnectorCertificateError as error:
            why = getattr(error.certificate_error, "verify_message", "") or "no reason given"
            raise NotPushed(f"its certificate is not trusted: {why}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            what = "it did not answer in HTTP" if peer.shown else "it cannot be reached"
            raise NotPushed(f"{what} ({type(error).__name__})") from None
        return await self._message(raw, peer.shown, ven), peer.shown

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        found = bytearray()
        async for part in response.content.iter_any():
            found += part
            if len(found) > self._max_bytes:
                response.close()
                raise NotPushed(f"its answer is larger than {self._max_bytes} bytes")
        return bytes(found)

    async def _message(self, raw: bytes, shown: str, ven: Ven20b) -> Message:
        try:
            return await self._wire.read(raw, shown, ven)
        except NotAMessage as error:
            raise NotPushed(f"its answer is no message: {error.reason}") from None
        except Refused as error:
            raise NotPushed(f"its answer {error.name} is wrong: {error.description}") from None
        except Forbidden as error:
            raise NotPushed(f"its answer is refused: {error}") from None


class _WrongCertificate(Exception):
    """Whoever is at the address of a VEN shows a certificate that is not the VEN's."""


class _Peer:
    """Whose certificates are expected at the end of a connection, and which one was shown; empty before that."""

    __slots__ = ("expected", "shown")

    def __init__(self, expected: frozenset[str]) -> None:
        self.expected = expected
        self.shown = ""


_expected: ContextVar[_Peer] = ContextVar("who is called")


class _Connector(aiohttp.TCPConnector):
    """Makes connections that end at the VEN that is called, by its certificate; nothing is sent over others."""

    async def connect(self, *arguments: Any, **named: Any) -> Any:
        """Return a connection; raises _WrongCertificate."""
        connection = await super().connect(*arguments, **named)
        transport = connection.transport
        tls = None if transport is None else transport.get_extra_info("ssl_object")
        der = None if tls is None else tls.getpeercert(binary_form=True)
        shown, peer = "" if der is None else fingerprint.of(der), _expected.get()
        if shown not in peer.expected:
            connection.close()
            raise _WrongCertificate(
                f"it shows a certificate that it is not enrolled with ({shown})" if shown else "it shows no certificate"
            )
        peer.shown = shown
        return connection
