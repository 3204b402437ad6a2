"""A bridge with a real broker, a real database and simulated panels; events are put straight into its store."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.support.net import free_port
from bench.support.postgres import PostgresServer
from bridge_mqtt.service import Bridge
from bridge_mqtt.settings import Settings
from bridge_mqtt.simulators.panels import SimulatedMqttPanel, simulated_panel
from bridge_mqtt.store import Store, events
from openadr_client.clock import Clock, ScaledClock, SystemClock
from openadr_profiles.v31 import Event, decode
from tests.support.mosquitto import Mosquitto
from tests.support.once import Once
from tests.support.waiting import wait_until

FLAT, ENVELOPE = "flat", "envelope"


def an_event(
    event_id: str = "evt-1",
    *,
    shed_kw: float = 4.0,
    start: datetime | None = None,
    length_s: float = 60.0,
    targets: tuple[str, ...] = (),
    priority: int | None = None,
    modified: datetime | None = None,
    payload_type: str = "DISPATCH_SETPOINT_RELATIVE",
    values: tuple[float, ...] | None = None,
    report_types: tuple[str, ...] = (),
    units: str | None = "KW",
) -> Event:
    """An event that asks for less power from now on, one interval per value."""
    now = datetime.now(UTC)
    document: dict[str, Any] = {
        "id": event_id,
        "createdDateTime": now.isoformat(),
        "modificationDateTime": (modified or now).isoformat(),
        "objectType": "EVENT",
        "programID": "program-1",
        "intervalPeriod": {"start": (start or now).isoformat(), "duration": f"PT{length_s:g}S"},
        "intervals": [
            {"id": n, "payloads": [{"type": payload_type, "values": [value]}]}
            for n, value in enumerate(values or (-shed_kw,))
        ],
        "payloadDescriptors": [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": payload_type, "units": units}]
        if payload_type != "SIMPLE" and units is not None
        else [],
    }
    if targets:
        document["targets"] = list(targets)
    if priority is not None:
        document["priority"] = priority
    if report_types:
        document["reportDescriptors"] = [{"payloadType": name} for name in report_types]
    return decode(_json(document), Event)


def _json(document: dict[str, Any]) -> bytes:
    import msgspec

    return msgspec.json.encode(document)


class World:
    """One bridge, its panels, and the means to look at them."""

    def __init__(self, broker: Mosquitto, database_url: str, stack: AsyncExitStack, **dispatch: Any) -> None:
        self.broker = broker
        self.database_url = database_url
        self.panels: dict[str, SimulatedMqttPanel] = {}
        self._stack = stack
        self._tasks = asyncio.TaskGroup()
        self._dispatch = {"ack_timeout_s": 0.6, "first_contact_s": 3.0, "least_remaining_s": 1.0} | dispatch
        self.clock: Clock = SystemClock()
        self.broker_settings: dict[str, Any] = {}
        """Settings of the connections of bridge and panels, as another broker's ``url``."""
        self._running: list[tuple[Bridge, asyncio.Task[None]]] = []

    def settings(self, **changes: Any) -> Settings:
        """The settings of the bridge; the VTN in them does not exist."""
        return Settings.model_validate(
            {
                "vtn": {"url": f"http://127.0.0.1:{free_port()}/openadr3/3.1.0"},
                "broker": {"url": self.broker.url, "client_id": "bridge-under-test", "reconnect_least_s": 0.05}
                | self.broker_settings,
                "database": {"url": self.database_url},
                "panels": [{"id": panel.model.ven_id, "groups": ["group:all"]} for panel in self.panels.values()],
                "dispatch": self._dispatch,
                "api": {"port": 0},
            }
            | changes
        )

    def plain_settings(self) -> dict[str, Any]:
        """The same as plain values, for a process of its own."""
        settings = self.settings()
        plain: dict[str, Any] = settings.model_dump(mode="json")
        plain["database"]["url"] = settings.database.url.get_secret_value()
        return plain

    async def add_panel(
        self,
        ven_id: str,
        dialect: str = FLAT,
        *,
        plugged_in: bool = True,
        interval_s: float = 0.2,
        everything: bool = False,
    ) -> SimulatedMqttPanel:
        """A panel that measures five times a second, unless told otherwise."""
        broker = self.settings_broker()
        panel = simulated_panel(
            ven_id,
            dialect,
            broker,
            seed=len(self.panels) + 1,
            clock=self.clock,
            interval_s=interval_s,
            everything=everything,
        )
        if not plugged_in:
            panel.unplug()
        self.panels[ven_id] = panel
        task = asyncio.create_task(panel.run())
        self._stack.push_async_callback(_stop, task)
        if plugged_in:
            await asyncio.wait_for(panel.connected.wait(), 60)
        return panel

    def hurry(self, speed: float, **dispatch: Any) -> None:
        """Let time run faster for everybody, with other limits of waiting."""
        self.clock = ScaledClock(speed)
        self._dispatch |= dispatch

    def piece(self, seconds: int) -> None:
        """Return how long an envelope panel is told to shed at once."""
        self._dispatch["longest_piece_s"] = {"envelope": seconds}

    def settings_broker(self) -> Any:
        """Broker settings for panels."""
        from bridge_mqtt.settings import Broker

        return Broker.model_validate({"url": self.broker.url} | self.broker_settings)

    async def start(self, **changes: Any) -> Bridge:
        """Start the bridge and let it work."""
        bridge = await self._stack.enter_async_context(Bridge(self.settings(**changes), clock=self.clock))
        task = asyncio.create_task(bridge.run())
        self._stack.push_async_callback(_stop, task)
        self._running.append((bridge, task))
        await wait_until(lambda: bridge.health.running)
        return bridge

    async def kill(self) -> None:
        """Stop the bridge that was started last, without letting it finish anything."""
        bridge, task = self._running.pop()
        await _stop(task)
        await bridge.__aexit__(None, None, None)

    async def post(self, event: Event) -> None:
        """Put an event into the store as a poll would, and let the bridge look."""
        store = await Store.open(self.settings().database.url.get_secret_value())
        async with store.transaction() as connection:
            await events.save(connection, event, self.clock.now())
        await store.close()
        self._look()

    async def withdraw(self, event_id: str) -> None:
        """The VTN does not have the event any more."""
        store = await Store.open(self.settings().database.url.get_secret_value())
        async with store.transaction() as connection:
            await events.withdraw(connection, event_id, self.clock.now())
        await store.close()
        self._look()

    def _look(self) -> None:
        for bridge, _ in self._running:
            bridge.look_now()

    async def get(self, path: str) -> Any:
        """Return what the HTTP API answers."""
        bridge, _ = self._running[-1]
        async with aiohttp.ClientSession() as session, session.get(bridge.api_url + path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def until(self, path: str, fact: Callable[[Any], Any], *, timeout_s: float = 120.0) -> Any:
        """Ask the HTTP API until the fact is true of the answer, and return the answer."""

        async def look() -> Any:
            answer = await self.get(path)
            return answer if fact(answer) else None

        return await wait_until(look, timeout_s=timeout_s, what=f"{path} as expected")


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(scope="session")
def sqlite_template(once: Once) -> Path:
    """A SQLite file with the bridge's tables in it."""
    return once("bridge", lambda folder: asyncio.run(Store.migrate(f"sqlite+aiosqlite:///{folder}/db"))) / "db"


@pytest.fixture(scope="session")
def postgresql_template(postgres_server: PostgresServer) -> str:
    """The name of a PostgreSQL database with the bridge's tables in it."""
    name = postgres_server.create_database()
    asyncio.run(Store.migrate(postgres_server.url(name)))
    return name


@pytest.fixture
def sqlite_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a SQLite file with empty tables; with the mark ``no_tables`` there is no file yet."""
    file = tmp_path / "test.sqlite3"
    if request.node.get_closest_marker("no_tables") is None:
        shutil.copy(request.getfixturevalue("sqlite_template"), file)
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture
def postgresql_url(request: pytest.FixtureRequest, postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a new PostgreSQL database with empty tables; with the mark ``no_tables`` it has none."""
    has_tables = request.node.get_closest_marker("no_tables") is None
    template = request.getfixturevalue("postgresql_template") if has_tables else "template1"
    name = postgres_server.create_database(template=template)
    yield postgres_server.url(name)
    postgres_server.start()
    postgres_server.drop_database(name)


@pytest.fixture
async def world(mosquitto: Mosquitto, database_url: str) -> AsyncIterator[World]:
    """A world on each database, without panels and with the bridge not started."""
    async with AsyncExitStack() as stack:
        yield World(mosquitto, database_url, stack)


@pytest.fixture
async def sqlite_world(mosquitto: Mosquitto, sqlite_url: str) -> AsyncIterator[World]:
    """The same on SQLite only, for what has nothing to do with the database."""
    async with AsyncExitStack() as stack:
        yield World(mosquitto, sqlite_url, stack)
