"""A VEN of OpenADR 2.0b that is pushed to: a server over mutual TLS which answers as it is told to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tests.support.pki import Pki, TlsFiles, server_context
from tests.support.waiting import wait_until
from tests.vtn.harness import VtnUnderTest, unique
from tests.vtn.v20b.conftest import Enrol, fingerprint_of
from tests.vtn.v20b.scripted_ven import Reply, ScriptedVen, element, of, payload
from vtn.api.v20b.services import PATH


def answered(name: str, *more: str, code: str = "200", request_id: str | None = "") -> bytes:
    """A whole message that begins with a response."""
    return payload(
        element(
            name,
            f"<ei:eiResponse>{of('ei:responseCode', code)}{of('pyld:requestID', request_id)}</ei:eiResponse>",
            *more,
        )
    )


@dataclass(frozen=True)
class Pushed:
    """A message that came, and the service it came to."""

    service: str
    reply: Reply

    @property
    def name(self) -> str:
        """The name of the message."""
        return self.reply.name


class PushedVen:
    """Serves with a certificate of its own.

    ``script`` has the next answers, after which it answers as it should, ``sealed``. While ``gate`` is clear it waits.
    """

    def __init__(self, ven: ScriptedVen, client_files: TlsFiles, files: TlsFiles) -> None:
        self.ven = ven
        self.client_files = client_files
        self.files = files
        self.pushed: list[Pushed] = []
        self.script: deque[bytes | int] = deque()
        self.at_once = 0
        self.sealed: Callable[[bytes], bytes] = bytes
        self.gate = asyncio.Event()
        self.gate.set()
        self._runner: web.AppRunner | None = None
        self.port = 0
        self.name = ""

    @property
    def address(self) -> str:
        """The address that it registers."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def names(self) -> list[str]:
        """The names of all messages that came."""
        return [each.name for each in self.pushed]

    async def serve(self, files: TlsFiles | None = None) -> None:
        """Listen, on the port of last time."""
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        context = server_context(files or self.files, client_certificate_required=True)
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop listening."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def register(self, **given: Any) -> Reply:
        """Register for push."""
        return await self.ven.create(**{"pull": "false", "address": self.address, "request_id": "push"} | given)

    async def got(self, name: str, count: int = 1) -> Pushed:
        """The last of so many messages of a name, once they are there."""
        await wait_until(
            lambda: self.names.count(name) >= count, timeout_s=30, what=f"{count} x {name} in {self.names}"
        )
        return [each for each in self.pushed if each.name == name][count - 1]

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        assert request.path.startswith(PATH)
        message = Pushed(request.path.removeprefix(PATH), Reply(200, dict(request.headers), raw))
        self.pushed.append(message)
        self.at_once += 1
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        if not self.script:
            return _said(self.sealed(self._usual(message)))
        next_ = self.script.popleft()
        return web.Response(status=next_) if isinstance(next_, int) else _said(next_)

    def _usual(self, message: Pushed) -> bytes:
        ven_id, reply = of("ei:venID", self.ven.ven_id), message.reply
        request_id = reply.text("pyld:requestID") or ""
        match message.name:
            case "oadrRegisterReport":
                return answered("oadrRegisteredReport", ven_id, request_id=request_id)
            case "oadrCreateReport":
                ids = "".join(of("ei:reportRequestID", each) for each in reply.texts(".//ei:reportRequestID"))
                pending = f"<oadr:oadrPendingReports>{ids}</oadr:oadrPendingReports>"
                return answered("oadrCreatedReport", pending, ven_id, request_id=request_id)
            case "oadrCancelReport":
                pending = "<oadr:oadrPendingReports/>"
                return answered("oadrCanceledReport", pending, ven_id, request_id=request_id)
            case "oadrCancelPartyRegistration":
                registration = of("ei:registrationID", reply.text("ei:registrationID"))
                return answered("oadrCanceledPartyRegistration", registration, ven_id, request_id=request_id)
        return answered("oadrResponse", ven_id, request_id=request_id)


def _said(raw: bytes) -> web.Response:
    return web.Response(body=raw, content_type="application/xml")


async def pushed_ven(vtn: VtnUnderTest, enrol: Enrol, pki: Pki, **given: Any) -> PushedVen:
    """A VEN that serves and is enrolled with both its certificates, but has not registered."""
    files = pki.client(unique("pushed"))
    ven = await enrol(vtn, files=files, registered=False, **given)
    made = PushedVen(ven, files, pki.server())
    (known,) = [each for each in (await vtn.bl.get("/vens_20b")).ok() if fingerprint_of(files) in each["fingerprints"]]
    document = {"venName": known["venName"], "addFingerprint": fingerprint_of(made.files)}
    (await vtn.bl.post("/vens_20b", document)).ok()
    made.name = known["venName"]
    await made.serve()
    return made
