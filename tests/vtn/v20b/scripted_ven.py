"""A VEN of OpenADR 2.0b that sends exactly the XML it is told to, and reads answers with the schemas alone."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import aiohttp
from lxml import etree

from openadr_profiles.v20b.schemas import schema
from tests.support.pki import TlsFiles, client_context

NAMES = {
    "oadr": "http://openadr.org/oadr-2.0b/2012/07",
    "ei": "http://docs.oasis-open.org/ns/energyinterop/201110",
    "pyld": "http://docs.oasis-open.org/ns/energyinterop/201110/payloads",
    "emix": "http://docs.oasis-open.org/ns/emix/2011/06",
    "power": "http://docs.oasis-open.org/ns/emix/2011/06/power",
    "scale": "http://docs.oasis-open.org/ns/emix/2011/06/siscale",
    "xcal": "urn:ietf:params:xml:ns:icalendar-2.0",
    "strm": "urn:ietf:params:xml:ns:icalendar-2.0:stream",
}
_DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMES.items())


@dataclass(frozen=True)
class Reply:
    """An HTTP answer, and the message in it."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def message(self) -> Any:
        """The message's element, after the schemas found nothing wrong with the whole."""
        assert self.status == 200, self.raw
        root = etree.fromstring(self.raw)
        checker = schema()
        assert checker.validate(root), checker.error_log
        (message,) = root.findall(".//oadr:oadrSignedObject/*", NAMES)
        return message

    @property
    def name(self) -> str:
        """The name of the message."""
        return str(etree.QName(self.message).localname)

    def text(self, path: str) -> str | None:
        """The text of an element of the message, empty if it has none; None if it is not there."""
        found = self.message.find(path, NAMES)
        return None if found is None else found.text or ""

    def texts(self, path: str) -> list[str]:
        """The texts of all such elements."""
        return [each.text or "" for each in self.message.findall(path, NAMES)]

    @property
    def code(self) -> str | None:
        """The response code."""
        return self.text(".//ei:responseCode")

    @property
    def request_id(self) -> str | None:
        """The requestID in the part that says how it went."""
        return self.text(".//ei:eiResponse/pyld:requestID")


def payload(message: str) -> bytes:
    """A whole payload around the XML of a message."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><oadr:oadrPayload {_DECLARED}><oadr:oadrSignedObject>{message}'
        "</oadr:oadrSignedObject></oadr:oadrPayload>"
    ).encode()


def element(name: str, *children: str) -> str:
    """An element of 2.0b with its version."""
    return f'<oadr:{name} ei:schemaVersion="2.0b">{"".join(children)}</oadr:{name}>'


def of(name: str, text: object) -> str:
    """An element with a text; nothing for None."""
    return "" if text is None else f"<{name}>{escape(str(text))}</{name}>"


class ScriptedVen:
    """Sends messages to a VTN with one certificate."""

    def __init__(self, port: int, files: TlsFiles | None, ca: Path, *, prefix: str = "") -> None:
        self.base = f"https://127.0.0.1:{port}{prefix}/OpenADR2/Simple/2.0b"
        context: ssl.SSLContext = client_context(ca, files)
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))
        self.sealed: Callable[[bytes], bytes] = bytes
        """Signs what is sent, or leaves it as it is."""
        self.ven_id: str | None = None
        self.registration_id: str | None = None

    async def close(self) -> None:
        """Hang up."""
        await self._session.close()

    async def send(self, service: str, message: str) -> Reply:
        """Send a message to a service."""
        return await self.post(service, self.sealed(payload(message)))

    async def post(
        self, service: str, body: Any, *, method: str = "POST", headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send any bytes."""
        given = {"Content-Type": "application/xml"} | dict(headers or {})
        async with self._session.request(method, f"{self.base}/{service}", data=body, headers=given) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def query(self, request_id: str = "q1") -> Reply:
        """Ask what is offered."""
        return await self.send("EiRegisterParty", element("oadrQueryRegistration", of("pyld:requestID", request_id)))

    async def create(
        self,
        *,
        request_id: str = "c1",
        registration_id: str | None = None,
        ven_id: str | None = None,
        profile: str = "2.0b",
        transport: str = "simpleHttp",
        address: str | None = None,
        report_only: str = "false",
        signature: str = "false",
        name: str | None = "scripted",
        pull: str | None = "true",
    ) -> Reply:
        """Register, with everything as said."""
        reply = await self.send(
            "EiRegisterParty",
            element(
                "oadrCreatePartyRegistration",
                of("pyld:requestID", request_id),
                of("ei:registrationID", registration_id),
                of("ei:venID", ven_id),
                of("oadr:oadrProfileName", profile),
                of("oadr:oadrTransportName", transport),
                of("oadr:oadrTransportAddress", address),
                of("oadr:oadrReportOnly", report_only),
                of("oadr:oadrXmlSignature", signature),
                of("oadr:oadrVenName", name),
                of("oadr:oadrHttpPullModel", pull),
            ),
        )
        if reply.status == 200 and reply.code == "200":
            self.ven_id, self.registration_id = reply.text("ei:venID"), reply.text("ei:registrationID")
        return reply

    async def cancel(self, registration_id: str | None = None) -> Reply:
        """Cancel the registration."""
        return await self.send(
            "EiRegisterParty",
            element(
                "oadrCancelPartyRegistration",
                of("pyld:requestID", "x1"),
                of("ei:registrationID", registration_id or self.registration_id),
                of("ei:venID", self.ven_id),
            ),
        )

    async def poll(self, ven_id: str | None = None) -> Reply:
        """Poll."""
        return await self.send("OadrPoll", element("oadrPoll", of("ei:venID", ven_id or self.ven_id or "")))

    async def request_events(self, ven_id: str | None = None) -> Reply:
        """Ask for events."""
        inside = of("pyld:requestID", "e1") + of("ei:venID", ven_id or self.ven_id)
        return await self.send(
            "EiEvent", element("oadrRequestEvent", f"<pyld:eiRequestEvent>{inside}</pyld:eiRequestEvent>")
        )

    async def respond(self, service: str, name: str, *more: str, code: str = "200", request_id: str = "") -> Reply:
        """Send a message that begins with a response."""
        said = f"<ei:eiResponse>{of('ei:responseCode', code)}{of('pyld:requestID', request_id)}</ei:eiResponse>"
        return await self.send(service, element(name, said, *more))

    async def acknowledge_reports(self) -> Reply:
        """Answer the VTN's own list of reports, which comes after a registration."""
        return await self.respond("EiReport", "oadrRegisteredReport", of("ei:venID", self.ven_id))
