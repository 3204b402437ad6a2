"""Messages of another implementation, made and read by its own functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from openleadr import enums, messaging, objects

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.reading import read
from openadr_profiles.v20b.writing import write
from tests.profiles.v20b.judges import verdict
from tests.profiles.v20b.samples import AT, METADATA, an_event

LATER = AT + timedelta(hours=1)
SOON = datetime(2126, 1, 31, 16, tzinfo=UTC)


def theirs(name: str, **members: Any) -> Any:
    """Return a message that openleadr made, as we read it."""
    body = messaging.create_message(name, **members).encode()
    assert verdict(body)
    return read(body).message


def ours(message: m.Message) -> dict[str, Any]:
    """Return a message that we made, as openleadr reads it."""
    body = write(message)
    messaging.validate_xml_schema(body)
    _, content = messaging.parse_message(body)
    return dict(content)


def test_a_registration_is_read() -> None:
    """B-REG-001, B-REG-003."""
    assert theirs("oadrQueryRegistration", request_id="r") == m.QueryRegistration(request_id="r")
    assert theirs(
        "oadrCreatePartyRegistration",
        request_id="r",
        ven_name="home",
        http_pull_model=True,
        xml_signature=False,
        report_only=False,
        profile_name="2.0b",
        transport_name="simpleHttp",
        transport_address="https://ven.example.com",
        ven_id=None,
        registration_id=None,
    ) == m.CreatePartyRegistration(
        request_id="r",
        profile_name="2.0b",
        transport_name="simpleHttp",
        transport_address="https://ven.example.com",
        report_only=False,
        xml_signature=False,
        ven_name="home",
        http_pull_model=True,
    )


def test_polls_and_requests_are_read() -> None:
    """B-POL-001, B-EVT-005."""
    assert theirs("oadrPoll", ven_id="ven one") == m.Poll(ven_id="ven one")
    assert theirs("oadrRequestEvent", request_id="r", ven_id="v") == m.RequestEvent(request_id="r", ven_id="v")


def test_an_answer_to_an_event_is_read() -> None:
    """B-CRE-001."""
    message = theirs(
        "oadrCreatedEvent",
        response={"response_code": 200, "response_description": "OK", "request_id": "r"},
        event_responses=[
            {
                "response_code": 200,
                "response_description": "OK",
                "opt_type": "optIn",
                "request_id": "r",
                "event_id": "e1",
                "modification_number": 3,
            }
        ],
        ven_id="v",
    )
    assert message.event_responses == (
        m.EventResponse(
            code="200",
            description="OK",
            request_id="r",
            qualified_event_id=m.QualifiedEventID(event_id="e1", modification_number=3),
            opt_type="optIn",
        ),
    )


def test_reports_are_read() -> None:
    """B-RPT-002, B-RPT-013."""
    description = objects.ReportDescription(
        r_id="rid",
        reading_type="Direct Read",
        report_type="usage",
        market_context="http://m",
        report_subject=None,
        report_data_source=objects.Target(resource_id="meter"),
        measurement=enums.MEASUREMENTS.ENERGY_REAL,
        sampling_rate=objects.SamplingRate(timedelta(seconds=10), timedelta(minutes=1), False),
    )
    metadata = objects.Report(
        report_specifier_id="spec",
        report_name="METADATA_TELEMETRY_USAGE",
        report_request_id="0",
        report_descriptions=[description],
        created_date_time=AT,
        duration=timedelta(hours=1),
    )
    (report,) = theirs("oadrRegisterReport", request_id="r", reports=[metadata], ven_id="v").reports
    assert (report.report_name, report.duration) == ("METADATA_TELEMETRY_USAGE", Duration20b(3600))
    (read_description,) = report.descriptions
    assert read_description.item_base == m.ItemBase(
        name="energyReal", description="RealEnergy", units="Wh", scale="none"
    )
    assert read_description.report_data_source == m.Target(resource_ids=("meter",))
    assert read_description.sampling_rate is not None

    interval = objects.ReportInterval(dtstart=AT, report_payload=objects.ReportPayload(r_id="rid", value=1.5))
    data = objects.Report(
        report_specifier_id="spec",
        report_name="TELEMETRY_USAGE",
        report_request_id="rr",
        created_date_time=AT,
        intervals=[interval],
    )
    (update,) = theirs("oadrUpdateReport", request_id="r", reports=[data], ven_id="v").reports
    assert update.intervals == (m.Interval(start=AT, payloads=(m.ReportPayload(r_id="rid", value=1.5),)),)


def test_an_opt_is_read() -> None:
    """B-OPT-001, B-OPT-004."""
    availability = objects.Vavailability(
        components=[objects.VavailabilityComponent(dtstart=LATER, duration=timedelta(hours=2))]
    )
    opt = theirs(
        "oadrCreateOpt",
        request_id="r",
        ven_id="v",
        opt_id="o",
        opt_type="optOut",
        opt_reason="economic",
        created_date_time=AT,
        vavailability=availability,
        targets=[objects.Target(resource_id="a")],
    )
    assert opt.availabilities == (m.Period(start=LATER, duration=Duration20b(7200)),)
    assert opt.target == m.Target(resource_ids=("a",))


def test_an_event_that_openleadr_makes_is_read() -> None:
    """B-EVT-001, from the other side: a VTN's message."""
    event = objects.Event(
        event_descriptor=objects.EventDescriptor(
            event_id="e", modification_number=0, market_context="http://m", event_status="far", created_date_time=AT
        ),
        event_signals=[
            objects.EventSignal(
                intervals=[objects.Interval(dtstart=SOON, duration=timedelta(minutes=10), signal_payload=2)],
                signal_name="SIMPLE",
                signal_type="level",
                signal_id="s",
            )
        ],
        targets=[objects.Target(ven_id="v")],
        response_required="always",
    )
    message = theirs("oadrDistributeEvent", request_id="r", vtn_id="VTN", events=[event], response=None)
    (found,) = message.events
    assert found.descriptor.event_status == "far"
    assert found.signals[0].intervals[0].payloads == (m.SignalPayload(value=2.0),)
    assert found.target == m.Target(ven_ids=("v",))


def test_openleadr_reads_our_events() -> None:
    """B-EVT-001, B-EVT-007: judged by another implementation."""
    content = ours(m.DistributeEvent(request_id="r", vtn_id="VTN_1", events=(replace(an_event(), baseline=None),)))
    (event,) = content["events"]

    assert content["request_id"] == "r"
    assert event["event_descriptor"]["event_status"] == "far"
    assert event["event_descriptor"]["vtn_comment"] == "a <comment>"
    period = event["active_period"]
    assert (period["dtstart"], period["duration"]) == (AT, timedelta(hours=1))
    assert period["tolerance"] == {"tolerate": {"startafter": timedelta(minutes=5)}}
    assert (period["notification"], period["ramp_up"]) == (timedelta(hours=2), -timedelta(minutes=1))
    (signal,) = event["event_signals"]
    assert [interval["signal_payload"] for interval in signal["intervals"]] == [0, 0.5]
    assert signal["measurement"]["power_attributes"]["hertz"] == 50


@pytest.mark.parametrize(
    ("message", "member", "value"),
    [
        (m.Response(response=m.EiResponse(code="452", request_id="r"), ven_id="v"), "ven_id", "v"),
        (m.RequestReregistration(ven_id="v"), "ven_id", "v"),
        (m.CancelReport(request_id="r", report_request_ids=("a",), report_to_follow=True), "report_to_follow", True),
        (m.RegisterReport(request_id="r"), "request_id", "r"),
        (m.RegisterReport(request_id="r", reports=(METADATA,)), "request_id", "r"),
        (
            m.CreatedPartyRegistration(
                response=m.EiResponse(code="200"),
                registration_id="reg",
                ven_id="v",
                vtn_id="VTN_1",
                profiles=(m.Profile(name="2.0b", transports=("simpleHttp",)),),
                requested_poll_freq=Duration20b(10),
            ),
            "requested_oadr_poll_freq",
            timedelta(seconds=10),
        ),
    ],
)
def test_openleadr_reads_our_answers(message: m.Message, member: str, value: Any) -> None:
    """B-GEN-013: judged by another implementation."""
    assert ours(message)[member] == value


def test_openleadrs_faults_are_not_ours() -> None:
    """Requirements 3.3, faults 2 and 3: an id that looks like a number stays a text, and text is escaped."""
    assert read(write(m.Poll(ven_id="00123"))).message == m.Poll(ven_id="00123")
    assert messaging.parse_message(write(m.Poll(ven_id="00123")))[1]["ven_id"] == 123
