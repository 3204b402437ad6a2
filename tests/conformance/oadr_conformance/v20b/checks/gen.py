"""Messages in general (B-GEN)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from oadr_conformance.registry import Area
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import EVENT, OPT, PARTY, POLL, REPORT
from oadr_conformance.v20b.probe import Probe20b, StrangerVen
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.tree import SCHEMA_LOCATION, SCHEMA_VERSION, Element, local, tag

area = Area("2.0b, messages in general", always="")

Asked = Callable[[StrangerVen, str], tuple[str, Element]]
_NOBODY: Final = "conformance-no-such-ven"

EVERY: Final[Mapping[str, Asked]] = {
    "oadrQueryRegistration": lambda _ven, request: (PARTY, messages.query_registration(request)),
    "oadrCreatePartyRegistration": lambda ven, request: (
        PARTY,
        ven.party(request, registration_id=ven.registration.id, ven_id=ven.id),
    ),
    "oadrCancelPartyRegistration": lambda ven, request: (PARTY, messages.cancel_party("unknown", ven.id, request)),
    "oadrRequestEvent": lambda ven, request: (EVENT, messages.request_event(ven.id, request)),
    "oadrRegisterReport": lambda ven, request: (REPORT, messages.register_report(ven.id, None, request)),
    "oadrUpdateReport": lambda ven, request: (REPORT, messages.update_report(ven.id, [], request)),
    "oadrCreateReport": lambda ven, request: (REPORT, messages.create_report(ven.id, request)),
    "oadrCreateOpt": lambda ven, request: (
        OPT,
        messages.create_opt(
            ven.id, ven.opt_id(), availability=messages.available(messages.instant(hours=3)), request_id=request
        ),
    ),
    "oadrCancelOpt": lambda ven, request: (OPT, messages.cancel_opt(ven.id, "unknown", request)),
}
"""Message of a VEN that has a requestID -> how it is made."""
_SILENT: Final[Mapping[str, Asked]] = {
    "oadrPoll": lambda ven, _request: (POLL, messages.poll(ven.id)),
    "oadrCreatedEvent": lambda ven, _request: (EVENT, messages.created_event(ven.id, [], code="469")),
}
ANSWERS: Final = {**EVERY, **_SILENT}


@area.check("B-GEN-001", needs="operator")
async def times_sent(probe: Probe20b) -> None:
    """Every time that a VTN sends is UTC and ends with Z."""
    ven = await probe.registered()
    await probe.new_event(ven)
    reply = await ven.request_events()
    names = ("xcal:date-time", "ei:createdDateTime", "ei:modificationDateTime")
    for one in reply.message.iter(*map(tag, names)):
        text = (one.text or "").strip()
        reply.true(text.endswith("Z"), "times that end with Z", text)


@area.each(
    "B-GEN-001", {"no zone": "2031-05-06T07:08:09", "offset": "2031-05-06T07:08:09+01:00", "no time": "2031-05-06Z"}
)
async def times_received(probe: Probe20b, text: str) -> None:
    """A time that is not UTC with Z is refused."""
    ven = await probe.registered()
    root = messages.create_opt(ven.id, ven.opt_id(), availability=messages.available(text))
    (await ven.ask(OPT, root)).refused("oadrCreatedOpt", "454", "453", "459")


@area.each("B-GEN-002", ANSWERS)
async def schema_version_sent(probe: Probe20b, asked: Asked) -> None:
    """Every message has the schemaVersion 2.0b."""
    ven = await probe.registered()
    reply = await ven.ask(*asked(ven, "version"))
    got = reply.message.get(SCHEMA_VERSION)
    reply.true(got == "2.0b", "schemaVersion 2.0b", got or "none")


@area.each("B-GEN-002", {"2.0a": "2.0a", "x-9": "x-9"})
async def schema_version_received(probe: Probe20b, version: str) -> None:
    """A message of another schemaVersion is refused."""
    ven = await probe.registered()
    root = messages.request_event(ven.id)
    root.set(SCHEMA_VERSION, version)
    (await ven.ask(EVENT, root)).refused("oadrDistributeEvent", "459", "453", "454")


@area.check("B-GEN-010")
async def schema_version_left_out(probe: Probe20b) -> None:
    """schemaVersion is optional."""
    ven = await probe.registered()
    root = messages.query_registration()
    del root.attrib[SCHEMA_VERSION]
    (await ven.ask(PARTY, root)).ok("oadrCreatedPartyRegistration")


@area.each("B-GEN-003", ANSWERS)
async def schema_location_sent(probe: Probe20b, asked: Asked) -> None:
    """No message that a VTN sends has a schemaLocation."""
    ven = await probe.registered()
    reply = await ven.ask(*asked(ven, "location"))
    found = [one for one in reply.root.iter() if SCHEMA_LOCATION in one.attrib]
    reply.true(not found, "no schemaLocation", f"one on {local(found[0])}" if found else "")


@area.check("B-GEN-003")
async def schema_location_received(probe: Probe20b) -> None:
    """A schemaLocation in a message of a VEN is ignored."""
    ven = await probe.registered()
    root = messages.query_registration()
    root.set(SCHEMA_LOCATION, "http://openadr.org/oadr-2.0b/2012/07 oadr_20b.xsd")
    (await ven.ask(PARTY, root)).ok("oadrCreatedPartyRegistration")


@area.check("B-GEN-004")
async def one_vtn_id(probe: Probe20b) -> None:
    """A VTN has one vtnID, the same in every message and character by character as it was told."""
    ven = await probe.registered()
    query = await ven.ask(PARTY, messages.query_registration())
    events = await ven.request_events()
    told = {query.value("ei:vtnID")} | probe.session.vtn_ids
    if events.name == "oadrDistributeEvent":
        told.add(events.value("ei:vtnID"))
    query.true(len(told) == 1, "one vtnID", ", ".join(sorted(told)))
    if probe.session.subject.vtn_id:
        query.same("vtnID", query.value("ei:vtnID"), probe.session.subject.vtn_id)


_WITH_VEN: Final[Mapping[str, tuple[str, str, Callable[[str], Element]]]] = {
    "oadrPoll": (POLL, "oadrResponse", messages.poll),
    "oadrRequestEvent": (EVENT, "oadrDistributeEvent", messages.request_event),
    "oadrCreatedEvent": (EVENT, "oadrResponse", lambda ven: messages.created_event(ven, [], code="469")),
    "oadrRegisterReport": (REPORT, "oadrRegisteredReport", messages.register_report),
    "oadrUpdateReport": (REPORT, "oadrUpdatedReport", lambda ven: messages.update_report(ven, [])),
    "oadrCreateOpt": (
        OPT,
        "oadrCreatedOpt",
        lambda ven: messages.create_opt(
            ven, "conformance-foreign", availability=messages.available(messages.instant(hours=3))
        ),
    ),
    "oadrCancelOpt": (OPT, "oadrCanceledOpt", lambda ven: messages.cancel_opt(ven, "conformance-foreign")),
}
"""Message -> its service, the name of its answer, and how it is made with a venID."""


@area.each("B-GEN-005", _WITH_VEN)
async def unknown_ven(probe: Probe20b, case: tuple[str, str, Callable[[str], Element]]) -> None:
    """A venID that is nobody's is refused."""
    service, answer, make = case
    ven = await probe.registered()
    (await ven.ask(service, make(_NOBODY))).refused(answer, "452", "463")


@area.each("B-GEN-005 B-SEC-006", _WITH_VEN, needs="ven2")
async def foreign_ven(probe: Probe20b, case: tuple[str, str, Callable[[str], Element]]) -> None:
    """A venID that belongs to another certificate is refused, and nothing of that VEN is shown."""
    service, answer, make = case
    other = await probe.registered(probe.other())
    ven = await probe.registered()
    reply = (await ven.ask(service, make(other.id))).refused(answer, "452", "463")
    if reply.status == 200:
        reply.true(not reply.all("oadr:oadrEvent"), "no event of another VEN", "events")


@area.each("B-GEN-006", {text: text for text in ("00123", "1.2.3", "true", "1e5", " padded ", "äöü", "None", "0x1F")})
async def texts_stay_texts(probe: Probe20b, text: str) -> None:
    """An identifier is a text: a requestID comes back character by character, whatever it looks like."""
    ven = await probe.registered()
    reply = (await ven.ask(PARTY, messages.query_registration(text))).ok("oadrCreatedPartyRegistration")
    reply.same("requestID", reply.request_id, text)


@area.each("B-GEN-006", {"blank before": " {}", "blank after": "{} ", "zero before": "0{}", "other case": "{}"})
async def ven_ids_are_texts(probe: Probe20b, form: str) -> None:
    """A venID is compared character by character: neither trimmed, nor converted, nor folded."""
    ven = await probe.registered()
    name = form.format(ven.id) if form != "{}" else ven.id.swapcase()
    if name == ven.id:
        name = f"{ven.id}X"
    (await ven.ask(POLL, messages.poll(name))).refused("oadrResponse", "452", "463")


@area.check("B-GEN-006")
async def leading_zeros(probe: Probe20b) -> None:
    """Identifiers that differ only by leading zeros are different."""
    ven = await probe.registered()
    name = ven.opt_id()
    root = messages.create_opt(ven.id, f"00{name}", availability=messages.available(messages.instant(hours=3)))
    (await ven.ask(OPT, root)).ok("oadrCreatedOpt")
    (await ven.ask(OPT, messages.cancel_opt(ven.id, name))).refused("oadrCanceledOpt", "452")
    (await ven.ask(OPT, messages.cancel_opt(ven.id, f"00{name}"))).ok("oadrCanceledOpt")


@area.each("B-GEN-007", EVERY)
async def request_id_echoed(probe: Probe20b, asked: Asked) -> None:
    """An answer repeats the requestID of its request."""
    ven = await probe.registered()
    reply = await ven.ask(*asked(ven, "conformance-echo"))
    reply.same("requestID", reply.request_id, "conformance-echo")


@area.check("B-GEN-007")
async def nothing_to_echo(probe: Probe20b) -> None:
    """A poll has no requestID, so its answer has an empty one."""
    ven = await probe.registered()
    reply = (await ven.poll()).ok("oadrResponse")
    reply.same("requestID", reply.request_id, "")


@area.each("B-GEN-008", {name: asked for name, asked in EVERY.items() if "Cancel" not in name})
async def empty_request_id(probe: Probe20b, asked: Asked) -> None:
    """An empty requestID is legal."""
    ven = await probe.registered()
    reply = await ven.ask(*asked(ven, ""))
    reply.same("requestID", reply.request_id, "")
    _not_about_request_id(reply)


def _not_about_request_id(reply: VtnReply) -> None:
    accepted = reply.code.startswith("2") or reply.name == "oadrCreatedReport"
    reply.true(accepted, "a code that begins with 2", reply.code)


@area.check("B-GEN-009")
async def request_ids_repeat(probe: Probe20b) -> None:
    """Two different requests may have the same requestID; both count."""
    ven = await probe.registered()
    names = [ven.opt_id(), ven.opt_id()]
    for hours, name in enumerate(names, start=3):
        stretch = messages.available(messages.instant(hours=hours))
        root = messages.create_opt(ven.id, name, availability=stretch, request_id="same")
        reply = (await ven.ask(OPT, root)).ok("oadrCreatedOpt")
        reply.same("optID", reply.value("ei:optID"), name)
    for name in names:
        (await ven.ask(OPT, messages.cancel_opt(ven.id, name, "same"))).ok("oadrCanceledOpt")


_OPTIONAL: Final[Mapping[str, tuple[str, str, Callable[[StrangerVen], Element]]]] = {
    "registration without name and model": (
        PARTY,
        "oadrCreatedPartyRegistration",
        lambda ven: ven.party(registration_id=ven.registration.id, ven_id=ven.id, name=None, pull=None),
    ),
    "registration with an address it does not need": (
        PARTY,
        "oadrCreatedPartyRegistration",
        lambda ven: ven.party(registration_id=ven.registration.id, ven_id=ven.id, address="https://ven.example:8443"),
    ),
    "no reports": (REPORT, "oadrRegisteredReport", lambda ven: messages.register_report(ven.id, [])),
    "a report's market context": (
        REPORT,
        "oadrRegisteredReport",
        lambda ven: messages.register_report(
            ven.id, [messages.metadata([messages.description(market=messages.MARKET)])]
        ),
    ),
    "no sampling rate": (
        REPORT,
        "oadrRegisteredReport",
        lambda ven: messages.register_report(ven.id, [messages.metadata([messages.description(rate=False)])]),
    ),
}


@area.each("B-GEN-010", _OPTIONAL)
async def optional_elements(probe: Probe20b, case: tuple[str, str, Callable[[StrangerVen], Element]]) -> None:
    """What is optional may be left out, and is no fault when it is there."""
    service, answer, make = case
    ven = await probe.registered()
    ven.registration.usual = service != PARTY
    (await ven.ask(service, make(ven))).ok(answer)


@area.check("B-GEN-011 B-OPT-007")
async def repeated_message(probe: Probe20b) -> None:
    """The same message again gives the same answer, and nothing happens twice."""
    ven = await probe.registered()
    name = ven.opt_id()
    root = messages.create_opt(ven.id, name, availability=messages.available(messages.instant(hours=3)))
    for _ in range(2):
        (await ven.ask(OPT, root)).ok("oadrCreatedOpt")
    (await ven.ask(OPT, messages.cancel_opt(ven.id, name))).ok("oadrCanceledOpt")
    for _ in range(2):
        (await ven.ask(OPT, messages.cancel_opt(ven.id, f"{name}-unknown"))).refused("oadrCanceledOpt", "452")


_ANSWERS: Final = {
    "oadrQueryRegistration": "oadrCreatedPartyRegistration",
    "oadrRequestEvent": "oadrDistributeEvent",
    "oadrRegisterReport": "oadrRegisteredReport",
    "oadrCreateOpt": "oadrCreatedOpt",
}
"""Message -> its own answer, which a VTN may refuse it by."""

_MISPLACED: Final[Mapping[str, tuple[str, Asked]]] = {
    "oadrPoll at EiEvent": (EVENT, _SILENT["oadrPoll"]),
    "oadrRequestEvent at EiReport": (REPORT, EVERY["oadrRequestEvent"]),
    "oadrQueryRegistration at OadrPoll": (POLL, EVERY["oadrQueryRegistration"]),
    "oadrCreateOpt at EiRegisterParty": (PARTY, EVERY["oadrCreateOpt"]),
    "oadrRegisterReport at EiOpt": (OPT, EVERY["oadrRegisterReport"]),
    "oadrDistributeEvent at EiEvent": (EVENT, lambda _ven, _request: (EVENT, messages.distribute_event("WRONG"))),
}


@area.each("B-GEN-012", _MISPLACED)
async def wrong_service(probe: Probe20b, case: tuple[str, Asked]) -> None:
    """A message at another service is refused with a schema-valid answer; it is no failure of the server."""
    service, asked = case
    ven = await probe.registered()
    root = asked(ven, "misplaced")[1]
    reply = (await ven.ask(service, root)).refused(_ANSWERS.get(local(root), "oadrResponse"), "453", "459")
    if reply.status == 200:
        reply.valid()


@area.each("B-GEN-013", ANSWERS)
async def schema_valid(probe: Probe20b, asked: Asked) -> None:
    """Every message that a VTN sends is valid by the schema of 2.0b."""
    ven = await probe.registered()
    (await ven.ask(*asked(ven, "valid"))).valid()


@area.check("B-GEN-013", needs="operator")
async def events_are_schema_valid(probe: Probe20b) -> None:
    """Every message that a VTN sends is valid by the schema of 2.0b, also with events."""
    ven = await probe.registered()
    await probe.new_event(ven, 1, 2, 0)
    (await ven.request_events()).valid()
    (await ven.polled("oadrDistributeEvent", "oadrResponse")).valid()


@area.check("B-GEN-014")
async def overall_failure(probe: Probe20b) -> None:
    """Where a part of a message fails, eiResponse says so."""
    ven = await probe.registered()
    name, specifier, rid = await ven.report_request()
    good = messages.data_report(name, [messages.measured(rid)], specifier=specifier)
    bad = messages.data_report("conformance-unknown", [messages.measured(rid)], specifier=specifier)
    (await ven.ask(REPORT, messages.update_report(ven.id, [good, bad]))).refused("oadrUpdatedReport")


@area.each("B-GEN-015", {text: text for text in ("a & b", "<b>", "]]>", "\"'", "{{ 7 * 7 }}")})
async def texts_are_escaped(probe: Probe20b, text: str) -> None:
    """A text with characters of XML's own stays a text."""
    ven = await probe.registered()
    reply = (await ven.ask(PARTY, messages.query_registration(text))).ok("oadrCreatedPartyRegistration")
    reply.same("requestID", reply.request_id, text)


@area.check("B-GEN-015", needs="operator")
async def names_are_escaped(probe: Probe20b) -> None:
    """A text of the operator with characters of XML's own does not break the message."""
    ven = await probe.registered()
    await probe.new_event(ven, eventName="5 < 7 & <oadr:evil/> ]]>")
    reply = (await ven.request_events()).of("oadrDistributeEvent").valid()
    reply.true(not list(reply.root.iter(tag("oadr:evil"))), "a text", "an element")
