"""Test what every driver must do, alike for each: inherit `DriverContract` and say how the driver is made.

A package of its own may copy this file for its driver.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from openadr_client.clock import ManualClock
from tests.ven.builders import START, a_circuit
from ven.drivers import Driver, find_driver
from ven.errors import BadDriverOptions, DriverFailed

CIRCUITS = [a_circuit("ev", rated_kw=Decimal("7.2")), a_circuit("heater")]


class DriverContract:
    """Test a driver through its entry point. The fixture `options` gives options for a device that is there."""

    kind: str

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """Return the options that reach the same device in every driver of one test."""
        raise NotImplementedError

    def driver(self, options: Mapping[str, Any]) -> Driver:
        """Return a new driver, as a new process makes it."""
        return find_driver(self.kind)(CIRCUITS, options, ManualClock(START))

    async def test_no_limit_is_in_force_at_first(self, options: Mapping[str, Any]) -> None:
        async with self.driver(options) as driver:
            assert await driver.limits() == {}

    async def test_power_of_every_circuit_is_read_in_kilowatts(self, options: Mapping[str, Any]) -> None:
        async with self.driver(options) as driver:
            power_kw = await driver.read()
        assert set(power_kw) == {"ev", "heater"}
        assert all(isinstance(kw, Decimal) and kw >= 0 for kw in power_kw.values())

    @pytest.mark.parametrize("limit", ["0", "0.5"])
    async def test_limit_is_in_force_until_it_is_lifted(self, options: Mapping[str, Any], limit: str) -> None:
        async with self.driver(options) as driver:
            await driver.set_limit("ev", Decimal(limit))
            assert await driver.limits() == {"ev": Decimal(limit)}
            await driver.set_limit("ev", None)
            assert await driver.limits() == {}

    async def test_limits_are_replaced_and_do_not_touch_one_another(self, options: Mapping[str, Any]) -> None:
        async with self.driver(options) as driver:
            await driver.set_limit("ev", Decimal(3))
            await driver.set_limit("heater", Decimal(1))
            await driver.set_limit("ev", Decimal("0.125"))
            assert await driver.limits() == {"ev": Decimal("0.125"), "heater": Decimal(1)}

    async def test_doing_again_what_is_done_does_nothing(self, options: Mapping[str, Any]) -> None:
        async with self.driver(options) as driver:
            await driver.set_limit("ev", None)
            assert await driver.limits() == {}
            await driver.set_limit("ev", Decimal("0.5"))
            await driver.set_limit("ev", Decimal("0.50"))
            assert await driver.limits() == {"ev": Decimal("0.5")}

    async def test_limit_outlives_the_driver(self, options: Mapping[str, Any]) -> None:
        async with self.driver(options) as driver:
            await driver.set_limit("ev", Decimal("0.5"))
        async with self.driver(options) as driver:
            assert await driver.limits() == {"ev": Decimal("0.5")}
            await driver.set_limit("ev", None)

    async def test_unknown_circuit_is_refused_by_name(self, options: Mapping[str, Any]) -> None:
        async with self.driver(options) as driver:
            for limit_kw in (Decimal(0), None):
                with pytest.raises(DriverFailed, match="oven"):
                    await driver.set_limit("oven", limit_kw)

    def test_unknown_option_is_named_with_those_there_are(self, options: Mapping[str, Any]) -> None:
        expected = rf"driver '{self.kind}': colour: there is no such option; expected .*{next(iter(options))}"
        with pytest.raises(BadDriverOptions, match=expected):
            self.driver({**options, "colour": "red"})
