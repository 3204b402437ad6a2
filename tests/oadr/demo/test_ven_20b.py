"""The house on OpenADR 2.0b: what it takes from an event, and what it does to its circuits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from oadr.demo.homes import HOME_20B
from oadr.demo.truth import HomeDevice
from oadr.demo.ven_20b import House, windows
from openadr_client.clock import ManualClock

START = datetime(2026, 1, 1, 18, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def event(*kw: float, status: str = "far") -> dict[str, Any]:
    """An event as openleadr hands it over: what is asked for, interval by interval."""
    intervals = [{"duration": QUARTER, "signal_payload": -each} for each in kw]
    simple = {"signal_name": "SIMPLE", "intervals": [{"duration": 2 * QUARTER, "signal_payload": 1}]}
    return {
        "event_descriptor": {"event_id": "event-1", "event_status": status},
        "active_period": {"dtstart": START},
        "event_signals": [simple, {"signal_name": "LOAD_DISPATCH", "intervals": intervals}],
    }


def test_an_event_is_its_dispatch_interval_by_interval() -> None:
    """B-EVT-031: intervals follow each other from the start of the event."""
    found = windows(event(3, 5))
    assert [(each.start, each.end, each.kw) for each in found] == [
        (START, START + QUARTER, Decimal(3)),
        (START + QUARTER, START + 2 * QUARTER, Decimal(5)),
    ]
    assert windows(event(3, 5, status="cancelled")) == []


async def test_the_house_sheds_what_is_asked_for_spares_what_is_critical_and_returns(tmp_path: Path) -> None:
    clock, state = ManualClock(START - QUARTER), tmp_path / "panel.json"
    house, device = House(state, clock), HomeDevice(HOME_20B, state)

    async def taken(minutes: float) -> float:
        await clock.advance_to(START + timedelta(minutes=minutes))
        await house.adjust()
        readings = device.read(clock.now())
        assert all(readings[circuit].taken_kw == 0 for circuit in device.critical)
        total = float(sum(reading.taken_kw for reading in readings.values()))
        [(when, demand_kw)], [(same, baseline_kw)] = await house.demand(), house.baseline()
        assert when == same == clock.now()
        assert baseline_kw - demand_kw == pytest.approx(total)
        return total

    assert await house.on_event(event(3, 5)) == "optIn"
    assert await taken(-1) == 0
    assert await taken(1) == pytest.approx(3)
    assert await taken(16) == pytest.approx(5)
    await house.on_event(event(3, 4))
    assert await taken(17) == pytest.approx(4)
    assert await taken(31) == 0
