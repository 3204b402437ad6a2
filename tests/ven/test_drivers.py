from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from openadr_client.clock import ManualClock
from tests.ven.builders import START, a_circuit
from ven.drivers import find_driver
from ven.drivers.simulated import SimulatedPanel, create
from ven.errors import BadDriverOptions, DriverFailed, UnknownDriver

CIRCUITS = [a_circuit("ev", rated_kw=Decimal("7.2")), a_circuit("heater")]


async def readings(panel: SimulatedPanel, clock: ManualClock, hours: int) -> list[dict[str, Decimal]]:
    found = []
    for _ in range(hours * 12):
        found.append(dict(await panel.read()))
        await clock.advance(300)
    return found


async def test_same_seed_draws_the_same_curve_and_another_draws_another() -> None:
    runs = []
    for seed in (1, 1, 2):
        clock = ManualClock(START)
        async with create(CIRCUITS, {"seed": seed}, clock) as panel:
            runs.append(await readings(panel, clock, 24))
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


async def test_curves_move_within_the_rating() -> None:
    clock = ManualClock(START)
    async with create(CIRCUITS, {"seed": 3, "ripple": 1}, clock) as panel:
        found = await readings(panel, clock, 24)
    for circuit in CIRCUITS:
        values = [kw[circuit.id] for kw in found]
        assert all(0 <= kw <= circuit.rated_kw for kw in values)
        assert len(set(values)) > 100


async def test_limit_is_obeyed_until_it_is_lifted() -> None:
    clock = ManualClock(START)
    async with create(CIRCUITS, {}, clock) as panel:
        wanted = await panel.read()
        await panel.set_limit("ev", Decimal("0.5"))
        assert await panel.read() == {**wanted, "ev": Decimal("0.5")}
        assert await panel.limits() == {"ev": Decimal("0.5")}
        await panel.set_limit("ev", None)
        assert await panel.read() == wanted


async def test_state_outlives_the_process(tmp_path: Path) -> None:
    options = {"state_file": str(tmp_path / "panel.json")}
    async with create(CIRCUITS, options, ManualClock(START)) as panel:
        await panel.set_limit("ev", Decimal("0.5"))
        await panel.set_limit("ev", Decimal("0.50"))
    async with create(CIRCUITS, options, ManualClock(START + timedelta(days=1))) as panel:
        assert await panel.limits() == {"ev": Decimal("0.5")}
        assert panel.switched == {"ev": 1}


async def test_state_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "panel.json").write_text("[]")
    with pytest.raises(DriverFailed, match=r"panel\.json does not hold the state"):
        async with create(CIRCUITS, {"state_file": str(tmp_path / "panel.json")}, ManualClock(START)):
            pass


async def test_unknown_circuit_is_refused() -> None:
    async with create(CIRCUITS, {}, ManualClock(START)) as panel:
        with pytest.raises(DriverFailed, match="no circuit oven"):
            await panel.set_limit("oven", Decimal(0))


def test_drivers_are_found_by_name() -> None:
    assert isinstance(find_driver("simulated")(CIRCUITS, {}, ManualClock(START)), SimulatedPanel)
    with pytest.raises(UnknownDriver, match=r"no driver 'zigbee'; installed are: .*simulated"):
        find_driver("zigbee")


def test_wrong_options_are_named() -> None:
    with pytest.raises(BadDriverOptions, match=r"ripple: .*less than or equal to 1; colour: Extra inputs"):
        create(CIRCUITS, {"ripple": 2, "colour": "red"}, ManualClock(START))
