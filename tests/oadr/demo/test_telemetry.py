"""Judge what the demo makes of the telemetry of a home on OpenADR 2.0b."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from oadr.demo.telemetry import by_step, delivery, reductions_kw
from openadr_profiles.v31 import (
    Interval,
    IntervalPeriod,
    Report,
    ReportResource,
    Start,
    ValuesMap,
)
from tests.oadr.demo.builders import PLAN, at

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def report(*values: tuple[float, str, float]) -> Report:
    """A report of values: minutes after the start of the event, payload type, kW."""
    return Report(
        id="report-1",
        created_date_time=NOW,
        modification_date_time=NOW,
        client_id="oadr20b-1",
        event_id="event-1",
        client_name="home-4",
        resources=(
            ReportResource(
                resource_name="meter",
                intervals=tuple(
                    Interval(
                        id=number,
                        interval_period=IntervalPeriod(start=Start.of(at(minutes))),
                        payloads=(ValuesMap(type=type_, values=(kw,)),),
                    )
                    for number, (minutes, type_, kw) in enumerate(values)
                ),
            ),
        ),
    )


def test_a_reduction_needs_demand_and_baseline_of_one_time() -> None:
    """B-RPT-011."""
    told = report((1, "DEMAND", 8), (1, "BASELINE", 11), (2, "DEMAND", 8), (3, "BASELINE", 11), (4, "USAGE", 1))
    assert reductions_kw([told]) == {at(1): Decimal(3)}


def test_a_step_has_the_mean_of_what_came_after_its_margin() -> None:
    reductions = {at(0): Decimal(0), at(2): Decimal(2), at(4): Decimal(4), at(40): Decimal(9)}
    assert by_step(reductions, PLAN, margin=timedelta(minutes=1)) == {0: Decimal(3)}


def test_energy_is_power_times_the_time_that_has_passed() -> None:
    told = {0: Decimal(3), 1: Decimal(4)}
    half = delivery(told, PLAN, at(22.5))
    assert half is not None
    assert (half.asked_kw, half.delivered_kw) == (5.0, 4.0)
    assert (half.asked_kwh, half.delivered_kwh) == (0.75 + 0.625, 0.75 + 0.5)
    over = delivery(told, PLAN, at(60))
    assert over is not None
    assert (over.asked_kwh, over.delivered_kwh) == (2.0, 1.75)


def test_a_step_without_data_delivers_nothing_and_says_so() -> None:
    assert delivery({}, PLAN, at(-1)) is None
    silent = delivery({0: Decimal(3)}, PLAN, at(20))
    assert silent is not None
    assert silent.delivered_kw is None
    assert silent.delivered_kwh == 0.75
