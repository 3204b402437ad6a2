"""A whole VEN with relays at a real broker: an event, an owner at the switch, a kill, and a relay that lies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, cast

import pytest

from openadr_client.client import VtnClient
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from tests.ven.builders import START, a_circuit, shed_event
from tests.ven.home import SECRET, Home, Relay, Town, Wire
from tests.ven.mqtt_home import DeviceModel, MqttHome, ShellyModel, TasmotaModel, ZigbeeModel, mqtt_home
from tests.ven.test_mqtt_driver import MODELS, device_options, options_for
from ven.drivers.mqtt import MqttRelays, create
from ven.store import StateFile
from vtn.access import Role

CIRCUITS = {"heater": 3, "lamp": 5, "ev": 8}
"""Priorities of the circuits by their ids."""


class HomeWithRelays(Home):
    """A home whose VEN reaches its relays through a broker; each start has a driver of its own, as a process has."""

    drivers: AsyncExitStack
    broker: Mosquitto
    options: dict[str, Any]
    answer_s = 1.5

    async def start(self) -> None:
        options = options_for(self.broker, self.options, answer_s=self.answer_s)
        driver = create(self.settings.circuits, options, self._clock)
        self._driver = await self.drivers.enter_async_context(driver)
        await super().start()

    def opened(self, wire: Wire, store: StateFile, client: VtnClient) -> Wire:
        return Wire(cast(Relay, self._driver))

    @property
    def problems(self) -> dict[str, str]:
        """Return what its circuits cannot do now."""
        assert self._agent is not None
        return self._agent.control.panel.problems

    async def _is_quiet(self) -> bool:
        """Its relays take real time; the steps of a VEN do not wait for a slow one, and the test's clock has to."""
        assert self._agent is not None
        under_way = self._agent.control.panel._switching.keys() - self.problems.keys()
        return not under_way and await super()._is_quiet()

    _driver: MqttRelays


def is_on(device: DeviceModel) -> bool:
    """Return True if it is on now."""
    return device.is_on


Begin = Callable[..., Awaitable[tuple[HomeWithRelays, MqttHome]]]


@pytest.fixture
async def begin(town: Town, mosquitto: Mosquitto) -> AsyncIterator[Begin]:
    """Starts a home with these devices, one for each circuit."""
    async with AsyncExitStack() as stack:
        homes: list[Home] = []
        kinds = {model: kind for kind, model in MODELS.items()}

        async def start(*devices: DeviceModel, answer_s: float = 1.5) -> tuple[HomeWithRelays, MqttHome]:
            relays = await stack.enter_async_context(mqtt_home(mosquitto, devices))
            circuits = [a_circuit(device.name, priority=CIRCUITS[device.name], on_off=True) for device in devices]
            await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
            home = HomeWithRelays(town.settings(circuits=circuits, sample_s=60), town.clock, Relay())
            home.drivers, home.broker, home.answer_s = stack, mosquitto, answer_s
            home.options = {device.name: device_options(kinds[type(device)], device.name) for device in devices}
            homes.append(home)
            await home.start()
            return home, relays

        yield start
        for home in homes:
            await home.kill()


async def test_event_switches_what_is_on_and_the_owner_wins(town: Town, begin: Begin) -> None:
    """V5, with the relays that people have: what was off stays off, and what the owner turns on stays on."""
    heater, lamp, ev = ShellyModel("heater"), TasmotaModel("lamp", is_on=False), ZigbeeModel("ev", wants_w=3000.0)
    home, relays = await begin(heater, lamp, ev)
    await town.issue(shed_event(-5))
    await home.until(START + timedelta(minutes=10))
    assert (heater.is_on, lamp.is_on, ev.is_on) == (False, False, False)

    await relays.press("ev", on=True)
    await home.until(START + timedelta(minutes=20))
    assert ev.is_on

    await home.until(START + timedelta(minutes=70))
    assert (heater.is_on, lamp.is_on, ev.is_on) == (True, False, True)
    assert (heater.switched, lamp.switched, ev.switched) == (2, 0, 2)


async def test_relay_comes_back_by_itself_when_the_ven_is_killed(town: Town, begin: Begin) -> None:
    """V17: the device holds the expiry; a VEN that comes back during the event goes on with it, and ends it."""
    heater = ShellyModel("heater")
    home, relays = await begin(heater)
    await town.issue(shed_event(-2))
    await home.until(START + timedelta(minutes=5))
    assert is_on(heater) is False
    await home.kill()
    await relays.pass_time(121)
    await town.clock.advance(121)
    assert is_on(heater) is True

    await home.start()
    await home.until(START + timedelta(minutes=10))
    assert is_on(heater) is False
    await home.until(START + timedelta(minutes=70))
    assert is_on(heater) is True


async def test_relay_that_lies_is_no_owner_at_the_switch(town: Town, begin: Begin) -> None:
    """It acknowledges and does nothing: an error of its circuit, and the others give what they can."""
    heater, ev = ShellyModel("heater"), TasmotaModel("ev", wants_w=3000.0, echoes=True)
    home, _ = await begin(heater, ev, answer_s=3)
    event = await town.issue(shed_event(-5, minutes=3))
    await home.until(START + timedelta(minutes=1))
    assert is_on(heater) is False
    await wait_until(lambda: home.problems, what="the lie is found out")
    assert list(home.problems) == ["ev"]
    assert [opt.resource_name for opt in await town.opts(event)] == ["AGGREGATED_REPORT"]
    await home.until(START + timedelta(minutes=5))
    assert is_on(heater) is True
