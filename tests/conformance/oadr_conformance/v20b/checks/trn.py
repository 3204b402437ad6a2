"""Transport: simple HTTP (B-TRN)."""

from __future__ import annotations

from typing import Final

from oadr_conformance.registry import Area
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import PARTY
from oadr_conformance.v20b.probe import Probe20b
from oadr_conformance.v20b.tree import payload

area = Area("2.0b, simple HTTP", always="")

_QUERY: Final = payload(messages.query_registration("transport"))
_MEBIBYTE: Final = 1_048_576


@area.each("B-TRN-001", {method: method for method in ("GET", "PUT", "DELETE")})
async def post_only(probe: Probe20b, method: str) -> None:
    """A service takes POST and nothing else."""
    ven = probe.ven()
    (await ven.send(PARTY, _QUERY if method == "PUT" else b"", method=method)).bad_request(405)


@area.each("B-TRN-001", {path: path for path in ("eiregisterparty", "EiRegisterParty/x", "EiQuote", "")})
async def exact_paths(probe: Probe20b, path: str) -> None:
    """The names of services are exact."""
    (await probe.ven().send(path, _QUERY)).bad_request(404, 405)


@area.check("B-TRN-001")
async def length_is_told(probe: Probe20b) -> None:
    """An answer tells its length and is not chunked; it is application/xml."""
    reply = (await probe.ven().send(PARTY, _QUERY)).of("oadrCreatedPartyRegistration")
    reply.same("Content-Length", reply.header("Content-Length"), str(len(reply.exchange.body)))
    reply.true("Transfer-Encoding" not in reply.headers, "no Transfer-Encoding", reply.headers.get("Transfer-Encoding"))
    reply.header("Content-Type", "xml")


@area.each("B-TRN-002", {"json": "application/json", "form": "application/x-www-form-urlencoded", "text": "text/html"})
async def other_content_types(probe: Probe20b, content_type: str) -> None:
    """A body of another type is refused; that is no failure of the server."""
    reply = await probe.ven().send(PARTY, _QUERY, {"Content-Type": content_type})
    reply.survived().bad_request(415, 400)


@area.check("B-TRN-002")
async def no_content_type(probe: Probe20b) -> None:
    """A body without a type is no failure of the server."""
    (await probe.ven().send(PARTY, _QUERY, {"X-No-Type": "1"})).survived()


@area.each("B-TRN-002", {"charset": "application/xml; charset=utf-8", "upper case": "Application/XML"})
async def spellings_of_the_type(probe: Probe20b, content_type: str) -> None:
    """The type may have parameters, and its case does not count."""
    reply = await probe.ven().send(PARTY, _QUERY, {"Content-Type": content_type})
    reply.ok("oadrCreatedPartyRegistration")


@area.check("B-TRN-003")
async def too_large(probe: Probe20b) -> None:
    """A body above the limit is refused; the VTN goes on serving."""
    filler = b" " * (8 * _MEBIBYTE)
    reply = await probe.ven().send(PARTY, _QUERY.replace(b"</oadr:oadrPayload>", filler + b"</oadr:oadrPayload>"))
    reply.survived().bad_request(413, 400)
    (await probe.ven().send(PARTY, _QUERY)).of("oadrCreatedPartyRegistration")


@area.check("B-TRN-003")
async def too_deep(probe: Probe20b) -> None:
    """A document that is nested without end is refused."""
    body = b"<a>" * 50_000 + b"</a>" * 50_000
    (await probe.ven().send(PARTY, body)).survived().bad_request()


_DECLARATION: Final = b"<?xml version='1.0' encoding='UTF-8'?>"


def _with(prolog: bytes, request_id: bytes = b"transport") -> bytes:
    body = _QUERY.partition(b"?>")[2].replace(b">transport<", b">" + request_id + b"<")
    return _DECLARATION + prolog + body


_BOMB: Final = (
    b"<!DOCTYPE b [<!ENTITY a0 'aaaaaaaaaa'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 12))
    + b"]>"
)
_PROLOGS: Final = {
    "an empty DTD": _with(b"<!DOCTYPE oadrPayload>"),
    "an internal entity": _with(b"<!DOCTYPE p [<!ENTITY e 'x'>]>", b"&e;"),
    "an entity bomb": _with(_BOMB, b"&a11;"),
    "a quadratic bomb": _with(b"<!DOCTYPE p [<!ENTITY e '" + b"x" * 50_000 + b"'>]>", b"&e;" * 5_000),
    "an external entity": _with(b"<!DOCTYPE p [<!ENTITY e SYSTEM 'file:///etc/hostname'>]>", b"&e;"),
    "an external DTD": _with(b"<!DOCTYPE p SYSTEM 'http://127.0.0.1:9/x.dtd'>"),
    "a parameter entity": _with(b"<!DOCTYPE p [<!ENTITY % e SYSTEM 'file:///etc/hostname'> %e;]>"),
    "a processing instruction": _with(b"<?php system('id'); ?>"),
}


@area.each("B-TRN-004", _PROLOGS)
async def document_types(probe: Probe20b, body: bytes) -> None:
    """A document with a DOCTYPE, an entity or a processing instruction is refused; the VTN goes on serving."""
    (await probe.ven().send(PARTY, body)).survived().bad_request()
    (await probe.ven().send(PARTY, _QUERY)).of("oadrCreatedPartyRegistration")
