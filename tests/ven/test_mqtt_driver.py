"""Relays and meters by MQTT: a real broker, and models of the devices that an owner can switch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from openadr_client.clock import ManualClock
from tests.support.mosquitto import Mosquitto
from tests.support.pki import client_context
from tests.support.waiting import wait_until
from tests.ven.builders import START, a_circuit
from tests.ven.driver_contract import CIRCUITS, LATER, DriverContract
from tests.ven.mqtt_home import (
    DeviceModel,
    MqttHome,
    ShellyGen1Model,
    ShellyModel,
    TasmotaModel,
    ZigbeeModel,
    mqtt_home,
)
from ven.drivers import CircuitState
from ven.drivers.mqtt import MqttRelays, create
from ven.errors import BadDriverOptions, DriverFailed

RULE = "ON Rules#Timer=1 DO Power1 1 ENDON ON Power1#State=1 DO RuleTimer1 0 ENDON"
MODELS: dict[str, Callable[[str], DeviceModel]] = {
    "tasmota": TasmotaModel,
    "shelly": ShellyModel,
    "shelly-gen1": ShellyGen1Model,
    "zigbee2mqtt": ZigbeeModel,
}


def device_options(device: str, name: str, **more: Any) -> dict[str, Any]:
    """Options of a circuit at a device with the name of the circuit."""
    return {"device": device, "topic": f"zigbee2mqtt/{name}" if device == "zigbee2mqtt" else name, **more}


def options_for(at: Mosquitto, circuits: Mapping[str, Mapping[str, Any]], **more: Any) -> dict[str, Any]:
    """Options of a driver that asks at each reading and does not wait for long."""
    return {
        "circuits": dict(circuits),
        "broker": {"url": at.url},
        "refresh_s": 0,
        "answer_s": 1.5,
        **more,
    }


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One broker for the tests that leave it alone."""
    broker = Mosquitto(tmp_path_factory.mktemp("home-broker"))
    broker.start()
    yield broker
    broker.stop()


class MqttContract(DriverContract):
    """Test what every driver must do, with one kind of device."""

    kind = "mqtt"
    limits_kw = ("0",)
    device: str

    def model(self, name: str) -> DeviceModel:
        return MODELS[self.device](name)

    @pytest.fixture
    async def home(self, broker: Mosquitto) -> AsyncIterator[MqttHome]:
        async with mqtt_home(broker, [self.model(circuit.id) for circuit in CIRCUITS]) as home:
            self._home = home
            yield home

    @pytest.fixture
    def options(self, broker: Mosquitto, home: MqttHome) -> Mapping[str, Any]:
        return options_for(broker, {circuit.id: self.circuit_options(circuit.id) for circuit in CIRCUITS})

    def circuit_options(self, name: str) -> dict[str, Any]:
        return device_options(self.device, name)

    async def let_pass(self, clock: ManualClock, seconds: float) -> None:
        await clock.advance(seconds)
        await self._home.pass_time(seconds)


class TestTasmota(MqttContract):
    device = "tasmota"


class TestTasmotaWithRule(MqttContract):
    device = "tasmota"

    def model(self, name: str) -> DeviceModel:
        return TasmotaModel(name, rule=RULE)

    def circuit_options(self, name: str) -> dict[str, Any]:
        return device_options(self.device, name, expiry_timer=1)


class TestShelly(MqttContract):
    device = "shelly"


class TestShellyGen1(MqttContract):
    device = "shelly-gen1"


class TestZigbee2Mqtt(MqttContract):
    device = "zigbee2mqtt"


Start = Callable[..., Awaitable[tuple[MqttRelays, MqttHome]]]
EVERY_KIND = pytest.mark.parametrize("device", list(MODELS))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
async def start(broker: Mosquitto, clock: ManualClock) -> AsyncIterator[Start]:
    """Starts a home with these devices and a driver for it; with `options` for the driver."""
    async with AsyncExitStack() as stack:

        async def begin(
            *devices: DeviceModel, circuits: Mapping[str, Mapping[str, Any]] | None = None, **options: Any
        ) -> tuple[MqttRelays, MqttHome]:
            home = await stack.enter_async_context(mqtt_home(broker, devices))
            kinds = {model: kind for kind, model in MODELS.items()}
            given = circuits or {device.name: device_options(kinds[type(device)], device.name) for device in devices}
            driver = create([a_circuit(id_) for id_ in given], options_for(broker, given, **options), clock)
            return await stack.enter_async_context(driver), home

        yield begin


@EVERY_KIND
async def test_owner_at_the_switch_is_seen(start: Start, device: str) -> None:
    """V5: what the owner does is told from what we did."""
    driver, home = await start(MODELS[device]("plug"))
    await home.press("plug", on=False)
    state = (await driver.read())["plug"]
    assert state == CircuitState(power_kw=Decimal(0), is_on=False, energy_kwh=state.energy_kwh)

    await driver.limit("plug", Decimal(0), expires_at=LATER)
    await driver.release("plug", switch_on=False)
    state = (await driver.read())["plug"]
    assert (state.is_on, state.limit_kw, state.overridden) == (False, None, False)


@EVERY_KIND
async def test_owner_who_switches_on_ends_our_limit(start: Start, device: str) -> None:
    driver, home = await start(MODELS[device]("plug"))
    await driver.limit("plug", Decimal(0), expires_at=LATER)
    await home.press("plug", on=True)
    state = (await driver.read())["plug"]
    by_hand = device == "shelly"  # the others do not say who it was
    assert state == CircuitState(power_kw=Decimal(2), is_on=True, overridden=by_hand, energy_kwh=state.energy_kwh)

    await home.press("plug", on=False)
    state = (await driver.read())["plug"]
    assert (state.is_on, state.limit_kw) == (False, None)
    await driver.release("plug", switch_on=False)
    assert not (await driver.read())["plug"].overridden
    assert home.devices["plug"].switched == 3


@EVERY_KIND
async def test_device_that_acknowledges_and_does_not_switch_is_found_out(start: Start, device: str) -> None:
    driver, home = await start(MODELS[device]("liar"), MODELS[device]("plug"))
    home.devices["liar"].echoes = True
    with pytest.raises(DriverFailed, match=r"circuit liar: \w+ \S*liar is still on"):
        await driver.limit("liar", Decimal(0), expires_at=LATER)
    await driver.limit("plug", Decimal(0), expires_at=LATER)
    states = await driver.read()
    assert (states["liar"].is_on, states["liar"].limit_kw) == (True, None)
    assert states["plug"].is_on is False
    assert states["plug"].limit_kw == 0


@EVERY_KIND
async def test_contact_that_does_not_open_is_found_out_by_its_power(
    start: Start, device: str, clock: ManualClock
) -> None:
    driver, home = await start(MODELS[device]("plug"), settle_s=10)
    home.devices["plug"].welded = True
    await driver.limit("plug", Decimal(0), expires_at=LATER)
    assert (await driver.read())["plug"].limit_kw == 0

    await clock.advance(11)
    state = (await driver.read())["plug"]
    assert state == CircuitState(power_kw=Decimal(2), energy_kwh=state.energy_kwh)
    with pytest.raises(DriverFailed, match=r"says that it is off and draws 2\.000 kW"):
        await driver.limit("plug", Decimal(0), expires_at=LATER)
    await driver.release("plug", switch_on=True)
    assert (await driver.read())["plug"].is_on is True


@EVERY_KIND
async def test_device_that_does_not_answer_fails_alone(start: Start, device: str) -> None:
    driver, home = await start(MODELS[device]("dead"), MODELS[device]("plug"), answer_s=0.3)
    home.devices["dead"].deaf = True
    assert set(await driver.read()) == {"plug"}
    with pytest.raises(DriverFailed, match=r"circuit dead: .* does not answer"):
        await driver.limit("dead", Decimal(0), expires_at=LATER)
    await driver.limit("plug", Decimal(0), expires_at=LATER)
    assert (await driver.read())["plug"].limit_kw == 0

    home.devices["dead"].deaf = False
    await driver.limit("dead", Decimal(0), expires_at=LATER)
    assert (await driver.read())["dead"].limit_kw == 0


IMPOSSIBLE = [1e308, -1e308, float("nan"), float("inf"), "twelve", "", True, [], {}, -500.0, 10**400, "9" * 5000]
GARBAGE = [b"", b"{", b"[1]", b"\xff\xfe", b'{"output": 3}', b"[" * 100_000, b"x" * 200_000]


@EVERY_KIND
async def test_power_that_cannot_be_is_not_believed_and_the_switch_still_is(start: Start, device: str) -> None:
    driver, home = await start(MODELS[device]("odd"), MODELS[device]("plug"), answer_s=0.3)
    for power in IMPOSSIBLE:
        home.devices["odd"].power = power
        states = await driver.read()
        assert states["plug"].power_kw == 2
        assert states.get("odd") is None or states["odd"].power_kw is None, power
    await driver.limit("odd", Decimal(0), expires_at=LATER)
    await driver.release("odd", switch_on=True)
    assert home.devices["odd"].switched == 2
    home.devices["odd"].power = None
    assert (await driver.read())["odd"].power_kw == 2


@EVERY_KIND
async def test_garbage_is_survived(start: Start, device: str) -> None:
    driver, home = await start(MODELS[device]("plug"))
    topics = [topic for relay in driver._relays.values() for topic in relay.device.filters]
    for garbage in GARBAGE:
        for topic in topics:
            if not topic.endswith(("LWT", "online", "availability")):
                await home._client.publish(topic, garbage)
    await driver.limit("plug", Decimal(0), expires_at=LATER)
    assert (await driver.read())["plug"].limit_kw == 0


async def test_power_fed_in_is_below_zero_where_it_may_be(start: Start) -> None:
    circuits = {"roof": device_options("shelly", "roof", feeds_in=True)}
    driver, _ = await start(ShellyModel("roof", wants_w=-3200.0), circuits=circuits)
    assert (await driver.read())["roof"].power_kw == Decimal("-3.2")


@EVERY_KIND
async def test_counter_is_read_in_kwh(start: Start, device: str) -> None:
    driver, home = await start(MODELS[device]("plug"))
    await driver.read()
    relay = driver._relays["plug"]
    await home.until(lambda: (state := relay.state(START)) is not None and state.energy_kwh == Decimal("1.234"))


async def test_device_that_leaves_the_broker_cannot_be_read(start: Start) -> None:
    driver, home = await start(TasmotaModel("plug"), ZigbeeModel("lamp"))
    assert set(await driver.read()) == {"plug", "lamp"}
    home.devices["plug"].deaf = True
    await home._client.publish("tele/plug/LWT", "Offline", retain=True)
    await home.until(lambda: driver._relays["plug"].is_there is False)
    assert set(await driver.read()) == {"lamp"}


async def test_what_is_retained_is_not_believed(start: Start, broker: Mosquitto) -> None:
    """A broker keeps the last word of a device that has been gone for months."""
    ghost = TasmotaModel("ghost", deaf=True)
    async with mqtt_home(broker, []) as before:
        for topic, payload in (("stat/ghost/POWER", "ON"), ("tele/ghost/SENSOR", '{"ENERGY":{"Power":2000}}')):
            await before._client.publish(topic, payload, retain=True, qos=1)
    driver, _ = await start(ghost, answer_s=0.3)
    assert await driver.read() == {}


async def test_what_is_old_is_not_believed(start: Start, clock: ManualClock) -> None:
    driver, home = await start(TasmotaModel("plug"), refresh_s=10, stale_s=60, answer_s=0.3)
    assert set(await driver.read()) == {"plug"}
    asked = len(home.devices["plug"].heard)
    await clock.advance(9)
    assert set(await driver.read()) == {"plug"}
    assert len(home.devices["plug"].heard) == asked  # what it says of itself is enough
    home.devices["plug"].deaf = True
    await clock.advance(60)
    assert await driver.read() == {}


async def test_telemetry_of_tasmota_is_read_without_asking(start: Start, clock: ManualClock) -> None:
    plug = TasmotaModel("plug")
    driver, home = await start(plug, refresh_s=600)
    await driver.read()
    plug.deaf, plug.power, plug.is_on = True, 1500, False
    await home.say(plug.telemetry())
    await home.until(lambda: driver._relays["plug"].is_on is False)
    await home.until(lambda: driver._relays["plug"].state(clock.now()).power_kw == Decimal("1.5"))  # type: ignore[union-attr] # a state that is there


class TestExpiry:
    """Test what a device enforces by itself, when nobody renews the limit."""

    @pytest.mark.parametrize(("model", "more"), [(ShellyModel, {}), (TasmotaModel, {"expiry_timer": 1})])
    async def test_device_switches_on_again_and_that_is_no_override(
        self, start: Start, clock: ManualClock, model: type[DeviceModel], more: dict[str, Any]
    ) -> None:
        device = TasmotaModel("plug", rule=RULE) if model is TasmotaModel else ShellyModel("plug")
        kind = "tasmota" if model is TasmotaModel else "shelly"
        driver, home = await start(device, circuits={"plug": device_options(kind, "plug", **more)})
        assert driver.enforces_expiry
        await driver.limit("plug", Decimal(0), expires_at=START + timedelta(seconds=120))
        await home.pass_time(119)
        assert (await driver.read())["plug"].limit_kw == 0
        await home.pass_time(2)
        state = (await driver.read())["plug"]
        assert (state.is_on, state.limit_kw, state.overridden) == (True, None, False)

    async def test_switch_left_off_stays_off(self, start: Start) -> None:
        """It was off before: no timer of ours may switch it on."""
        driver, home = await start(ShellyModel("plug"))
        await driver.limit("plug", Decimal(0), expires_at=START + timedelta(seconds=120))
        await driver.release("plug", switch_on=False)
        await home.pass_time(1000)
        assert (await driver.read())["plug"].is_on is False

    async def test_next_process_knows_the_limit_by_its_timer(self, start: Start, broker: Mosquitto) -> None:
        driver, home = await start(ShellyModel("plug"))
        await driver.limit("plug", Decimal(0), expires_at=LATER)
        options = options_for(broker, {"plug": device_options("shelly", "plug")})
        async with create([a_circuit("plug")], options, ManualClock(START)) as second:
            assert (await second.read())["plug"].limit_kw == 0
            await second.release("plug", switch_on=False)
        await home.pass_time(10_000)
        assert (await driver.read())["plug"].is_on is False

    async def test_timer_of_the_owner_is_no_limit_of_ours(self, start: Start) -> None:
        """A plug that is set to switch on again after its button: nobody but the owner has switched it off."""
        driver, home = await start(ShellyModel("plug"))
        await home.press("plug", on=False)
        home.devices["plug"].timer_s = 600
        state = (await driver.read())["plug"]
        assert state.is_on is False
        assert state.limit_kw is None

    async def test_device_without_the_promised_timer_is_left_on(self, start: Start) -> None:
        driver, home = await start(ShellyModel("plug", forgets_timers=True))
        with pytest.raises(DriverFailed, match="does not switch on again by itself"):
            await driver.limit("plug", Decimal(0), expires_at=LATER)
        await home.until(lambda: home.devices["plug"].is_on)

    @pytest.mark.parametrize("rule", ["", "ON Rules#Timer=2 DO Power1 1 ENDON", "ON Rules#Timer=1 DO Power2 1 ENDON"])
    async def test_tasmota_without_its_rule_is_not_switched_off(self, start: Start, rule: str) -> None:
        plug = TasmotaModel("plug", rule=rule)
        options = {"plug": device_options("tasmota", "plug", expiry_timer=1)}
        driver, _ = await start(plug, circuits=options, answer_s=0.3)
        with pytest.raises(
            DriverFailed, match=r"Rule1 ON Rules#Timer=1 DO Power1 1 ENDON  and  Rule1 1  in its console"
        ):
            await driver.limit("plug", Decimal(0), expires_at=LATER)
        assert plug.switched == 0

    async def test_driver_promises_no_more_than_its_weakest_device(self, start: Start) -> None:
        driver, _ = await start(ShellyModel("plug"), ZigbeeModel("lamp"))
        assert not driver.enforces_expiry


async def test_refusal_of_a_shelly_is_told(start: Start) -> None:
    driver, _ = await start(ShellyModel("plug", refuses="Overtemperature condition"))
    with pytest.raises(DriverFailed, match=r"refuses to switch off: Overtemperature condition \(-103\)"):
        await driver.limit("plug", Decimal(0), expires_at=LATER)


async def test_shelly_that_reports_by_itself_is_heard(start: Start) -> None:
    driver, home = await start(ShellyModel("plug", pushes=True), refresh_s=600)
    await driver.read()
    await home.press("plug", on=False)
    await home.until(lambda: driver._relays["plug"].is_on is False)


async def test_relay_takes_no_other_limit_than_zero(start: Start) -> None:
    driver, home = await start(ShellyModel("plug"))
    with pytest.raises(DriverFailed, match=r"can only be switched off, not limited to 0\.5 kW"):
        await driver.limit("plug", Decimal("0.5"), expires_at=LATER)
    assert home.devices["plug"].switched == 0


class TestBroker:
    """The connection to the broker of the home."""

    async def test_driver_comes_back_after_a_broker_that_was_away(
        self, start: Start, mosquitto: Mosquitto, clock: ManualClock
    ) -> None:
        async with mqtt_home(mosquitto, [ShellyModel("plug")]):
            driver = create([a_circuit("plug")], self.options(mosquitto), clock)
            async with driver:
                await driver.limit("plug", Decimal(0), expires_at=LATER)
                mosquitto.stop()
                await wait_until(lambda: not driver._link.is_connected)
                with pytest.raises(DriverFailed, match=f"no connection to the broker {mosquitto.url}"):
                    await driver.read()
                with pytest.raises(DriverFailed, match="no connection"):
                    await driver.release("plug", switch_on=True)
                mosquitto.start()
                await wait_until(lambda: driver._link.is_connected)
                async with mqtt_home(mosquitto, [ShellyModel("plug", is_on=False)]):
                    await driver.release("plug", switch_on=True)
                    assert (await driver.read())["plug"].is_on is True

    async def test_driver_starts_without_a_broker(self, mosquitto: Mosquitto, clock: ManualClock) -> None:
        """After a power cut all start at once, and the broker may be the last."""
        mosquitto.stop()
        async with create([a_circuit("plug")], self.options(mosquitto), clock) as driver:
            with pytest.raises(DriverFailed, match="no connection"):
                await driver.read()
            mosquitto.start()
            await wait_until(lambda: driver._link.is_connected)
            async with mqtt_home(mosquitto, [ShellyModel("plug")]):
                assert set(await driver.read()) == {"plug"}

    async def test_nothing_is_left_at_the_broker(self, mosquitto: Mosquitto, clock: ManualClock) -> None:
        """A process that is gone leaves no session behind in which messages pile up for ever."""
        async with create([a_circuit("plug")], self.options(mosquitto), clock):
            pass
        assert " c1, " in mosquitto.log_text()  # a clean session
        assert " c0, " not in mosquitto.log_text()

    async def test_account_and_its_file(self, tmp_path: Path, clock: ManualClock) -> None:
        secret = "correct-horse-battery"
        broker = Mosquitto(tmp_path, accounts={"ven": secret, "home": "the-devices-of-it"})
        broker.start()
        try:
            file = tmp_path / "mqtt-password"
            file.write_text(f"{secret}\n")
            file.chmod(0o600)
            account = {"url": broker.url, "username": "ven", "password_file": str(file)}
            async with mqtt_home(broker, [ShellyModel("plug")], username="home", password="the-devices-of-it"):
                async with create([a_circuit("plug")], self.options(broker, broker=account), clock) as driver:
                    assert set(await driver.read()) == {"plug"}
                wrong = {"url": broker.url, "username": "ven", "password": "wrong-horse-battery"}
                with pytest.raises(DriverFailed, match=r"refuses client .* as user 'ven'") as refused:
                    async with create([a_circuit("plug")], self.options(broker, broker=wrong), clock):
                        pass
                assert "wrong-horse-battery" not in str(refused.value)
        finally:
            broker.stop()

    async def test_tls(self, mosquitto_tls: Mosquitto, clock: ManualClock) -> None:
        ours, theirs = mosquitto_tls.client_files("ven"), mosquitto_tls.client_files("devices")
        connection = {
            "url": mosquitto_tls.url,
            "ca_file": str(ours.ca),
            "client_certificate": str(ours.certificate),
            "client_key": str(ours.key),
        }
        tls = client_context(theirs.ca, theirs)
        async with mqtt_home(mosquitto_tls, [ShellyModel("plug")], tls_context=tls):
            async with create([a_circuit("plug")], self.options(mosquitto_tls, broker=connection), clock) as driver:
                await driver.limit("plug", Decimal(0), expires_at=LATER)
                assert (await driver.read())["plug"].limit_kw == 0
            stranger = {"url": mosquitto_tls.url}
            with pytest.raises(DriverFailed, match="no TLS with the broker"):
                async with create([a_circuit("plug")], self.options(mosquitto_tls, broker=stranger), clock):
                    pass

    @staticmethod
    def options(at: Mosquitto, **more: Any) -> dict[str, Any]:
        return options_for(at, {"plug": device_options("shelly", "plug")}, **more)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"circuits": {}}, "circuits: Dictionary should have at least 1 item"),
        (
            {"circuits": {"oven": {"device": "shelly", "topic": "a"}}},
            "circuits: plug is missing; circuits.oven: there is no",
        ),
        ({"circuits": {"plug": {"device": "knx", "topic": "a"}}}, "circuits.plug: .*'tasmota', 'shelly'"),
        ({"circuits": {"plug": {"device": "shelly", "topic": "a/#"}}}, "topic: .*without wildcards"),
        ({"circuits": {"plug": {"device": "shelly"}}}, "circuits.plug.shelly.topic: Field required"),
        ({"circuits": {"plug": {"device": "tasmota", "topic": "a", "full_topic": "x/%topic%/"}}}, "FullTopic"),
        (
            {"circuits": {"plug": {"device": "tasmota", "topic": "a", "channel": 0}}},
            "channel: .*greater than or equal to 1",
        ),
        ({"broker": {"url": "http://x"}}, "broker.url: .*expected mqtt://HOST:PORT"),
        ({"broker": {"password_file": "/no/such/file"}}, "password_file /no/such/file cannot be read: No such file"),
        ({"broker": {"password": "a-secret-of-mine", "password_file": "/x"}}, "either password or password_file"),
        ({"broker": {"password": "a-secret-of-mine"}}, "password is given without username"),
        ({"answer_s": 0}, "answer_s: .*greater than 0"),
        ({"off_below_kw": -1}, "off_below_kw: "),
    ],
)
def test_wrong_options_are_named(wrong: dict[str, Any], message: str) -> None:
    given = {"circuits": {"plug": {"device": "shelly", "topic": "plug"}}, **wrong}
    with pytest.raises(BadDriverOptions, match=message) as refused:
        create([a_circuit("plug")], given, ManualClock(START))
    assert "a-secret-of-mine" not in str(refused.value)
