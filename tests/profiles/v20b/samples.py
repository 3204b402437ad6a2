"""A message of every kind, with everything in it that it may hold."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.writing import write

AT = datetime(2026, 1, 31, 16, tzinfo=UTC)
HOUR = Duration20b(3600)
OK = m.EiResponse(code="200", description="OK", request_id="r-1")
POWER = m.ItemBase(
    name="powerReal",
    description="RealPower",
    units="W",
    scale="k",
    power_attributes=m.PowerAttributes(hertz=Decimal(50), voltage=Decimal(230), ac=True),
)
TARGET = m.Target(
    aggregated_pnodes=("ap",),
    end_device_assets=("Thermostat",),
    meter_assets=("meter-1",),
    pnodes=("p",),
    service_areas=(m.ServiceArea(positions=(1.0, 2.0, 3.5)),),
    service_delivery_points=("sdp",),
    service_locations=(m.ServiceArea(positions=()),),
    transport_interfaces=(m.TransportInterface(point_of_receipt="a", point_of_delivery="b"),),
    group_ids=("g",),
    group_names=("name",),
    resource_ids=("res-1", "res-2"),
    ven_ids=("00123",),
    party_ids=("party",),
)
PERIOD = m.Period(
    start=AT,
    duration=HOUR,
    start_after=Duration20b(300),
    notification=Duration20b(7200),
    ramp_up=Duration20b(-60),
    recovery=Duration20b(60),
)
STATUS = m.ResourceStatus(
    online=True,
    manual_override=False,
    load_control_state=m.LoadControlState(
        capacity=m.LoadControlValue(current=1.0, minimum=0.0, maximum=1.0, normal=0.9),
        set_point=m.LoadControlValue(current=21.5),
    ),
)


def signal_intervals(count: int = 2) -> tuple[m.Interval, ...]:
    return tuple(
        m.Interval(duration=Duration20b(1800), uid=str(n), payloads=(m.SignalPayload(value=n / 2),))
        for n in range(count)
    )


def an_event(event_id: str = "event-1", intervals: int = 2) -> m.Event:
    return m.Event(
        descriptor=m.EventDescriptor(
            event_id=event_id,
            modification_number=1,
            modification_date_time=AT,
            modification_reason="longer & colder",
            priority=1,
            market_context="http://example.com/programs/1?a=b&c=d",
            created_date_time=AT,
            event_status="far",
            test_event="false",
            vtn_comment="a <comment>",
        ),
        active_period=PERIOD,
        signals=(
            m.Signal(
                intervals=signal_intervals(intervals),
                target=m.Target(end_device_assets=("Thermostat",)),
                signal_name="LOAD_DISPATCH",
                signal_type="setpoint",
                signal_id="s1",
                item_base=POWER,
                current_value=0.0,
            ),
        ),
        baseline=m.Baseline(
            start=AT,
            duration=HOUR,
            intervals=signal_intervals(),
            baseline_id="b1",
            resource_ids=("res-1",),
            baseline_name="last week",
            item_base=POWER,
        ),
        target=TARGET,
    )


DESCRIPTION = m.ReportDescription(
    r_id="rid-1",
    report_subject=TARGET,
    report_data_source=m.Target(resource_ids=("res-1",)),
    report_type="demand",
    item_base=POWER,
    reading_type="Direct Read",
    market_context="http://example.com/programs/1",
    sampling_rate=m.SamplingRate(min_period=Duration20b(10), max_period=HOUR, on_change=False),
)
METADATA = m.Report(
    duration=HOUR,
    descriptions=(DESCRIPTION,),
    report_request_id="0",
    report_specifier_id="spec-1",
    report_name="METADATA_TELEMETRY_USAGE",
    created_date_time=AT,
)
DATA = m.Report(
    start=AT,
    duration=HOUR,
    intervals=(
        m.Interval(
            start=AT,
            duration=Duration20b(900),
            payloads=(
                m.ReportPayload(
                    r_id="rid-1", confidence=90, accuracy=0.5, value=12.5, data_quality="Quality Good - Non Specific"
                ),
                m.ReportPayload(r_id="status", value=STATUS),
            ),
        ),
    ),
    ei_report_id="report-7",
    report_request_id="rr-1",
    report_specifier_id="spec-1",
    report_name="TELEMETRY_USAGE",
    created_date_time=AT,
)
REQUEST = m.ReportRequest(
    report_request_id="rr-1",
    specifier=m.ReportSpecifier(
        report_specifier_id="spec-1",
        granularity=Duration20b(900),
        report_back_duration=HOUR,
        report_interval=PERIOD,
        payloads=(m.SpecifierPayload(r_id="rid-1", item_base=POWER, reading_type="Direct Read"),),
    ),
)
CANCEL_REPORT = m.CancelReport(request_id="r", report_request_ids=("rr-1", "rr-2"), report_to_follow=True, ven_id="V")
EVENT_ID = m.QualifiedEventID(event_id="event-1", modification_number=1)
_INFOS = (m.Info(key="k", value="v"),)

MESSAGES: tuple[m.Message, ...] = (
    m.QueryRegistration(request_id="r"),
    m.CreatePartyRegistration(
        request_id="r",
        registration_id="reg",
        ven_id="00123",
        profile_name="2.0b",
        transport_name="simpleHttp",
        transport_address="https://ven.example.com:8443",
        report_only=False,
        xml_signature=True,
        ven_name="Home & Garden",
        http_pull_model=False,
    ),
    m.CreatedPartyRegistration(
        response=OK,
        registration_id="reg",
        ven_id="00123",
        vtn_id="VTN_1",
        profiles=(m.Profile(name="2.0b", transports=("simpleHttp", "xmpp")),),
        requested_poll_freq=Duration20b(10),
        service_specific_info=(m.ServiceInfo(name="EiEvent", infos=_INFOS),),
        extensions=(m.Extension(name="x", infos=_INFOS),),
    ),
    m.CancelPartyRegistration(request_id="r", registration_id="reg", ven_id="00123"),
    m.CanceledPartyRegistration(response=OK, registration_id="reg", ven_id="00123"),
    m.RequestReregistration(ven_id="00123"),
    m.RequestEvent(request_id="r", ven_id="00123", reply_limit=3),
    m.DistributeEvent(response=OK, request_id="r", vtn_id="VTN_1", events=(an_event(), an_event("event-2"))),
    m.CreatedEvent(
        response=OK,
        event_responses=(
            m.EventResponse(
                code="200", description="OK", request_id="r", qualified_event_id=EVENT_ID, opt_type="optIn"
            ),
        ),
        ven_id="00123",
    ),
    m.RegisterReport(request_id="r", reports=(METADATA,), ven_id="00123", report_request_id="rr"),
    m.RegisteredReport(response=OK, report_requests=(REQUEST,), ven_id="00123"),
    m.CreateReport(request_id="r", report_requests=(REQUEST,), ven_id="00123"),
    m.CreatedReport(response=OK, pending_reports=("rr-1",), ven_id="00123"),
    m.UpdateReport(request_id="r", reports=(DATA,), ven_id="00123"),
    m.UpdatedReport(response=OK, cancel_report=CANCEL_REPORT, ven_id="00123"),
    CANCEL_REPORT,
    m.CanceledReport(response=OK, pending_reports=(), ven_id="00123"),
    m.CreateOpt(
        opt_id="opt-1",
        opt_type="optOut",
        opt_reason="economic",
        market_context="http://example.com/programs/1",
        ven_id="00123",
        availabilities=(PERIOD,),
        created_date_time=AT,
        request_id="r",
        qualified_event_id=EVENT_ID,
        target=m.Target(resource_ids=("res-1",)),
        device_class=m.Target(end_device_assets=("Thermostat",)),
    ),
    m.CreatedOpt(response=OK, opt_id="opt-1"),
    m.CancelOpt(request_id="r", opt_id="opt-1", ven_id="00123"),
    m.CanceledOpt(response=OK, opt_id="opt-1"),
    m.Poll(ven_id="00123"),
    m.Response(response=OK, ven_id="00123"),
)

SAMPLES = tuple(write(message) for message in MESSAGES)
