"""Registration (B-REG)."""

from __future__ import annotations

from typing import Final

from oadr_conformance.errors import Skipped
from oadr_conformance.registry import Area
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import EVENT, OPT, PARTY, REPORT
from oadr_conformance.v20b.probe import Probe20b, StrangerVen
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.tree import NAMESPACES
from oadr_conformance.v20b.views import seconds_of

area = Area("2.0b, EiRegisterParty", always="")

CREATED: Final = "oadrCreatedPartyRegistration"


async def _query(probe: Probe20b) -> VtnReply:
    return (await probe.ven().ask(PARTY, messages.query_registration("query"))).of(CREATED)


def _offered(reply: VtnReply) -> set[tuple[str, str]]:
    """The pairs of profile and transport that a VTN says it offers."""
    return {
        (
            profile.findtext("oadr:oadrProfileName", "", NAMESPACES),
            transport.text or "",
        )
        for profile in reply.all("oadr:oadrProfiles/oadr:oadrProfile")
        for transport in profile.iterfind("oadr:oadrTransports/oadr:oadrTransport/oadr:oadrTransportName", NAMESPACES)
    }


async def _unregistered(probe: Probe20b) -> None:
    ven = await probe.registered()
    (await ven.cancel()).ok("oadrCanceledPartyRegistration")


@area.check("B-REG-001")
async def query_before_registration(probe: Probe20b) -> None:
    """oadrQueryRegistration works before a registration, lists what is offered, and registers nobody."""
    await _unregistered(probe)
    for _ in range(2):
        reply = (await _query(probe)).ok(CREATED)
        offered = _offered(reply)
        reply.true(("2.0b", "simpleHttp") in offered, "profile 2.0b by simpleHttp", offered)
        reply.true(not reply.value_or_none("ei:registrationID"), "no registrationID", reply.text[:300])


@area.check("B-REG-002")
async def query_when_registered(probe: Probe20b) -> None:
    """The answer to a query names the registration of a registered VEN."""
    ven = await probe.registered()
    reply = await _query(probe)
    reply.same("registrationID", reply.value_or_none("ei:registrationID"), ven.registration.id)
    reply.same("venID", reply.value_or_none("ei:venID"), ven.id)


@area.check("B-REG-003")
async def identifiers_given(probe: Probe20b) -> None:
    """A registration gives the VEN a registrationID and a venID."""
    await _unregistered(probe)
    reply = (await probe.ven().register("new")).ok(CREATED)
    reply.true(reply.value("ei:registrationID").strip(), "a registrationID", "an empty one")
    reply.true(reply.value("ei:venID").strip(), "a venID", "an empty one")


@area.check("B-REG-004")
async def poll_frequency(probe: Probe20b) -> None:
    """A VEN that pulls is told how often to poll, and the answer names the chosen profile and transport."""
    ven = await probe.registered()
    reply = (await ven.register("frequency", again=True)).ok(CREATED)
    told = reply.value("oadr:oadrRequestedOadrPollFreq/xcal:duration")
    reply.true(seconds_of(told.strip()) > 0, "a poll frequency above zero", told)
    reply.true(("2.0b", "simpleHttp") in _offered(reply), "profile 2.0b by simpleHttp", _offered(reply))


@area.each("B-REG-005", {"profile 2.0a": ("2.0a", "simpleHttp"), "transport xmpp": ("2.0b", "xmpp")})
async def not_offered(probe: Probe20b, pair: tuple[str, str]) -> None:
    """A profile or transport that is not offered is refused, and registers nobody."""
    await _unregistered(probe)
    if pair in _offered(await _query(probe)):
        raise Skipped(f"applies where {pair[0]} by {pair[1]} is not offered")
    ven = probe.ven()
    root = ven.party(ven_id=ven.id or None, profile=pair[0], transport=pair[1])
    reply = (await ven.ask(PARTY, root)).refused(CREATED)
    if reply.status == 200:
        reply.of(CREATED)
        reply.true(not reply.value_or_none("ei:registrationID"), "no registrationID", reply.text[:300])


@area.check("B-REG-005 B-REG-016", needs="stranger")
async def unknown_certificate(probe: Probe20b) -> None:
    """A certificate that nobody enrolled registers nobody."""
    reply = await probe.stranger().ask(PARTY, messages.create_party())
    if reply.status not in {401, 403}:
        reply.refused(CREATED)
        reply.true(not reply.value_or_none("ei:registrationID"), "no registrationID", reply.text[:300])


@area.each(
    "B-REG-006",
    {
        "no address": None,
        "no URL": "nonsense",
        "loopback": "http://127.0.0.1:9/",
        "metadata service": "http://169.254.169.254/latest",
        "file": "file:///etc/passwd",
    },
)
async def push_address(probe: Probe20b, address: str | None) -> None:
    """A VEN that wants pushes gives an address that the VTN can push to; another one is refused."""
    await _unregistered(probe)
    ven = probe.ven()
    root = ven.party(ven_id=ven.id or None, address=address, pull=False)
    reply = await ven.ask(PARTY, root)
    ven.note(reply)
    ven.registration.usual = False
    reply.refused(CREATED)


@area.check("B-REG-007")
async def register_again(probe: Probe20b) -> None:
    """A registration under its registrationID keeps registrationID and venID."""
    ven = await probe.registered()
    before = [ven.registration.id, ven.id]
    reply = (await ven.register("again", again=True)).ok(CREATED)
    reply.same("registrationID and venID", [ven.registration.id, ven.id], before)


@area.check("B-REG-008")
async def unknown_registration(probe: Probe20b) -> None:
    """A registrationID that is nobody's is refused."""
    ven = await probe.registered()
    root = ven.party(registration_id="conformance-unknown", ven_id=ven.id)
    reply = await ven.ask(PARTY, root)
    ven.note(reply)
    reply.refused(CREATED, "452")


@area.check("B-REG-008", needs="ven2")
async def foreign_registration(probe: Probe20b) -> None:
    """A registrationID that belongs to another VEN is refused."""
    other = await probe.registered(probe.other())
    ven = await probe.registered()
    root = ven.party(registration_id=other.registration.id, ven_id=ven.id)
    reply = await ven.ask(PARTY, root)
    ven.note(reply)
    reply.refused(CREATED, "452")


@area.check("B-REG-009")
async def lost_its_state(probe: Probe20b) -> None:
    """A registered VEN that lost its state registers anew: it gets a new registrationID, and the old one is void."""
    ven = await probe.registered()
    old, name = ven.registration.id, ven.id
    reply = (await ven.register("lost")).ok(CREATED)
    reply.same("venID", ven.id, name)
    reply.true(ven.registration.id != old, "another registrationID", old)
    (await ven.cancel(old)).refused("oadrCanceledPartyRegistration", "452")


@area.check("B-REG-011 B-REG-012")
async def after_cancelling(probe: Probe20b) -> None:
    """A VEN that is not registered gets nothing but the request to register."""
    await _unregistered(probe)
    ven = probe.ven()
    (await ven.ask(EVENT, messages.request_event(ven.id))).refused("oadrDistributeEvent", "463", "452")
    (await ven.ask(REPORT, messages.register_report(ven.id))).refused("oadrRegisteredReport", "463", "452")


@area.check("B-REG-010 B-REG-011 B-POL-001")
async def asked_to_register(probe: Probe20b) -> None:
    """The poll of a VEN that is known and not registered brings oadrRequestReregistration, whose answer gets none."""
    await _unregistered(probe)
    ven = probe.ven()
    reply = (await ven.poll()).of("oadrRequestReregistration").valid()
    reply.same("venID", reply.value("ei:venID"), ven.id)
    answer = await ven.ask(PARTY, messages.response(ven.id))
    answer.expect(200)
    answer.true(not answer.exchange.body, "an empty body", answer.text[:200])


@area.check("B-REG-012")
async def cancel(probe: Probe20b) -> None:
    """A VEN cancels its registration; the answer repeats registrationID and venID."""
    ven = await probe.registered()
    old = ven.registration.id
    reply = (await ven.cancel()).ok("oadrCanceledPartyRegistration")
    reply.same("registrationID", reply.value_or_none("ei:registrationID"), old)
    reply.same("venID", reply.value_or_none("ei:venID"), ven.id)


@area.check("B-REG-012")
async def cancel_another(probe: Probe20b) -> None:
    """Cancelling under another registrationID is refused, and the VEN stays registered."""
    ven = await probe.registered()
    (await ven.cancel("conformance-unknown")).refused("oadrCanceledPartyRegistration", "452")
    (await ven.poll()).of("oadrResponse").ok("oadrResponse")


@area.check("B-REG-014 B-RPT-001 B-RPT-003")
async def reports_of_the_vtn(probe: Probe20b) -> None:
    """After a registration the VTN registers its own reports, even if it has none."""
    await _unregistered(probe)
    ven = probe.ven()
    (await ven.register("new")).ok(CREATED)
    reply = (await ven.polled("oadrRegisterReport")).valid()
    for one in reply.all("oadr:oadrReport/ei:reportRequestID"):
        reply.same("reportRequestID of a metadata report", one.text, "0")
    reply.true(reply.find("ei:reportRequestID") is None, "no reportRequestID of the message", reply.text[:300])
    for one in reply.all("oadr:oadrReport/ei:reportName"):
        reply.true((one.text or "").startswith("METADATA_"), "a name that begins with METADATA_", one.text)


@area.check("B-REG-014", needs="operator")
async def events_after_registration(probe: Probe20b) -> None:
    """After a registration the VTN offers the events that are there, without waiting for a change."""
    ven = await probe.registered()
    view = await probe.new_event(ven)
    await ven.drain()
    (await ven.cancel()).ok("oadrCanceledPartyRegistration")
    (await ven.register("new")).ok(CREATED)
    await ven.polled("oadrDistributeEvent", holds=lambda reply: view.id in reply.text)


@area.check("B-REG-015", needs="operator")
async def report_only(probe: Probe20b) -> None:
    """A VEN that only reports gets no events."""
    ven = await probe.registered()
    view = await probe.new_event(ven)
    await _register_report_only(probe)
    reply = await ven.request_events()
    if reply.status == 200:
        reply.true(view.id not in reply.text, "no event", reply.text[:300])
    for _ in range(5):
        reply = await ven.poll()
        reply.of("oadrResponse", "oadrRegisterReport", "oadrCreateReport")
        if reply.name == "oadrResponse":
            break
        await ven.answer(reply)


@area.check("B-REG-015")
async def report_only_is_refused(probe: Probe20b) -> None:
    """A VEN that only reports is refused at EiEvent and EiOpt."""
    ven = await _register_report_only(probe)
    (await ven.request_events()).refused("oadrDistributeEvent", "451")
    root = messages.create_opt(ven.id, "conformance", availability=messages.available(messages.instant(hours=3)))
    (await ven.ask(OPT, root)).refused("oadrCreatedOpt", "451")


async def _register_report_only(probe: Probe20b) -> StrangerVen:
    ven = await probe.registered()
    root = ven.party(registration_id=ven.registration.id, ven_id=ven.id, report_only=True)
    reply = await ven.ask(PARTY, root)
    ven.note(reply)
    ven.registration.usual = False
    reply.ok(CREATED)
    return ven


@area.check("B-REG-017 B-RPT-018")
async def requests_survive(probe: Probe20b) -> None:
    """Registering anew under the same registrationID, or the same reports, loses no report request."""
    ven = await probe.registered()
    name, specifier, rid = await ven.report_request()
    (await ven.register("again", again=True)).ok(CREATED)
    (await ven.ask(REPORT, messages.register_report(ven.id))).ok("oadrRegisteredReport")
    report = messages.data_report(name, [messages.measured(rid)], specifier=specifier)
    (await ven.ask(REPORT, messages.update_report(ven.id, [report]))).ok("oadrUpdatedReport")
