"""EiReport over TLS: what a VEN registers, what it is asked for, and where its values are found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.vtn.harness import VtnUnderTest
from tests.vtn.v20b.conftest import Enrol
from tests.vtn.v20b.scripted_ven import NAMES, Reply, ScriptedVen, element, of

NOW = "2026-06-01T12:00:00Z"
POWER = (
    "<power:powerReal><power:itemDescription>RealPower</power:itemDescription><power:itemUnits>W</power:itemUnits>"
    "<scale:siScaleCode>k</scale:siScaleCode><power:powerAttributes><power:hertz>50</power:hertz>"
    "<power:voltage>230</power:voltage><power:ac>true</power:ac></power:powerAttributes></power:powerReal>"
)


def duration(name: str, text: str) -> str:
    """An element with a duration in it."""
    return f"<{name}><xcal:duration>{text}</xcal:duration></{name}>"


def description(r_id: str, *, type_: str = "demand", reading: str = "Mean", unit: str = POWER, source: str = "") -> str:
    """Return what is said of one value."""
    data_source = f"<ei:reportDataSource>{of('ei:resourceID', source)}</ei:reportDataSource>" if source else ""
    rate = of("oadr:oadrMinPeriod", "PT10S") + of("oadr:oadrMaxPeriod", "PT1H")
    return (
        f"<oadr:oadrReportDescription>{of('ei:rID', r_id)}{data_source}{of('ei:reportType', type_)}{unit}"
        f"{of('ei:readingType', reading)}"
        f"<oadr:oadrSamplingRate>{rate}<oadr:oadrOnChange>false</oadr:oadrOnChange></oadr:oadrSamplingRate>"
        "</oadr:oadrReportDescription>"
    )


def metadata(*descriptions: str, specifier: str = "usage", name: str = "METADATA_TELEMETRY_USAGE") -> str:
    """A report of a list of reports."""
    return (
        f"<oadr:oadrReport>{duration('xcal:duration', 'PT1H')}"
        f"{''.join(descriptions)}{of('ei:reportRequestID', '0')}{of('ei:reportSpecifierID', specifier)}"
        f"{of('ei:reportName', name)}{of('ei:createdDateTime', NOW)}</oadr:oadrReport>"
    )


async def register(ven: ScriptedVen, *reports: str) -> Reply:
    """Register reports."""
    return await ven.send(
        "EiReport",
        element("oadrRegisterReport", of("pyld:requestID", "rr"), *reports, of("ei:venID", ven.ven_id)),
    )


def requested(reply: Reply) -> list[tuple[str, str, list[str]]]:
    """The requests in a message: id, specifier and rIDs of each."""
    return [
        (
            each.findtext("ei:reportRequestID", None, NAMES) or "",
            each.findtext(".//ei:reportSpecifierID", None, NAMES) or "",
            [r_id.text or "" for r_id in each.findall(".//ei:rID", NAMES)],
        )
        for each in reply.message.findall(".//oadr:oadrReportRequest", NAMES)
    ]


async def created(ven: ScriptedVen, *ids: str, code: str = "200") -> Reply:
    """Agree to requests."""
    pending = (
        f"<oadr:oadrPendingReports>{''.join(of('ei:reportRequestID', each) for each in ids)}</oadr:oadrPendingReports>"
    )
    return await ven.respond("EiReport", "oadrCreatedReport", pending, of("ei:venID", ven.ven_id), code=code)


def interval(start: str, *values: tuple[str, object], length: str = "PT1M", quality: str | None = None) -> str:
    """An interval with values by their rIDs."""
    payloads = "".join(
        f"<oadr:oadrReportPayload>{of('ei:rID', r_id)}<ei:payloadFloat>{of('ei:value', value)}</ei:payloadFloat>"
        f"{of('oadr:oadrDataQuality', quality)}</oadr:oadrReportPayload>"
        for r_id, value in values
    )
    return (
        f"<ei:interval><xcal:dtstart><xcal:date-time>{start}</xcal:date-time></xcal:dtstart>"
        f"<xcal:duration><xcal:duration>{length}</xcal:duration></xcal:duration>{payloads}</ei:interval>"
    )


def data(request_id: str, *intervals: str, specifier: str = "usage") -> str:
    """A report with values."""
    return (
        f"<oadr:oadrReport><strm:intervals>{''.join(intervals)}</strm:intervals>{of('ei:reportRequestID', request_id)}"
        f"{of('ei:reportSpecifierID', specifier)}{of('ei:reportName', 'TELEMETRY_USAGE')}"
        f"{of('ei:createdDateTime', NOW)}</oadr:oadrReport>"
    )


async def update(ven: ScriptedVen, *reports: str) -> Reply:
    """Send values."""
    return await ven.send(
        "EiReport", element("oadrUpdateReport", of("pyld:requestID", "u"), *reports, of("ei:venID", ven.ven_id))
    )


async def with_telemetry(vtn: VtnUnderTest, ven20: Enrol, **given: Any) -> tuple[ScriptedVen, str]:
    """A VEN that has agreed to send its power, and the id of the request."""
    ven = await ven20(vtn, **given)
    ((request_id, _, _),) = requested(await register(ven, metadata(description("p", source="meter-1"))))
    assert (await created(ven, request_id)).code == "200"
    return ven, request_id


def values(reports: Sequence[Any], type_: str) -> list[tuple[str, str, Any]]:
    """The values of a payload type in reports: resource, start and value."""
    return [
        (resource["resourceName"], each["intervalPeriod"]["start"].replace(".000Z", "Z"), payload["values"][0])
        for report in reports
        for resource in report["resources"]
        for each in resource["intervals"]
        for payload in each["payloads"]
        if payload["type"] == type_
    ]


async def test_what_a_ven_offers_is_asked_for_at_once(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-RPT-001, B-RPT-004, B-RPT-005, B-RPT-008, B-RPT-017: in the answer, for all values of telemetry."""
    ven = await ven20(vtn20)
    reply = await register(ven, metadata(description("p", source="meter-1"), description("q", source="meter-2")))
    assert (reply.name, reply.code, reply.request_id) == ("oadrRegisteredReport", "200", "rr")
    ((request_id, specifier, r_ids),) = requested(reply)
    assert (specifier, r_ids) == ("usage", ["p", "q"])
    assert reply.text(".//xcal:granularity/xcal:duration") == "PT1M"
    assert (await created(ven, request_id)).code == "200"


async def test_a_list_without_reports_is_fine(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-RPT-001, B-RPT-003: nothing is asked for."""
    ven = await ven20(vtn20)
    reply = await register(ven)
    assert (reply.code, requested(reply)) == ("200", [])
    poll = await ven.poll()
    assert (poll.name, poll.text("ei:reportRequestID")) == ("oadrRegisterReport", None)


async def test_values_are_reports_that_business_logic_reads(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-RPT-011, B-RPT-013, B-RPT-022: by source and time, in kW, under the name of the VEN; again means instead."""
    ven, request_id = await with_telemetry(vtn20, ven20)
    first = (
        interval("2026-06-01T12:00:00Z", ("p", 3.5)),
        interval("2026-06-01T12:01:00Z", ("p", 4), quality="Quality Good - Non Specific"),
    )
    assert (await update(ven, data(request_id, *first))).code == "200"
    again = interval("2026-06-01T12:01:00Z", ("p", 5)), interval("2026-06-01T12:02:00Z", ("p", 6))
    for _ in range(2):
        assert (await update(ven, data(request_id, *again))).code == "200"
    reports = (await vtn20.bl.get("/reports")).ok()
    assert [each["reportName"] for each in reports] == ["TELEMETRY_USAGE/usage"]
    assert values(reports, "DEMAND") == [
        ("meter-1", "2026-06-01T12:00:00Z", 3.5),
        ("meter-1", "2026-06-01T12:01:00Z", 5.0),
        ("meter-1", "2026-06-01T12:02:00Z", 6.0),
    ]
    (event,) = (await vtn20.bl.get("/events")).ok()
    (known,) = (await vtn20.bl.get("/vens")).ok()
    assert (event["id"], event["targets"]) == (reports[0]["eventID"], [known["id"]])
    assert reports[0]["clientID"] == known["clientID"]
    assert known["clientID"].startswith("oadr20b-")


async def test_a_long_report_is_continued_in_another(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-RPT-013: no value is lost, and no report grows without end."""
    ven, request_id = await with_telemetry(vtn20, ven20)
    for part in range(3):
        many = [interval(f"2026-06-0{part + 1}T{n // 60:02}:{n % 60:02}:00Z", ("p", n)) for n in range(250)]
        assert (await update(ven, data(request_id, *many))).code == "200"
    reports = (await vtn20.bl.get("/reports")).ok()
    assert len(reports) == 2
    assert len(values(reports, "DEMAND")) == 750


async def test_business_logic_is_told_of_values(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """4.5: who subscribes to reports hears of those of 2.0b like of any other."""
    ven, request_id = await with_telemetry(vtn20, ven20)
    before = len((await vtn20.bl.get("/reports")).ok())
    await update(ven, data(request_id, interval(NOW, ("p", 1))))
    assert len((await vtn20.bl.get("/reports")).ok()) == before + 1


async def test_an_event_asks_a_ven_for_what_it_offers(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-RPT-007, B-RPT-014, B-RPT-015: by its report descriptors, on the next poll; and not when it is gone."""
    ven, _ = await with_telemetry(vtn20, ven20)
    assert (await ven.poll()).name == "oadrRegisterReport"
    await ven.acknowledge_reports()
    program, start = await vtn20.bl.program(), (vtn20.now.at + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    event = await vtn20.bl.event(
        program,
        intervalPeriod={"start": start, "duration": "PT15M"},
        intervals=[{"id": 0, "payloads": [{"type": "X", "values": [1]}]}],
        reportDescriptors=[{"payloadType": "DEMAND", "readingType": "MEAN", "repeat": -1}, {"payloadType": "VOLTAGE"}],
    )
    asked = await ven.poll()
    assert asked.name == "oadrCreateReport"
    ((request_id, _, r_ids),) = requested(asked)
    assert r_ids == ["p"]
    assert asked.text(".//xcal:granularity/xcal:duration") == "PT15M"
    assert (await ven.poll()).name == "oadrResponse"
    vtn20.now.pass_(seconds=31)
    assert requested(await ven.poll()) == requested(asked)
    assert (await created(ven, "nobody", request_id)).code == "452"
    assert (await created(ven, request_id)).code == "200"
    assert (await update(ven, data(request_id, interval(start, ("p", 2), length="PT15M")))).code == "200"
    assert [each["eventID"] for each in (await vtn20.bl.get("/reports")).ok()] == [event["id"]]
    (await vtn20.bl.delete(f"/events/{event['id']}")).ok()
    cancelled = await ven.poll()
    assert (cancelled.name, cancelled.texts("ei:reportRequestID")) == ("oadrCancelReport", [request_id])
    await ven.respond("EiReport", "oadrCanceledReport", "<oadr:oadrPendingReports/>", of("ei:venID", ven.ven_id))
    assert (await ven.poll()).name == "oadrResponse"


@pytest.mark.parametrize(
    ("report", "code"),
    [
        (metadata(description("p"), name="TELEMETRY_USAGE"), "459"),
        (metadata(description("p"), name="METADATA_HISTORY_GREENBUTTON"), "461"),
        (metadata(description("p"), description("p")), "459"),
        (metadata(description("p", type_="usage")), "459"),
    ],
    ids=("no metadata", "green button", "twice", "unit"),
)
async def test_reports_that_cannot_be_taken_are_refused(
    vtn20: VtnUnderTest, ven20: Enrol, report: str, code: str
) -> None:
    """B-RPT-002, B-RPT-020, B-RPT-021: in words; another one beside it is taken all the same."""
    ven = await ven20(vtn20)
    assert (await register(ven, report)).code == code
    both = await register(ven, report, metadata(description("r"), specifier="good"))
    assert (both.code, [specifier for _, specifier, _ in requested(both)]) == ("200", ["good"])
    assert "not taken" in (both.text(".//ei:responseDescription") or "")


async def test_values_that_nobody_asked_for_are_refused_and_the_others_kept(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-RPT-011, B-RPT-012, B-GEN-005: another VEN's request is as unknown as one that is not there."""
    ven, request_id = await with_telemetry(vtn20, ven20)
    _, foreign = await with_telemetry(vtn20, ven20)
    good = data(request_id, interval(NOW, ("p", 1)))
    for bad in (
        data("nobody", interval(NOW, ("p", 1))),
        data(foreign, interval(NOW, ("p", 1))),
        data(request_id, interval(NOW, ("other", 1))),
        data(request_id, interval(NOW, ("p", 1)), specifier="else"),
    ):
        reply = await update(ven, bad, good)
        assert (reply.name, reply.code) == ("oadrUpdatedReport", "452")
    assert values((await vtn20.bl.get("/reports")).ok(), "DEMAND") == [("meter-1", NOW, 1.0)]


async def test_a_new_list_ends_requests_for_what_is_not_in_it(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-RPT-004, B-RPT-018, B-REG-017: others stay, over registrations of reports and of the VEN."""
    ven, request_id = await with_telemetry(vtn20, ven20)
    same = await register(ven, metadata(description("p", source="meter-1")))
    assert requested(same) == []
    await ven.create(registration_id=ven.registration_id, request_id="again")
    assert (await update(ven, data(request_id, interval(NOW, ("p", 1))))).code == "200"
    other = await register(ven, metadata(description("r"), specifier="other"))
    assert [specifier for _, specifier, _ in requested(other)] == ["other"]
    assert (await ven.poll()).name == "oadrRegisterReport"
    assert (await ven.poll()).texts(".//ei:reportRequestID") == [request_id]


async def test_a_ven_that_asks_for_metadata_gets_it(vtn20: VtnUnderTest, ven20: Enrol) -> None:
    """B-RPT-006, B-RPT-023: an empty list under its request; other reports there are none."""
    ven = await ven20(vtn20)
    await ven.acknowledge_reports()
    reply = await ask_for(ven, "METADATA")
    assert (reply.name, reply.code) == ("oadrCreatedReport", "200")
    poll = await ven.poll()
    assert (poll.name, poll.text("ei:reportRequestID")) == ("oadrRegisterReport", "mine")
    assert (await ask_for(ven, "usage")).code == "461"


async def ask_for(ven: ScriptedVen, specifier: str) -> Reply:
    """Ask the VTN for a report."""
    payload = (
        f"<ei:specifierPayload>{of('ei:rID', specifier)}{of('ei:readingType', 'x-notApplicable')}</ei:specifierPayload>"
    )
    times = duration("xcal:granularity", "PT0S") + duration("ei:reportBackDuration", "PT0S")
    inside = f"{of('ei:reportSpecifierID', specifier)}{times}{payload}"
    request = (
        f"<oadr:oadrReportRequest>{of('ei:reportRequestID', 'mine')}<ei:reportSpecifier>{inside}</ei:reportSpecifier>"
        "</oadr:oadrReportRequest>"
    )
    message = element("oadrCreateReport", of("pyld:requestID", "c"), request, of("ei:venID", ven.ven_id))
    return await ven.send("EiReport", message)


async def test_requests_and_values_survive_a_restart(vtn20: VtnUnderTest, ven20: Enrol, pki: Any) -> None:
    """B-RPT-018: a new process takes values for requests of the one before."""
    files = pki.client("survivor")
    ven, request_id = await with_telemetry(vtn20, ven20, files=files)
    await update(ven, data(request_id, interval(NOW, ("p", 1))))
    other = VtnUnderTest(vtn20.server.settings, vtn20.now)
    await other.start()
    again = await ven20(other, files=files, enrolled=False)
    again.ven_id = ven.ven_id
    assert (await update(again, data(request_id, interval("2026-06-01T12:01:00Z", ("p", 2))))).code == "200"
    await other.stop()
    assert len(values((await vtn20.bl.get("/reports")).ok(), "DEMAND")) == 2
