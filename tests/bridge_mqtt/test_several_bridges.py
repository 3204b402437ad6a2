"""Several bridges on one database: one leads, and another takes over from it however it goes, without a second shed."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.support.net import free_port
from bridge_mqtt.last_run import LastRun
from bridge_mqtt.store import Store, inbox, leases
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
A_MINUTE = 60.0


class Process:
    """A bridge as a process of its own."""

    def __init__(self, name: str, port: int, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.port = port
        self.log = log
        self.process = process
        self._url = f"http://127.0.0.1:{port}"

    async def ready(self) -> dict[str, Any] | None:
        """Return what /ready says, None if nobody answers."""
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self._url}/ready") as answer:
                found: dict[str, Any] = await answer.json()
                return found
        except (aiohttp.ClientError, TimeoutError):
            return None

    async def leads(self) -> bool:
        """True if it says that it is ready, and not that it stands by."""
        state = await self.ready()
        return state is not None and state["status"] == "ready"

    async def stands_by(self) -> bool:
        """True if it says that it stands by."""
        state = await self.ready()
        return state is not None and state["status"] == "standing by"

    async def get(self, path: str) -> tuple[int, Any]:
        """Ask its API."""
        async with aiohttp.ClientSession() as session, session.get(self._url + path) as answer:
            return answer.status, await answer.json(content_type=None)

    async def until(self, path: str, fact: Callable[[Any], Any]) -> Any:
        """Ask its API until the fact is true of the answer."""

        async def look() -> Any:
            try:
                status, body = await self.get(path)
            except aiohttp.ClientError:
                return None
            return body if status == 200 and fact(body) else None

        return await wait_until(look, timeout_s=A_MINUTE, what=f"{path} as expected")


class Bridges:
    """The bridges of a test; those that still run are killed at its end."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self._folder = folder
        self._all: list[Process] = []

    async def start(self, name: str, point: str = "never", port: int | None = None, **changes: Any) -> Process:
        """Start a bridge and return it at once."""
        port = port or free_port()
        plain = self.world.plain_settings()
        plain["broker"] |= {"client_id": name, "share_group": "bridges"}
        plain["api"]["port"] = port
        plain["lease"] = {"renew_s": 0.5, "valid_s": 3}
        settings = self._folder / f"{name}.json"
        settings.write_text(json.dumps(plain | changes))
        log = (self._folder / f"{name}.log").open("a")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.bridge_mqtt.crashing", str(settings), point, cwd=ROOT, stdout=log, stderr=log
        )
        log.close()
        self._all.append(Process(name, port, process, self._folder / f"{name}.log"))
        return self._all[-1]

    async def pair(self, point: str = "never") -> tuple[Process, Process]:
        """Start one that leads, then one that stands by."""
        north = await self.start("north", point)
        await wait_until(north.leads, timeout_s=A_MINUTE, what="north leads")
        south = await self.start("south")
        await wait_until(south.stands_by, timeout_s=A_MINUTE, what="south stands by")
        return north, south

    async def end(self) -> None:
        """Kill what still runs."""
        for each in self._all:
            if each.process.returncode is None:
                each.process.kill()
                await each.process.wait()


@pytest.fixture
async def bridges(mosquitto: Mosquitto, database_url: str, tmp_path: Path) -> AsyncIterator[Bridges]:
    """A world whose bridges are processes."""
    async with AsyncExitStack() as stack:
        world = World(mosquitto, database_url, stack, ack_timeout_s=5.0)
        found = Bridges(world, tmp_path)
        stack.push_async_callback(found.end)
        yield found


@pytest.fixture
async def stoppable_bridges(mosquitto: Mosquitto, postgresql_url: str, tmp_path: Path) -> AsyncIterator[Bridges]:
    """The same on PostgreSQL only: on SQLite a process that is stopped in a transaction keeps the whole file."""
    async with AsyncExitStack() as stack:
        found = Bridges(World(mosquitto, postgresql_url, stack, ack_timeout_s=5.0), tmp_path)
        stack.push_async_callback(found.end)
        yield found


def ops(panel: Any) -> list[str]:
    """Return what a panel was told."""
    return [json.loads(command)["op"] for command in panel.heard]


async def test_the_one_that_stands_by_ends_what_a_killed_leader_has_begun(bridges: Bridges) -> None:
    """kill -9 during an event: the next leader knows what the panel holds, and restores it."""
    panel = await bridges.world.add_panel("panel-1")
    north, south = await bridges.pair()
    await bridges.world.post(an_event(shed_kw=4, length_s=600))
    await wait_until(lambda: panel.model.event_id == "evt-1", timeout_s=A_MINUTE)
    status, body = await south.get("/api/events")
    assert (status, "north" in body["detail"]) == (503, True)

    north.process.kill()
    await wait_until(south.leads, timeout_s=A_MINUTE, what="south leads")
    await south.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    await bridges.world.withdraw("evt-1")
    await wait_until(lambda: panel.model.event_id is None, timeout_s=A_MINUTE)
    assert ops(panel) == ["event", "restore"]


async def test_a_leader_that_is_stopped_amid_sending_sends_nothing_when_it_goes_on(stoppable_bridges: Bridges) -> None:
    """SIGSTOP between the row `sent` and the message: the next leader sheds once, the old one not at all."""
    bridges = stoppable_bridges
    panel = await bridges.world.add_panel("panel-1")
    north, south = await bridges.pair("stop")
    await bridges.world.post(an_event(shed_kw=4, length_s=600))

    await wait_until(south.leads, timeout_s=A_MINUTE, what="south leads")
    await south.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    told = ops(panel)
    north.process.send_signal(signal.SIGCONT)
    await wait_until(north.stands_by, timeout_s=A_MINUTE, what="north stands by")

    await bridges.world.withdraw("evt-1")
    await wait_until(lambda: panel.model.event_id is None, timeout_s=A_MINUTE)
    assert panel.model.sheds == 1
    assert ops(panel) == [*told, "restore"]


@pytest.mark.parametrize("fate", [signal.SIGSTOP, signal.SIGKILL, None], ids=["stopped", "killed", "alive"])
async def test_the_bridges_share_the_acknowledgments_and_none_is_lost_with_one_of_them(
    stoppable_bridges: Bridges, fate: signal.Signals | None
) -> None:
    """Those that the one standing by takes are applied by the leader, and so are those that it cannot take any more."""
    bridges, world = stoppable_bridges, stoppable_bridges.world
    names = [f"panel-{n}" for n in range(12)]
    for name in names:
        await world.add_panel(name, interval_s=5.0)
    north, south = await bridges.pair()
    await north.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))
    if fate is not None:
        south.process.send_signal(fate)
    await world.post(an_event(shed_kw=24, length_s=600))

    def all_answered(event: Any) -> bool:
        commands = [
            command for panel in event["panels"] for command in panel["commands"] if command["op"] == "shedPanel"
        ]
        return len(commands) == len(names) and all(command["state"] == "acked" for command in commands)

    event = await north.until("/api/events/evt-1", all_answered)
    assert all(panel.model.sheds == 1 for panel in world.panels.values())
    answers = [(await north.get(f"/api/vens/{name}/acks?op=shedPanel"))[1]["acks"] for name in names]
    assert [[answer["matched"] for answer in each] for each in answers] == [[True]] * len(names)
    assert len(event["panels"]) == len(names)
    expected: tuple[list[str], list[Any]] = ([] if fate else ["south"], [])

    async def is_all_taken() -> bool:
        return await _left(world) == expected

    await wait_until(is_all_taken, timeout_s=A_MINUTE, what="no message waits, and who is gone is forgotten")


async def _left(world: World) -> tuple[list[str], list[Any]]:
    """The bridges beside north, and the messages that wait for it."""
    store = await Store.open(world.settings().database.url.get_secret_value())
    try:
        async with store.reading() as connection:
            return await leases.others(connection, "north"), await inbox.oldest(connection, 10)
    finally:
        await store.close()


async def test_who_stops_in_order_is_followed_at_once(bridges: Bridges) -> None:
    """Its lease ends with it, whatever time it had left."""
    await bridges.world.add_panel("panel-1")
    lease = {"renew_s": 0.2, "valid_s": 600}
    north = await bridges.start("north", lease=lease)
    await wait_until(north.leads, timeout_s=A_MINUTE, what="north leads")
    south = await bridges.start("south", lease=lease)
    await wait_until(south.stands_by, timeout_s=A_MINUTE, what="south stands by")
    north.process.send_signal(signal.SIGINT)
    await north.process.wait()
    await wait_until(south.leads, timeout_s=A_MINUTE, what="south leads")


@pytest.mark.parametrize("has_same_port", [True, False], ids=["same port", "another port"])
async def test_a_second_bridge_with_the_same_settings_takes_nothing_from_the_first(
    bridges: Bridges, has_same_port: bool
) -> None:
    """It ends and says why; the one that leads keeps its lead and its connection to the broker."""
    await bridges.world.add_panel("panel-1")
    north = await bridges.start("north")
    await wait_until(north.leads, timeout_s=A_MINUTE, what="north leads")
    epoch = await _epoch(bridges.world)
    second = await bridges.start("north", port=north.port if has_same_port else None)
    assert await asyncio.wait_for(second.process.wait(), A_MINUTE) != 0
    said = second.log.read_text()
    assert ("cannot listen" if has_same_port else "another bridge runs with client id 'north'") in said
    assert await _epoch(bridges.world) == epoch
    assert await north.leads()
    assert "broker connection lost" not in said
    assert "never retrieved" not in said


async def killed(bridges: Bridges, **lease: float) -> tuple[Process, int]:
    """Start a bridge that leads, and kill it; return it with its epoch."""
    await bridges.world.add_panel("panel-1")
    north = await bridges.start("north", lease=lease)
    await wait_until(north.leads, timeout_s=A_MINUTE, what="north leads")
    epoch = await _epoch(bridges.world)
    north.process.kill()
    await north.process.wait()
    return north, epoch


async def test_a_killed_bridge_leads_again_at_once_where_its_end_is_known(bridges: Bridges) -> None:
    """kill -9 and a start with the same settings: the same name leads under a later epoch, before its lease ends."""
    north, epoch = await killed(bridges, renew_s=60, valid_s=600)
    again = await bridges.start("north", port=north.port)
    await wait_until(again.leads, timeout_s=A_MINUTE, what="north leads again")
    assert await _epoch(bridges.world) == epoch + 1


async def test_a_killed_bridge_leads_again_once_its_own_lease_is_over(bridges: Bridges) -> None:
    """The same on another host, where nobody knows that its process is gone."""
    north, epoch = await killed(bridges, renew_s=0.5, valid_s=3)
    LastRun(bridges.world.settings().database.url.get_secret_value(), "north").path.unlink()
    again = await bridges.start("north", port=north.port)
    await wait_until(again.leads, timeout_s=A_MINUTE, what="north leads again")
    assert await _epoch(bridges.world) == epoch + 1


async def _epoch(world: World) -> int:
    """The epoch of the one that leads."""
    store = await Store.open(world.settings().database.url.get_secret_value())
    try:
        async with store.reading() as connection:
            found = await leases.leader(connection)
    finally:
        await store.close()
    assert found is not None
    return found.epoch
