"""Test what is said of a resource in a window, by payload type, units and quality; without a VTN (V15)."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import structlog
from msgspec.structs import replace

from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    FOREVER,
    DueReport,
    Duration,
    Event,
    Interval,
    IntervalPeriod,
    ReportDescriptor,
    ReportRequest,
    Start,
    Timeline,
    ValuesMap,
    due_together,
    encode,
)
from tests.support.official import official_document
from tests.ven.builders import START, a_circuit, shed_event
from ven.panel.meter import Measurement
from ven.reports.queue import ReportQueue
from ven.reports.requested import build, report_name
from ven.reports.values import Facts

HOUR = timedelta(hours=1)
CIRCUITS = (a_circuit("battery", export_kw=Decimal(3), rated_kw=Decimal(5)), a_circuit("oven"))


def measured(ids: tuple[str, ...], start: datetime, end: datetime) -> Measurement:
    battery = "battery" in ids
    return Measurement(
        mean_kw=Decimal("0.0012") * len(ids),
        peak_kw=Decimal(2),
        last_kw=Decimal(1),
        covered=1.0,
        hours=Decimal(1),
        counter_kwh=Decimal("812.3456") if ids == ("oven",) else None,
        charge_kwh=Decimal("3.3") if battery else None,
        capacity_kwh=Decimal(10) if battery else None,
    )


def facts(**members: Any) -> Facts:
    given: dict[str, Any] = {
        "event_id": "e1",
        "client_name": "home",
        "circuits": CIRCUITS,
        "targets": {},
        "baseline_kw": {"battery": Decimal(1), "oven": Decimal("0.5")},
        "expected_kw": {"battery": Decimal(-2), "oven": Decimal(1)},
        "opted_out": False,
        "measured": measured,
        "curtailed": lambda *_: False,
        "level": lambda *_: 0,
        "storages": frozenset({"battery"}),
        **members,
    }
    return Facts(**given)


def due(*descriptors: ReportDescriptor, event: Event | None = None) -> tuple[DueReport, ...]:
    timeline = Timeline.of(event or shed_event(-1, -1, minutes=60), anchor=START)
    (group,) = due_together(timeline, descriptors, joined_at=START - HOUR)
    return group


def made(*descriptors: ReportDescriptor, **members: Any) -> list[ReportRequest]:
    built = [request for _, request in asyncio.run(build(due(*descriptors), facts(**members)))]
    for request in built:
        assert official_document().request_problems("POST", "/reports", encode(request)) == []
    return built


def said(request: ReportRequest) -> Mapping[str, Sequence[object]]:
    """Return the values of the first interval, by resource."""
    return {
        each.resource_name: [payload.values[0] for payload in each.intervals[0].payloads] for each in request.resources
    }


def label(request: ReportRequest) -> tuple[str | None, str | None]:
    assert request.payload_descriptors
    return request.payload_descriptors[0].units, request.payload_descriptors[0].reading_type


@pytest.mark.parametrize(
    ("payload_type", "units", "value"),
    [
        ("USAGE", None, 0.001),
        ("USAGE", "WH", 1.0),
        ("USAGE", "MWH", 0.000001),
        ("DEMAND", "KW", 0.001),
        ("DEMAND", "MW", 0.000001),
        ("READING", "KW", 1.0),
        ("READING", "MWH", 0.812346),
    ],
)
def test_values_are_exact_to_the_watt_in_any_unit(payload_type: str, units: str | None, value: float) -> None:
    """V15: megawatts were rounded to 0."""
    (request,) = made(ReportDescriptor(payload_type=payload_type, units=units))
    assert said(request)["oven"][0] == value


@pytest.mark.parametrize("payload_type", ["USAGE", "DEMAND", "USAGE_FORECAST", "LOAD_SHED_DELTA_AVAILABLE"])
def test_what_has_not_happened_is_labelled_a_forecast(payload_type: str) -> None:
    """V15, ENUM-003."""
    (request,) = made(ReportDescriptor(payload_type=payload_type, historical=False))
    assert label(request)[1] == "FORECAST"
    (request,) = made(ReportDescriptor(payload_type=payload_type, historical=False, reading_type="ESTIMATED"))
    assert label(request)[1] == "ESTIMATED"


@pytest.mark.parametrize(
    ("payload_type", "units", "described", "value"),
    [
        ("STORAGE_CHARGE_LEVEL", None, ("PERCENT", "DIRECT_READ"), 0.33),
        ("STORAGE_CHARGE_LEVEL", "PERCENTAGE", ("PERCENTAGE", "DIRECT_READ"), 0.33),
        ("STORAGE_CHARGE_LEVEL", "WH", ("WH", "DIRECT_READ"), 3300),
        ("STORAGE_USABLE_CAPACITY", None, ("KWH", "DIRECT_READ"), 10),
        ("STORAGE_MAX_CHARGE_POWER", None, ("KW", "DIRECT_READ"), 5),
        ("STORAGE_MAX_DISCHARGE_POWER", None, ("KW", "DIRECT_READ"), 3),
        ("STORAGE_DISPATCH_FORECAST", None, ("KWH", "FORECAST"), 2),
    ],
)
def test_storage_is_reported_of_what_stores_energy(
    payload_type: str, units: str | None, described: tuple[str, str], value: float
) -> None:
    (request,) = made(ReportDescriptor(payload_type=payload_type, units=units))
    assert said(request) == {"battery": [value], AGGREGATED_REPORT: [value]}
    assert label(request) == described


def test_storage_and_usage_asked_for_together_are_two_reports() -> None:
    asked = (ReportDescriptor(payload_type="USAGE"), ReportDescriptor(payload_type="STORAGE_CHARGE_LEVEL"))
    usage, storage = made(*asked)
    assert list(said(usage)) == ["battery", "oven", AGGREGATED_REPORT]
    assert list(said(storage)) == ["battery", AGGREGATED_REPORT]
    assert usage.report_name != storage.report_name
    assert made(ReportDescriptor(payload_type="STORAGE_CHARGE_LEVEL"), storages=frozenset()) == []


def test_a_circuit_curtailed_for_another_event_has_not_opted_out() -> None:
    """V15."""
    asked = ReportDescriptor(payload_type="OPERATING_STATE")
    (request,) = made(asked, opted_out=True, curtailed=lambda id_, *_: id_ == "oven")
    assert said(request) == {
        "battery": ["IDLE_OPTED_OUT"],
        "oven": ["IDLE_CURTAILED"],
        AGGREGATED_REPORT: ["IDLE_CURTAILED"],
    }


def test_the_simple_level_is_that_which_was_followed() -> None:
    (request,) = made(ReportDescriptor(payload_type="SIMPLE_LEVEL"), opted_out=True, level=lambda *_: 2)
    assert said(request)["oven"] == [2]


def test_a_name_has_the_event_in_it() -> None:
    """V4: two events may ask the same about the same hours."""
    group = due(ReportDescriptor(payload_type="USAGE"))
    assert report_name("e1", group) != report_name("e2", group)


def test_a_report_of_too_many_intervals_has_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ven.reports.requested.MOST_VALUES", 12)
    event = shed_event(*[-1] * 10, minutes=60)
    asked = ReportDescriptor(payload_type="USAGE")
    ((_, request),) = asyncio.run(build(due(asked, event=event), facts()))
    assert [each.id for each in request.resources[0].intervals] == [6, 7, 8, 9]


# the queue


def timeline_of(event: Event) -> Timeline:
    return Timeline.of(event, anchor=START - HOUR)


def a_queue(event: Event, **members: Any) -> tuple[ReportQueue, Timeline]:
    queue = ReportQueue(own=timedelta(minutes=15), **members)
    timeline = timeline_of(event)
    queue.set(event.id, timeline, START - HOUR)
    return queue, timeline


HOURLY = ReportDescriptor(payload_type="USAGE", start_interval=0, num_intervals=1, frequency=1, repeat=-1)
WHOLE = ReportDescriptor(payload_type="DEMAND")


def test_what_any_descriptor_needs_is_measured_from_its_beginning() -> None:
    """V4: only the next report was looked at, and the second descriptor lost its readings."""
    queue, _ = a_queue(shed_event(*[-1] * 4, minutes=60, report_descriptors=(HOURLY, WHOLE)))
    for hour in range(1, 4):
        taken = list(queue.take("e1", START + hour * HOUR))
        assert [[report.descriptor.payload_type for report in each.group] for each in taken] == [["USAGE"]]
        assert queue.needed_from == START
    assert len(list(queue.take("e1", START + 4 * HOUR))) == 2
    assert queue.needed_from is None
    assert queue.is_done("e1")


def test_after_a_restart_only_what_was_not_reported_comes() -> None:
    event = shed_event(*[-1] * 6, minutes=60, report_descriptors=(HOURLY, WHOLE))
    queue, timeline = a_queue(event)
    first = list(queue.take("e1", START + 2 * HOUR))
    cursors: dict[str, datetime] = {}
    for each in first:
        cursors |= each.cursors
    again, _ = a_queue(event, cursors={"e1": cursors})
    coming = [report.intended for each in again.take("e1", START + 4 * HOUR) for report in each.group]
    assert coming == [START + 3 * HOUR, START + 4 * HOUR]
    again.keep_only({})
    again.set("e1", timeline, START - HOUR)
    assert len(list(again.take("e1", START + HOUR))) == 1, "the cursors went with the event"


def test_what_was_reported_is_not_made_again_when_an_event_asks_for_more_or_less() -> None:
    """RDESC-021: reports that the VTN had were made again of readings that were gone, as 0 and MISSING."""
    queue, _ = a_queue(shed_event(*[-1] * 8, minutes=60, report_descriptors=(HOURLY,)))
    assert len(list(queue.take("e1", START + 4 * HOUR))) == 4
    changed = shed_event(*[-1] * 8, minutes=60, report_descriptors=(replace(HOURLY, repeat=6), WHOLE))
    queue.set("e1", timeline_of(changed), START - HOUR, START + 4 * HOUR)
    assert list(queue.take("e1", START + 4 * HOUR)) == []
    assert [each.cursors for each in queue.take("e1", START + 9 * HOUR)] != []
    assert queue.is_done("e1")


def test_what_is_asked_for_the_first_time_begins_with_that_version() -> None:
    """RDESC-014: as for a VEN that joins late, only the latest of what is over."""
    queue, _ = a_queue(shed_event(*[-1] * 8, minutes=60, report_descriptors=(HOURLY,)))
    list(queue.take("e1", START + 4 * HOUR))
    changed = shed_event(*[-1] * 8, minutes=60, report_descriptors=(replace(HOURLY, payload_type="DEMAND"),))
    queue.set("e1", timeline_of(changed), START - HOUR, START + 4.5 * HOUR)
    taken = [each.group[0].intended for each in queue.take("e1", START + 5 * HOUR)]
    assert taken == [START + 4 * HOUR, START + 5 * HOUR]


def test_a_report_that_could_not_be_made_stays_due() -> None:
    """It was lost: the cursor had moved on before it was built."""
    queue, _ = a_queue(shed_event(*[-1] * 3, minutes=60, report_descriptors=(HOURLY, WHOLE)))
    now = START + 3 * HOUR
    failed: set[str] = set()
    for each in queue.take("e1", now, but=failed):
        failed.update(each.cursors if each.group[0].descriptor == HOURLY else ())
    assert queue.next_due() == START + HOUR
    assert queue.next_due(now) is None
    assert not queue.is_done("e1")
    for each in queue.take("e1", now):
        assert each.group[0].intended == START + HOUR
        break  # as if cancelled
    assert [each.group[0].intended for each in queue.take("e1", now)] == [START + hour * HOUR for hour in (1, 2, 3)]
    assert queue.is_done("e1")


FIRST_TWO = ReportDescriptor(payload_type="USAGE", start_interval=1, num_intervals=2, frequency=1, repeat=-1)


def hours_changed(*starts: float, length: float = 1, **members: Any) -> Event:
    """An event whose intervals begin so many hours after START, and last so many."""
    intervals = tuple(
        Interval(
            id=number,
            interval_period=IntervalPeriod(start=Start.of(START + each * HOUR), duration=Duration.of(length * HOUR)),
            payloads=(ValuesMap(type="SIMPLE", values=(1,)),),
        )
        for number, each in enumerate(starts)
    )
    return shed_event(intervals=intervals, units=None, **members)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    ("changed", "again"),
    [
        (hours_changed(0, 1, 2, 3), []),
        (hours_changed(0, 1, 2, 9), []),
        (hours_changed(0.5, 1, 2, 3), []),  # the report about it is not the latest
        (hours_changed(0, 1.5, 2.5, 3.5), []),  # the second one comes anew by itself, and is due later
        (hours_changed(0, 0.5, 2, 3), [(1, 0.5, 1.5)]),
        (hours_changed(0, 0.5, 1, 1.5, length=0.5), [(3, 1.5, 2)]),
        (hours_changed(5, 6, 7, 8), []),
    ],
)
def test_the_latest_report_is_made_again_if_its_intervals_are_changed(
    changed: Event, again: list[tuple[int, float, float]], restarts: bool
) -> None:
    """RDESC-021, RDESC-014: once, also if the VEN restarts in between; and each later window comes once."""
    queue, _ = a_queue(hours_changed(0, 1, 2, 3, report_descriptors=(HOURLY,)))
    cursors: dict[str, datetime] = {}
    covered: dict[str, str] = {}

    def taken(now: datetime) -> list[tuple[int, float, float]]:
        found = []
        for each in queue.take("e1", now):
            cursors.update({key: max(until, cursors.get(key, until)) for key, until in each.cursors.items()})
            covered.update(each.covered)
            found += [part for report in each.group for part in report.coverage]
        return [(id_, (start - START) / HOUR, ((end or start) - START) / HOUR) for id_, start, end in found]

    assert taken(START + 2 * HOUR) == [(0, 0, 1), (1, 1, 2)]
    assert queue.kept_from == START + HOUR
    later = replace(changed, report_descriptors=(HOURLY,))
    now = START + 2.1 * HOUR
    for _ in range(3):  # an event that is read again, or a VEN that starts again, changes nothing
        if restarts:
            queue = ReportQueue(own=timedelta(minutes=15), cursors={"e1": cursors}, covered={"e1": covered})
        queue.set("e1", timeline_of(replace(later, event_name="read again")), START - HOUR, now)
        assert taken(now) == again
        again = []
    ends = {each.interval_id: each.end for each in timeline_of(later).windows() if each.end and each.end > now}
    assert [id_ for id_, _, _ in taken(START + 24 * HOUR)] == sorted(ends, key=lambda id_: (ends[id_], id_))
    assert queue.is_done("e1")
    assert queue.kept_from is None


def test_an_interval_that_is_moved_is_measured_by_what_is_kept_of_it() -> None:
    queue, _ = a_queue(hours_changed(0, 1, 2, 3, 4, report_descriptors=(FIRST_TWO,)))
    assert len(list(queue.take("e1", START + 3 * HOUR))) == 2
    assert (queue.kept_from, queue.needed_from) == (START + HOUR, START + 2 * HOUR)
    shorter = hours_changed(0, 1, 2, 3, 4, length=0.5, report_descriptors=(FIRST_TWO,))
    queue.set("e1", timeline_of(shorter), START - HOUR, START + 3 * HOUR)
    assert queue.needed_from == START + HOUR
    ((report,),) = [each.group for each in queue.take("e1", START + 3 * HOUR)]
    assert report.interval_ids == (1, 2)


@pytest.mark.parametrize("looping", [True, False])
def test_a_ven_that_was_off_for_long_makes_no_more_than_is_kept(looping: bool) -> None:
    members: dict[str, Any] = {"duration": FOREVER} if looping else {}
    event = shed_event(*[-1] * (1 if looping else 500), minutes=60, report_descriptors=(HOURLY,), **members)
    queue, _ = a_queue(event, most=10)
    made = [each.group[0].intended for each in queue.take("e1", START + 400 * HOUR)]
    assert made[-1] == START + 400 * HOUR
    assert 10 <= len(made) <= 14
    assert [each.group[0].intended for each in queue.take("e1", START + 401 * HOUR)] == [START + 401 * HOUR]


def test_an_event_without_end_costs_one_window_at_a_time() -> None:
    """V10."""
    event = shed_event(-1, minutes=60, duration=FOREVER, report_descriptors=(HOURLY,))
    queue, _ = a_queue(event)
    for hour in range(1, 2000):
        now = START + hour * HOUR
        assert len(list(queue.take("e1", now))) == 1
        assert queue.needed_from == now
        assert queue.edges(now - timedelta(seconds=10), now) == [now]


def test_ad_hoc_reports_come_interval_by_interval() -> None:
    """RDESC-008, V15: a frequency of 0 was neither reported nor logged."""
    asked = ReportDescriptor(payload_type="USAGE", frequency=0)
    queue, _ = a_queue(shed_event(-1, -1, minutes=60, report_descriptors=(asked,)))
    found = [report.coverage for each in queue.take("e1", START + 3 * HOUR) for report in each.group]
    assert found == [((0, START, START + HOUR),), ((1, START + HOUR, START + 2 * HOUR),)]
    twice = ReportDescriptor(payload_type="USAGE", frequency=0, repeat=2)
    queue, _ = a_queue(shed_event(*[-1] * 5, minutes=60, report_descriptors=(twice,)))
    assert len(list(queue.take("e1", START + 9 * HOUR))) == 2


def test_the_ven_chooses_windows_where_the_event_has_none() -> None:
    """RDESC-010."""
    event = shed_event(
        report_descriptors=(ReportDescriptor(payload_type="USAGE"),), interval_period=None, intervals=None
    )
    queue, timeline = a_queue(event)
    start = timeline.start
    found = [each.group[0] for each in queue.take("e1", start + HOUR)]
    assert [report.intended for report in found][-1] == start + HOUR
    assert found[-1].coverage == ((0, start + HOUR - timedelta(minutes=15), start + HOUR),)
    assert queue.needed_from == start + HOUR


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"start_interval": 7}, "the event has no interval 7"),
        ({"payload_type": "VOLTAGE"}, "this VEN cannot make it"),
    ],
)
def test_what_will_not_be_reported_is_logged_once(members: dict[str, Any], problem: str) -> None:
    """RDESC-007, V15."""
    asked = ReportDescriptor(**{"payload_type": "USAGE", **members})
    event = shed_event(-1, minutes=60, report_descriptors=(asked,))
    with structlog.testing.capture_logs() as logs:
        queue, timeline = a_queue(event)
        queue.set("e1", timeline, START)
    assert [each["problem"] for each in logs] == [problem]
    assert queue.is_done("e1")
