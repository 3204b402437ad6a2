"""The suite's VEN as a server: what a VTN pushes comes here, and the VEN's answer is in the HTTP response."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from aiohttp import web
from lxml import etree
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from oadr_conformance.address import ReceiverAddress
from oadr_conformance.errors import Mismatch, Misused
from oadr_conformance.http_listener import HttpListener
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.subject import ClientCert
from oadr_conformance.v20b.tree import Element, parsed
from oadr_conformance.wire import HttpExchange, Purpose

BELOW: Final = "/OpenADR2/Simple/2.0b/"
_LARGEST: Final = 4 * 1024 * 1024
_CIPHERS: Final = "ECDHE-ECDSA-AES128-SHA256:AES128-SHA256:ECDHE+AESGCM"


class ToldPush(VtnReply):
    """A message that the VTN pushed, with the expectations of its answers."""

    def __init__(self, exchange: HttpExchange, *, binding: bool, certificate: bytes) -> None:
        super().__init__(exchange, binding=binding)
        self.certificate = certificate
        """Certificate that the VTN showed as a client, DER; empty if it showed none."""

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """Headers of the VTN's request."""
        return CIMultiDictProxy(self.exchange.request_headers)

    @property
    def text(self) -> str:
        """Return what was pushed, as text."""
        return self.exchange.request_body.decode("utf-8", "replace")

    @property
    def root(self) -> Element:
        """Return the whole document."""
        if self._root is None:
            try:
                self._root = parsed(self.exchange.request_body)
            except etree.XMLSyntaxError as error:
                raise self.fail("an XML document", f"{error}: {self.text[:200] or 'an empty body'}") from error
        return self._root

    @property
    def name_if_any(self) -> str:
        """Return the name of the message; empty where it is none."""
        try:
            return self.name
        except Mismatch:
            return ""

    def posted_to(self, service: str) -> ToldPush:
        """Expect a POST of XML to this service below the VEN's address, of a length that is told."""
        asked = self.exchange
        self.same("method", asked.method, "POST")
        self.same("path", URL(asked.url).raw_path, f"{BELOW}{service}")
        told = self.headers.get("Transfer-Encoding")
        self.true(told is None, "no Transfer-Encoding", told)
        self.same("Content-Length", self.header("Content-Length"), str(len(asked.request_body)))
        self.header("Content-Type", "application/xml")
        return self


@dataclass(frozen=True)
class PushResponse:
    """Say how the VEN answers a push, other than it should."""

    status: int = 200
    body: bytes | None = None
    """None: what belongs to the message."""
    held: asyncio.Event | None = None
    """Answer when this is set."""
    cut: bool = False
    """End the connection without an answer."""


Answering = Callable[[ToldPush], PushResponse | None]


def as_it_should(_told: ToldPush) -> PushResponse | None:
    """Have every push answered as it should be."""
    return None


class PushListener:
    """Listen where the VTN can push to, and answer as a VEN should unless ``answering`` says otherwise.

    Who shows no certificate is heard too, so that a check can say so; a certificate that is not trusted ends the
    connection.
    """

    def __init__(
        self,
        address: ReceiverAddress,
        respond: Callable[[ToldPush], bytes],
        *,
        ca_file: Path | None,
        verify_tls: bool,
        binding: bool,
        impostor: ClientCert | None,
    ) -> None:
        """
        Args:
            address: where the VTN finds it, and where it listens.
            respond: gives the usual answer to a push.
            ca_file: authorities of the VTN's certificate, PEM; those of the system without it.
            verify_tls: verify the VTN's certificate.
            binding: rulings bind the VTN.
            impostor: a certificate that no VTN trusts, for ``as_impostor``.
        """
        self._address = address
        self._respond = respond
        self._ca_file = ca_file
        self._verify_tls = verify_tls
        self._binding = binding
        self._impostor = impostor
        self._server = HttpListener(self, self._serve, who="the VEN of the suite", largest=_LARGEST)
        self.told: list[ToldPush] = []
        """Everything that came since a check began to listen."""
        self.log: list[HttpExchange] = []
        self.answering: Answering = as_it_should
        self.as_impostor = False
        """Show a certificate of nobody on new connections."""
        self.news = asyncio.Event()

    @property
    def asks_for_certificates(self) -> bool:
        """Return True if the VTN's certificate is asked for and verified."""
        return self._address.certificate is not None and self._verify_tls

    @property
    def url(self) -> str:
        """Return the address that the VEN registers."""
        url = URL(self._address.url)
        return str(url if self.place[1] else url.with_port(self._server.port)).rstrip("/")

    @property
    def calls(self) -> int:
        """Return how many connections came, also those on which nothing was sent."""
        return self._server.calls

    @property
    def place(self) -> tuple[str | None, int]:
        """Return host and port to listen at."""
        return self._address.place

    def tls(self) -> ssl.SSLContext | None:
        """Return the TLS context: as the profile has it, with the certificate of whoever calls asked for.

        Raises:
            Misused: a file holds no certificate, or not its key.
        """
        context = self._address.tls()
        if context is None:
            return None
        self._ask_for_certificates(context)
        if self._impostor is not None:
            nobody = replace(self._address, certificate=self._impostor.certificate, key=self._impostor.key).tls()
            assert nobody is not None
            self._ask_for_certificates(nobody)

            def choose(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
                if self.as_impostor:
                    connection.context = nobody

            context.sni_callback = choose
        return context

    def _ask_for_certificates(self, context: ssl.SSLContext) -> None:
        """Take the profile's TLS, and verify the certificate of whoever calls and shows one."""
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(_CIPHERS)
        if not self._verify_tls:
            return
        context.verify_mode = ssl.CERT_OPTIONAL
        if self._ca_file is None:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
            return
        try:
            context.load_verify_locations(self._ca_file)
        except OSError as error:  # ssl.SSLError is one
            raise Misused(f"{self._ca_file} holds no certificates of authorities: {error}") from error

    async def start(self) -> None:
        """
        Listen.

        Raises:
            Misused: the address cannot be listened at, or the files for TLS are none.
        """
        await self._server.start()

    async def stop(self) -> None:
        """Listen no more."""
        await self._server.stop()

    def begin(self, log: list[HttpExchange]) -> None:
        """Forget what came; what comes from now on is written to this log."""
        self.told, self.log, self.answering = [], log, as_it_should

    async def _serve(self, request: web.Request) -> web.Response:
        tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
        url = f"{self.url}{request.raw_path}"
        body = await request.read()
        exchange = HttpExchange(
            Purpose.CHECK, "the VTN", request.method, url, CIMultiDict(request.headers), body, status=200
        )
        told = ToldPush(
            exchange,
            binding=self._binding,
            certificate=(tls.getpeercert(binary_form=True) if tls is not None else None) or b"",
        )
        self.told.append(told)
        self.log.append(exchange)
        self.news.set()
        other = self.answering(told) or PushResponse()
        if other.held is not None:
            await other.held.wait()
        if other.cut:
            exchange.problem = "the suite gave no answer"
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        exchange.status = other.status
        exchange.body = self._usual(told) if other.body is None and other.status == 200 else other.body or b""
        exchange.headers = CIMultiDictProxy(CIMultiDict({"Content-Type": "application/xml"}))
        response = web.Response(status=exchange.status, body=exchange.body, content_type="application/xml")
        response.force_close()  # each push shows its certificate, and sees the VEN's
        return response

    def _usual(self, told: ToldPush) -> bytes:
        """Return the answer that belongs to a message; nothing to what is none."""
        try:
            return self._respond(told)
        except Mismatch:
            return b""
