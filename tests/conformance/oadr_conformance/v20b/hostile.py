"""Generated bad documents: right messages of a VEN, each broken in several ways by chance that can be repeated."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

from oadr_conformance.registry import MUST, Area, Check
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import EVENT, OPT, PARTY, POLL, REPORT
from oadr_conformance.v20b.probe import Probe20b
from oadr_conformance.v20b.tree import Element, payload

_EACH: Final = 50
"""Documents of one check."""
_SERVICES: Final = (EVENT, OPT, PARTY, POLL, REPORT)
_TEXTS: Final = (
    b"",
    b" ",
    b"NaN",
    b"INF",
    b"-1",
    b"00123",
    b"1e400",
    b"99999999999999999999999",
    b"P1W",
    b"-P1D",
    b"P",
    b"PT1.5S",
    b"P9999Y",
    b"2031-05-06T07:08:09",
    b"2031-05-06T07:08:09+01:00",
    b"2031-02-30T00:00:00Z",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:59Z",
    b"true",
    b"None",
    b"'; DROP TABLE vens; --",
    b"../../etc/passwd",
    b"&lt;script&gt;",
    b"&unknown;",
    b"&#0;",
    b"\xff\xfe",
    b"\x00",
    b"\xe2\x80\xae",
    b"<![CDATA[x]]>",
    b"<!-- x -->",
    b"<?x y?>",
    b"<ei:venID>other</ei:venID>",
    b"{{7*7}}",
    b"%s%n",
    b"x" * 70_000,
)
_PROLOGS: Final = (
    b"<!DOCTYPE a [<!ENTITY e 'x'>]>",
    b"<!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
    b"<?xml-stylesheet href='x'?>",
    b"\xef\xbb\xbf",
    b"<!-- -->",
    b"\x00",
)
_ATTRIBUTES: Final = (
    b" xmlns=''",
    b" xmlns:oadr='urn:other'",
    b" ei:schemaVersion='9'",
    b" xsi:nil='true'",
    b" xmlns:xsi='http://www.w3.org/2001/XMLSchema-instance' xsi:type='ei:venID'",
    b" oadr:Id='x' oadr:Id='y'",
    b" a='" + b"y" * 5_000 + b"'",
)


def document(number: int, seed: int, ven_id: str) -> tuple[str, bytes]:
    """Return service and body of one generated document; the same number and seed give the same breakage."""
    chance = random.Random(f"{seed}/{number}")  # it has to come again
    service, root = chance.choice(_whole(ven_id))
    body = payload(root)
    for _ in range(chance.randint(1, 3)):
        body = chance.choice(_BREAKAGES)(body, chance)
    return (service if chance.random() < 0.9 else chance.choice(_SERVICES)), body


def hostile_checks(count: int, seed: int) -> tuple[Check, ...]:
    """Return checks that send so many generated documents, some in each."""
    area = Area("2.0b, bad input", always="")
    spans = {
        f"{first + 1} to {min(first + _EACH, count)} of seed {seed}": range(first, min(first + _EACH, count))
        for first in range(0, count, _EACH)
    }

    async def generated_documents(probe: Probe20b, numbers: range) -> None:
        """Whatever a body looks like, the VTN answers, without a failure of its own, and goes on serving."""
        ven = await probe.registered()
        for number in numbers:
            service, body = document(number, seed, ven.id)
            reply = (await ven.send(service, body)).survived()
            if reply.status == 200 and reply.exchange.body:
                reply.valid()
        ven.registration.usual = False
        (await ven.ask(PARTY, messages.query_registration("after"))).of("oadrCreatedPartyRegistration")

    area.each("B-TRN-006", spans, MUST)(generated_documents)
    return tuple(area.checks)


def _whole(ven_id: str) -> list[tuple[str, Element]]:
    stretch = messages.available(messages.instant(hours=3))
    return [
        (PARTY, messages.query_registration()),
        (PARTY, messages.create_party(registration_id="conformance-unknown", ven_id=ven_id)),
        (POLL, messages.poll(ven_id)),
        (EVENT, messages.request_event(ven_id, reply_limit=3)),
        (EVENT, messages.created_event(ven_id, [messages.event_response("conformance-unknown", 0, "x")])),
        (OPT, messages.create_opt(ven_id, "conformance-hostile", availability=stretch)),
        (OPT, messages.cancel_opt(ven_id, "conformance-hostile")),
        (REPORT, messages.register_report(ven_id)),
        (REPORT, messages.update_report(ven_id, [messages.data_report("conformance-unknown")])),
        (REPORT, messages.created_report(ven_id, ["conformance-unknown"])),
    ]


def _spots(body: bytes, mark: bytes) -> list[int]:
    found, at = [], body.find(mark)
    while at >= 0:
        found.append(at)
        at = body.find(mark, at + 1)
    return found


def _other_text(body: bytes, chance: random.Random) -> bytes:
    """Another text in one element."""
    spots = [at for at in _spots(body, b">") if body[at + 1 : at + 2] not in {b"<", b"\n", b""}]
    if not spots:
        return body
    at = chance.choice(spots) + 1
    return body[:at] + chance.choice(_TEXTS) + body[max(at, body.find(b"<", at)) :]


def _without(body: bytes, chance: random.Random) -> bytes:
    """One tag less, or one twice."""
    begin = chance.choice(_spots(body, b"<") or [0])
    end = body.find(b">", begin) + 1
    return body[:begin] + body[begin:end] * chance.choice((0, 2)) + body[end:]


def _other_attribute(body: bytes, chance: random.Random) -> bytes:
    at = chance.choice(_spots(body, b">") or [0])
    return body[:at] + chance.choice(_ATTRIBUTES) + body[at:]


def _prolog(body: bytes, chance: random.Random) -> bytes:
    return body.replace(b"?>", b"?>" + chance.choice(_PROLOGS), 1)


def _cut(body: bytes, chance: random.Random) -> bytes:
    return body[: chance.randrange(len(body) + 1)]


def _flipped(body: bytes, chance: random.Random) -> bytes:
    made = bytearray(body)
    for _ in range(chance.randint(1, 4)):
        if made:
            made[chance.randrange(len(made))] = chance.randrange(256)
    return bytes(made)


def _renamed(body: bytes, chance: random.Random) -> bytes:
    old, new = chance.sample((b"oadrPoll", b"oadrResponse", b"venID", b"requestID", b"oadr:", b"ei:", b"2012/07"), 2)
    return body.replace(old, new)


def _nested(body: bytes, chance: random.Random) -> bytes:
    depth = chance.choice((10, 300, 5_000))
    at = chance.choice(_spots(body, b"</") or [0])
    return body[:at] + b"<a>" * depth + b"</a>" * depth + body[at:]


_BREAKAGES: Final[tuple[Callable[[bytes, random.Random], bytes], ...]] = (
    _other_text,
    _other_text,
    _other_text,
    _without,
    _other_attribute,
    _prolog,
    _cut,
    _flipped,
    _renamed,
    _nested,
)
