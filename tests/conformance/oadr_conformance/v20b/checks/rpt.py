"""Reports: EiReport (B-RPT)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from oadr_conformance.registry import Area
from oadr_conformance.v20b import messages
from oadr_conformance.v20b.answers import REPORT
from oadr_conformance.v20b.probe import Probe20b, StrangerVen, specifier_of
from oadr_conformance.v20b.tree import NAMESPACES, Element
from oadr_conformance.v20b.views import seconds_of

area = Area("2.0b, EiReport", always="")

REGISTERED, UPDATED = "oadrRegisteredReport", "oadrUpdatedReport"


@area.check("B-RPT-001")
async def nothing_to_report(probe: Probe20b) -> None:
    """A VEN registers its reports even if it has none; the VTN takes that."""
    ven = await probe.registered()
    (await ven.register_reports([])).ok(REGISTERED)


_REPORTS: Final[Mapping[str, Callable[[], Element]]] = {
    "TELEMETRY_USAGE": messages.metadata,
    "TELEMETRY_STATUS": lambda: messages.metadata(
        [messages.description(type_="x-resourceStatus", reading="x-notApplicable")],
        name="METADATA_TELEMETRY_STATUS",
    ),
    "HISTORY_USAGE": lambda: messages.metadata(name="METADATA_HISTORY_USAGE"),
    "demand": lambda: messages.metadata([messages.description(type_="demand", unit=messages.power_real())]),
}


@area.each("B-RPT-002 B-RPT-016 B-RPT-017 B-RPT-019", _REPORTS)
async def metadata(probe: Probe20b, make: Callable[[], Element]) -> None:
    """The usual reports can be registered: a metadata report with its duration and without intervals."""
    ven = await probe.registered()
    (await ven.register_reports([make()])).ok(REGISTERED).valid()
    await _usual(ven)


@area.check("B-RPT-004")
async def replaced(probe: Probe20b) -> None:
    """A registration of reports replaces the one before: nothing more is asked of what it left out."""
    ven = await probe.registered()
    name, _, _ = await ven.report_request()
    reply = (await ven.register_reports([messages.metadata(specifier="conformance-other")])).ok(REGISTERED)
    asked = {specifier_of(one) for one in reply.all("oadr:oadrReportRequest")}
    report = messages.data_report(name)
    late = await ven.ask(REPORT, messages.update_report(ven.id, [report]))
    await _usual(ven)
    reply.true(asked <= {"conformance-other"}, "requests for registered reports only", sorted(asked))
    late.refused(UPDATED, "452", "450")


@area.check("B-RPT-005 B-RPT-007")
async def requests(probe: Probe20b) -> None:
    """A VTN asks for registered reports only, and takes oadrCreatedReport that says so."""
    ven = await probe.registered()
    specifier = probe.session.name("specifier")
    reply = (await ven.register_reports([messages.metadata(specifier=specifier)], "conformance-new")).ok(REGISTERED)
    asked = reply.all("oadr:oadrReportRequest")
    if not asked:
        await ven.report_request()  # one that asks for none is not asked about it
    pending = [one.findtext("ei:reportRequestID", "", NAMESPACES) for one in asked]
    taken = await ven.ask(REPORT, messages.created_report(ven.id, pending, "conformance-new"))
    await _usual(ven)
    for one in asked:
        rids = [each.text for each in one.iterfind("ei:reportSpecifier/ei:specifierPayload/ei:rID", NAMESPACES)]
        reply.same("reportSpecifierID", specifier_of(one), specifier)
        reply.same("rIDs", rids, [messages.RID])
    taken.ok("oadrResponse")


@area.check("B-RPT-008 B-RPT-017")
async def granularity(probe: Probe20b) -> None:
    """A request has one granularity, within the sampling rate that was registered, and one back duration."""
    ven = await probe.registered()
    name, _, _ = await ven.report_request()
    asked = ven.registration.requests[name]
    told = asked.findtext("ei:reportSpecifier/xcal:granularity/xcal:duration", "", NAMESPACES)
    length_s = seconds_of(told.strip())
    if length_s and not 60 <= length_s <= 3600:
        raise probe.reply().fail("a granularity of PT1M to PT1H, or 0", told)
    seconds_of(asked.findtext("ei:reportSpecifier/ei:reportBackDuration/xcal:duration", "", NAMESPACES).strip())


@area.check("B-RPT-010")
async def pending_reports(probe: Probe20b) -> None:
    """oadrCreatedReport lists requests of this VEN; one that the VTN never made is refused."""
    ven = await probe.registered()
    root = messages.created_report(ven.id, ["conformance-unknown"])
    (await ven.ask(REPORT, root)).refused("oadrResponse", "452", "450")


_UNKNOWN: Final[Mapping[str, Callable[[str, str, str], Element]]] = {
    "reportRequestID": lambda _name, specifier, rid: messages.data_report(
        "conformance-unknown", [messages.measured(rid)], specifier=specifier
    ),
    "reportSpecifierID": lambda name, _specifier, rid: messages.data_report(
        name, [messages.measured(rid)], specifier="conformance-unknown"
    ),
    "rID": lambda name, specifier, _rid: messages.data_report(
        name, [messages.measured("conformance-unknown")], specifier=specifier
    ),
}


@area.each("B-RPT-011 B-RPT-012", _UNKNOWN)
async def unknown_reports(probe: Probe20b, make: Callable[[str, str, str], Element]) -> None:
    """An update that does not belong to an open request, by each of its identifiers, is refused."""
    ven = await probe.registered()
    found = await ven.report_request()
    (await ven.ask(REPORT, messages.update_report(ven.id, [make(*found)]))).refused(UPDATED, "452", "450")


@area.check("B-RPT-011")
async def unknown_request(probe: Probe20b) -> None:
    """Data that nobody asked for is refused."""
    ven = await probe.registered()
    root = messages.update_report(ven.id, [messages.data_report("conformance-unknown")])
    (await ven.ask(REPORT, root)).refused(UPDATED, "452", "450")


@area.check("B-RPT-013")
async def repeated_data(probe: Probe20b) -> None:
    """Data of the same time may come again."""
    ven = await probe.registered()
    name, specifier, rid = await ven.report_request()
    start = messages.instant(minutes=-2)
    for value in ("1.5", "2.5"):
        intervals = [messages.measured(rid, value, start=start)]
        report = messages.data_report(name, intervals, specifier=specifier, start=start)
        (await ven.ask(REPORT, messages.update_report(ven.id, [report]))).ok(UPDATED)


_QUALITIES: Final[Mapping[str, dict[str, str | None]]] = {
    "all of it": {},
    "none of it": {"quality": None, "confidence": None, "accuracy": None},
    "a bad value": {"quality": "Quality Bad - Sensor Failure", "confidence": "0"},
}


@area.each("B-RPT-022", _QUALITIES)
async def quality(probe: Probe20b, parts: dict[str, str | None]) -> None:
    """Quality, confidence and accuracy of a value are optional, and taken."""
    ven = await probe.registered()
    name, specifier, rid = await ven.report_request()
    report = messages.data_report(name, [messages.measured(rid, **parts)], specifier=specifier)  # type: ignore[arg-type] # parts of several types
    reply = (await ven.ask(REPORT, messages.update_report(ven.id, [report]))).ok(UPDATED)
    for one in reply.all("oadr:oadrCancelReport/ei:reportRequestID"):
        ven.registration.requests.pop(one.text or "", None)


@area.check("B-RPT-014")
async def updated(probe: Probe20b) -> None:
    """oadrUpdatedReport is valid, and cancels, if anything, what is open."""
    ven = await probe.registered()
    name, specifier, rid = await ven.report_request()
    report = messages.data_report(name, [messages.measured(rid)], specifier=specifier)
    reply = (await ven.ask(REPORT, messages.update_report(ven.id, [report]))).ok(UPDATED).valid()
    for one in reply.all("oadr:oadrCancelReport/ei:reportRequestID"):
        reply.true(one.text in ven.registration.requests, "an open request", one.text)


@area.check("B-RPT-015")
async def cancelled_report(probe: Probe20b) -> None:
    """oadrCanceledReport, also when nothing was cancelled, is answered with oadrResponse."""
    ven = await probe.registered()
    root = messages.canceled_report(ven.id, ven.registration.requests)
    (await ven.ask(REPORT, root)).of("oadrResponse").valid()


@area.check("B-RPT-020")
async def unknown_name(probe: Probe20b) -> None:
    """A report whose name is neither the profile's nor begins with x- is refused."""
    ven = await probe.registered()
    reply = await ven.register_reports([messages.metadata(name="METADATA_CONFORMANCE")])
    await _usual(ven)
    reply.refused(REGISTERED, "461", "454")


@area.check("B-RPT-021")
async def units(probe: Probe20b) -> None:
    """The unit of a report fits what it measures: power for demand, energy for usage."""
    ven = await probe.registered()
    wrong = messages.description(type_="demand", unit=messages.energy_real())
    reply = await ven.register_reports([messages.metadata([wrong])])
    await _usual(ven)
    reply.refused(REGISTERED, "461", "454", "459")


@area.check("B-RPT-023")
async def reports_of_the_vtn(probe: Probe20b) -> None:
    """A VTN that registered no such report refuses to send it."""
    ven = await probe.registered()
    reply = await ven.ask(REPORT, messages.create_report(ven.id))
    reply.refused("oadrCreatedReport", "461", "452")


async def _usual(ven: StrangerVen) -> None:
    """Register the usual reports again, for the checks that follow."""
    await ven.register_reports()
