"""Reports of 2.0b in OpenADR 3: what is taken, what is asked for, and what becomes of each value."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.capabilities import Capability, UnusableReport, capability, request_all, requests_for
from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.report_losses import ReportLossKind
from openadr_profiles.v20b.report_words import data_quality, payload_type, reading_type
from openadr_profiles.v20b.reports import Translated, readings, translate
from openadr_profiles.v20b.units import core_unit
from openadr_profiles.v20b.writing import write
from openadr_profiles.v31 import Event, decode, encode
from openadr_profiles.v31.payload_values import unsuitable
from openadr_profiles.v31.report import ReportRequest
from tests.profiles.v20b.judges import verdict
from tests.profiles.v20b.samples import AT, DATA, DESCRIPTION, HOUR, METADATA, POWER, STATUS
from tests.profiles.v20b.strategies import objects

QUARTER = Duration20b(900)
ENERGY = m.ItemBase(name="energyReal", description="RealEnergy", units="Wh", scale="none")


def described(r_id: str = "r", **members: Any) -> m.ReportDescription:
    given_members: dict[str, Any] = {
        "report_type": "usage",
        "reading_type": "Direct Read",
        "item_base": ENERGY,
        "report_data_source": m.Target(resource_ids=("meter",)),
    }
    return m.ReportDescription(r_id=r_id, **(given_members | members))


def offered(*descriptions: m.ReportDescription, name: str = "METADATA_TELEMETRY_USAGE") -> Capability:
    return capability(replace(METADATA, descriptions=descriptions, report_name=name))


def data(*values: tuple[str, Any], **members: Any) -> m.Report:
    payloads = tuple(m.ReportPayload(r_id=r_id, value=value, **members) for r_id, value in values)
    return replace(DATA, intervals=(m.Interval(start=AT, duration=QUARTER, payloads=payloads),))


def translated(report: m.Report, capabilities: Capability) -> Translated:
    found = translate(readings(report, capabilities), capabilities, event_id="carrier", client_name="home")
    for request in found.requests:
        assert decode(encode(request), ReportRequest) == request
        assert list(unsuitable(request)) == []
    return found


def payloads_of(request: ReportRequest) -> list[dict[str, Any]]:
    return [
        {payload.type: payload.values[0] for payload in interval.payloads}
        for resource in request.resources
        for interval in resource.intervals
    ]


def losses(found: Translated) -> set[ReportLossKind]:
    return {loss.kind for loss in found.losses}


def test_usage_becomes_a_report_of_its_source() -> None:
    """B-RPT-021, 4.5: converted to kWh, by resource, with its time, under the name of report and specifier."""
    found = translated(data(("r", 12.3)), offered(described()))
    request = found.requests[0]

    assert request.report_name == "TELEMETRY_USAGE/spec-1"
    assert request.resources[0].resource_name == "meter"
    assert payloads_of(request) == [{"USAGE": 0.0123, "OADR20B_RID": "r"}]
    period = request.resources[0].intervals[0].interval_period
    assert period is not None
    assert (str(period.start), str(period.duration)) == ("2026-01-31T16:00:00.000Z", "PT15M")
    descriptor = (request.payload_descriptors or ())[0]
    assert (descriptor.payload_type, descriptor.units, descriptor.reading_type) == ("USAGE", "KWH", "DIRECT_READ")
    assert found.losses == ()


def test_the_state_of_a_resource_is_kept_exactly_beside_its_word() -> None:
    """B-RPT-016."""
    status = described(report_type="x-resourceStatus", reading_type="x-notApplicable", item_base=None)
    found = translated(data(("r", STATUS)), offered(status, name="METADATA_TELEMETRY_STATUS"))

    assert payloads_of(found.requests[0]) == [
        {
            "OPERATING_STATE": "NORMAL",
            "OADR20B_ONLINE": True,
            "OADR20B_MANUAL_OVERRIDE": False,
            "SETPOINT": 21.5,
            "OADR20B_LOAD_STATE_CAPACITY_MINIMUM": 0.0,
            "OADR20B_LOAD_STATE_CAPACITY_MAXIMUM": 1.0,
            "OADR20B_LOAD_STATE_CAPACITY_CURRENT": 1.0,
            "OADR20B_LOAD_STATE_CAPACITY_NORMAL": 0.9,
            "OADR20B_RID": "r",
        }
    ]
    assert losses(found) == {ReportLossKind.STATE}


@pytest.mark.parametrize(
    ("online", "override", "word"),
    [(False, False, "ERROR"), (False, True, "ERROR"), (True, True, "RUNNING_OPTED_OUT"), (True, False, "NORMAL")],
)
def test_the_state_is_one_word(online: bool, override: bool, word: str) -> None:
    """B-RPT-016, 4.5."""
    status = described(report_type="x-resourceStatus", reading_type="x-notApplicable", item_base=None)
    found = translated(data(("r", m.ResourceStatus(online=online, manual_override=override))), offered(status))

    assert payloads_of(found.requests[0])[0]["OPERATING_STATE"] == word


def test_quality_confidence_and_accuracy_are_kept() -> None:
    """B-RPT-022: of each value, and the last ones of the report where OpenADR 3 has them."""
    sent = data(("r", 1.0), ("r", 2.0), data_quality="Quality Bad - Comm Failure", confidence=70, accuracy=0.5)
    found = translated(sent, offered(described()))
    descriptor = (found.requests[0].payload_descriptors or ())[0]

    assert payloads_of(found.requests[0])[1] == {
        "USAGE": 0.002,
        "DATA_QUALITY": "BAD",
        "OADR20B_DATA_QUALITY": "Quality Bad - Comm Failure",
        "OADR20B_CONFIDENCE": 70,
        "OADR20B_ACCURACY": 0.5,
        "OADR20B_RID": "r",
    }
    assert (descriptor.confidence, descriptor.accuracy) == (70, 0.5)
    assert losses(found) == {ReportLossKind.DATA_QUALITY, ReportLossKind.PER_VALUE_QUALITY}


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        ("Quality Good - Local Override", "OK"),
        ("No Quality - No Value", "MISSING"),
        ("No New Value - Previous Value Used", "MISSING"),
        ("Quality Uncertain - Sub Normal", "ESTIMATED"),
        ("Quality Bad - Last Known Value", "ESTIMATED"),
        ("Quality Bad - Device Failure", "BAD"),
        ("Quality Limit - Field/High", "BAD"),
        ("x-guess", "ESTIMATED"),
    ],
)
def test_qualities(quality: str, word: str) -> None:
    """4.5: 21 words become 4."""
    assert data_quality(quality) == word


@pytest.mark.parametrize(
    ("report_type", "reading", "expected"),
    [
        ("demand", "Mean", ("DEMAND", "MEAN")),
        ("avgDemand", "Direct Read", ("DEMAND", "MEAN")),
        ("deltaDemand", "Projected", ("OADR20B_DELTA_DEMAND", "FORECAST")),
        ("upRegulationCapacityAvailable", "Net", ("UP_REGULATION_AVAILABLE", "OADR20B_NET")),
        ("targetEnergyStorage", "x-RMS", ("OADR20B_TARGET_ENERGY_STORAGE", "OADR20B_X_RMS")),
        ("x-resourceStatus", "x-notApplicable", ("OPERATING_STATE", None)),
        ("x-co2 per kWh", "Peak", ("OADR20B_X_CO_2_PER_K_WH", "PEAK")),
    ],
)
def test_types(report_type: str, reading: str, expected: tuple[str, str | None]) -> None:
    """4.5: words that OpenADR 3 does not have are private ones."""
    assert (payload_type(report_type), reading_type(report_type, reading)) == expected


@pytest.mark.parametrize(
    ("base", "unit", "value"),
    [
        (POWER, "KW", 5.0),
        (replace(POWER, scale="M"), "KW", 5000.0),
        (replace(POWER, scale="none"), "KW", 0.005),
        (ENERGY, "KWH", 0.005),
        (m.ItemBase(name="voltage", description="Voltage", units="V", scale="d"), "VOLTS", 0.5),
        (m.ItemBase(name="temperature", description="temperature", units="fahrenheit"), "FAHRENHEIT", 5.0),
        (m.ItemBase(name="frequency", description="Frequency", units="Hz", scale="m"), "OADR20B_Hz", 0.005),
        (
            m.ItemBase(name="currencyPerKWh", description="currencyPerKWh", units="EUR"),
            "OADR20B_currencyPerKWh_EUR",
            5.0,
        ),
        (
            m.ItemBase(name="pulseCount", description="", units="count", scale=None, pulse_factor=2.0),
            "OADR20B_count",
            5.0,
        ),
        (None, None, 5.0),
    ],
)
def test_units(base: m.ItemBase | None, unit: str | None, value: float) -> None:
    """B-RPT-021: scales are applied, units of OpenADR 3 are used where there are any."""
    found = core_unit(base)

    assert (found.unit, found.to_core(5.0)) == (unit, value)
    assert found.from_core(value) == 5.0


@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from(["p", "micro", "none", "k", "T"]))
@settings(max_examples=50)
def test_a_conversion_can_be_undone(value: float, scale: str) -> None:
    """B-RPT-021: no digit is lost."""
    unit = core_unit(replace(POWER, scale=scale))

    assert unit.from_core(unit.to_core(value)) == pytest.approx(value, rel=1e-15)


def test_one_payload_type_in_two_readings_makes_two_reports() -> None:
    """4.5: OpenADR 3 describes a payload type once for a report."""
    found = translated(
        data(("mean", 1.0), ("peak", 2.0), ("mean", 3.0)),
        offered(described("mean", reading_type="Mean"), described("peak", reading_type="Peak")),
    )

    assert [request.report_name for request in found.requests] == [
        "TELEMETRY_USAGE/spec-1",
        "TELEMETRY_USAGE/spec-1.2",
    ]
    assert [len(payloads_of(request)) for request in found.requests] == [2, 1]


def test_what_cannot_be_said_in_openadr_3_is_named() -> None:
    """4.7: every loss has a name."""
    odd = described(
        report_type="powerFactor",
        reading_type="Hybrid",
        item_base=m.ItemBase(name="customUnit", description="", units="cosphi"),
        report_data_source=m.Target(resource_ids=("a", "b")),
    )
    found = translated(data(("r", 0.9)), offered(odd))

    assert found.requests[0].resources[0].resource_name == "AGGREGATED_REPORT"
    assert losses(found) == {
        ReportLossKind.REPORT_TYPE,
        ReportLossKind.READING_TYPE,
        ReportLossKind.UNIT,
        ReportLossKind.SOURCES,
    }
    assert losses(translated(data(("r", 1.0)), offered(described(report_type="demand", item_base=POWER)))) == {
        ReportLossKind.MAINS
    }


def test_intervals_without_a_start_follow_each_other() -> None:
    """B-RPT-013."""
    value = m.ReportPayload(r_id="r", value=1.0)
    report = replace(DATA, start=AT, intervals=(m.Interval(duration=QUARTER, payloads=(value,)),) * 3)

    starts = [reading.start for reading in readings(report, offered(described()))]
    assert starts == [AT, AT + timedelta(minutes=15), AT + timedelta(minutes=30)]


@pytest.mark.parametrize(
    ("report", "code", "said"),
    [
        (data(("other", 1.0)), "452", "rID 'other' was not asked for"),
        (data(("unasked", 1.0)), "452", "rID 'unasked' was not asked for"),
        (replace(data(("r", 1.0)), report_specifier_id="x"), "452", "reportSpecifierID 'x'; expected 'spec-1'"),
        (
            replace(DATA, start=None, intervals=(m.Interval(payloads=(m.ReportPayload(r_id="r", value=1.0),)),)),
            "454",
            "interval 1 has no start",
        ),
        (replace(DATA, intervals=(m.Interval(payloads=(m.SignalPayload(value=1),)),)), "454", "signalPayload"),
        (replace(DATA, intervals=(m.Interval(payloads=(m.GreenButtonPayload(),)),)), "461", "Green Button"),
        (
            replace(DATA, intervals=(m.Interval(duration=Duration20b(-1), payloads=(m.GreenButtonPayload(),)),)),
            "454",
            "negative duration",
        ),
    ],
)
def test_data_that_was_not_asked_for_is_refused(report: m.Report, code: str, said: str) -> None:
    """B-RPT-011, B-RPT-012."""
    with pytest.raises(UnusableReport, match=said) as refused:
        readings(report, offered(described(), described("unasked")), frozenset({"r"}))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("report", "code", "said"),
    [
        (replace(METADATA, report_name="TELEMETRY_USAGE"), "459", "expected a name with METADATA_"),
        (replace(METADATA, report_name=None), "459", "expected a name with METADATA_"),
        (replace(METADATA, report_name="METADATA_HISTORY_GREENBUTTON"), "461", "HISTORY_USAGE, TELEMETRY_STATUS"),
        (replace(METADATA, report_name="METADATA_x-mine"), "461", "expected one of"),
        (replace(METADATA, intervals=DATA.intervals), "459", "without data"),
        (replace(METADATA, descriptions=(DESCRIPTION, DESCRIPTION)), "459", "describes rID 'rid-1' twice"),
        (replace(METADATA, descriptions=(described(item_base=POWER),)), "459", "usage in powerReal; expected one of"),
    ],
)
def test_a_report_that_contradicts_itself_is_refused(report: m.Report, code: str, said: str) -> None:
    """B-RPT-002, B-RPT-020, B-RPT-021."""
    with pytest.raises(UnusableReport, match=said) as refused:
        capability(report)
    assert refused.value.code == code


def test_everything_offered_can_be_asked_for() -> None:
    """B-RPT-007, B-RPT-008, B-RPT-017: the granularity is moved into what can be sampled, and the request is valid."""
    request = request_all(
        offered(DESCRIPTION), report_request_id="rr", granularity=Duration20b(1), report_back=Duration20b(5)
    )

    assert request.specifier.granularity == Duration20b(10)
    assert request.specifier.report_back_duration == Duration20b(10)
    assert [each.r_id for each in request.specifier.payloads] == ["rid-1"]
    assert verdict(write(m.CreateReport(request_id="r", report_requests=(request,))))


def an_event(**descriptor: Any) -> Event:
    return decode(
        encode(
            {
                "id": "e1",
                "programID": "p",
                "createdDateTime": "2026-01-31T15:00:00Z",
                "modificationDateTime": "2026-01-31T15:00:00Z",
                "objectType": "EVENT",
                "intervalPeriod": {"start": "2026-01-31T16:00:00Z", "duration": "PT1H"},
                "intervals": [{"id": n, "payloads": [{"type": "SIMPLE", "values": [1]}]} for n in range(4)],
                "reportDescriptors": [{"payloadType": "USAGE"} | descriptor],
            }
        ),
        Event,
    )


def asked(event: Event, *offers: Capability, now: Any = AT, **members: Any) -> tuple[m.ReportRequest, ...]:
    ids = (f"rr-{n}" for n in count(1))
    return requests_for(event, offers, now=now, granularity=QUARTER, ids=ids, **members)


def test_one_report_at_the_end_is_a_one_shot() -> None:
    """B-RPT-008, 4.5: OpenADR 3 counts intervals, 2.0b has durations."""
    (request,) = asked(an_event(), offered(described(), described("d", report_type="demand", item_base=POWER)))
    specifier = request.specifier

    assert [each.r_id for each in specifier.payloads] == ["r"]
    assert (specifier.granularity, specifier.report_back_duration) == (HOUR, Duration20b(0))
    assert specifier.report_interval == m.Period(start=AT, duration=Duration20b(4 * 3600))


def test_a_report_for_each_interval_comes_back_as_often() -> None:
    """B-RPT-008, B-RPT-009."""
    (request,) = asked(an_event(frequency=1, numIntervals=1, startInterval=0, repeat=-1), offered(described()))

    assert request.specifier.report_back_duration == HOUR
    assert request.specifier.report_interval == m.Period(start=AT, duration=Duration20b(0))


def test_what_is_over_is_asked_of_the_history() -> None:
    """B-RPT-009, B-RPT-019."""
    history = replace(offered(described()), report_name="HISTORY_USAGE")
    later = AT + timedelta(hours=4)

    assert asked(an_event(), history) == ()
    assert len(asked(an_event(), history, offered(described()), now=later)) == 1


@pytest.mark.parametrize(
    ("descriptor", "found"),
    [
        ({"units": "KWH"}, 1),
        ({"units": "THERMS"}, 0),
        ({"readingType": "DIRECT_READ"}, 1),
        ({"readingType": "MEAN"}, 0),
        ({"historical": False}, 0),
        ({"targets": ["resource:meter"]}, 1),
        ({"targets": ["resource:other"]}, 0),
        ({"targets": ["feeder-7"]}, 1),
        ({"payloadType": "DEMAND"}, 0),
    ],
)
def test_only_what_a_descriptor_names_is_asked_for(descriptor: dict[str, Any], found: int) -> None:
    """4.5: type, reading, unit and resources."""
    assert len(asked(an_event(**descriptor), offered(described()), targets_of={"meter": {"feeder-7"}})) == found


@settings(max_examples=40)
@given(objects(m.Report), st.data())
def test_any_report_is_translated_or_refused(report: m.Report, chosen: st.DataObject) -> None:
    """4.5: whatever a VEN says in valid XML, OpenADR 3 gets a valid report or the VEN a reason."""
    values = tuple(
        payload
        for interval in report.intervals
        for payload in interval.payloads
        if isinstance(payload, m.ReportPayload)
    )
    descriptions = tuple(
        replace(chosen.draw(objects(m.ReportDescription)), r_id=r_id)
        for r_id in dict.fromkeys(value.r_id for value in values)
    )
    offer = Capability(
        report_specifier_id=report.report_specifier_id, report_name="TELEMETRY_USAGE", descriptions=descriptions
    )
    try:
        read = readings(report, offer)
        found = translate(read, offer, event_id="e", client_name="home")
    except UnusableReport as refused:
        said = refused.description
        assert "expected" in said or "has no start" in said
    else:
        assert sum(len(payloads_of(request)) for request in found.requests) == len(values)
        for request in found.requests:
            assert decode(encode(request), ReportRequest) == request
