"""A panel whose circuits have devices of several kinds."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openadr_client.clock import ManualClock
from tests.ven.builders import START, a_circuit
from tests.ven.driver_contract import CIRCUITS, LATER, DriverContract
from tests.ven.modbus_home import COIL, POWER, ModbusModel, modbus_home
from ven.drivers.several import create
from ven.errors import BadDriverOptions, DriverFailed, UnknownDriver

RELAY = {
    "power": {"address": POWER, "table": "input", "type": "float32", "unit": "W"},
    "switch": {"address": COIL},
}


def a_panel(folder: Path, circuit_id: str, **options: Any) -> dict[str, Any]:
    file = str(folder / f"{circuit_id}.json")
    return {"kind": "simulated", "circuits": [circuit_id], "options": {"state_file": file, **options}}


def a_cabinet(port: int, circuit_id: str) -> dict[str, Any]:
    options = {
        "devices": {"box": {"host": "127.0.0.1", "port": port}},
        "circuits": {circuit_id: {"device": "box", **RELAY}},
    }
    return {"kind": "modbus", "circuits": [circuit_id], "options": options}


class TestSeveral(DriverContract):
    kind = "several"

    @pytest.fixture
    def options(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"parts": {id_: a_panel(tmp_path, id_) for id_ in ("ev", "heater")}}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


async def test_each_circuit_is_switched_by_its_own_driver(tmp_path: Path, clock: ManualClock) -> None:
    model = ModbusModel(1)
    async with modbus_home([model]) as port:
        parts = {"car": a_panel(tmp_path, "ev"), "cabinet": a_cabinet(port, "heater")}
        async with create(CIRCUITS, {"parts": parts}, clock) as driver:
            assert not driver.enforces_expiry
            await driver.limit("ev", Decimal("0.5"), expires_at=LATER)
            await driver.limit("heater", Decimal(0), expires_at=LATER)
            states = await driver.read()
            assert states["ev"].limit_kw == Decimal("0.5")
            assert states["heater"].limit_kw == 0
            assert model.is_on is False


async def test_part_that_fails_at_the_start_is_tried_again_and_fails_alone(tmp_path: Path, clock: ManualClock) -> None:
    (tmp_path / "ev.json").write_text("[]")
    parts = {"car": a_panel(tmp_path, "ev"), "boiler": a_panel(tmp_path, "heater")}
    async with create(CIRCUITS, {"parts": parts}, clock) as driver:
        assert set(await driver.read()) == {"heater"}
        with pytest.raises(DriverFailed, match=r"part car is not in use: /\S*ev\.json does not hold the state"):
            await driver.limit("ev", Decimal(0), expires_at=LATER)
        await driver.limit("heater", Decimal(0), expires_at=LATER)
        (tmp_path / "ev.json").unlink()
        assert set(await driver.read()) == {"heater"}  # not at once again and again
        await clock.advance(31)
        assert set(await driver.read()) == {"ev", "heater"}


async def test_part_that_hangs_keeps_no_other_from_being_read(tmp_path: Path, clock: ManualClock) -> None:
    async with modbus_home([ModbusModel(1, mute=True)]) as port:
        cabinet = a_cabinet(port, "heater")
        cabinet["options"]["answer_s"] = 30
        parts = {"car": a_panel(tmp_path, "ev"), "cabinet": cabinet}
        async with create(CIRCUITS, {"parts": parts, "part_s": 0.3}, clock) as driver:
            assert set(await driver.read()) == {"ev"}


async def test_panel_of_which_nothing_can_be_used_is_an_error(tmp_path: Path, clock: ManualClock) -> None:
    for id_ in ("ev", "heater"):
        (tmp_path / f"{id_}.json").write_text("[]")
    parts = {id_: a_panel(tmp_path, id_) for id_ in ("ev", "heater")}
    with pytest.raises(DriverFailed, match=r"ev\.json does not hold .*heater\.json does not hold"):
        async with create(CIRCUITS, {"parts": parts}, clock):
            pass


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({}, "parts: Dictionary should have at least 1 item"),
        ({"a": {"kind": "simulated", "circuits": []}}, r"parts\.a\.circuits"),
        ({"a": {"kind": "simulated", "circuits": ["oven"]}}, "circuits: plug is missing; circuits.oven: there is no"),
        (
            {"a": {"kind": "simulated", "circuits": ["plug"]}, "b": {"kind": "simulated", "circuits": ["plug"]}},
            "plug is in more than one part",
        ),
        ({"a": {"kind": "several", "circuits": ["plug"]}}, "parts.a: expected another driver than several"),
        ({"a": {"kind": "simulated", "circuits": ["plug"], "options": {"ripple": 2}}}, "parts.a: .*ripple: "),
    ],
)
def test_wrong_options_are_named(parts: dict[str, Any], message: str, clock: ManualClock) -> None:
    with pytest.raises(BadDriverOptions, match=message):
        create([a_circuit("plug")], {"parts": parts}, clock)


def test_unknown_driver_is_named_with_its_part(clock: ManualClock) -> None:
    with pytest.raises(UnknownDriver, match=r"parts\.a: there is no driver 'knx'"):
        create([a_circuit("plug")], {"parts": {"a": {"kind": "knx", "circuits": ["plug"]}}}, clock)
