"""A front before the small 2.0b VTN: it ends TLS, and is transparent until it is told to break something."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from aiohttp import web
from lxml import etree
from oadr_conformance import Credential, ReceiverAddress
from oadr_conformance.v20b.subject import ClientCert, Subject20b
from oadr_conformance.v20b.tree import Element, parsed, written
from vtns.small20b import Asked20b, SmallVtn20b
from vtns.small20b_push import PushHabits, SmallPusher

from certs import Authority, KeyKind

_CIPHERS: Final = "ECDHE-ECDSA-AES128-SHA256:AES128-SHA256:ECDHE+AESGCM"
_MOST_BYTES = 64 * 1_048_576


@dataclass
class Answer20b:
    """An answer on its way back."""

    status: int
    body: bytes
    headers: dict[str, str]
    chunked: bool = False

    @property
    def root(self) -> Element | None:
        """Return the document, None if there is none."""
        return parsed(self.body) if self.body else None


ChangeAnswer = Callable[["Seen20b", Answer20b], Answer20b]
ChangeRequest = Callable[[Asked20b], Asked20b]
ChangeTls = Callable[["FrontFiles"], ssl.SSLContext]


@dataclass(frozen=True)
class Fault20b:
    """Hold what a broken VTN does, and the checks that exist for it."""

    name: str
    patterns: tuple[str, ...]
    answer: ChangeAnswer | None = None
    request: ChangeRequest | None = None
    tls: ChangeTls | None = None
    push: PushHabits | None = None


@dataclass(frozen=True)
class Seen20b:
    """A request and what a fault may ask the VTN besides."""

    asked: Asked20b
    vtn: SmallVtn20b
    memory: dict[str, bytes]
    """Kept while the fault is there."""


@dataclass(frozen=True)
class FrontFiles:
    """Files of the front: the authority of clients and two certificates."""

    ca: Path
    ec: ClientCert
    rsa: ClientCert
    vtn: ClientCert
    """What the VTN shows when it pushes."""
    known: ClientCert
    """A client that the VTN knows; for a front that asks nobody for a certificate."""

    def context(self, *, without: str = "") -> ssl.SSLContext:
        """Return what the profile asks of a listener, without one of its certificates if it is named."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        for name, identity in {"EC": self.ec, "RSA": self.rsa}.items():
            if name != without:
                context.load_cert_chain(*identity.files)
        context.set_ciphers(_CIPHERS)
        context.verify_mode = ssl.CERT_REQUIRED
        return context


class Front20b:
    """The server that the suite sees."""

    def __init__(self, vtn: SmallVtn20b, files: FrontFiles) -> None:
        self.vtn = vtn
        self.files = files
        self.fault: Fault20b | None = None
        self._memory: dict[str, bytes] = {}
        self._runners: dict[int, web.AppRunner] = {}
        self.port = 0
        self.api_port = 0
        self.pusher = SmallPusher(vtn, files.ca, files.vtn.files)

    async def start(self, context: ssl.SSLContext | None = None) -> None:
        """Listen, at the same port as before if there was one."""
        app = web.Application(client_max_size=_MOST_BYTES)
        app.router.add_route("*", "/OpenADR2/Simple/2.0b{path:.*}", self._handle)
        self.port = await self._listen(app, self.port, context or self.files.context())
        if not self.api_port:
            api = web.Application()
            api.router.add_route("*", "/openadr3/3.1.0{path:.*}", self._rest)
            self.api_port = await self._listen(api, 0, None)

    async def _listen(self, app: web.Application, port: int, context: ssl.SSLContext | None) -> int:
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, reuse_address=True)
        await site.start()
        self._runners[int(runner.addresses[0][1])] = runner
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening."""
        await self.pusher.stop()
        while self._runners:
            await self._runners.popitem()[1].cleanup()

    @asynccontextmanager
    async def broken(self, fault: Fault20b) -> AsyncIterator[None]:
        """Let the fault be there for a while."""
        self.fault, self._memory = fault, {}
        if fault.tls is not None:
            await self._restart(fault.tls(self.files))
        if fault.push is not None:
            self.pusher.habits = fault.push
        try:
            yield
        finally:
            self.fault = None
            self.pusher.habits = PushHabits()
            if fault.tls is not None:
                await self._restart(None)

    async def _restart(self, context: ssl.SSLContext | None) -> None:
        await self._runners.pop(self.port).cleanup()
        await self.start(context)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        tls = request.transport.get_extra_info("ssl_object") if request.transport else None
        der = (tls.getpeercert(binary_form=True) if tls else None) or b""
        asked = Asked20b(
            request.match_info["path"].lstrip("/"),
            request.method,
            request.headers.get("Content-Type"),
            await request.read(),
            der,
        )
        fault = self.fault if ".check." in request.headers.get("X-Request-Id", "") else None
        if self.fault is not None and self.fault.tls is not None and not der:
            asked = replace(asked, certificate=_der(self.files.known))
        if fault is not None and fault.request is not None:
            asked = fault.request(asked)
        status, body = self.vtn.answer(asked)
        self.pusher.wake()
        answer = Answer20b(status, body, {"Content-Type": "application/xml"} if body else {})
        if fault is not None and fault.answer is not None:
            answer = fault.answer(Seen20b(asked, self.vtn, self._memory), answer)
        response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        if answer.chunked:
            response.enable_chunked_encoding()
        return response

    async def order(self, order: str) -> None:
        """Do what an operator orders for the first VEN."""
        ven = self.vtn.vens[_fingerprint(self.files.known)]
        self.vtn.order(ven, order)
        self.pusher.wake()

    async def _rest(self, request: web.Request) -> web.Response:
        if request.match_info["path"].startswith("/orders/"):
            await self.order(request.match_info["path"].rpartition("/")[2])
            return web.json_response({})
        status, body = self.vtn.events.rest(request.method, request.match_info["path"], await request.read())
        self.vtn.ask_for_reports()
        self.pusher.wake()
        return web.json_response(body, status=status)


@asynccontextmanager
async def front20b(folder: Path, *, signed: bool = False) -> AsyncIterator[tuple[Front20b, Subject20b]]:
    """Yield the front, and what the suite has to know of the VTN behind it."""

    def now() -> datetime:
        return datetime.now(UTC)

    ca = Authority.create("conformance 2.0b", now=lambda: now() - timedelta(days=60)).save(folder).certificate
    authority = Authority.load(folder, now=now)

    def client(name: str) -> ClientCert:
        pair = authority.issue_client(name).save(folder / name)
        return ClientCert(pair.certificate, pair.key)

    def server(kind: KeyKind) -> ClientCert:
        pair = authority.issue_server("127.0.0.1", key_kind=kind).save(folder / kind.value)
        return ClientCert(pair.certificate, pair.key)

    ven, ven2, stranger = client("ven"), client("ven2"), client("stranger")
    old = Authority.load(folder, now=lambda: now() - timedelta(days=30))
    pair = old.issue_client("expired", lifetime=timedelta(days=1)).save(folder / "expired")
    vtn = SmallVtn20b(signed=signed)
    vtn.enrol(_der(ven), "VEN-One")
    if not signed:
        vtn.enrol(_der(ven2), "VEN-Two")
    front = Front20b(vtn, FrontFiles(ca, server(KeyKind.EC_P256), server(KeyKind.RSA_2048), client("vtn"), ven))
    listening = authority.issue_server("127.0.0.1").save(folder / "ven-server")
    await front.start()
    await front.pusher.start()
    try:
        yield (
            front,
            Subject20b(
                url=f"https://127.0.0.1:{front.port}",
                ven=ven,
                ven2=None if signed else ven2,
                stranger=stranger,
                expired=ClientCert(pair.certificate, pair.key),
                receiver=ReceiverAddress(
                    "https://127.0.0.1", "127.0.0.1:0", certificate=listening.certificate, key=listening.key
                ),
                order=front.order,
                ca_file=ca,
                vtn_id="SmallVTN",
                business_logic_url=f"http://127.0.0.1:{front.api_port}/openadr3/3.1.0",
                bl=Credential(client_id="bl", client_secret="secret"),
                rulings=True,
                signed=signed,
                patience_s=2.0,
                product="small VTN",
            ),
        )
    finally:
        await front.stop()


def _der(identity: ClientCert) -> bytes:
    return ssl.PEM_cert_to_DER_cert(identity.certificate.read_text(encoding="ascii"))


def _fingerprint(identity: ClientCert) -> str:
    return hashlib.sha256(_der(identity)).hexdigest()


def changed(answer: Answer20b, change: Callable[[Element], None]) -> Answer20b:
    """Return the answer after a change of its document; as it is if it has none."""
    try:
        root = answer.root
    except etree.XMLSyntaxError:
        return answer
    if root is None:
        return answer
    change(root)
    return replace(answer, body=written(root))
