from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.fleet.reports import Opt, Shed, ShedInterval, opt_report, read_opts, read_status, status_report
from openadr_profiles.v31 import AGGREGATED_REPORT, OperatingState, ReportRequest, decode, encode

START = datetime(2026, 1, 1, tzinfo=UTC)

kilowatts = st.none() | st.decimals(min_value=-1000, max_value=1000, places=3)
sheds = st.builds(
    Shed,
    resource_name=st.sampled_from(["kitchen", "heat pump", "panel-1/c2", AGGREGATED_REPORT]),
    requested_kw=kilowatts,
    original_kw=kilowatts,
    curtailed_kw=kilowatts,
    delivered_kw=kilowatts,
    final_kw=kilowatts,
    state=st.none() | st.sampled_from(OperatingState),
)


@given(st.lists(st.lists(sheds, min_size=1, max_size=4, unique_by=lambda shed: shed.resource_name), max_size=4))
def test_status_is_read_as_it_was_written(rounds: list[list[Shed]]) -> None:
    intervals = [
        ShedInterval(number, START + timedelta(hours=number), START + timedelta(hours=number + 1), tuple(each))
        for number, each in enumerate(rounds)
    ]
    report = status_report(event_id="e1", client_name="home", intervals=intervals)
    again = decode(encode(report), ReportRequest)

    assert again.report_name == "status-e1"
    read = read_status(again.resources)
    assert [(each.id, each.start, each.end) for each in read] == [(each.id, each.start, each.end) for each in intervals]
    assert [set(each.sheds) for each in read] == [set(each.sheds) for each in intervals]


def test_interval_without_end_stays_open() -> None:
    shed = Shed("kitchen", Decimal(1), Decimal(2), Decimal(1), Decimal(1))
    report = status_report(event_id="e", client_name="c", intervals=[ShedInterval(7, START, None, (shed,))])
    assert read_status(report.resources) == (ShedInterval(7, START, None, (shed,)),)


def test_numbers_are_exact_to_the_watt() -> None:
    shed = Shed("kitchen", Decimal("0.1") + Decimal("0.2"), Decimal("1.23456"), None, None)
    text = encode(status_report(event_id="e", client_name="c", intervals=[ShedInterval(0, START, None, (shed,))]))
    assert b'"values":[0.3]' in text
    assert b'"values":[1.235]' in text


def test_opt_is_read_as_it_was_written() -> None:
    opts = (
        Opt(
            AGGREGATED_REPORT, opted_in=False, reason="quiet hours 22:00-06:00", state=OperatingState.RUNNING_OPTED_OUT
        ),
        Opt("panel-1", opted_in=True, reason=None, state=OperatingState.RUNNING_NORMAL),
    )
    report = opt_report(event_id="e1", client_name="home", decided_at=START, opts=opts)
    again = decode(encode(report), ReportRequest)
    assert (again.report_name, again.event_id) == ("opt-e1", "e1")
    assert read_opts(again.resources) == tuple(replace(opt, decided_at=START) for opt in opts)


def test_foreign_reports_are_read_without_harm() -> None:
    foreign = decode(
        b'{"eventID":"e","clientName":"c","resources":[{"resourceName":"r","intervals":['
        b'{"id":0,"payloads":[{"type":"DEMAND","values":["much"]},{"type":"OPERATING_STATE","values":["ODD"]}]}]}]}',
        ReportRequest,
    )
    assert read_opts(foreign.resources) == ()
    assert read_status(foreign.resources) == ()
