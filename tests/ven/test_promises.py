"""A stretch is a promise for a whole value of an event: what is shown of it stays right and bounded to its end."""

import math
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from structlog.testing import capture_logs

from openadr_profiles.fleet.reports import GROSS_SHED, Shed, ShedInterval
from openadr_profiles.v31 import AGGREGATED_REPORT
from tests.ven.builders import START, a_circuit, shed_event
from tests.ven.faults.faulty_home import FaultyHome
from tests.ven.home import SECRET, Town
from ven.drivers import CircuitState
from ven.panel.curtailment import CircuitPlan
from ven.panel.meter import PowerReading
from ven.panel.stretches import CurtailmentRun, joined
from ven.records import Stretch
from ven.reports.status import most_intervals
from vtn.access import Role

HOUR = timedelta(hours=1)


@pytest.fixture
async def home(town: Town) -> AsyncIterator[FaultyHome]:
    """A home with a reading every 10 s, a look at the VTN and a status report every 5 min."""
    await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
    circuits = [
        a_circuit("fridge", critical=True, priority=1),
        a_circuit("heater", priority=3),
        a_circuit("ev", priority=8),
    ]
    home = FaultyHome(town.settings(circuits=circuits, sample_s=10, status_s=300), town.clock)
    yield home
    await home.kill()


def whole(interval: ShedInterval) -> Shed:
    return next(each for each in interval.sheds if each.resource_name == AGGREGATED_REPORT)


def puts(home: FaultyHome) -> int:
    return sum(each.startswith("PUT") and "/reports" in each for each in home.requests)


@pytest.mark.parametrize("limit_kw", [0.5, 4.2], ids=["cannot be met", "is just met"])
async def test_limit_under_a_load_that_moves_by_watts_is_one_stretch_and_few_reports(
    town: Town, home: FaultyHome, limit_kw: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V6, limit-status-grows: a reading every 10 s, each some watts from the last, and a load that rises slowly."""
    drawn: list[tuple[datetime, Decimal]] = []
    really = home.relay.read

    async def read() -> Mapping[str, CircuitState]:
        seconds = (town.clock.now() - START).total_seconds()
        rising = 0.0001 * max(seconds, 0)
        home.relay.wants = {
            "fridge": Decimal(f"{0.6 + 0.004 * math.sin(seconds):.3f}"),
            "heater": Decimal(f"{2 + 0.02 * math.sin(seconds / 7) + rising:.3f}"),
            "ev": Decimal(f"{3 + 0.02 * math.cos(seconds / 5):.3f}"),
        }
        states = await really()
        total = sum((state.power_kw or Decimal(0) for state in states.values()), Decimal(0))
        drawn.append((town.clock.now(), total))
        return states

    monkeypatch.setattr(home.relay, "read", read)
    town.clock._now = START - timedelta(minutes=7)
    await home.start()
    event = await town.issue(shed_event(limit_kw, type_="IMPORT_CAPACITY_LIMIT", minutes=60))
    with capture_logs() as logs:
        await home.until(START + HOUR / 2)
        (half,) = await town.status(event)
        await home.until(START + HOUR + timedelta(minutes=1))
    (interval,) = await town.status(event)
    assert (half.start, interval.start, interval.end) == (START, START, START + HOUR)
    told = [log["event"] for log in logs]
    assert (told.count("curtailment begins"), told.count("curtailment ends")) == (1, 1)
    assert puts(home) <= 12 + 3, "one each 5 min, and at what matters"
    in_it = dict(each for each in drawn if START <= each[0] < START + HOUR)
    mean_kw = sum(in_it.values()) / len(in_it)
    assert whole(interval).curtailed_kw == pytest.approx(mean_kw, abs=Decimal("0.001"))
    if limit_kw > 1:
        assert max(kw for at, kw in in_it.items() if at > START) <= Decimal(str(limit_kw)) * Decimal("1.03")
        assert len(home.relay.diary) < 30, "hardly ever switched for watts"
    else:
        assert sorted(home.relay.diary[:2]) == [("ev", Decimal(0)), ("heater", Decimal(0))]
        assert len(home.relay.diary) == 4


async def test_net_delivery_is_reported_and_corrected(town: Town, home: FaultyHome) -> None:
    """V9: another circuit takes up what one gives; the plan makes up for it, and gives it back when that is over."""
    town.clock._now = START - timedelta(minutes=7)
    await home.start()
    event = await town.issue(shed_event(-2, minutes=60))
    await home.until(START + timedelta(minutes=10))
    assert home.relay.in_force == {"ev": 1}
    home.relay.wants["fridge"] += Decimal("0.8")
    await home.until(START + timedelta(minutes=13))
    assert home.relay.in_force == {"ev": Decimal("0.2")}
    await home.until(START + timedelta(minutes=30))
    assert home.relay.in_force == {"ev": Decimal("0.2")}, "it is right now"
    home.relay.wants["fridge"] -= Decimal("0.8")
    await home.until(START + timedelta(minutes=33))
    assert Decimal("0.8") <= home.relay.in_force["ev"] <= 1, "but for what a plan may exceed a request by"
    await home.until(START + HOUR + timedelta(minutes=1))
    (interval,) = await town.status(event)
    together = whole(interval)
    assert together.gross_kw is not None
    assert together.delivered_kw is not None
    assert together.gross_kw - together.delivered_kw == pytest.approx(Decimal("0.8") / 3, abs=Decimal("0.001"))
    assert together.delivered_kw == pytest.approx(2, abs=Decimal("0.1"))
    (report,) = await town.reports(event, f"status-{event.id}")
    assert GROSS_SHED in {each.payload_type for each in report.payload_descriptors or ()}


def a_run(number: int, *, shed_kw: str, drawn_kw: str, gap: timedelta = timedelta(0)) -> CurtailmentRun:
    start = START + number * HOUR + gap
    stretch = Stretch(
        id=number + 1,
        event_id="e1",
        interval_id=number,
        payload_type="SIMPLE",
        value_start=start,
        start=start,
        end=START + (number + 1) * HOUR,
        requested_kw=Decimal(shed_kw),
        unmet_kw=Decimal(0),
        plan=(CircuitPlan("ev", Decimal(3), Decimal(shed_kw)),),
    )
    run = CurtailmentRun(stretch)
    run.add(PowerReading(start, {"ev": Decimal(drawn_kw)}), start + 2 * HOUR, baseline_kw={"ev": Decimal(3)}, hold=HOUR)
    members: Any = {name: getattr(stretch, name) for name in Stretch.__dataclass_fields__} | {"ended_at": stretch.end}
    run.stretch = Stretch(**members)
    return run


def kwh(*runs: CurtailmentRun) -> tuple[Decimal, Decimal, Decimal]:
    """Requested, net and gross energy, as a reader of the report computes them: mean power times length."""
    sums = [Decimal(0)] * 3
    for run in runs:
        assert run.stretch.ended_at is not None
        assert run.asked.mean is not None
        hours = Decimal((run.stretch.ended_at - run.stretch.start) / HOUR)
        gross = run.circuits["ev"].mean
        assert gross is not None
        for place, kw in enumerate((run.asked.mean.requested_kw, run.asked.mean.delivered_kw, gross.delivered_kw)):
            sums[place] += kw * hours
    return sums[0], sums[1], sums[2]


def test_joined_stretches_have_the_energies_of_both() -> None:
    """V6: the beginning of a long event is not lost."""
    runs = [
        a_run(0, shed_kw="2", drawn_kw="1"),
        a_run(1, shed_kw="1", drawn_kw="2.5", gap=timedelta(minutes=30)),
        a_run(2, shed_kw="3", drawn_kw="0"),
    ]
    one = joined(joined(runs[0], runs[1]), runs[2])
    assert kwh(one) == pytest.approx(kwh(*runs), abs=Decimal("0.000001"))
    assert (one.stretch.interval_id, one.stretch.start, one.stretch.ended_at) == (0, START, START + 3 * HOUR)


def test_report_is_bounded_for_any_panel() -> None:
    assert [most_intervals(circuits) for circuits in (1, 3, 32, 64, 1000)] == [96, 96, 30, 15, 4]
