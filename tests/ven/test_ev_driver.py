"""Chargers of electric vehicles: a model of a go-e charger by MQTT (real broker) and HTTP (real server), and topics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from openadr_client.clock import ManualClock
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until
from tests.ven.builders import START, a_circuit
from tests.ven.driver_contract import CIRCUITS, LATER, DriverContract
from tests.ven.mqtt_home import DeviceModel, MqttHome, Said, mqtt_home
from ven.drivers.ev import EvChargers, create
from ven.errors import BadDriverOptions, DriverFailed

BEAT_S = 0.05


@dataclass
class GoeModel(DeviceModel):
    """A go-e charger with a car, after its maker's pages (API v2): keys `amp`, `frc`, `nrg`, `eto`, `rbt`."""

    amp: Any = 16
    frc: Any = 0
    phases: int = 1
    wants_w: float = 11_000.0
    disobeys: bool = False
    status: int = 200
    set_calls: list[dict[str, str]] = field(default_factory=list)

    @property
    def root(self) -> str:
        return f"go-eCharger/{self.name}"

    @property
    def listens_to(self) -> str:
        return f"{self.root}/+/set"

    def values(self) -> dict[str, Any]:
        """Its keys."""
        most_w = 1e9 if self.disobeys else self.amp * 230 * self.phases
        drawn_w = self.power if self.power is not None else min(self.wants_w, most_w)
        paused = self.frc == 1 and not self.disobeys
        nrg = [230, 230, 230, 0, 0, 0, 0, 0, 0, 0, 0, 0.0 if paused else drawn_w, 0, 0, 0, 0]
        return {"amp": self.amp, "frc": self.frc, "nrg": nrg, "eto": 1_234_567}

    def hello(self) -> Iterable[Said]:
        for key, value in self.values().items():
            yield Said(f"{self.root}/{key}", json.dumps(value), retain=True)

    def hear(self, topic: str, payload: str) -> Iterable[Said]:
        key = topic.split("/")[-2]
        self.change({key: payload})
        yield Said(f"{self.root}/{key}/result", "success")
        yield from self.hello()

    def change(self, values: Mapping[str, str]) -> None:
        """Take values as its API does."""
        self.set_calls.append(dict(values))
        for key, text in values.items():
            if not self.echoes:
                setattr(self, key, json.loads(text))

    def changed(self) -> Iterable[Said]:
        return self.hello()


@dataclass
class TopicModel(GoeModel):
    """The same charger behind a gateway with topics of its own, as an energy manager has them."""

    @property
    def root(self) -> str:
        return f"site/loadpoints/{self.name}"

    def hello(self) -> Iterable[Said]:
        values = self.values()
        yield Said(f"{self.root}/chargePower", str(values["nrg"][11]), retain=True)
        yield Said(f"{self.root}/maxCurrent", str(self.amp), retain=True)
        yield Said(f"{self.root}/mode", {0: "now", 1: "off", 2: "pv"}[self.frc], retain=True)

    def hear(self, topic: str, payload: str) -> Iterable[Said]:
        key = topic.split("/")[-2]
        self.change({"amp": payload} if key == "maxCurrent" else {"frc": {"now": "0", "off": "1", "pv": "2"}[payload]})
        yield from self.hello()


@asynccontextmanager
async def charging(broker: Mosquitto, *models: GoeModel) -> AsyncIterator[MqttHome]:
    """Chargers at a broker, which say every moment that they live."""
    async with mqtt_home(broker, models) as home:

        async def beat() -> None:
            while True:
                for model in models:
                    async with home.turn:
                        if model.deaf:
                            continue
                        await home.say([Said(f"{model.root}/rbt", "498429772"), *model.hello()])
                await asyncio.sleep(BEAT_S)

        task = asyncio.create_task(beat())
        try:
            yield home
        finally:
            while not task.done():
                task.cancel()
                await asyncio.wait([task], timeout=1)


def server_of(model: GoeModel) -> TestServer:
    """The charger's own web server."""

    async def status(request: web.Request) -> web.Response:
        if model.deaf:
            await asyncio.Event().wait()  # for ever
        keys = request.query["filter"].split(",")
        text = json.dumps({key: value for key, value in model.values().items() if key in keys})
        return web.Response(text=text, status=model.status, content_type="application/json")

    async def set_(request: web.Request) -> web.Response:
        model.change(request.query)
        return web.json_response(dict.fromkeys(request.query, True))

    application = web.Application()
    application.router.add_get("/api/status", status)
    application.router.add_get("/api/set", set_)
    return TestServer(application)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path_factory.mktemp("charger-broker"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


def charger_options(kind: str, name: str, url: str = "", **more: Any) -> dict[str, Any]:
    if kind == "go-e-http":
        return {"charger": kind, "url": url, "phases": 1, **more}
    if kind == "go-e-mqtt":
        return {"charger": kind, "topic": f"go-eCharger/{name}", "phases": 1, **more}
    root = f"site/loadpoints/{name}"
    topics = {
        "power_topic": f"{root}/chargePower",
        "current_topic": f"{root}/maxCurrent",
        "set_current_topic": f"{root}/maxCurrent/set",
        "state_topic": f"{root}/mode",
        "set_state_topic": f"{root}/mode/set",
    }
    return {"charger": kind, "phases": 1, "on": "now", "off": "off", **topics, **more}


@asynccontextmanager
async def chargers(kind: str, broker: Mosquitto, *models: GoeModel, **more: Any) -> AsyncIterator[dict[str, Any]]:
    """Chargers of a kind; gives the options of a driver for them."""
    async with AsyncExitStack() as stack:
        urls = dict.fromkeys((model.name for model in models), "")
        if kind == "go-e-http":
            for model in models:
                server = await stack.enter_async_context(server_of(model))
                urls[model.name] = str(server.make_url("")).rstrip("/")
        else:
            await stack.enter_async_context(charging(broker, *models))
        circuits = {model.name: charger_options(kind, model.name, urls[model.name], **more) for model in models}
        yield {"circuits": circuits, "broker": {"url": broker.url}, "answer_s": 1.5}


class EvContract(DriverContract):
    """Test what every driver must do, with chargers by one door. 2.3 kW are 10 A on one phase."""

    kind = "ev"
    limits_kw = ("0", "2.3")
    charger: str
    model: type[GoeModel] = GoeModel

    @pytest.fixture
    async def options(self, broker: Mosquitto) -> AsyncIterator[Mapping[str, Any]]:
        models = [self.model(circuit.id) for circuit in CIRCUITS]
        async with chargers(self.charger, broker, *models) as options:
            yield options


class TestGoeHttp(EvContract):
    charger = "go-e-http"


class TestGoeMqtt(EvContract):
    charger = "go-e-mqtt"


class TestTopics(EvContract):
    charger = "mqtt"
    model = TopicModel


KINDS: dict[str, Callable[..., GoeModel]] = {"go-e-http": GoeModel, "go-e-mqtt": GoeModel, "mqtt": TopicModel}
EVERY_KIND = pytest.mark.parametrize("kind", list(KINDS))
Start = Callable[..., Any]


@pytest.fixture
async def start(broker: Mosquitto, clock: ManualClock) -> AsyncIterator[Start]:
    """Starts chargers and a driver for them."""
    async with AsyncExitStack() as stack:

        async def begin(kind: str, *models: GoeModel, **more: Any) -> EvChargers:
            options = await stack.enter_async_context(chargers(kind, broker, *models, **more))
            circuits = [a_circuit(model.name, rated_kw=Decimal(11)) for model in models]
            return await stack.enter_async_context(create(circuits, {**options, "settle_s": 30}, clock))

        yield begin


@EVERY_KIND
@pytest.mark.parametrize(
    ("limit", "phases", "amp", "frc"),
    [
        ("3.7", 1, 16, 0),
        ("3.679", 1, 15, 0),
        ("1.38", 1, 6, 0),
        ("1.379", 1, 16, 1),
        ("4.2", 3, 6, 0),
        ("4.1", 3, 16, 1),
        ("50", 3, 16, 0),
        ("0", 3, 16, 1),
    ],
)
async def test_limit_becomes_a_current_or_a_pause(
    start: Start, kind: str, limit: str, phases: int, amp: int, frc: int
) -> None:
    """IEC 61851-1: there is no current between 0 and 6 A."""
    ev = KINDS[kind]("ev", phases=phases)
    driver = await start(kind, ev, phases=phases)
    await driver.limit("ev", Decimal(limit), expires_at=LATER)
    assert (ev.amp, ev.frc) == (amp, frc)
    await driver.release("ev", switch_on=True)
    assert (ev.amp, ev.frc) == (16, 0)


@EVERY_KIND
async def test_charger_gets_back_what_its_owner_had_set(start: Start, kind: str) -> None:
    ev = KINDS[kind]("ev", amp=13, frc=2)
    driver = await start(kind, ev)
    await driver.limit("ev", Decimal("2.3"), expires_at=LATER)
    await driver.limit("ev", Decimal(0), expires_at=LATER)
    await driver.limit("ev", Decimal("1.6"), expires_at=LATER)
    assert (ev.amp, ev.frc) == (6, 2)
    await driver.release("ev", switch_on=True)
    assert (ev.amp, ev.frc) == (13, 2)


@pytest.mark.parametrize("limit", ["2.5", "0.5", "0"])
async def test_next_process_knows_the_limit_and_what_was_before(
    broker: Mosquitto, clock: ManualClock, tmp_path: Path, limit: str
) -> None:
    """Killed in mid-event: the next VEN, or its watchdog, neither takes our limit for the owner's nor loses his."""
    ev = GoeModel("ev", amp=13, frc=2)
    async with chargers("go-e-http", broker, ev) as options:
        given = {**options, "state_file": str(tmp_path / "chargers.json")}
        async with create([a_circuit("ev")], given, clock) as driver:
            await driver.limit("ev", Decimal(limit), expires_at=LATER)
        async with create([a_circuit("ev")], given, clock) as driver:
            state = (await driver.read())["ev"]
            assert state.limit_kw == Decimal(limit)
            assert state.is_on is {"2.5": True, "0.5": None, "0": False}[limit]
            await driver.limit("ev", Decimal(limit), expires_at=LATER)
            await driver.release("ev", switch_on=True)
            assert (ev.amp, ev.frc) == (13, 2)
        async with create([a_circuit("ev")], given, clock) as driver:
            assert (await driver.read())["ev"].limit_kw is None


@pytest.mark.parametrize("text", ["", "[]", '{"limits": {"ev": {"asked_kw": "much"}}}', '{"limits": {"ev": 3}}'])
async def test_memory_that_is_none_is_refused(clock: ManualClock, tmp_path: Path, text: str) -> None:
    file = tmp_path / "chargers.json"
    file.write_text(text)
    given = {"circuits": {"ev": charger_options("go-e-http", "ev", "http://127.0.0.1:1")}, "state_file": str(file)}
    with pytest.raises(DriverFailed, match=r"chargers\.json does not hold the limits of chargers"):
        async with create([a_circuit("ev")], given, clock):
            pass


async def test_memory_that_cannot_be_written_is_no_reason_not_to_limit(
    broker: Mosquitto, clock: ManualClock, tmp_path: Path
) -> None:
    ev = GoeModel("ev")
    async with chargers("go-e-http", broker, ev) as options:
        given = {**options, "state_file": str(tmp_path / "gone" / "chargers.json")}
        async with create([a_circuit("ev")], given, clock) as driver:
            await driver.limit("ev", Decimal("2.3"), expires_at=LATER)
            assert ev.amp == 10
            await driver.release("ev", switch_on=True)
            assert ev.amp == 16


@EVERY_KIND
async def test_charger_that_its_owner_has_paused_stays_so(start: Start, kind: str) -> None:
    ev = KINDS[kind]("ev", frc=1)
    driver = await start(kind, ev)
    assert (await driver.read())["ev"].is_on is False
    await driver.limit("ev", Decimal("2.3"), expires_at=LATER)
    await driver.release("ev", switch_on=False)
    assert (ev.amp, ev.frc) == (16, 1)


@EVERY_KIND
async def test_owner_who_allows_more_overrides(start: Start, kind: str) -> None:
    ev = KINDS[kind]("ev")
    driver = await start(kind, ev)
    await driver.limit("ev", Decimal("2.3"), expires_at=LATER)
    ev.amp = 16

    async def overridden() -> bool:
        state = (await driver.read())["ev"]
        return bool(state.overridden and state.limit_kw is None and state.is_on)

    await wait_until(overridden)
    await driver.release("ev", switch_on=False)
    assert not (await driver.read())["ev"].overridden


@EVERY_KIND
async def test_charger_that_does_nothing_is_found_out(start: Start, kind: str) -> None:
    bad, good = KINDS[kind]("bad", echoes=True), KINDS[kind]("good")
    driver = await start(kind, bad, good)
    with pytest.raises(DriverFailed, match=r"circuit bad: the charger did not do as it was told, it says 16 A"):
        await driver.limit("bad", Decimal("2.3"), expires_at=LATER)
    await driver.limit("good", Decimal("2.3"), expires_at=LATER)
    states = await driver.read()
    assert states["bad"].limit_kw is None
    assert not states["bad"].overridden  # nobody took over: it never did what it was told
    assert states["good"].limit_kw == Decimal("2.3")


@EVERY_KIND
async def test_car_that_draws_more_is_found_out(start: Start, kind: str, clock: ManualClock) -> None:
    ev = KINDS[kind]("ev", disobeys=True, wants_w=9000.0)
    driver = await start(kind, ev)
    await driver.limit("ev", Decimal("2.3"), expires_at=LATER)
    assert (await driver.read())["ev"].limit_kw == Decimal("2.3")
    await clock.advance(31)

    async def found_out() -> bool:
        state = (await driver.read()).get("ev")
        return state is not None and state.is_on is None and state.limit_kw is None and state.power_kw == 9

    await wait_until(found_out)
    with pytest.raises(DriverFailed, match=r"says that it keeps to 2\.3 kW and draws 9\.000 kW"):
        await driver.limit("ev", Decimal("2.3"), expires_at=LATER)


@EVERY_KIND
async def test_charger_that_is_away_fails_alone(start: Start, kind: str, clock: ManualClock) -> None:
    away, good = KINDS[kind]("away"), KINDS[kind]("good")
    driver = await start(kind, away, good)
    assert set(await driver.read()) == {"away", "good"}
    away.deaf = True

    async def only_good() -> bool:
        await clock.advance(61)
        return set(await driver.read()) == {"good"}

    await wait_until(only_good)
    with pytest.raises(DriverFailed, match="does not answer"):
        await driver.limit("away", Decimal(0), expires_at=LATER)
    await driver.limit("good", Decimal(0), expires_at=LATER)


@EVERY_KIND
@pytest.mark.parametrize("power", [1e308, float("nan"), "much", [], -9000.0])
async def test_power_that_cannot_be_is_not_believed(start: Start, kind: str, power: Any) -> None:
    ev = KINDS[kind]("ev", power=power)
    driver = await start(kind, ev)
    state = (await driver.read()).get("ev")
    assert state is None or state.power_kw is None


@EVERY_KIND
async def test_power_is_not_known_once_what_is_measured_cannot_be_read(start: Start, kind: str) -> None:
    """The charger goes on to say that it lives: what it drew before would be believed for ever."""
    ev = KINDS[kind]("ev", power=2000.0)
    driver = await start(kind, ev)

    async def power_kw() -> Decimal | None:
        state = (await driver.read()).get("ev")
        return None if state is None else state.power_kw

    assert await wait_until(power_kw) == 2
    ev.power = float("nan")

    async def unknown() -> bool:
        return await power_kw() is None

    await wait_until(unknown)


async def test_battery_is_known_by_its_percentage(start: Start, broker: Mosquitto) -> None:
    driver = await start("go-e-mqtt", GoeModel("ev"), soc_topic="car/soc", capacity_kwh=60)
    async with mqtt_home(broker, []) as car:
        await car.say([Said("car/soc", "40")])

        async def charge() -> Decimal | None:
            found: Decimal | None = (await driver.read())["ev"].charge_kwh
            return found

        assert await wait_until(charge) == 24
        await car.say([Said("car/soc", "140"), Said("car/soc", "full")])
        assert (await driver.read())["ev"].capacity_kwh == 60
        assert await charge() == 24


@pytest.mark.parametrize(("status", "message"), [(500, "status 500"), (302, "status 302")])
async def test_answers_that_are_none_are_told(start: Start, status: int, message: str) -> None:
    driver = await start("go-e-http", GoeModel("ev", status=status))
    assert await driver.read() == {}
    with pytest.raises(DriverFailed, match=message):
        await driver.limit("ev", Decimal(0), expires_at=LATER)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"charger": "ocpp"}, "'go-e-http', 'go-e-mqtt', 'mqtt'"),
        ({"charger": "go-e-http"}, "url: Field required"),
        ({"charger": "go-e-http", "url": "192.168.1.40"}, "expected the charger's address"),
        ({"charger": "go-e-http", "url": "http://ven:secret-of-it@charger"}, "expected the charger's address"),
        ({"charger": "go-e-mqtt", "topic": "go-eCharger/#"}, "without wildcards"),
        ({"charger": "go-e-mqtt", "topic": "a", "phases": 4}, "phases: .*less than or equal to 3"),
        ({"charger": "go-e-mqtt", "topic": "a", "max_current_a": 5}, "max_current_a: .*greater than or equal to 6"),
        ({"charger": "go-e-mqtt", "topic": "a", "normal_current_a": 32}, "normal_current_a is more than"),
        ({"charger": "mqtt", "state_topic": "a"}, "set_state_topic: Field required"),
    ],
)
def test_wrong_options_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(BadDriverOptions, match=message) as refused:
        create([a_circuit("ev")], {"circuits": {"ev": wrong}}, ManualClock(START))
    assert "secret-of-it" not in str(refused.value)
