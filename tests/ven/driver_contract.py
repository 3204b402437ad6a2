"""Test what every driver must do, alike for each: inherit `DriverContract` and say how the driver is made.

A package of its own may copy this file for its driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from openadr_client.clock import ManualClock
from tests.ven.builders import START, a_circuit
from ven.drivers import Driver, find_driver
from ven.errors import BadDriverOptions, DriverFailed

CIRCUITS = [a_circuit("ev", rated_kw=Decimal("7.2")), a_circuit("heater")]
LATER = START + timedelta(hours=1)


class DriverContract:
    """Test a driver through its entry point. The fixture `options` gives options for a device that is there.

    `limits_kw` are limits that the device can keep: a relay knows no other than 0. `clock` is a clock that stands at
    START; a driver whose device ends limits by a clock of its own replaces `let_pass`.
    """

    kind: str
    limits_kw: tuple[str, ...] = ("0", "0.5")

    @pytest.fixture
    def options(self) -> Mapping[str, Any]:
        """Return the options that reach the same device in every driver of one test."""
        raise NotImplementedError

    @pytest.fixture
    def clock(self) -> ManualClock:
        """Return the clock of the drivers."""
        return ManualClock(START)

    def driver(self, options: Mapping[str, Any], clock: ManualClock) -> Driver:
        """Return a new driver, as a new process makes it."""
        return find_driver(self.kind)(CIRCUITS, options, clock)

    async def let_pass(self, clock: ManualClock, seconds: float) -> None:
        """Let time pass for the device."""
        await clock.advance(seconds)

    async def limits(self, driver: Driver) -> dict[str, Decimal]:
        """Return the limits that the device says it keeps."""
        return {id_: state.limit_kw for id_, state in (await driver.read()).items() if state.limit_kw is not None}

    async def test_no_limit_is_in_force_at_first(self, options: Mapping[str, Any], clock: ManualClock) -> None:
        async with self.driver(options, clock) as driver:
            assert await self.limits(driver) == {}

    async def test_power_of_every_circuit_is_read_in_kilowatts(
        self, options: Mapping[str, Any], clock: ManualClock
    ) -> None:
        async with self.driver(options, clock) as driver:
            states = await driver.read()
        assert set(states) == {"ev", "heater"}
        assert all(isinstance(state.power_kw, Decimal) for state in states.values())
        assert not any(state.overridden for state in states.values())

    async def test_limit_is_in_force_until_it_is_released(self, options: Mapping[str, Any], clock: ManualClock) -> None:
        async with self.driver(options, clock) as driver:
            for limit_kw in map(Decimal, self.limits_kw):
                await driver.limit("ev", limit_kw, expires_at=LATER)
                state = (await driver.read())["ev"]
                assert state.limit_kw == limit_kw
                assert state.is_on in (limit_kw > 0, None)
                await driver.release("ev", switch_on=True)
                state = (await driver.read())["ev"]
                assert state.limit_kw is None
                assert state.is_on in (True, None)

    async def test_limits_are_replaced_and_do_not_touch_one_another(
        self, options: Mapping[str, Any], clock: ManualClock
    ) -> None:
        async with self.driver(options, clock) as driver:
            first, *_, last = map(Decimal, self.limits_kw * 2)
            await driver.limit("ev", first, expires_at=LATER)
            await driver.limit("heater", first, expires_at=LATER)
            await driver.limit("ev", last, expires_at=LATER)
            assert await self.limits(driver) == {"ev": last, "heater": first}
            await driver.release("ev", switch_on=True)
            assert await self.limits(driver) == {"heater": first}
            await driver.release("heater", switch_on=True)

    async def test_circuits_are_switched_at_the_same_time(self, options: Mapping[str, Any], clock: ManualClock) -> None:
        async with self.driver(options, clock) as driver:
            limit_kw = Decimal(self.limits_kw[0])
            await asyncio.gather(
                driver.limit("ev", limit_kw, expires_at=LATER),
                driver.limit("heater", limit_kw, expires_at=LATER),
                driver.read(),
            )
            assert await self.limits(driver) == {"ev": limit_kw, "heater": limit_kw}
            await asyncio.gather(*(driver.release(id_, switch_on=True) for id_ in ("ev", "heater")))
            assert await self.limits(driver) == {}

    async def test_doing_again_what_is_done_does_nothing(self, options: Mapping[str, Any], clock: ManualClock) -> None:
        async with self.driver(options, clock) as driver:
            await driver.release("ev", switch_on=True)
            assert await self.limits(driver) == {}
            limit_kw = Decimal(self.limits_kw[-1])
            await driver.limit("ev", limit_kw, expires_at=LATER)
            await driver.limit("ev", limit_kw + Decimal("0.00"), expires_at=LATER)
            assert await self.limits(driver) == {"ev": limit_kw}
            await driver.release("ev", switch_on=True)

    async def test_limit_outlives_the_driver(self, options: Mapping[str, Any], clock: ManualClock) -> None:
        """The next one may not know whose it is: then it sees at least a circuit that is off."""
        async with self.driver(options, clock) as driver:
            await driver.limit("ev", Decimal(0), expires_at=LATER)
        async with self.driver(options, clock) as driver:
            state = (await driver.read())["ev"]
            assert state.limit_kw == 0 or (state.limit_kw is None and state.is_on is False)
            await driver.limit("ev", Decimal(0), expires_at=LATER)
            await driver.release("ev", switch_on=True)
            assert await self.limits(driver) == {}

    async def test_limit_that_is_renewed_outlives_its_first_expiry(
        self, options: Mapping[str, Any], clock: ManualClock
    ) -> None:
        async with self.driver(options, clock) as driver:
            limit_kw = Decimal(self.limits_kw[-1])
            await driver.limit("ev", limit_kw, expires_at=START + timedelta(seconds=2))
            await driver.limit("ev", limit_kw, expires_at=LATER)
            await self.let_pass(clock, 3)
            assert await self.limits(driver) == {"ev": limit_kw}
            await driver.release("ev", switch_on=True)

    async def test_device_that_enforces_the_expiry_ends_the_limit(
        self, options: Mapping[str, Any], clock: ManualClock
    ) -> None:
        """One that does not keeps the limit: the VEN's watchdog ends it."""
        async with self.driver(options, clock) as driver:
            limit_kw = Decimal(self.limits_kw[-1])
            await driver.limit("ev", limit_kw, expires_at=START + timedelta(seconds=2))
            await driver.limit("heater", limit_kw, expires_at=LATER)
            await self.let_pass(clock, 3)
            kept = {"heater": limit_kw} if driver.enforces_expiry else {"ev": limit_kw, "heater": limit_kw}
            assert await self.limits(driver) == kept
            await asyncio.gather(*(driver.release(id_, switch_on=True) for id_ in ("ev", "heater")))

    async def test_release_leaves_a_switch_alone_if_it_was_off_before(
        self, options: Mapping[str, Any], clock: ManualClock
    ) -> None:
        async with self.driver(options, clock) as driver:
            await driver.limit("ev", Decimal(0), expires_at=LATER)
            await driver.release("ev", switch_on=False)
            state = (await driver.read())["ev"]
            assert state.limit_kw is None
            assert state.is_on in (False, None)

    async def test_unknown_circuit_is_refused_by_name(self, options: Mapping[str, Any], clock: ManualClock) -> None:
        async with self.driver(options, clock) as driver:
            with pytest.raises(DriverFailed, match="oven"):
                await driver.limit("oven", Decimal(0), expires_at=LATER)
            with pytest.raises(DriverFailed, match="oven"):
                await driver.release("oven", switch_on=True)

    def test_unknown_option_is_named_with_those_there_are(self, options: Mapping[str, Any], clock: ManualClock) -> None:
        expected = rf"driver '{self.kind}': colour: there is no such option; expected .*{next(iter(options))}"
        with pytest.raises(BadDriverOptions, match=expected):
            self.driver({**options, "colour": "red"}, clock)
