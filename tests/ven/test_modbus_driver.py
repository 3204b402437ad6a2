"""Meters, relays and limits by Modbus: pymodbus' own server, with models of devices behind it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from openadr_client.clock import ManualClock
from openadr_client.errors import LibraryMissing
from tests.ven.builders import START, a_circuit
from tests.ven.driver_contract import LATER, DriverContract
from tests.ven.modbus_home import COIL, ENERGY, EXPIRY, LIMIT, POWER, ModbusModel, modbus_home, words
from ven.drivers import CircuitState, find_driver
from ven.drivers.modbus import create
from ven.drivers.modbus_registers import Register
from ven.drivers.quantities import Implausible
from ven.errors import BadDriverOptions, DriverFailed

METER = {
    "power": {"address": POWER, "table": "input", "type": "float32", "unit": "W"},
    "energy": {"address": ENERGY, "table": "input", "type": "uint32", "unit": "Wh"},
}
RELAY = {"switch": {"address": COIL}}
LIMITED = {"limit": {"address": LIMIT, "type": "int16", "unit": "W"}, "unlimited_kw": 7.2}
TIMED = {"expiry": {"address": EXPIRY, "unit": "s"}}

ALL = {**RELAY, **LIMITED, **TIMED}


def options_for(port: int, circuits: Mapping[str, Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    given = {id_: {"device": "box", **options} for id_, options in circuits.items()}
    return {"devices": {"box": {"host": "127.0.0.1", "port": port}}, "circuits": given, "answer_s": 2, **more}


class ModbusContract(DriverContract):
    """Test what every driver must do, with one kind of circuit."""

    kind = "modbus"
    registers: Mapping[str, Any]

    @pytest.fixture
    async def options(self) -> AsyncIterator[Mapping[str, Any]]:
        self._models = [ModbusModel(1), ModbusModel(2)]
        async with modbus_home(self._models) as port:
            circuits = {"ev": {"unit": 1, **METER, **self.registers}, "heater": {"unit": 2, **METER, **self.registers}}
            yield options_for(port, circuits)

    async def let_pass(self, clock: ManualClock, seconds: float) -> None:
        await clock.advance(seconds)
        for model in self._models:
            model.pass_time(seconds)


class TestRelay(ModbusContract):
    registers = RELAY
    limits_kw = ("0",)


class TestLimit(ModbusContract):
    registers = LIMITED


class TestLimitWithExpiry(ModbusContract):
    registers = ALL


async def test_registers_are_read_as_they_are_described() -> None:
    async with (
        modbus_home([ModbusModel(1, wants_w=1234.5)]) as port,
        create([a_circuit("plug")], options_for(port, {"plug": {**METER, **RELAY}}), clock()) as driver,
    ):
        expected = CircuitState(power_kw=Decimal("1.234"), is_on=True, energy_kwh=Decimal("123.456"))
        assert await driver.read() == {"plug": expected}


@pytest.mark.parametrize(
    ("register", "value", "found"),
    [
        ({"type": "int16", "scale": "0.1"}, Decimal("-12.3"), [65_413]),
        ({"type": "uint16"}, Decimal(65_535), [65_535]),
        ({"type": "int32"}, Decimal(-2), [65_535, 65_534]),
        ({"type": "int32", "word_order": "little"}, Decimal(-2), [65_534, 65_535]),
        ({"type": "uint32", "scale": 10}, Decimal(700_000), [1, 4464]),
        ({"type": "uint64"}, Decimal(2**33), [0, 2, 0, 0]),
        ({"type": "int64", "word_order": "little"}, Decimal(-1), [65_535] * 4),
        ({"type": "float32"}, Decimal("1234.5"), words("f", 1234.5)),
        ({"type": "float32", "word_order": "little"}, Decimal("1234.5"), words("f", 1234.5, little=True)),
        ({"type": "float64"}, Decimal("0.5"), words("d", 0.5)),
    ],
)
def test_numbers_are_encoded_in_registers(register: dict[str, Any], value: Decimal, found: list[int]) -> None:
    described = Register.model_validate({"address": 0, **register})
    assert described.registers(value) == found
    assert described.value(found) == value


def test_limits_are_rounded_down_to_what_a_register_holds() -> None:
    register = Register.model_validate({"address": 0, "type": "uint16", "scale": 100})
    assert register.value(register.registers(Decimal(1999))) == 1900
    for wrong in (Decimal(-1), Decimal(10**9)):
        with pytest.raises(Implausible, match="does not fit into uint16 at 0"):
            register.registers(wrong)


async def test_owner_at_the_relay_is_seen() -> None:
    model = ModbusModel(1)
    async with (
        modbus_home([model]) as port,
        create([a_circuit("plug")], options_for(port, {"plug": {**METER, **RELAY}}), clock()) as driver,
    ):
        model.is_on = False
        state = (await driver.read())["plug"]
        assert state.is_on is False
        assert state.limit_kw is None
        model.is_on = True
        await driver.limit("plug", Decimal(0), expires_at=LATER)
        model.is_on = True
        state = (await driver.read())["plug"]
        assert state.is_on is True
        assert state.limit_kw is None


async def test_device_that_takes_a_write_and_does_not_obey_is_found_out() -> None:
    async with modbus_home([ModbusModel(1, stubborn=True), ModbusModel(2)]) as port:
        circuits = {
            "bad": {"unit": 1, **RELAY, **LIMITED},
            "plug": {"unit": 2, **RELAY},
            "mild": {"unit": 1, **LIMITED},
        }
        async with create([a_circuit(id_) for id_ in circuits], options_for(port, circuits), clock()) as driver:
            with pytest.raises(DriverFailed, match="circuit mild: the device keeps a limit of 7200 W"):
                await driver.limit("mild", Decimal(1), expires_at=LATER)
            with pytest.raises(DriverFailed, match="circuit bad"):
                await driver.limit("bad", Decimal(0), expires_at=LATER)
            await driver.limit("plug", Decimal(0), expires_at=LATER)
            assert (await driver.read())["plug"].limit_kw == 0


async def test_relay_that_does_not_open_is_found_out_by_its_power() -> None:
    time = clock()
    async with modbus_home([ModbusModel(1, welded=True)]) as port:
        options = options_for(port, {"plug": {**METER, **RELAY}}, settle_s=10)
        async with create([a_circuit("plug")], options, time) as driver:
            await driver.limit("plug", Decimal(0), expires_at=LATER)
            assert (await driver.read())["plug"].limit_kw == 0
            await time.advance(11)
            assert (await driver.read())["plug"] == CircuitState(power_kw=Decimal(2), energy_kwh=Decimal("123.456"))
            with pytest.raises(DriverFailed, match=r"says that it is off, and it draws 2\.000 kW"):
                await driver.limit("plug", Decimal(0), expires_at=LATER)


async def test_unit_that_does_not_answer_fails_alone() -> None:
    mute = ModbusModel(1, mute=True)
    async with modbus_home([mute, ModbusModel(2)]) as port:
        circuits = {"dead": {"unit": 1, **METER, **RELAY}, "plug": {"unit": 2, **METER, **RELAY}}
        options = options_for(port, circuits, answer_s=0.5)
        async with create([a_circuit(id_) for id_ in circuits], options, clock()) as driver:
            assert set(await driver.read()) == {"plug"}
            with pytest.raises(DriverFailed, match="does not answer"):
                await driver.limit("dead", Decimal(0), expires_at=LATER)
            await driver.limit("plug", Decimal(0), expires_at=LATER)
            mute.mute = False
            assert set(await driver.read()) == {"dead", "plug"}


async def test_device_that_comes_back_is_reached_again() -> None:
    model = ModbusModel(1)
    async with modbus_home([model]) as port:
        driver = create([a_circuit("plug")], options_for(port, {"plug": RELAY}), clock())
        await driver.limit("plug", Decimal(0), expires_at=LATER)
    async with driver:
        assert await driver.read() == {}
        with pytest.raises(DriverFailed, match=rf"the device box \(127\.0\.0\.1:{port}\)"):
            await driver.release("plug", switch_on=True)
        async with modbus_home([model], port):
            await driver.release("plug", switch_on=True)
            assert model.is_on
            assert set(await driver.read()) == {"plug"}


@pytest.mark.parametrize(
    "power",
    [words("f", float("nan")), words("f", float("inf")), words("f", 3e38), words("f", -3e38), words("f", -500.0)],
)
async def test_power_that_cannot_be_is_not_believed(power: list[int]) -> None:
    odd = ModbusModel(1, power=power)
    async with modbus_home([odd, ModbusModel(2)]) as port:
        circuits = {"odd": {"unit": 1, **METER, **RELAY}, "plug": {"unit": 2, **METER}}
        async with create([a_circuit(id_) for id_ in circuits], options_for(port, circuits), clock()) as driver:
            states = await driver.read()
            assert states["plug"].power_kw == 2
            assert states["odd"] == CircuitState(is_on=True, energy_kwh=Decimal("123.456"))
            await driver.limit("odd", Decimal(0), expires_at=LATER)
            await driver.release("odd", switch_on=True)
            assert odd.is_on


async def test_expiry_is_renewed_and_taken_back() -> None:
    model = ModbusModel(1)
    async with modbus_home([model]) as port:
        options = options_for(port, {"plug": {**RELAY, **TIMED}})
        async with create([a_circuit("plug")], options, clock()) as driver:
            assert driver.enforces_expiry
            for seconds in (120, 240):
                await driver.limit("plug", Decimal(0), expires_at=START + timedelta(seconds=seconds))
                assert model.expiry_s == seconds
            await driver.release("plug", switch_on=False)
            assert model.expiry_s == 0
            assert model.is_on is False


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"plug": {}}, "plug: .*at least one of power, switch and limit"),
        ({"plug": {"power": {"address": 70_000}}}, "power.address: .*less than or equal to 65535"),
        ({"plug": {"power": {"address": 65_535, "type": "float32"}}}, "float32 at 65535 ends beyond"),
        ({"plug": {"power": {"address": 1, "type": "bcd"}}}, "power.type: Input should be"),
        ({"plug": {"power": {"address": 1, "scale": 0}}}, "expected a scale other than 0"),
        ({"plug": {"power": {"address": 1, "scale": "NaN"}}}, "scale"),
        ({"plug": {"power": {"address": 1, "unit": "kWh"}}}, "power: expected the unit kW or W, not kWh"),
        ({"plug": {"limit": {"address": 1, "table": "input"}}}, "limit: expected a holding register"),
        (
            {"plug": {"power": {"address": 1}, "expiry": {"address": 1, "unit": "s"}}},
            "expiry needs a switch or a limit",
        ),
        ({"plug": {"switch": {"address": 1, "on": 0}}}, "on and off are the same"),
        ({"plug": {"switch": {"address": 1, "on": 255}}}, "expected 0 and 1"),
        ({"plug": {"device": "shed", **RELAY}}, "circuits name the device shed, which is not in devices; expected box"),
        ({"oven": RELAY}, "circuits: plug is missing; circuits.oven: there is no circuit"),
    ],
)
def test_wrong_options_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(BadDriverOptions, match=message):
        create([a_circuit("plug")], options_for(502, wrong), clock())


def test_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymodbus", None)
    for module in ("ven.drivers.modbus", "ven.drivers.modbus_link"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(LibraryMissing, match=r"Modbus needs the library pymodbus: .* 'openadr-fleet\[modbus\]'"):
        find_driver("modbus")


def clock() -> ManualClock:
    return ManualClock(START)
