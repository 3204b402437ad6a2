from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.metadata import EntryPoint
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil import tz
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import ven
from openadr_profiles.v31 import Duration, IntervalPeriod, Start, Timeline
from tests.ven.builders import START, a_program, shed_event
from ven.asks import Context, SheddingRules
from ven.decision import (
    Candidate,
    Choices,
    DailyHours,
    Decision,
    Engagement,
    OptChoice,
    OptRules,
    OptScope,
    ScopeKind,
    decide_on,
    own_rules,
)
from ven.decision import own as own_module
from ven.decision.hours import covered, time_by_day
from ven.errors import BadRule


def decision(
    event: Any = None,
    *,
    received: datetime = START - timedelta(hours=1),
    others: Any = (),
    own: Any = None,
    choice: OptChoice | None = None,
    shedding: SheddingRules | None = None,
    **rules: Any,
) -> Decision:
    event = event or shed_event(-5)
    candidate = Candidate(
        context=Context(event, a_program(), shedding or SheddingRules()),
        timeline=Timeline.of(event, anchor=received),
        first_received=received,
        others=[Engagement("other", "peak", start, start + timedelta(hours=1)) for start in others],
    )
    return decide_on(candidate, OptRules(**rules), own=own, choice=choice)


def test_default_is_in() -> None:
    assert decision() == Decision(opted_in=True)


def test_program_can_be_left_out() -> None:
    assert decision(opt_out_programs=["peak"]) == Decision.out("program peak is opted out of")
    assert decision(opt_out_programs=["other"]).opted_in


def test_request_can_be_too_large() -> None:
    assert decision(max_shed_kw=4).reason == "5 kW asked for, at most 4 kW accepted"
    assert decision(max_shed_kw=5).opted_in


@pytest.mark.parametrize(
    ("hours", "touched"),
    [
        ("12:30-14:00", True),
        ("11:00-12:00", False),
        ("13:00-14:00", False),
        ("22:00-12:01", True),
        ("22:00-12:00", False),
    ],
)
def test_event_in_quiet_hours_is_refused(hours: str, touched: bool) -> None:
    """The event is from 12:00 to 13:00 UTC."""
    result = decision(quiet_hours=[hours])
    assert result.opted_in is not touched
    assert result.reason == (f"quiet hours {hours} UTC" if touched else None)


def test_quiet_hours_are_in_the_owners_time() -> None:
    assert not decision(quiet_hours=["13:00-13:30"], timezone="Europe/Berlin").opted_in
    assert decision(quiet_hours=["12:00-13:00"], timezone="Europe/Berlin").opted_in


@given(
    st.times(timezones=st.none()).map(lambda moment: moment.replace(second=0, microsecond=0)),
    st.times(timezones=st.none()).map(lambda moment: moment.replace(second=0, microsecond=0)),
    st.datetimes(min_value=datetime(2025, 1, 1), max_value=datetime(2027, 1, 1)),  # noqa: DTZ001 # made aware below
    st.integers(0, 26 * 60),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"]),
)
def test_quiet_hours_are_touched_if_any_minute_is(
    begin: time, end: time, naive: datetime, minutes: int, zone: str
) -> None:
    start = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    hours = DailyHours(begin=begin, end=end)
    info = ZoneInfo(zone)

    def quiet(moment: datetime) -> bool:
        local = moment.astimezone(info).time()
        return begin <= local < end if begin < end else local >= begin or local < end

    expected = any(quiet(start + timedelta(minutes=minute)) for minute in range(max(minutes, 1)))
    assert hours.touches(start, start + timedelta(minutes=minutes), info) is expected


def test_event_without_end_is_in_any_quiet_hours_and_too_long() -> None:
    event = shed_event(-5, interval_period=IntervalPeriod(start=Start.of(START)))
    assert not decision(event, quiet_hours=["03:00-04:00"]).opted_in
    assert decision(event, max_duration_s=1e9).reason == "no end, at most 1e+09 s accepted"


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("hours", "start", "minutes", "touched"),
    [
        ("02:00-03:00", "2026-03-29T00:00:00+00:00", 120, False),  # clocks skip these hours that day
        ("02:15-02:45", "2026-10-25T00:45:00+00:00", 29, False),  # between the first and the second of them
        ("02:15-02:45", "2026-10-25T00:45:00+00:00", 31, True),
        ("Sat,Sun 00:00-24:00", "2026-03-28T22:59:00+00:00", 1, True),
        ("Mon 22:00-06:00", "2026-03-31T03:59:00+00:00", 1, True),  # belongs to the day on which it begins
        ("Mon 22:00-06:00", "2026-03-31T20:00:00+00:00", 60, False),
        ("Fri-Mon 12:00-13:00", "2026-03-31T10:00:00+00:00", 60, False),
        ("Fri-Mon 12:00-13:00", "2026-03-30T10:00:00+00:00", 60, True),
    ],
)
def test_hours_are_those_of_the_sites_clocks(hours: str, start: str, minutes: int, touched: bool) -> None:
    """Also in the nights in which clocks change: on 29 March 2026 at 01:00 UTC, on 25 October at 01:00 UTC."""
    begin = datetime.fromisoformat(start)
    found = DailyHours.model_validate(hours).touches(begin, begin + timedelta(minutes=minutes), BERLIN)
    assert found is touched


@given(
    st.lists(
        st.builds(
            DailyHours,
            begin=st.times(timezones=st.none()).map(lambda moment: moment.replace(second=0, microsecond=0)),
            end=st.times(timezones=st.none()).map(lambda moment: moment.replace(second=0, microsecond=0)),
            days=st.sets(st.integers(0, 6)).map(lambda days: tuple(sorted(days))),
        ),
        max_size=3,
    ),
    st.datetimes(min_value=datetime(2025, 3, 29), max_value=datetime(2025, 4, 1))  # noqa: DTZ001 # made aware below
    | st.datetimes(min_value=datetime(2025, 10, 25), max_value=datetime(2025, 11, 3)),  # noqa: DTZ001 # made aware below
    st.integers(1, 30 * 60),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
)
def test_available_hours_cover_an_event_if_they_have_each_of_its_minutes(
    hours: list[DailyHours], naive: datetime, minutes: int, zone: str
) -> None:
    start = naive.replace(tzinfo=UTC, second=0, microsecond=0)
    info = ZoneInfo(zone)

    def has(each: DailyHours, moment: datetime) -> bool:
        local = moment.astimezone(info).replace(tzinfo=None)
        today, yesterday = (not each.days or (local.weekday() - back) % 7 in each.days for back in (0, 1))
        if each.begin < each.end:
            return today and each.begin <= local.time() < each.end
        return (today and local.time() >= each.begin) or (yesterday and local.time() < each.end)

    moments = [start + timedelta(minutes=minute) for minute in range(minutes)]
    expected = all(any(has(each, moment) for each in hours) for moment in moments)
    assert covered(hours, start, start + timedelta(minutes=minutes), info) is expected


def test_event_must_lie_within_the_available_hours() -> None:
    assert decision(available_hours=["08:00-12:30", "12:30-18:00"]).opted_in
    partly = decision(available_hours=["Mon-Fri 08:00-12:30"])
    assert partly.reason == "not within the available hours Mon,Tue,Wed,Thu,Fri 08:00-12:30 UTC"
    endless = shed_event(-5, interval_period=IntervalPeriod(start=Start.of(START)))
    assert not decision(endless, available_hours=["08:00-18:00"]).opted_in
    assert decision(endless, available_hours=["00:00-24:00"]).opted_in


def test_rest_is_kept_before_and_after_other_events() -> None:
    """The event is from 12:00 to 13:00, the others last an hour."""
    assert decision(others=[START - timedelta(hours=3)], min_rest_s=7200).opted_in
    early = decision(others=[START - timedelta(hours=2)], min_rest_s=7200)
    assert early.reason == "3600 s of rest beside another event, at least 7200 s needed"
    assert not decision(others=[START + timedelta(hours=2)], min_rest_s=7200).opted_in
    assert not decision(others=[START], min_rest_s=1).opted_in


def test_comfort_limits_the_time_of_a_day_and_the_days_in_a_row() -> None:
    others = [START - timedelta(hours=6), START - timedelta(days=1), START - timedelta(days=2)]
    assert decision(others=others, max_total_s_per_day=7200).opted_in
    much = decision(others=others, max_total_s_per_day=7199)
    assert much.reason == "7200 s of events on 2026-01-01, at most 7199 s accepted"
    assert decision(others=others, max_consecutive_days=3).opted_in
    often = decision(others=others, max_consecutive_days=2)
    assert often.reason == "3 days with events in a row, at most 2 accepted"
    assert not decision(others=[START + timedelta(days=1)], max_consecutive_days=1).opted_in


def test_time_of_a_day_is_that_of_the_sites_days() -> None:
    """An event over midnight takes a part of two days; a day on which clocks change is as long as it is."""
    evening = shed_event(-5, start=datetime(2026, 1, 1, 22, 30, tzinfo=UTC))  # 23:30 to 00:30 in Berlin
    assert decision(evening, max_total_s_per_day=1800, timezone="Europe/Berlin").opted_in
    assert not decision(evening, max_total_s_per_day=1800).opted_in
    day = shed_event(-5, start=datetime(2026, 10, 24, 22, tzinfo=UTC), minutes=25 * 60)
    assert decision(day, max_total_s_per_day=90_000, timezone="Europe/Berlin").opted_in


SCOPED: list[tuple[dict[str, Any], str | None]] = [
    ({"programs": ["peak"], "max_shed_kw": 4}, "5 kW asked for, at most 4 kW accepted"),
    ({"programs": ["other"], "max_shed_kw": 4}, None),
    ({"programs": ["peak"], "accept": False}, "events of peak are opted out of"),
    ({"payload_types": ["SIMPLE"], "accept": False}, None),
    (
        {"programs": ["peak"], "payload_types": ["DISPATCH_SETPOINT_RELATIVE"], "accept": False},
        "events of peak with DISPATCH_SETPOINT_RELATIVE are opted out of",
    ),
    ({"payload_types": ["DISPATCH_SETPOINT_RELATIVE"], "max_duration_s": 60}, "3600 s long, at most 60 s accepted"),
    ({"programs": ["other"], "payload_types": ["DISPATCH_SETPOINT_RELATIVE"], "accept": False}, None),
]


@pytest.mark.parametrize(("rule", "reason"), SCOPED)
def test_rules_may_be_for_programs_and_payload_types(rule: dict[str, Any], reason: str | None) -> None:
    assert decision(rules=[rule]).reason == reason


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"min_value": "0.30"}, None),
        ({"min_value": "0.31"}, "PRICE is at most 0.3, at least 0.31 needed"),
        ({"max_value": "0.3"}, None),
        ({"max_value": "0.29"}, "PRICE reaches 0.3, at most 0.29 accepted"),
    ],
)
def test_prices_have_thresholds(limits: dict[str, str], reason: str | None) -> None:
    """The highest value of the event counts; so for GHG."""
    for type_ in ("PRICE", "GHG"):
        event = shed_event(0.1, 0.3, 0.2, type_=type_, units=None)
        rules = {"payload_types": [type_], **limits}
        found = decision(
            event, shedding=SheddingRules(price_levels=[Decimal(0)], ghg_levels=[Decimal(0)]), rules=[rules]
        )
        assert found.reason == (reason.replace("PRICE", type_) if reason else None)


def test_count_of_a_program_counts_its_own_events() -> None:
    others = [START.replace(hour=2)]
    assert not decision(others=others, rules=[{"programs": ["peak"], "max_events_per_day": 1}]).opted_in
    event = shed_event(-5)
    other = [Engagement("o", "other", START.replace(hour=2), START.replace(hour=3))]
    candidate = Candidate(Context(event, a_program(), SheddingRules()), Timeline.of(event, anchor=START), START, other)
    rules = OptRules.model_validate({"rules": [{"programs": ["peak"], "max_events_per_day": 1}]})
    assert decide_on(candidate, rules).opted_in


def test_own_rules_have_a_say_before_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def none(candidate: Candidate) -> None:
        asked.append(candidate.timeline.event.id)

    def broken(_: Candidate) -> str:
        raise ZeroDivisionError

    def wrong(_: Candidate) -> Any:
        return 7

    def too_hot(_: Candidate) -> str:
        return "38 °C today"

    silent = {"a": none, "b": broken, "c": wrong}
    assert decision(own=silent).opted_in
    assert decision(own=silent, max_shed_kw=4).reason == "5 kW asked for, at most 4 kW accepted"
    assert decision(own=silent | {"d": too_hot}).reason == "38 °C today"
    assert decision(own=silent | {"d": lambda _: Decision(opted_in=True)}, max_shed_kw=4).opted_in
    assert asked == ["e1"] * 4


def test_rules_of_packages_and_marked_ones_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def named(_: Candidate) -> None: ...

    points = [EntryPoint("named", "tests.ven.rules_of_a_package:never_on_new_years_eve", own_module.GROUP)]
    monkeypatch.setattr(own_module, "entry_points", lambda group: points if group == "openadr_fleet.rules" else [])
    monkeypatch.setattr(own_module, "_marked", {})
    assert ven.decide(named) is named
    assert [name.rpartition(".")[2] for name in own_rules()] == ["never_on_new_years_eve", "named"]

    points.append(EntryPoint("gone", "tests.ven.no_such_module:rule", own_module.GROUP))
    with pytest.raises(BadRule, match=r"rule gone \(tests.ven.no_such_module:rule\) cannot be loaded"):
        own_rules()
    points[-1] = EntryPoint("number", "tests.ven.rules_of_a_package:NUMBER", own_module.GROUP)
    with pytest.raises(BadRule, match=r"rule number .* is no function"):
        own_rules()


def test_owners_word_counts_more_than_rules_but_not_more_than_sense() -> None:
    def choice(opted_in: bool) -> OptChoice:
        return OptChoice(OptScope(ScopeKind.ALL), opted_in, None, None, START)

    assert decision(choice=choice(opted_in=False)).reason == "opted out by the owner"
    assert decision(choice=choice(opted_in=True), max_shed_kw=4).opted_in
    assert not decision(shed_event(-5, units="KWH"), choice=choice(opted_in=True)).opted_in


def test_narrower_choice_counts() -> None:
    def choice(scope: str, *, opted_in: bool) -> OptChoice:
        return OptChoice(OptScope.parse(scope), opted_in, scope, None, START)

    choices = Choices([choice("all", opted_in=False)])
    assert choices.of("e1", "peak") == choice("all", opted_in=False)
    choices.put(choice("program:peak", opted_in=True))
    assert choices.of("e1", "peak") == choice("program:peak", opted_in=True)
    assert choices.of("e1", None) == choice("all", opted_in=False)
    choices.put(choice("event:e1", opted_in=False))
    assert choices.of("e1", "peak") == choice("event:e1", opted_in=False)


@pytest.mark.parametrize("text", ["", "everything", "all:x", "event:", "program:", "peak"])
def test_scope_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected all, program:NAME or event:ID"):
        OptScope.parse(text)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"until": START.replace(tzinfo=None)}, "with a time zone"),
        ({"until": START}, "still to come"),
        ({"reason": "x" * 257}, "at most 256"),
    ],
)
def test_choice_that_means_nothing_is_refused(members: dict[str, Any], message: str) -> None:
    given: dict[str, Any] = {
        "scope": OptScope(ScopeKind.ALL),
        "opted_in": True,
        "reason": None,
        "until": None,
        "made_at": START,
    }
    with pytest.raises(ValueError, match=message):
        OptChoice(**given | members)


def test_choices_are_bounded() -> None:
    choices = Choices(
        OptChoice(OptScope(ScopeKind.PROGRAM, str(number)), True, None, None, START) for number in range(200)
    )
    with pytest.raises(ValueError, match="200 choices already"):
        choices.put(OptChoice(OptScope(ScopeKind.ALL), opted_in=True, reason=None, until=None, made_at=START))
    choices.put(OptChoice(OptScope(ScopeKind.EVENT, "e"), opted_in=False, reason=None, until=None, made_at=START))


def test_number_of_events_on_a_local_day_is_limited() -> None:
    others = [START.replace(hour=2), START.replace(hour=20), START + timedelta(days=1)]
    assert decision(others=others, max_events_per_day=2).reason == "already 2 events on 2026-01-01, at most 2 accepted"
    assert decision(others=others, max_events_per_day=3).opted_in


def test_notice_is_counted_from_the_first_receipt() -> None:
    late = START - timedelta(seconds=30)
    assert decision(received=late, min_notice_s=60).reason == "30 s notice, at least 60 s needed"
    assert decision(received=late, min_notice_s=30).opted_in


def test_long_events_are_refused() -> None:
    assert decision(max_duration_s=1800).reason == "3600 s long, at most 1800 s accepted"
    limited = shed_event(-5, duration=Duration.parse("PT30M"))
    assert decision(limited, max_duration_s=1800).opted_in


def test_event_that_is_not_understood_is_refused_with_the_reason() -> None:
    assert (
        decision(shed_event(-5, units="KWH")).reason
        == "DISPATCH_SETPOINT_RELATIVE in KWH: only KW, W and MW are understood"
    )


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"timezone": "Mars/Olympus"}, "time zone name"),
        ({"quiet_hours": ["late"]}, "times of day"),
        ({"quiet_hours": ["25:00-26:00"]}, "time"),
        ({"max_shed_kw": -1}, "greater than or equal"),
        ({"max_kw": 1}, "Extra inputs"),
        ({"quiet_hours": ["Someday 10:00-11:00"]}, "no day of the week"),
        ({"rules": [{"max_shed_kw": 1}]}, "programs, payload_types or both"),
        ({"rules": [{"programs": ["p"], "min_value": 1}]}, "need payload_types"),
    ],
)
def test_rules_that_mean_nothing_are_refused(rules: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        OptRules(**rules)


def test_rules_survive_being_dumped_and_read() -> None:
    rules = OptRules(quiet_hours=["22:00-06:00"], max_shed_kw=Decimal("2.5"))
    assert OptRules.model_validate(rules.model_dump()) == rules


@given(
    st.datetimes(min_value=datetime(2024, 1, 1), max_value=datetime(2028, 1, 1)),  # noqa: DTZ001 # made aware below
    st.integers(1, 60),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo"]),
)
def test_local_days_are_as_long_as_an_independent_library_says(naive: datetime, days: int, zone: str) -> None:
    """The days on which clocks change have 23, 23.5, 24.5 or 25 hours."""
    judge = tz.gettz(zone)
    first = naive.date()
    midnights = [datetime.combine(first + timedelta(days=number), time.min, judge) for number in range(days + 1)]
    start, end = (moment.astimezone(UTC) for moment in (midnights[0], midnights[-1]))
    found: dict[date, timedelta] = {}
    for day, length in time_by_day(start, end, ZoneInfo(zone)):
        found[day] = found.get(day, timedelta(0)) + length
    instants = [moment.astimezone(UTC) for moment in midnights]
    assert found == {
        first + timedelta(days=number): later - earlier for number, (earlier, later) in enumerate(pairwise(instants))
    }


@pytest.mark.parametrize(("name", "problem"), [("x" * 129, "has 129 characters"), ("\udcfc", "a surrogate pair")])
def test_scope_with_a_name_that_nothing_has_is_refused(name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        OptScope.parse(f"program:{name}")
