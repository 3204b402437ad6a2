"""Checks of the reports that events ask for."""

from __future__ import annotations

from collections.abc import Iterator

from oadr_conformance.errors import Skipped
from oadr_conformance.registry import SHOULD
from oadr_conformance.ven31 import judging
from oadr_conformance.ven31.heard import intervals_in, payload_types, resources_in
from oadr_conformance.ven31.judging import VenEvidence
from oadr_conformance.ven31.scenario import PAYLOAD, READING, REFUSED_REPORT, UNITS, interval_ids
from oadr_conformance.ven31.shapes import problems_of
from oadr_conformance.wire import Obj

area = judging.area("duties of a VEN: reports")
_AGGREGATE = "AGGREGATED_REPORT"
_EARLY_S = 1.0
_BOTH = {"each resource": "each resource", "aggregate": "aggregate"}


@area.check("VENCLIENT-021")
async def sends_reports_of_the_right_shape(ven: VenEvidence) -> None:
    """A report names its event and its client, and has the members that the standard demands, of the right type."""
    sent = ven.record.reports
    ven.looked_at(*sent)
    if not sent:
        raise Skipped("not reached: the VEN sends no report")
    for one in sent:
        wrong = problems_of("reports", one.json())
        if "clientID" in one.object():
            wrong.append("clientID: only the VTN writes it")
        if wrong:
            ven.fail("a body as the standard has it", "; ".join(wrong[:5]), one)


@area.each("RDESC-001", _BOTH)
async def reports_what_was_asked(ven: VenEvidence, event: str) -> None:
    """Each interval of the report has a payload of the type that the descriptor names."""
    report = ven.report(event)
    for resource in resources_in(report):
        for interval in intervals_in(resource):
            if PAYLOAD not in payload_types(interval):
                got = ", ".join(sorted(payload_types(interval))) or "no payload"
                ven.fail(f"a payload {PAYLOAD} in interval {interval.get('id')}", got, report)


@area.each("RDESC-004", _BOTH)
async def reports_when_it_is_due(ven: VenEvidence, event: str) -> None:
    """With the defaults a report about the past is sent at the end of the last interval, not before."""
    report = ven.report(event)
    early_s = ven.record.ends[event] - report.at
    if early_s > _EARLY_S:
        ven.fail("a report after the end of the event", f"one {early_s:.1f} s before it", report)


@area.check("RDESC-013")
async def repeats_the_intervals_of_the_event(ven: VenEvidence) -> None:
    """By default the intervals of the report have the ids of those of the event."""
    report = ven.report("each resource")
    wanted = list(interval_ids())
    for resource in resources_in(report):
        ids = [interval.get("id") for interval in intervals_in(resource)]
        if ids != wanted:
            ven.fail(f"the interval ids {wanted} in {resource.get('resourceName')}", str(ids), report)


@area.check("RDESC-016")
async def reports_each_resource(ven: VenEvidence) -> None:
    """Without aggregate each resource has one entry, under its name; a total may be there as well."""
    report = ven.report("each resource")
    names = [str(resource.get("resourceName")) for resource in resources_in(report)]
    if set(names) <= {_AGGREGATE} or len(set(names)) < len(names):
        ven.fail("one entry for each resource, under its name", ", ".join(names), report)
    made = {str(one.object().get("resourceName")) for one in ven.record.of("POST", "/resources")}
    if made and (others := set(names) - made - {_AGGREGATE}):
        ven.fail("names of resources that the VEN registered", ", ".join(sorted(others)), report)


@area.check("RDESC-016")
async def aggregates(ven: VenEvidence) -> None:
    """With aggregate there is one entry, named AGGREGATED_REPORT."""
    report = ven.report("aggregate")
    names = [str(resource.get("resourceName")) for resource in resources_in(report)]
    if names != [_AGGREGATE]:
        ven.fail(f"one entry named {_AGGREGATE}", ", ".join(names), report)


@area.each("RDESC-006", _BOTH)
async def reports_once(ven: VenEvidence, event: str) -> None:
    """By default one report is made; a correction changes it with PUT and makes no other."""
    ven.report(event)
    made = [one for one in ven.record.reports_about(event, PAYLOAD) if one.method == "POST"]
    if len(made) > 1:
        ven.fail("one report", f"{len(made)} reports made with POST", made[-1])


@area.each("RDESC-019", _BOTH)
async def tells_units_and_times(ven: VenEvidence, event: str) -> None:
    """A report repeats units and reading type of the descriptor, and says when its intervals are."""
    report = ven.report(event)
    told = report.object().get("payloadDescriptors")
    told = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    mine = next((one for one in told if one.get("payloadType") == PAYLOAD), None)
    wanted = {"units": UNITS, "readingType": READING}
    if mine is None or any(mine.get(name) != value for name, value in wanted.items()):
        ven.fail(f"a payload descriptor of {PAYLOAD} with {UNITS} and {READING}", str(mine or told), report)
    for resource, interval in _all(resources_in(report)):
        if not isinstance(interval.get("intervalPeriod") or resource.get("intervalPeriod"), dict):
            ven.fail(f"an intervalPeriod for interval {interval.get('id')}", "none", report)


def _all(resources: list[Obj]) -> Iterator[tuple[Obj, Obj]]:
    return ((resource, interval) for resource in resources for interval in intervals_in(resource))


def _saw(ven: VenEvidence, since: str) -> None:
    """Raise Skipped if events were never read after a stage of the scenario: nothing could come of it."""
    if since not in ven.record.marks:
        raise Skipped(judging.SILENT)
    if not ven.record.read_since(ven.record.marks[since]):
        raise Skipped("not reached: the VEN read no event of the scenario")


@area.check("RDESC-017")
async def reports_nothing_for_others(ven: VenEvidence) -> None:
    """A descriptor with targets that no resource of the VEN has asks it for nothing."""
    _saw(ven, "events")
    ven.report("each resource")  # who reports nothing at all proves nothing here
    sent = ven.record.reports_about("for others", PAYLOAD)
    if sent:
        ven.fail("no report", "a report to a descriptor with the targets of others", sent[0])


@area.check("RDESC-022")
async def reports_nothing_of_a_deleted_event(ven: VenEvidence) -> None:
    """After an event is deleted, what it asked for is not reported any more."""
    _saw(ven, "deleted")
    ven.report("each resource")
    about = ven.record.events["deleted"]["id"]
    since = ven.record.marks["deleted"] + 2 * ven.pace.poll_s
    sent = [one for one in ven.record.reports if one.object().get("eventID") == about and one.at > since]
    ven.looked_at(*sent)
    if sent:
        ven.fail("no report", "a report about an event that is deleted", sent[0])


@area.check("RDESC-023", SHOULD)
async def sends_a_refused_report_again(ven: VenEvidence) -> None:
    """A report that could not be sent is sent again."""
    refused = ven.reads_were_made(REFUSED_REPORT)
    first = next(one for one in ven.record.requests if one.fault == REFUSED_REPORT)
    again = [
        one
        for one in ven.record.reports
        if one.at > first.at
        and one.status in {200, 201}
        and one.object().get("eventID") == first.object().get("eventID")
    ]
    if not again:
        ven.fail("the same report again", "none", refused)
