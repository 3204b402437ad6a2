"""Test `PushReceiver` between connections: which way comes next, how long it waits, and what it says of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from structlog.testing import capture_logs

from openadr_client import ManualClock, NoWay, PushReceiver, PushSettings, ReadAgain, Unreachable, VtnClient, push
from openadr_client.notifications import ReceivedNotification, Tell
from openadr_profiles.v31 import Notifiers
from tests.openadr_client.announced import Announcing, Ear, announcing, background
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

Connect = Callable[[Tell], None]


class Way:
    """Connects as the test says, for want of networks that fail in every way."""

    def __init__(self, way: str, *outcomes: Exception | Connect) -> None:
        self.way = way
        self.outcomes = outcomes
        self.calls = 0
        self.given: list[Notifiers | None] = []

    async def receive(self, tell: Tell, notifiers: Notifiers | None = None, /) -> None:
        """Do what comes next, and the last for ever."""
        outcome = self.outcomes[min(self.calls, len(self.outcomes) - 1)]
        self.calls += 1
        self.given.append(notifiers)
        if isinstance(outcome, Exception):
            raise outcome
        outcome(tell)
        await asyncio.Event().wait()


@pytest.fixture
async def there() -> AsyncIterator[Announcing]:
    async with announcing(Announcing) as found:
        found.announce("mqtt://broker.example")
        yield found


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def vtn(there: Announcing, clock: ManualClock) -> AsyncIterator[VtnClient]:
    async with VtnClient(base_url=there.vtn.base_url, token="x", clock=clock) as client:
        yield client


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let these be the ways that there are."""

    def put(*ways: Way) -> None:
        monkeypatch.setattr(push, "_MAKERS", {each.way: lambda *_, each=each: each for each in ways})

    return put


def connected(tell: Tell) -> None:
    tell(ReadAgain("connected", "mqtt"))


async def passes(clock: ManualClock, attempts: Callable[[], int], count: int) -> list[float]:
    """Let time pass from attempt to attempt, and return the seconds that were waited before each."""
    waits = []
    for _ in range(count):
        before = attempts()
        async with asyncio.timeout(120):
            await clock.asleep()
        assert clock.next_wake is not None
        waits.append((clock.next_wake - clock.now()).total_seconds())
        await clock.advance_to(clock.next_wake)
        await wait_until(partial(_is_more, attempts, before))
    return waits


def _is_more(attempts: Callable[[], int], before: int) -> bool:
    return attempts() > before


async def test_no_mistake_ends_the_listening(vtn: VtnClient, clock: ManualClock, offer: Callable[..., None]) -> None:
    """Whatever a library raises for what others have sent ends one connection."""
    way = Way("mqtt", RecursionError("deep"), ValueError("Invalid IPv6 URL"), OSError(28, "disk full"), connected)
    offer(way)
    ear = Ear()
    with capture_logs() as logs:
        async with background(PushReceiver(vtn, PushSettings(), name="home-1").run(ear)):
            await passes(clock, lambda: way.calls, 3)
            await ear.hears("connected")
    assert [each["event"] for each in logs if each["log_level"] == "error"] == [
        "connection for notifications failed"
    ] * 3


async def test_the_same_problem_is_logged_once(
    there: Announcing, vtn: VtnClient, clock: ManualClock, offer: Callable[..., None]
) -> None:
    """Each way has its own, and two that fail in turn are not news every time."""
    there.notifiers["WEBSOCKET"] = {"URIS": ["ws://a"]}
    ways = Way("mqtt", Unreachable("no broker")), Way("websocket", ValueError("odd"))
    offer(*ways)
    with capture_logs() as logs:
        async with background(PushReceiver(vtn, PushSettings(), name="home-1").run(Ear())):
            await passes(clock, lambda: ways[0].calls + ways[1].calls, 9)
    told = [each["event"] for each in logs if each["log_level"] in {"warning", "error"}]
    assert told == ["no notifications", "connection for notifications failed"]


async def test_a_fleet_that_lost_its_broker_comes_back_within_15_s(
    vtn: VtnClient, clock: ManualClock, offer: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Spread them over that time, since all of them have lost it in the same moment."""
    monkeypatch.setattr(push, "_LASTING_S", -1.0)
    way = Way("mqtt", Unreachable("lost"))
    offer(way)
    async with background(PushReceiver(vtn, PushSettings(), name="home-1").run(Ear())):
        waits = await passes(clock, lambda: way.calls, 50)
    assert max(waits) <= 15
    assert max(waits) - min(waits) > 5


async def test_a_vtn_without_a_way_is_asked_again_at_odd_times(
    there: Announcing, vtn: VtnClient, clock: ManualClock
) -> None:
    there.notifiers = {"WEBHOOK": True}
    async with background(PushReceiver(vtn, PushSettings(), name="home-1").run(Ear())):
        waits = await passes(clock, lambda: there.vtn.paths.count("GET /notifiers"), 20)
    assert 720 <= min(waits) < max(waits) <= 1080
    assert len(set(waits)) > 10


async def test_a_way_is_told_what_the_vtn_offers(
    there: Announcing, vtn: VtnClient, clock: ManualClock, offer: Callable[..., None]
) -> None:
    way = Way("mqtt", NoWay("not this one"), connected)
    offer(way)
    ear = Ear()
    async with background(PushReceiver(vtn, PushSettings(), name="home-1").run(ear)):
        await passes(clock, lambda: way.calls, 1)
        await ear.hears("connected")
    assert [each and each.mqtt and each.mqtt.uris for each in way.given] == [("mqtt://broker.example",)] * 2


async def test_a_connection_asks_once_for_the_ways(there: Announcing, vtn: VtnClient, mosquitto: Mosquitto) -> None:
    there.announce(mosquitto.url)
    ear = Ear()
    async with background(PushReceiver(vtn, PushSettings(mode="mqtt"), name="home-1").run(ear, ven_id="v1")):
        await ear.hears("connected to the broker")
    assert there.vtn.paths.count("GET /notifiers") == 1


def test_what_waits_for_its_reader_is_bounded_in_bytes() -> None:
    """Keep 32 MiB, whatever the number of notifications."""
    waiting = push._Waiting(1000, ("EVENT",))
    size = 5 * 1024 * 1024
    for number in range(7):
        waiting.put(ReceivedNotification("CREATE", "EVENT", {"id": str(number)}, "mqtt", size=size))
    kept: list[Any] = list(waiting._told)
    assert [type(each) for each in kept] == [ReadAgain]
    waiting.put(ReceivedNotification("CREATE", "EVENT", {"id": "8"}, "mqtt", size=size))
    assert len(waiting._told) == 2
