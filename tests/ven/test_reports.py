"""Reports that events ask for: when they come, what they hold, and that each comes once."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    BlResourceRequest,
    Duration,
    ReportDescriptor,
    ReportRequest,
    decode,
)
from tests.ven.builders import START
from tests.ven.conftest import StartHome
from tests.ven.home import Town
from tests.ven.report_words import asking, values
from tests.ven.test_relays_last import PUMP_KW, a_relay, basement, levels
from ven.drivers import CircuitState


async def test_energy_is_reported_for_every_circuit_and_for_all(town: Town, start_home: StartHome) -> None:
    """RDESC-013, RDESC-016, RDESC-018, RDESC-019: 3 kW less for half an hour."""
    home = await start_home()
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="USAGE"),
            ReportDescriptor(payload_type="BASELINE", units="KWH"),
            ReportDescriptor(payload_type="DELTA_USAGE"),
            ReportDescriptor(payload_type="DEMAND", units="W", reading_type="MEAN"),
            ReportDescriptor(payload_type="OPERATING_STATE"),
        )
    )
    await home.until(START + timedelta(minutes=59))
    assert await town.reports(event) == []
    await home.until(START + timedelta(minutes=60))
    (report,) = await town.reports(event)

    assert {each.payload_type: (each.units, each.reading_type) for each in report.payload_descriptors or ()} == {
        "USAGE": ("KWH", "DIRECT_READ"),
        "BASELINE": ("KWH", "DIRECT_READ"),
        "DELTA_USAGE": ("KWH", "DIRECT_READ"),
        "DEMAND": ("W", "MEAN"),
        "OPERATING_STATE": (None, "DIRECT_READ"),
    }
    said = values(report)
    assert list(said) == ["fridge", "heater", "ev", AGGREGATED_REPORT]
    assert said["ev"] == [
        {"USAGE": 0, "BASELINE": 1.5, "DELTA_USAGE": -1.5, "DEMAND": 0, "OPERATING_STATE": "IDLE_CURTAILED"},
        {"USAGE": 1.5, "BASELINE": 1.5, "DELTA_USAGE": 0, "DEMAND": 3000, "OPERATING_STATE": "RUNNING_NORMAL"},
    ]
    assert said[AGGREGATED_REPORT][0] == {
        "USAGE": 1.1,
        "BASELINE": 2.6,
        "DELTA_USAGE": -1.5,
        "DEMAND": 2200,
        "OPERATING_STATE": "RUNNING_CURTAILED",
    }
    entry = report.resources[0]
    assert [interval.id for interval in entry.intervals] == [0, 1]
    assert entry.interval_period is not None
    assert entry.interval_period.start is not None
    assert (entry.interval_period.start.at, entry.interval_period.duration) == (START, Duration.parse("PT30M"))


async def test_one_report_comes_at_the_end_of_every_interval(town: Town, start_home: StartHome) -> None:
    """RDESC-004."""
    home = await start_home()
    event = await town.issue(
        asking(ReportDescriptor(payload_type="USAGE", start_interval=0, num_intervals=1, frequency=1, repeat=-1))
    )
    await home.until(START + timedelta(minutes=31))
    assert [values(report)["ev"] for report in await town.reports(event)] == [[{"USAGE": 0}]]
    await home.until(START + timedelta(minutes=61))
    newest_first = [values(report)["ev"] for report in await town.reports(event)]
    assert newest_first == [[{"USAGE": 1.5}], [{"USAGE": 0}]]


async def test_sum_alone_is_reported_if_asked(town: Town, start_home: StartHome) -> None:
    """RDESC-016."""
    home = await start_home()
    event = await town.issue(asking(ReportDescriptor(payload_type="USAGE", aggregate=True)))
    await home.until(START + timedelta(hours=1))
    (report,) = await town.reports(event)
    assert values(report) == {AGGREGATED_REPORT: [{"USAGE": 1.1}, {"USAGE": 2.6}]}


async def test_only_resources_with_an_asked_target_report(town: Town, start_home: StartHome) -> None:
    """RDESC-017."""
    home = await start_home()
    heater = next(each for each in await town.bl.resources.search() if each.resource_name == "heater")
    grant = BlResourceRequest(
        client_id=heater.client_id, ven_id=heater.ven_id, resource_name="heater", targets=("heating",)
    )
    await town.bl.resources.replace(heater.id, grant)
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="USAGE", targets=("heating",)),
            ReportDescriptor(payload_type="DEMAND", targets=("cooling",)),
        )
    )
    await home.until(START + timedelta(hours=1))
    (report,) = await town.reports(event)
    assert values(report) == {"heater": [{"USAGE": 1}] * 2, AGGREGATED_REPORT: [{"USAGE": 1}] * 2}


async def test_forecast_is_sent_at_the_start(town: Town, start_home: StartHome) -> None:
    """RDESC-005."""
    home = await start_home()
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="USAGE_FORECAST", historical=False),
            ReportDescriptor(payload_type="LOAD_SHED_DELTA_AVAILABLE", historical=False, units="KW"),
        )
    )
    await home.until(START)
    (report,) = await town.reports(event)
    assert values(report)["heater"] == [{"USAGE_FORECAST": 1, "LOAD_SHED_DELTA_AVAILABLE": 1}] * 2
    assert values(report)["fridge"] == [{"USAGE_FORECAST": 0.1, "LOAD_SHED_DELTA_AVAILABLE": 0}] * 2


async def test_missing_values_are_marked_and_reported_apart(town: Town, start_home: StartHome) -> None:
    """RDESC-020: a home that slept through the first interval."""
    home = await start_home()
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="USAGE"),
            ReportDescriptor(payload_type="OPERATING_STATE"),
            kw=(-3, -3, -3),
            minutes=60,
        )
    )
    await home.until(START - timedelta(minutes=1))
    await home.kill()
    await town.clock.advance(3600 + 120)
    await home.start()
    await home.until(START + timedelta(hours=2))
    home.relay.broken.add("fridge")
    await home.until(START + timedelta(hours=3))
    usage, state = sorted(await town.reports(event), key=lambda report: "USAGE" not in values(report)["ev"][0])
    assert values(usage)["ev"] == [
        {"USAGE": 0, "DATA_QUALITY": "MISSING"},
        {"USAGE": 0},
        {"USAGE": 0},
    ]
    assert values(usage)["fridge"][2]["DATA_QUALITY"] == "ESTIMATED"
    assert values(state)["ev"] == [
        {"OPERATING_STATE": "ERROR"},
        {"OPERATING_STATE": "IDLE_CURTAILED"},
        {"OPERATING_STATE": "IDLE_CURTAILED"},
    ]


async def test_what_we_cannot_measure_is_not_reported(town: Town, start_home: StartHome) -> None:
    home = await start_home()
    event = await town.issue(
        asking(
            ReportDescriptor(payload_type="STORAGE_CHARGE_LEVEL"),
            ReportDescriptor(payload_type="USAGE", units="VOLTS"),
        )
    )
    await home.until(START + timedelta(hours=1))
    assert await town.reports(event) == []


async def test_an_interval_that_begins_as_another_event_ends_tells_nothing_of_that_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every reading takes some milliseconds, as real ones do: it comes after the edge that the step was made for."""
    async with basement(tmp_path, [a_relay("pump")], PUMP_KW) as home:
        at_once = home.relay.read

        async def read() -> Mapping[str, CircuitState]:
            home.clock._now += timedelta(milliseconds=30)
            return await at_once()

        monkeypatch.setattr(home.relay, "read", read)
        asks = asking(
            ReportDescriptor(payload_type="SIMPLE_LEVEL"),
            ReportDescriptor(payload_type="OPERATING_STATE"),
            minutes=10,
            kw=(0, 0, 0),
            id_="asks",
        )
        await home.control.take_events([asks, levels(0, 3, seconds=600)])
        await home.run_until(START + timedelta(minutes=15))
        assert home.relay.in_force == {"pump": 0}
        await home.run_until(START + timedelta(minutes=31))
        unsent = await home.control._store.reports.unsent()
        made = [decode(each.body, ReportRequest) for each in unsent if each.name.startswith("report-")]
    (report,) = made
    assert values(report)["pump"] == [
        {"SIMPLE_LEVEL": 0, "OPERATING_STATE": "RUNNING_NORMAL"},
        {"SIMPLE_LEVEL": 3, "OPERATING_STATE": "IDLE_CURTAILED"},
        {"SIMPLE_LEVEL": 0, "OPERATING_STATE": "RUNNING_NORMAL"},
    ]


async def test_home_that_opted_out_reports_nevertheless(town: Town, start_home: StartHome) -> None:
    home = await start_home(opt={"max_shed_kw": 1})
    event = await town.issue(
        asking(ReportDescriptor(payload_type="USAGE"), ReportDescriptor(payload_type="OPERATING_STATE"))
    )
    await home.until(START + timedelta(hours=1))
    (report,) = await town.reports(event)
    assert values(report)["ev"] == [{"USAGE": 1.5, "OPERATING_STATE": "RUNNING_OPTED_OUT"}] * 2


async def test_looping_event_is_reported_cycle_by_cycle(town: Town, start_home: StartHome) -> None:
    """RDESC-009."""
    home = await start_home()
    event = await town.issue(asking(ReportDescriptor(payload_type="USAGE", repeat=-1), duration=Duration.parse("PT3H")))
    await home.until(START + timedelta(hours=3))
    reports = await town.reports(event)
    assert [values(report)["ev"] for report in reports] == [[{"USAGE": 0}, {"USAGE": 1.5}]] * 3
    periods = [report.resources[0].interval_period for report in reports]
    assert {period.start.at for period in periods if period and period.start} == {
        START + timedelta(hours=hour) for hour in range(3)
    }
