"""Bad input of all kinds (B-TRN-006): named attacks here, generated ones in `hostile.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from oadr_conformance.registry import Area
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import EVENT, OPT, PARTY, REPORT
from oadr_conformance.v20b.probe import Probe20b, StrangerVen
from oadr_conformance.v20b.tree import Element, el, payload

area = Area("2.0b, bad input", always="")

_NOT_XML: Final[Mapping[str, bytes]] = {
    "empty": b"",
    "text": b"hello",
    "json": b'{"oadrPoll": {}}',
    "cut": payload(messages.query_registration())[:-20],
    "another document": b"<html/>",
    "unknown namespace": payload(messages.query_registration()).replace(b"oadr-2.0b/2012/07", b"oadr-9/2099"),
    "profile 2.0a": payload(messages.query_registration()).replace(b"oadr-2.0b/2012/07", b"oadr-2.0a/2012/07"),
    "no UTF-8": payload(messages.query_registration("x")).replace(b">x<", b">\xff\xfe<"),
    "a character that XML has not": payload(messages.query_registration("x")).replace(b">x<", b">&#0;<"),
    "UTF-16 that is none": b"<?xml version='1.0' encoding='UTF-16'?><a/>",
    "unknown encoding": b"<?xml version='1.0' encoding='x-none'?><a/>",
    "no message": b"<oadr:oadrPayload xmlns:oadr='http://openadr.org/oadr-2.0b/2012/07'/>",
    "an unknown message": payload(el("oadr:oadrConformance")),
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00",
}


@area.each("B-TRN-006", _NOT_XML)
async def no_message_at_all(probe: Probe20b, body: bytes) -> None:
    """A body that is no message of 2.0b is refused by HTTP; bad input is never a failure of the server."""
    (await probe.ven().send(PARTY, body)).survived().bad_request()


Broken = Callable[[StrangerVen], tuple[str, Element, str]]


def _opt(ven: StrangerVen, **parts: Element) -> Element:
    return messages.create_opt(ven.id, "conformance-broken", **parts)  # type: ignore[arg-type] # parts of one type


def _schedule(start: str, duration: str) -> Callable[[StrangerVen], tuple[str, Element, str]]:
    return lambda ven: (OPT, _opt(ven, availability=messages.available(start, duration)), "oadrCreatedOpt")


def _measured(value: str) -> Callable[[StrangerVen], tuple[str, Element, str]]:
    report = messages.data_report("conformance-unknown", [messages.measured(value=value)])
    return lambda ven: (REPORT, messages.update_report(ven.id, [report]), "oadrUpdatedReport")


def _extra(ven: StrangerVen) -> tuple[str, Element, str]:
    root = messages.request_event(ven.id)
    root.append(el("ei:venID", "conformance-another"))
    return EVENT, root, "oadrDistributeEvent"


_INVALID: Final[Mapping[str, Broken]] = {
    "P1W": _schedule("2031-05-06T07:08:09Z", "P1W"),
    "a fraction of a second": _schedule("2031-05-06T07:08:09Z", "PT1.5S"),
    "a duration of nothing": _schedule("2031-05-06T07:08:09Z", "soon"),
    "a date that is none": _schedule("2031-02-30T07:08:09Z", "PT1H"),
    "a year beyond all": _schedule("9999999-05-06T07:08:09Z", "PT1H"),
    "a second VEN": _extra,
    "no requestID": lambda _ven: (PARTY, el("oadr:oadrQueryRegistration"), "oadrCreatedPartyRegistration"),
    "a negative limit": lambda ven: (EVENT, messages.request_event(ven.id, reply_limit=-1), "oadrDistributeEvent"),
    "a limit beyond all": lambda ven: (
        EVENT,
        messages.request_event(ven.id, reply_limit=10**30),
        "oadrDistributeEvent",
    ),
    "a value of words": _measured("a lot"),
}


@area.each("B-TRN-006", _INVALID)
async def invalid_messages(probe: Probe20b, broken: Broken) -> None:
    """A message that the schema does not accept is refused; bad input is never a failure of the server."""
    ven = await probe.registered()
    service, root, answer = broken(ven)
    (await ven.ask(service, root)).survived().refused(answer)


_STRANGE: Final[Mapping[str, Broken]] = {
    "NaN": _measured("NaN"),
    "INF": _measured("INF"),
    "1e999": _measured("1e999"),
    "an endless number": _schedule("2031-05-06T07:08:09Z", "P" + "9" * 400 + "D"),
    "a duration of 9999 years": _schedule("2031-05-06T07:08:09Z", "P9999Y"),
    "the last year": _schedule("9999-12-31T23:59:59Z", "PT1H"),
    "the first year": _schedule("0001-01-01T00:00:00Z", "PT1H"),
    "a limit of zero": lambda ven: (EVENT, messages.request_event(ven.id, reply_limit=0), "oadrDistributeEvent"),
    "an enormous requestID": lambda _ven: (PARTY, messages.query_registration("x" * 100_000), ""),
    "an enormous venID": lambda _ven: (EVENT, messages.request_event("x" * 100_000), ""),
    "a venID of blanks": lambda _ven: (EVENT, messages.request_event("   "), ""),
    "an empty venID": lambda _ven: (EVENT, messages.request_event(""), ""),
    "quotes of SQL": lambda _ven: (EVENT, messages.request_event("' OR '1'='1' --"), ""),
    "a thousand reports": lambda ven: (
        REPORT,
        messages.register_report(ven.id, [messages.metadata(specifier=f"s{number}") for number in range(1000)]),
        "",
    ),
}


@area.each("B-TRN-006", _STRANGE)
async def strange_messages(probe: Probe20b, strange: Broken) -> None:
    """A message that the schema accepts and nobody expects is answered, or refused; it is never a failure."""
    ven = await probe.registered()
    service, root, _ = strange(ven)
    reply = (await ven.ask(service, root)).survived()
    if reply.status == 200:
        reply.valid()
    if service == REPORT:
        await ven.ask(REPORT, messages.register_report(ven.id))


@area.each("B-RPT-021", {value: value for value in ("NaN", "INF", "-INF")})
async def values_that_are_none(probe: Probe20b, value: str) -> None:
    """A value that is no number is not taken for one."""
    ven = await probe.registered()
    name, specifier, rid = await ven.report_request()
    report = messages.data_report(name, [messages.measured(rid, value)], specifier=specifier)
    (await ven.ask(REPORT, messages.update_report(ven.id, [report]))).refused("oadrUpdatedReport", "454")
