"""Compute what was delivered, from reports as VENs write them; what is not known is no 0."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from openadr_profiles.v31 import Report, decode
from vtn.performance.baselines import EvaluatedTime, EventBaseline
from vtn.performance.calendar import Calendar
from vtn.performance.evaluation import NO_READINGS, evaluate
from vtn.performance.from_reports import meters_of, read
from vtn.performance.methods import parsed
from vtn.performance.profile import Energy, EnergySeries
from vtn.performance.result import RequestedPower, in_kw, result

START = datetime(2026, 7, 17, 16, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
EVENT = EvaluatedTime(START, START + 4 * QUARTER)


def report(*resources: dict[str, Any], name: str | None = None, descriptors: Any = (), minute: int = 0) -> Report:
    """Return a report of home-1 on the event ``e``."""
    at = f"2026-07-18T00:{minute:02}:00Z"
    document = {
        "id": "r",
        "createdDateTime": at,
        "modificationDateTime": at,
        "eventID": "e",
        "clientName": "home",
        "clientID": "home-1",
        "reportName": name,
        "payloadDescriptors": [{"payloadType": type_, **more} for type_, more in descriptors],
        "resources": resources,
    }
    return decode(json.dumps(document), Report)


def resource(
    name: str, *values: dict[str, list[Any]], start: str = "2026-07-17T16:00:00Z", each: str = "PT15M"
) -> dict[str, Any]:
    """Return a resource whose intervals follow each other; each has payloads by type."""
    return {
        "resourceName": name,
        "intervalPeriod": {"start": start, "duration": each},
        "intervals": [
            {"id": number, "payloads": [{"type": type_, "values": said} for type_, said in payloads.items()]}
            for number, payloads in enumerate(values)
        ],
    }


def test_delivered_is_baseline_less_meter_and_short_is_what_is_missing_step_by_step() -> None:
    """By hand: asked 1 kWh a step; 0.5, 1.5 and -0.2 are delivered, the last step is not known."""
    steps = [START + number * QUARTER for number in range(4)]
    profile = EnergySeries(
        QUARTER, {at: Energy(Decimal(kwh)) for at, kwh in zip(steps, ("1.5", "0.5", "2.2"), strict=False)}
    )
    base = EventBaseline(dict.fromkeys(steps, Decimal(2)))

    found = result("home", EVENT, profile, base, [RequestedPower(EVENT.start, EVENT.end, Decimal(4))])

    assert [step.delivered_kwh for step in found.steps] == [Decimal("0.5"), Decimal("1.5"), Decimal("-0.2"), None]
    assert [step.shortfall_kwh for step in found.steps] == [Decimal("0.5"), Decimal(0), Decimal("1.2"), None]
    assert (found.delivered_kwh, found.requested_kwh, found.shortfall_kwh) == (
        Decimal("1.8"),
        Decimal(4),
        Decimal("1.7"),
    )
    assert found.performance == Decimal("0.6")  # of the three steps that are known
    assert found.gaps == 1
    assert in_kw(found.steps[1].delivered_kwh, QUARTER) == 6


def test_a_step_that_the_event_covers_in_part_is_asked_for_that_part() -> None:
    """From 16:05 to 16:20: 10 minutes of the first step, 5 of the second, at 6 kW."""
    event = EvaluatedTime(START + QUARTER / 3, START + 4 * QUARTER / 3)
    found = result(
        "home", event, EnergySeries(QUARTER), EventBaseline(), [RequestedPower(event.start, event.end, Decimal(6))]
    )
    assert [step.requested_kwh for step in found.steps] == [Decimal(1), Decimal("0.5")]
    assert (found.delivered_kwh, found.performance) == (None, None)


def test_what_was_asked_without_an_end_holds_until_something_else_or_the_end_of_the_event() -> None:
    """8 kW for a quarter of an hour, then 4 kW to the end, after which a VEN said nothing more."""
    asked = [RequestedPower(START, None, Decimal(8)), RequestedPower(START + QUARTER, None, Decimal(4))]
    event = EvaluatedTime(START, START + 5 * QUARTER / 2)
    found = result("home", event, EnergySeries(QUARTER), EventBaseline(), asked)
    assert [step.requested_kwh for step in found.steps] == [Decimal(2), Decimal(1), Decimal("0.5")]


def test_energy_and_power_are_read_in_their_units() -> None:
    """USAGE in Wh and DEMAND in MW; where both are there, the energy counts."""
    found = read(
        [
            report(
                resource("a", {"USAGE": [500]}, {"USAGE": [700], "DEMAND": [9]}),
                resource("b", {"DEMAND": [0.002]}),
                descriptors=[("USAGE", {"units": "WH"}), ("DEMAND", {"units": "MW"})],
            )
        ],
        event_id="e",
    )
    assert [one.kwh for one in found.readings["home-1", "a"]] == [Decimal("0.5"), Decimal("0.7")]
    assert [one.start for one in found.readings["home-1", "a"]] == [START, START + QUARTER]
    assert [one.kwh for one in found.readings["home-1", "b"]] == [Decimal("0.5")]


def test_values_that_are_none_do_not_count() -> None:
    """Text, true, absurd numbers, other units, direct readings, and what its quality calls missing or bad."""
    found = read(
        [
            report(resource("a", {"USAGE": ["much"]}, {"USAGE": [True]}, {"USAGE": [1e300]}, {"USAGE": []})),
            report(resource("a", {"USAGE": [1]}), descriptors=[("USAGE", {"units": "THERMS"})]),
            report(resource("a", {"DEMAND": [1]}), descriptors=[("DEMAND", {"readingType": "DIRECT_READ"})]),
            report(resource("a", {"USAGE": [1], "DATA_QUALITY": ["MISSING"]}, {"USAGE": [1], "DATA_QUALITY": ["BAD"]})),
            report(resource("a", {"USAGE": [1]}, each="P9999Y"), resource("a", {"USAGE": [1]}, each="PT0S")),
        ],
        event_id="e",
    )
    assert [one.kwh for one in found.readings.get(("home-1", "a"), ()) if one.length < timedelta(days=400)] == []
    assert found.unread == 4


def test_estimates_stay_estimates_and_corrections_count() -> None:
    """The report that changed last says what was drawn."""
    first = report(resource("a", {"USAGE": [1]}), minute=1)
    later = report(resource("a", {"USAGE": [2], "DATA_QUALITY": ["ESTIMATED"]}), minute=2)
    found = _evaluated([later, first], "reported")
    assert found.participants[0].steps[0].metered_kwh == 2
    assert found.participants[0].steps[0].estimated


def test_what_was_done_is_no_reading_but_says_what_was_asked() -> None:
    """REQUESTED_SHED of the status report; its DEMAND is of the circuits that took part."""
    status = report(resource("AGGREGATED_REPORT", {"REQUESTED_SHED": [2], "DEMAND": [1]}, each="PT1H"), name="status-e")
    drawn = report(resource("AGGREGATED_REPORT", {"DEMAND": [3], "BASELINE": [5]}, each="PT1H"))

    found = _evaluated([status, drawn], "reported")

    (home,) = found.participants
    assert [step.requested_kwh for step in home.steps] == [Decimal("0.5")] * 4
    assert [step.delivered_kwh for step in home.steps] == [Decimal("0.5")] * 4
    assert home.performance == 1


def test_what_was_asked_is_not_counted_twice() -> None:
    """A status report that was created again, after an answer was lost, replaces the one before."""
    told = [
        report(resource("a", {"REQUESTED_SHED": [kw]}, each="PT1H"), name="status-e", minute=minute)
        for minute, kw in ((1, 9), (2, 2))
    ]
    (home,) = _evaluated([*told, report(resource("a", {"USAGE": [1]}))], "reported").participants
    assert home.requested_kwh == 2


def test_the_sum_of_the_fleet_is_not_known_where_one_is_not() -> None:
    """A gap of one home is a gap of the curve, and a home without readings says so."""
    both = [report(resource("a", *({"USAGE": [1], "BASELINE": [8]},) * 4), resource("b", {"USAGE": [1]}))]
    found = _evaluated(both, "reported", circuits=True)
    assert [one.name for one in found.participants] == ["a", "b"]
    assert found.participants[1].notes == ("no BASELINE is reported",)
    assert [step.delivered_kwh for step in (each.whole for each in found.fleet.curve)] == [None] * 4
    silent = evaluate(
        EVENT,
        read([], event_id="e"),
        [("home-2", "AGGREGATED_REPORT")],
        parsed("10-of-10"),
        step=QUARTER,
        calendar=Calendar(UTC),
        event_days=(),
        name=lambda meter: meter[0],
    )
    assert silent.participants[0].notes == (NO_READINGS,)


def test_equal_inputs_have_equal_hashes_and_others_have_not() -> None:
    """So that a settled result can be told from a newer one."""
    one, other = (_evaluated([report(resource("a", {"USAGE": [kwh]}))], "10-of-10").inputs for kwh in (1, 1.001))
    assert one != other
    assert len(one) == 64
    assert _evaluated([report(resource("a", {"USAGE": [1]}))], "10-of-10").inputs == one


@pytest.mark.parametrize(
    ("names", "circuits", "chosen"),
    [
        (["AGGREGATED_REPORT", "heater", "ev"], False, ["AGGREGATED_REPORT"]),
        (["AGGREGATED_REPORT", "heater", "ev"], True, ["ev", "heater"]),
        (["heater", "ev"], False, ["ev", "heater"]),
        (["panel-1", "panel-1/a", "panel-2"], False, ["panel-1", "panel-2"]),
        (["panel-1/a", "panel-1/b"], False, ["panel-1/a", "panel-1/b"]),
    ],
)
def test_nothing_is_counted_twice(names: list[str], circuits: bool, chosen: list[str]) -> None:
    """A total is the sum of its parts."""
    assert meters_of([("home-1", name) for name in names], circuits=circuits) == tuple(
        ("home-1", name) for name in chosen
    )


def _evaluated(reports: list[Report], method: str, *, circuits: bool = False) -> Any:
    reported = read(reports, event_id="e")
    meters = meters_of({**reported.readings, **reported.asked}, circuits=circuits)
    return evaluate(
        EVENT,
        reported,
        meters,
        parsed(method),
        step=QUARTER,
        calendar=Calendar(UTC),
        event_days=(),
        name=lambda meter: meter[1],
    )
