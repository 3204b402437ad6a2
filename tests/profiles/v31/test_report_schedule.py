"""When reports are due, and about what."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import pytest

from openadr_profiles.v31 import (
    DueReport,
    Event,
    EventPayloadType,
    ReportDescriptor,
    ReportPlan,
    Timeline,
    Timing,
    ValuesMap,
    Window,
    asks_about,
    decode,
    due_reports,
    due_together,
    encode,
    interval_periods,
    payload_descriptor,
    with_quality,
)
from openadr_profiles.v31.report_schedule import LONGEST
from tests.profiles.v31.build import WRITTEN, an_event, at, hourly, placed


def descriptor(**members: Any) -> ReportDescriptor:
    return ReportDescriptor(payload_type="USAGE", **members)


def s_n_f_r(s: int, n: int, f: int, r: int, **members: Any) -> ReportDescriptor:
    return descriptor(start_interval=s, num_intervals=n, frequency=f, repeat=r, **members)


def schedule(event: Event, asked: ReportDescriptor, joined_at: datetime = WRITTEN) -> list[DueReport]:
    """The reports; for schedules that end."""
    return list(due_reports(placed(event), asked, joined_at=joined_at))


def listed(reports: list[DueReport]) -> list[tuple[datetime, list[int]]]:
    return [(report.due, [window.number for window in report.windows]) for report in reports]


PERIODIC = s_n_f_r(1, 2, 2, 3)


@pytest.mark.parametrize(
    ("event", "asked", "expected"),
    [
        pytest.param(hourly(4), descriptor(), [("04:00", [0, 1, 2, 3])], id="RDESC-EX-01"),
        pytest.param(hourly(6), PERIODIC, [("02:00", [0, 1]), ("04:00", [2, 3]), ("06:00", [4, 5])], id="RDESC-EX-02"),
        pytest.param(
            hourly(5),
            s_n_f_r(0, 3, 1, 3, historical=False),
            [("00:00", [0, 1, 2]), ("01:00", [1, 2, 3]), ("02:00", [2, 3, 4])],
            id="RDESC-EX-03",
        ),
        pytest.param(hourly(4), descriptor(historical=False), [("00:00", [0, 1, 2, 3])], id="RDESC-EX-04"),
        pytest.param(
            hourly(10), descriptor(start_interval=5, num_intervals=3), [("06:00", [3, 4, 5])], id="RDESC-EX-05"
        ),
        pytest.param(hourly(10), descriptor(num_intervals=5), [("10:00", [5, 6, 7, 8, 9])], id="RDESC-EX-06"),
        pytest.param(
            hourly(3, duration="P1D"),
            descriptor(repeat=-1),
            [(f"{3 * (k + 1)}:00", [3 * k, 3 * k + 1, 3 * k + 2]) for k in range(8)],
            id="RDESC-EX-08",
        ),
        pytest.param(hourly(6), descriptor(frequency=0), [], id="RDESC-EX-10"),
        pytest.param(hourly(5), descriptor(start_interval=1, num_intervals=3), [("02:00", [0, 1])], id="RDESC-EX-12"),
    ],
)
def test_worked_examples(event: Event, asked: ReportDescriptor, expected: list[tuple[str, list[int]]]) -> None:
    """RDESC-003, RDESC-004, RDESC-005, RDESC-006, RDESC-009 and the worked examples."""
    assert listed(schedule(event, asked)) == [(at(clock), numbers) for clock, numbers in expected]


IMPLIED: dict[str, Any] = {
    "intervalPeriod": {"start": "2025-01-01T00:00:00Z", "duration": "PT1H"},
    "reportDescriptors": [{"payloadType": "USAGE"}],
}
ROLLING_FORECAST = s_n_f_r(0, 48, 1, -1, historical=False)


def test_implied_intervals_are_forecast_every_hour_without_end() -> None:
    """RDESC-EX-07, RDESC-012: ids are chosen by the VEN, from 0."""
    reports = list(islice(due_reports(placed(an_event(**IMPLIED)), ROLLING_FORECAST, joined_at=WRITTEN), 30))

    assert [report.due for report in reports] == [at(f"{hour}:00") for hour in range(30)]
    assert [window.start for window in reports[2].windows] == [at(f"{hour}:00") for hour in range(2, 50)]
    assert all(report.interval_ids == tuple(range(48)) for report in reports)


def test_late_joiner_sends_only_the_latest_missed_report_at_once() -> None:
    """RDESC-EX-09, RDESC-014: the coverage is the one that was intended."""
    reports = schedule(hourly(6), PERIODIC, joined_at=at("04:30"))

    assert listed(reports) == [(at("04:30"), [2, 3]), (at("06:00"), [4, 5])]
    assert [report.intended for report in reports] == [at("04:00"), at("06:00")]
    assert [report.number for report in reports] == [1, 2]


def test_joining_after_the_end_sends_the_last_report_at_once() -> None:
    """RDESC-014."""
    assert listed(schedule(hourly(6), PERIODIC, joined_at=at("30:00"))) == [(at("30:00"), [4, 5])]


def test_joining_long_after_the_last_report_sends_that_one() -> None:
    """RDESC-014: of a loop that was to be reported twice, and of one that has ended."""
    assert listed(schedule(hourly(3, duration="P9999Y"), descriptor(repeat=2), joined_at=at("900:00"))) == [
        (at("900:00"), [3, 4, 5])
    ]
    assert listed(schedule(hourly(3, duration="P1D"), descriptor(repeat=-1), joined_at=at("900:00"))) == [
        (at("900:00"), [21, 22, 23])
    ]


def test_joining_at_the_due_moment_sends_that_report() -> None:
    """RDESC-014: due now is not missed."""
    assert listed(schedule(hourly(6), PERIODIC, joined_at=at("02:00")))[0] == (at("02:00"), [0, 1])


def test_forecast_is_due_on_receipt_if_its_interval_has_begun() -> None:
    """RDESC-005."""
    assert listed(schedule(hourly(4), descriptor(historical=False), joined_at=at("00:10"))) == [
        (at("00:10"), [0, 1, 2, 3])
    ]


@pytest.mark.parametrize("asked", [descriptor(repeat=-1), s_n_f_r(4, 2, 3, -1), s_n_f_r(4, 2, 3, -1, historical=False)])
def test_joining_a_loop_late_finds_the_place_that_counting_would_find(asked: ReportDescriptor) -> None:
    """RDESC-014, TIME-024: the latest missed report is found by division."""
    timeline = placed(hourly(3, duration="P9999Y"))
    from_the_start = list(islice(due_reports(timeline, asked, joined_at=WRITTEN - timedelta(days=1)), 400))
    for joined_at in (at("00:00"), at("11:59"), at("12:00"), at("12:01"), at("700:30")):
        latest_missed = max(
            (report for report in from_the_start if report.due <= joined_at),
            key=lambda report: report.number,
            default=None,
        )
        first = next(due_reports(timeline, asked, joined_at=joined_at))
        if latest_missed is not None:
            assert (first.number, first.intended) == (latest_missed.number, latest_missed.due)
        assert first.due >= joined_at


def test_joining_a_second_by_second_request_years_late_takes_no_counting() -> None:
    """TIME-024: three hundred million reports were missed; one is sent."""
    event = an_event(**{**IMPLIED, "intervalPeriod": {"start": "2025-01-01T00:00:00Z", "duration": "PT1S"}})

    first, second = islice(due_reports(placed(event), s_n_f_r(0, 1, 1, -1), joined_at=at("00:00", day="2035-01-01")), 2)

    assert first.intended == at("00:00", day="2035-01-01")
    assert second.due - first.due == timedelta(seconds=1)


def test_missed_reports_cost_no_more_than_the_one_that_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """RDESC-014: two thousand long reports were missed; only the windows of the latest are looked up."""
    looked_up: list[int] = []
    window = Timeline.window

    def counted(timeline: Timeline, number: int) -> Window | None:
        looked_up.append(number)
        return window(timeline, number)

    monkeypatch.setattr(Timeline, "window", counted)
    (last,) = schedule(hourly(2000), s_n_f_r(0, 2000, 1, -1), joined_at=at("9000:00"))

    assert (last.number, len(last.windows)) == (1999, 2000)
    assert len(looked_up) < 5000


def test_random_start_shifts_due_times() -> None:
    """RDESC-EX-11, RDESC-015."""
    event = hourly(6, intervalPeriod={"start": "2025-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": "PT5M"})
    timeline = Timeline.of(event, anchor=WRITTEN, offset=lambda index, largest: timedelta(minutes=3))

    due = [report.due for report in due_reports(timeline, PERIODIC, joined_at=WRITTEN)]

    assert due == [at("02:03"), at("04:03"), at("06:03")]


def test_defaults_written_out_ask_for_the_same_as_left_out() -> None:
    """RDESC-001."""
    written_out = decode(
        '{"payloadType": "USAGE", "startInterval": -1, "numIntervals": -1, "historical": true, "frequency": -1,'
        ' "repeat": 1, "aggregate": false, "reportIntervals": "INTERVALS"}',
        ReportDescriptor,
    )

    assert listed(schedule(hourly(4), written_out)) == listed(schedule(hourly(4), descriptor()))


@pytest.mark.parametrize(
    ("asked", "plan"),
    [
        (descriptor(), (9, 10, 10, 1)),
        (descriptor(historical=False), (0, 10, 10, 1)),
        (descriptor(start_interval=4), (4, 5, 5, 1)),
        (descriptor(start_interval=4, historical=False), (4, 6, 6, 1)),
        (descriptor(num_intervals=3), (9, 3, 3, 1)),
        (descriptor(num_intervals=3, frequency=2, repeat=-1), (9, 3, 2, None)),
        (descriptor(start_interval=-7, num_intervals=-7, frequency=-7, repeat=-7), (9, 10, 10, None)),
        (descriptor(num_intervals=0), (9, 10, 10, 1)),
    ],
)
def test_minus_one_is_replaced_by_what_it_means(
    asked: ReportDescriptor, plan: tuple[int, int, int, int | None]
) -> None:
    """RDESC-002: startInterval, numIntervals, frequency, repeat of an event with ten intervals."""
    resolved = ReportPlan.of(placed(hourly(10)), asked)

    assert (resolved.start_interval, resolved.num_intervals, resolved.frequency, resolved.repeat) == plan


def test_reports_past_the_last_interval_are_not_made() -> None:
    """RDESC-006: also where ``event.duration`` leaves intervals out."""
    assert listed(schedule(hourly(5), s_n_f_r(1, 2, 2, -1))) == [(at("02:00"), [0, 1]), (at("04:00"), [2, 3])]
    cut_at_noon = hourly(24, duration="PT12H")
    assert listed(schedule(cut_at_noon, s_n_f_r(9, 2, 2, -1))) == [(at("10:00"), [8, 9]), (at("12:00"), [10, 11])]
    assert listed(schedule(cut_at_noon, descriptor())) == [(at("12:00"), list(range(12)))]


def test_forecast_windows_are_clipped_at_the_last_interval() -> None:
    """RDESC-006."""
    assert listed(schedule(hourly(4), s_n_f_r(2, 3, 1, -1, historical=False))) == [
        (at("02:00"), [2, 3]),
        (at("03:00"), [3]),
    ]


def test_start_beyond_the_last_interval_gives_no_report() -> None:
    """RDESC-007."""
    assert schedule(hourly(4), descriptor(start_interval=4)) == []


def test_open_interval_is_never_reported_as_over() -> None:
    """TIME-018: its end is not known; a forecast needs none."""
    event = hourly(1, intervalPeriod={"start": "2025-01-01T00:00:00Z"})

    assert schedule(event, descriptor()) == []
    assert listed(schedule(event, descriptor(historical=False))) == [(at("00:00"), [0])]


@pytest.mark.parametrize(("repeat", "limit"), [(None, None), (1, None), (-1, None), (3, 3)])
def test_ad_hoc_reports_are_the_vens_to_time(repeat: int | None, limit: int | None) -> None:
    """RDESC-008: repeat bounds their number unless it is -1 or the default."""
    plan = ReportPlan.of(placed(hourly(4)), descriptor(frequency=0, repeat=repeat))

    assert (plan.timing, plan.repeat) == (Timing.AD_HOC, limit)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"intervalPeriod": {"duration": "PT1H"}},
        {"intervalPeriod": {"start": "2025-01-01T00:00:00Z"}},
        {"intervalPeriod": {"start": "0001-01-01", "duration": "PT0H"}},
    ],
)
def test_without_intervals_or_a_usable_period_the_ven_chooses(members: dict[str, Any]) -> None:
    """RDESC-010."""
    event = an_event(reportDescriptors=[{"payloadType": "USAGE"}], **members)

    assert ReportPlan.of(placed(event), descriptor()).timing is Timing.FREE
    assert schedule(event, descriptor()) == []


def test_open_intervals_without_event_intervals_are_the_vens_to_choose() -> None:
    """RDESC-010, RDESC-013: with event intervals the moments stay the event's."""
    asked = descriptor(report_intervals="OPEN_INTERVALS")

    assert ReportPlan.of(placed(an_event(**IMPLIED)), asked).timing is Timing.FREE
    assert listed(schedule(hourly(4), asked)) == [(at("04:00"), [0, 1, 2, 3])]


def test_report_only_event_with_empty_payloads_is_scheduled_as_usual() -> None:
    """RDESC-011."""
    event = hourly(4, intervals=[{"id": 10 + i, "payloads": []} for i in range(4)])
    (report,) = schedule(event, descriptor())

    assert (report.due, report.interval_ids) == (at("04:00"), (10, 11, 12, 13))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (descriptor(), ("01:00", [0])),
        (descriptor(num_intervals=4), ("04:00", [0, 1, 2, 3])),
        (descriptor(start_interval=5, num_intervals=2), ("06:00", [4, 5])),
        (descriptor(historical=False, num_intervals=3), ("00:00", [0, 1, 2])),
        (descriptor(historical=False), ("00:00", [0])),
    ],
)
def test_implied_intervals_are_as_many_as_the_descriptor_speaks_of(
    asked: ReportDescriptor, expected: tuple[str, list[int]]
) -> None:
    """RDESC-002, RDESC-012: a descriptor that names none means one."""
    assert listed(schedule(an_event(**IMPLIED), asked)) == [(at(expected[0]), expected[1])]


def test_implied_intervals_end_with_the_event() -> None:
    """RDESC-012, TIME-021: ``event.duration`` bounds what is otherwise without end."""
    event = an_event(**IMPLIED, duration="PT3H")

    assert [report.due for report in schedule(event, s_n_f_r(0, 1, 1, -1))] == [at("01:00"), at("02:00"), at("03:00")]


def test_repeat_counts_reports_through_the_cycles() -> None:
    """RDESC-009."""
    looping = hourly(3, duration="P9999Y")

    assert listed(schedule(looping, descriptor())) == [(at("03:00"), [0, 1, 2])]
    assert listed(schedule(looping, descriptor(repeat=2)))[1] == (at("06:00"), [3, 4, 5])
    assert listed(schedule(looping, s_n_f_r(4, 2, 1, 1))) == [(at("05:00"), [3, 4])]
    assert listed(schedule(looping, descriptor(start_interval=4, historical=False))) == [(at("04:00"), [4])]


def test_repeat_zero_asks_for_nothing() -> None:
    """RDESC-006: k runs from 0 to repeat - 1."""
    assert schedule(hourly(4), descriptor(repeat=0)) == []


@pytest.mark.parametrize("historical", [True, False])
def test_absurd_number_of_intervals_does_not_fill_the_memory(historical: bool) -> None:
    """An event that never ends and a report on two thousand million of its intervals: the coverage is bounded."""
    looping = hourly(3, duration="P9999Y")
    asked = s_n_f_r(100_000, 2**31 - 1, 1, 1, historical=historical)

    (report,) = schedule(looping, asked)

    assert len(report.windows) == LONGEST


def test_equal_reports_are_due_together() -> None:
    """RDESC-018: same moment and coverage share one report; other coverage, targets or aggregation do not."""
    asked = [
        ReportDescriptor(payload_type="USAGE"),
        ReportDescriptor(payload_type="DEMAND"),
        ReportDescriptor(payload_type="USAGE", aggregate=True),
        ReportDescriptor(payload_type="SETPOINT", targets=("heaters",)),
        ReportDescriptor(payload_type="BASELINE", num_intervals=2),
        ReportDescriptor(payload_type="USAGE_FORECAST", historical=False),
    ]

    groups = list(due_together(placed(hourly(4)), asked, joined_at=WRITTEN))

    assert [[report.descriptor.payload_type for report in group] for group in groups] == [
        ["USAGE_FORECAST"],
        ["USAGE", "DEMAND"],
        ["USAGE"],
        ["SETPOINT"],
        ["BASELINE"],
    ]


def test_endless_schedules_are_merged_lazily() -> None:
    """RDESC-018."""
    groups = due_together(placed(an_event(**IMPLIED)), [ROLLING_FORECAST, ROLLING_FORECAST], joined_at=WRITTEN)

    assert [(len(group), group[0].due) for group in islice(groups, 3)] == [(2, at(f"{h}:00")) for h in range(3)]


def test_coverage_changes_with_the_intervals_and_only_then() -> None:
    """RDESC-021: what was sent is compared by the intervals it was about."""
    (before,) = schedule(hourly(4), descriptor())
    (renamed,) = schedule(hourly(4, eventName="other", modificationDateTime="2025-01-01T00:30:00Z"), descriptor())
    (moved,) = schedule(hourly(4, intervalPeriod={"start": "2025-01-01T01:00:00Z", "duration": "PT1H"}), descriptor())

    assert before.coverage == renamed.coverage
    assert before.coverage != moved.coverage


@pytest.mark.parametrize(
    ("targets", "resource", "asked"),
    [
        (None, ("a",), True),
        ((), ("a",), True),
        (("a", "b"), ("b", "c"), True),
        (("a",), ("b",), False),
        (("a",), (), False),
    ],
)
def test_descriptor_targets_restrict_the_resources(
    targets: tuple[str, ...] | None, resource: tuple[str, ...], asked: bool
) -> None:
    """RDESC-017."""
    assert asks_about(descriptor(targets=targets), resource) is asked


def test_even_intervals_are_placed_by_one_period() -> None:
    """RDESC-019, COMPAT-054."""
    default, own = interval_periods(schedule(hourly(3), descriptor())[0].windows)

    assert encode(default) == b'{"start":"2025-01-01T00:00:00.000Z","duration":"PT1H"}'
    assert own == (None, None, None)


@pytest.mark.parametrize(
    ("second", "period"),
    [
        ({"duration": "P1D"}, b'{"start":"2025-01-01T01:00:00.000Z","duration":"PT24H"}'),
        ({"start": "2025-01-05T00:00:00Z"}, b'{"start":"2025-01-05T00:00:00.000Z","duration":"PT1H"}'),
    ],
)
def test_uneven_or_separate_intervals_are_placed_one_by_one(second: dict[str, str], period: bytes) -> None:
    """RDESC-013, RDESC-019."""
    intervals = [{"id": 0, "payloads": []}, {"id": 1, "intervalPeriod": second, "payloads": []}]
    default, own = interval_periods(schedule(hourly(2, intervals=intervals), descriptor())[0].windows)

    assert default is None
    assert [encode(one) for one in own] == [b'{"start":"2025-01-01T00:00:00.000Z","duration":"PT1H"}', period]


def test_no_interval_has_no_place() -> None:
    """RDESC-019: a report without intervals has no period."""
    assert interval_periods(()) == (None, ())


def test_payload_descriptor_carries_units_and_reading_type() -> None:
    """RDESC-019, ENUM-003: DIRECT_READ is what an absent reading type means."""
    assert encode(payload_descriptor(descriptor(units="KWH"))) == (
        b'{"objectType":"REPORT_PAYLOAD_DESCRIPTOR","payloadType":"USAGE","readingType":"DIRECT_READ","units":"KWH"}'
    )
    assert payload_descriptor(descriptor(reading_type="MEAN")).reading_type == "MEAN"


def test_quality_stands_beside_exactly_one_payload() -> None:
    """RDESC-020."""
    missing = with_quality(ValuesMap(type=EventPayloadType.PRICE, values=(0,)), "MISSING")

    assert encode(missing) == b'[{"type":"PRICE","values":[0]},{"type":"DATA_QUALITY","values":["MISSING"]}]'


@pytest.mark.parametrize("historical", [True, False])
def test_late_joiner_of_a_long_event_is_found_without_a_look_at_all_before(
    historical: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RDESC-014: the same reports as one by one, of a hundred thousand intervals in a few looks."""
    timeline = placed(hourly(10_000))
    asked = ReportDescriptor(
        payload_type="USAGE", start_interval=3, num_intervals=2, frequency=7, repeat=-1, historical=historical
    )
    looked: list[int] = []
    window = Timeline.window

    def counted(self: Timeline, number: int) -> Window | None:
        looked.append(number)
        return window(self, number)

    monkeypatch.setattr(Timeline, "window", counted)
    every = list(due_reports(timeline, asked, joined_at=WRITTEN))
    for joined_at in (every[900].intended, every[900].intended + timedelta(minutes=1), timeline.end):
        assert joined_at is not None
        looked.clear()
        first = next(due_reports(timeline, asked, joined_at=joined_at))
        assert len(looked) < 40
        assert first.number == max(each.number for each in every if each.intended <= joined_at)
