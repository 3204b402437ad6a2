"""Reports that were asked for against those that came (RDESC-004, RDESC-008, RDESC-014)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_profiles.fleet.report_checks import DescriptorChecks, ReceivedReport, ReportArrival, Spans, check_reports
from openadr_profiles.v31 import Event, ReportDescriptor, ReportRequest, decode, encode
from openadr_profiles.v31.timeline import Timeline

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def timeline(hours: int = 4, **members: Any) -> Timeline:
    """An event of so many hours, each an interval."""
    document = {
        "id": "e",
        "objectType": "EVENT",
        "programID": "p",
        "createdDateTime": "2026-06-01T10:00:00Z",
        "modificationDateTime": "2026-06-01T10:00:00Z",
        "intervalPeriod": {"start": "2026-06-01T12:00:00Z", "duration": "PT1H"},
        "intervals": [{"id": number, "payloads": []} for number in range(hours)],
    }
    return Timeline.of(decode(encode(document | members), Event), anchor=START)


def asked(**members: Any) -> ReportDescriptor:
    """A descriptor that asks for a report on each hour at its end."""
    usual = {"payloadType": "USAGE", "startInterval": 0, "numIntervals": 1, "frequency": 1, "repeat": -1}
    return decode(encode(usual | members), ReportDescriptor)


def report(*intervals: dict[str, Any], minutes: float, kind: str = "USAGE", **resource: Any) -> ReceivedReport:
    """A report that came so many minutes after the start of the event."""
    body = [{"id": 0, "payloads": [{"type": kind, "values": [1]}]} | interval for interval in intervals]
    document = {"eventID": "e", "clientName": "c", "resources": [{"resourceName": "r", "intervals": body} | resource]}
    at = START + timedelta(minutes=minutes)
    return ReceivedReport.of(f"at-{minutes:g}", at, decode(encode(document), ReportRequest))


def hour(number: int) -> dict[str, Any]:
    """An interval that says its hour itself."""
    return {"intervalPeriod": {"start": f"2026-06-01T{12 + number}:00:00Z", "duration": "PT1H"}}


def checks(
    received: Sequence[ReceivedReport], *, now: datetime, joined_at: datetime = START - HOUR
) -> DescriptorChecks:
    """Hold what became of hourly reports, with five minutes of grace."""
    grace = timedelta(minutes=5)
    (found,) = check_reports(timeline(), [asked()], received, joined_at=joined_at, now=now, grace=grace)
    return found


def test_in_time_late_missing_and_awaited() -> None:
    """By the end of each interval and the grace."""
    received = [report(hour(0), minutes=64), report(hour(1), minutes=130)]
    found = checks(received, now=START + 4 * HOUR + timedelta(minutes=1))
    assert [each.state.value for each in found.checks] == ["IN_TIME", "LATE", "MISSING", "AWAITED"]
    assert [each.late_s for each in found.checks] == [None, 300.0, None, None]
    assert [each.report_id for each in found.checks[:2]] == ["at-64", "at-130"]
    assert (found.count, found.next_due, found.of(ReportArrival.MISSING)) == (2, None, 1)


def test_what_is_due_later_is_no_finding_yet() -> None:
    """Only when it is next."""
    found = checks([], now=START + timedelta(minutes=59))
    assert (list(found.checks), found.next_due) == ([], START + HOUR)


def test_a_ven_that_joined_later_owes_nothing_from_before() -> None:
    """RDESC-014."""
    found = checks([], now=START + 4 * HOUR + HOUR, joined_at=START + 2 * HOUR + timedelta(minutes=1))
    assert [each.due.intended for each in found.checks] == [START + 3 * HOUR, START + 4 * HOUR]


def test_intervals_without_time_are_known_by_their_ids() -> None:
    """A report that says no time means the intervals of its event."""
    found = checks([report({"id": 1}, minutes=121)], now=START + 2 * HOUR + HOUR / 2)
    assert [each.state.value for each in found.checks] == ["MISSING", "IN_TIME"]


def test_intervals_follow_each_other() -> None:
    """RDESC-019: one period of the resource, and one report about two hours."""
    period: Any = {"start": "2026-06-01T12:00:00Z", "duration": "PT1H"}
    found = checks([report({}, {"id": 1}, minutes=121, intervalPeriod=period)], now=START + 2 * HOUR + HOUR / 2)
    assert [each.state.value for each in found.checks] == ["LATE", "IN_TIME"]


def test_another_type_meets_nothing() -> None:
    """Prove that what was asked for is USAGE."""
    found = checks([report(hour(0), minutes=61, kind="DEMAND")], now=START + HOUR + HOUR / 2)
    assert ([each.state.value for each in found.checks], found.count) == (["MISSING"], 0)


def test_a_report_of_all_intervals_needs_all_of_them() -> None:
    """The default asks for one report about every interval, at the end."""
    whole = asked(startInterval=-1, numIntervals=-1, frequency=-1, repeat=1)
    some = [report(hour(0), hour(1), hour(2), minutes=241)]
    more = [*some, report(*map(hour, range(4)), minutes=242)]
    now, grace = START + 5 * HOUR, timedelta(minutes=5)
    for received, state in ((some, ReportArrival.MISSING), (more, ReportArrival.IN_TIME)):
        (found,) = check_reports(timeline(), [whole], received, joined_at=START - HOUR, now=now, grace=grace)
        assert [each.state for each in found.checks] == [state]


def test_what_the_ven_chooses_is_never_late() -> None:
    """RDESC-008: frequency 0 is ad hoc; it is counted only."""
    free = asked(frequency=0)
    received = [report(hour(0), minutes=300)]
    (found,) = check_reports(timeline(), [free], received, joined_at=START, now=START + 9 * HOUR, grace=HOUR)
    assert (found.is_free, found.count, list(found.checks)) == (True, 1, [])


def test_a_loop_without_end_is_looked_at_in_its_latest_part() -> None:
    """A hundred of the latest reports, however many there were."""
    endless = timeline(1, duration="P9999Y")
    now = START + 500 * HOUR
    (found,) = check_reports(endless, [asked()], [], joined_at=START - HOUR, now=now, grace=HOUR)
    assert len(found.checks) == 100
    assert found.checks[-1].due.intended == now
    assert found.next_due == now + HOUR


SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40) | st.none()), max_size=8)


@settings(max_examples=50)
@given(SPANS, st.integers(0, 40), st.integers(0, 40) | st.none())
def test_spans_are_searched_as_one_by_one(spans: list[tuple[int, int | None]], start: int, length: int | None) -> None:
    """The search agrees with a look at each span, in steps of ten seconds, so that the second aside is no matter."""

    def at(tens: int) -> datetime:
        return START + timedelta(seconds=10 * tens)

    listed = [(at(begins), None if lasts is None else at(begins + lasts)) for begins, lasts in spans]
    begins, ends = at(start), None if length is None else at(start + length)
    expected = any(one <= begins and (other is None or (ends is not None and other >= ends)) for one, other in listed)
    assert Spans(listed).contain(begins, ends) is expected
