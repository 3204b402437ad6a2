"""The bridge's side towards the VTN: events come before registration, and everything fails alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from bridge_mqtt.health import Health
from bridge_mqtt.model import EventState, PanelRecord
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import Store, events
from bridge_mqtt.vtn_side.event_reader import ReadEvents
from bridge_mqtt.vtn_side.gateway import Gateway, client_for
from openadr_client import ManualClock, SystemClock, TemporarilyUnavailable
from openadr_client.clock import Clock
from openadr_profiles.panel import Load
from tests.support.scripted_vtn import problem
from tests.support.small_vtn import Manners, SmallVtn, small_vtn
from tests.support.waiting import wait_until


class Side:
    """One side towards the VTN, with panels that were heard of."""

    def __init__(self, vtn: SmallVtn, store: Store, side: Gateway, registry: Registry, health: Health) -> None:
        self.vtn = vtn
        self.store = store
        self.side = side
        self.registry = registry
        self.health = health
        self._tasks: list[asyncio.Task[None]] = []

    def hear(self, panel: str, circuits: int, *, name: str | None = None) -> None:
        """Note a sample of a panel."""
        loads = tuple(Load(id=f"ev{n}", name=name, capacity_kw=7.2) for n in range(circuits))
        self.registry.recall([PanelRecord(ven_id=panel, loads=loads)])

    def keep_resources(self) -> asyncio.Task[None]:
        """See to resources in the background."""
        task = asyncio.create_task(self.side.keep_resources())
        self._tasks.append(task)
        return task

    async def poll(self) -> ReadEvents:
        """Ask once."""
        return await self.side.poll(lambda: None)

    async def end(self) -> None:
        """End what goes on in the background."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def states(self) -> dict[str, tuple[EventState, str | None]]:
        """Return the states of all events with their reasons."""
        async with self.store.reading() as connection:
            found = await events.newest(connection, 100)
        return {each.event.id: (each.state, each.reason) for each in found}


@asynccontextmanager
async def a_side(database_url: str, manners: Manners | None = None, clock: Clock | None = None) -> AsyncIterator[Side]:
    async with AsyncExitStack() as stack:
        vtn = await stack.enter_async_context(small_vtn(manners))
        settings = Settings.model_validate(
            {
                "vtn": {
                    "url": vtn.base_url,
                    "client_id": "bridge",
                    "client_secret": "x",
                    "token_url": f"{vtn.base_url}/auth/token",
                    "poll_interval_s": 0.05,
                },
                "database": {"url": database_url},
                "unregistered": "accept",
            }
        )
        clock, health, registry = clock or SystemClock(), Health(), Registry(settings)
        store = await Store.open(settings.database.url.get_secret_value())
        stack.push_async_callback(store.close)
        client = await stack.enter_async_context(client_for(settings.vtn, clock))
        side = Gateway(settings.vtn, client=client, store=store, registry=registry, health=health, clock=clock)
        world = Side(vtn, store, side, registry, health)
        stack.push_async_callback(world.end)
        yield world


def an_event(vtn: SmallVtn, id_: str, **members: Any) -> None:
    """Let the VTN have an event."""
    shown: dict[str, Any] = {
        "programID": "program-1",
        "intervalPeriod": {"start": "2026-11-23T17:00:00Z", "duration": "PT1H"},
        "intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}],
    }
    vtn.put("events", id=id_, **shown | members)


async def test_a_ven_that_cannot_be_read_at_first_is_registered_later(sqlite_url: str) -> None:
    """Know our targets once registered; what failed before is done again."""
    async with a_side(sqlite_url, clock=ManualClock()) as world:

        async def busy(request: web.Request) -> web.StreamResponse | None:
            return problem(503, "busy") if request.path.endswith("/vens") else None

        world.vtn.before = busy
        with pytest.raises(TemporarilyUnavailable):
            await world.side.register()
        assert not world.side.targets
        world.vtn.before = None
        world.vtn.put("vens", id="v1", venName="mqtt-bridge", clientID="bridge", targets=["group:a"])
        await world.side.register()
        assert world.side.targets == ("v1", "group:a")


async def test_an_event_is_read_while_no_resource_can_be_registered(database_url: str) -> None:
    """B6: 2,700 resources that wait for the VTN delay no event; a few requests at a time, each resource made once."""
    async with a_side(database_url) as world:
        for n in range(300):
            world.hear(f"panel-{n}", 8)
        gate = asyncio.Event()
        waiting = 0

        async def hold(request: web.Request) -> web.StreamResponse | None:
            nonlocal waiting
            if request.method == "POST" and request.path.endswith("/resources"):
                waiting += 1
                await gate.wait()
            return None

        world.vtn.before = hold
        await world.side.register()
        world.keep_resources()
        await wait_until(lambda: waiting == 8)
        an_event(world.vtn, "evt-1")
        taken = await world.poll()
        assert taken.changed
        assert await world.states() == {"evt-1": (EventState.SCHEDULED, None)}
        assert waiting == 8
        gate.set()
        await wait_until(lambda: len(world.vtn.objects["resources"]) == 2700)
        assert world.vtn.most_at_once <= 9
    assert max(Counter(world.vtn.names("resources", "resourceName")).values()) == 1


async def test_registration_goes_on_after_failures_where_it_was(sqlite_url: str) -> None:
    """A VTN that fails every fifth time, and loses answers, ends with every resource exactly once."""
    async with a_side(sqlite_url, Manners(unique_names=False)) as world:
        for n in range(20):
            world.hear(f"panel-{n}", 2)
        asked = 0

        async def failing(request: web.Request) -> web.StreamResponse | None:
            nonlocal asked
            if request.path.endswith("/resources"):
                asked += 1
                if asked % 5 == 0:
                    return problem(503, "busy")
            return None

        world.vtn.before = failing
        await world.side.register()
        world.keep_resources()
        await wait_until(lambda: len(world.vtn.objects["resources"]) >= 60)
        wanted = {f"panel-{n}{circuit}" for n in range(20) for circuit in ("", "/ev0", "/ev1")}
        assert sorted(world.vtn.names("resources", "resourceName")) == sorted(wanted)


@pytest.mark.parametrize("manners", [Manners(), Manners(unique_names=False, filters=False, etags=False)], ids=str)
async def test_what_others_delete_comes_back_and_what_panels_change_is_written(
    sqlite_url: str, manners: Manners
) -> None:
    """Attributes that business logic has added stay (ruling 21); a renamed circuit has one resource as before."""
    async with a_side(sqlite_url, manners) as world:
        world.hear("panel-1", 1)
        await world.side.register()
        world.keep_resources()
        resources = world.vtn.objects["resources"]
        await wait_until(lambda: len(resources) == 2)
        first = next(id_ for id_, each in resources.items() if each["resourceName"] == "panel-1/ev0")
        resources[first]["attributes"].append({"type": "MADE_BY", "values": ["somebody"]})
        world.hear("panel-1", 1, name="Garage")

        def attributes() -> dict[str, Any]:
            return {each["type"]: each["values"] for each in resources[first]["attributes"]}

        await wait_until(lambda: "DESCRIPTION" in attributes())
        assert attributes() == {
            "MADE_BY": ["somebody"],
            "CRITICAL": [False],
            "DESCRIPTION": ["Garage"],
            "MAX_POWER_CONSUMPTION": [7.2],
        }
        assert len(resources) == 2
        del resources[first]
        await wait_until(lambda: "panel-1/ev0" in world.vtn.names("resources", "resourceName"))
        assert len(resources) == 2


async def test_a_vtn_that_keeps_no_attributes_is_told_them_once(sqlite_url: str) -> None:
    """What cannot be mended is not tried for ever."""
    async with a_side(sqlite_url, Manners(attributes=False)) as world:
        world.hear("panel-1", 3)
        await world.side.register()
        world.keep_resources()
        await wait_until(lambda: len(world.vtn.objects["resources"]) == 4)
        looks = world.vtn.requests.count("GET /resources")
        await wait_until(lambda: world.vtn.requests.count("GET /resources") >= looks + 3)
        assert Counter(each for each in world.vtn.requests if "resources" in each and "GET" not in each) == {
            "POST /resources": 4
        }


async def test_a_vtn_that_lets_us_write_no_resources_is_asked_now_and_then(sqlite_url: str) -> None:
    """403 to those on their way (asked twice, VENCLIENT-005) is an answer for all until the next look."""
    async with a_side(sqlite_url) as world:

        async def forbid(request: web.Request) -> web.StreamResponse | None:
            writes = request.method == "POST" and request.path.endswith("/resources")
            return problem(403, "read only") if writes else None

        world.vtn.before = forbid
        for n in range(50):
            world.hear(f"panel-{n}", 8)
        await world.side.register()
        world.keep_resources()
        await wait_until(lambda: "resources" in world.health.aside)
        an_event(world.vtn, "evt-1")
        assert (await world.poll()).changed
        await wait_until(lambda: world.vtn.requests.count("GET /resources") >= 3)
        assert world.vtn.requests.count("POST /resources") <= 16 * world.vtn.requests.count("GET /resources")


BAD: dict[str, dict[str, Any]] = {
    "no start": {"intervalPeriod": {"start": "yesterday", "duration": "PT1H"}},
    "duration": {"intervalPeriod": {"start": "2026-11-23T17:00:00Z", "duration": "one hour"}},
    "intervals": {"intervals": "none"},
    "values": {"intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [{"z": 1}]}]}]},
    "priority": {"priority": "high"},
    "program": {"programID": ""},
    "modified": {"modificationDateTime": "2026-11-23"},
    "targets": {"targets": [{"type": "GROUP", "values": ["a"]}]},
}


@pytest.mark.parametrize("members", BAD.values(), ids=BAD.keys())
async def test_an_unreadable_event_is_named_and_all_others_are_carried_out(
    sqlite_url: str, members: dict[str, Any]
) -> None:
    """It shows in the health until it can be read; then it is an event as any other."""
    async with a_side(sqlite_url) as world:
        an_event(world.vtn, "before")
        an_event(world.vtn, "bad", **members)
        an_event(world.vtn, "after")
        assert (await world.poll()).changed
        assert set(await world.states()) == {"before", "after"}
        assert "it cannot be read" in world.health.aside["event bad"]
        assert world.health.as_json()["setAside"] == world.health.aside

        an_event(world.vtn, "bad")
        assert (await world.poll()).changed
        assert set(await world.states()) == {"before", "bad", "after"}
        assert world.health.aside == {}


async def test_an_event_that_the_database_does_not_take_is_set_aside_alone(database_url: str) -> None:
    """Whatever one of several events does to the transaction, the others are stored."""
    async with a_side(database_url) as world:
        async with world.store.transaction() as connection:
            statement = "CREATE UNIQUE INDEX one_program ON bridge_events (program_id)"
            await connection.exec_driver_sql(statement)
        an_event(world.vtn, "evt-1", programID="a")
        an_event(world.vtn, "evt-2", programID="b")
        an_event(world.vtn, "evt-3", programID="a")
        an_event(world.vtn, "evt-4", programID="c")
        assert (await world.poll()).changed
        assert set(await world.states()) == {"evt-1", "evt-2", "evt-4"}
        assert "it cannot be stored" in world.health.aside["event evt-3"]


async def test_an_event_that_is_gone_is_withdrawn_though_another_cannot_be_asked_about(database_url: str) -> None:
    """VENCLIENT-012: what passes is asked again at the next poll, what is unreadable is named, and new events come."""
    async with a_side(database_url) as world:
        for id_ in ("deleted", "unreadable", "busy"):
            an_event(world.vtn, id_)
        await world.poll()
        for id_ in ("deleted", "unreadable", "busy"):
            del world.vtn.objects["events"][id_]
        an_event(world.vtn, "new")
        is_busy = True

        async def answer(request: web.Request) -> web.StreamResponse | None:
            if request.path.endswith("/unreadable"):
                return web.json_response({"id": 1})
            return problem(503, "busy") if is_busy and request.path.endswith("/busy") else None

        world.vtn.before = answer
        taken = await world.poll()
        assert taken.changed
        assert isinstance(taken.problem, TemporarilyUnavailable)
        assert "new" in await world.states()
        is_busy = False
        assert (await world.poll()).problem is None
        assert "event unreadable" in world.health.aside
        async with world.store.reading() as connection:
            withdrawn = {each.event.id for each in await events.newest(connection, 9) if each.withdrawn_at is not None}
        assert withdrawn == {"deleted", "busy"}


async def test_an_event_whose_program_cannot_be_read_now_waits_for_it(sqlite_url: str) -> None:
    """Sign and units may come from the program; events of programs that are known go on."""
    async with a_side(sqlite_url) as world:
        world.vtn.put("programs", id="program-1", programName="relief")
        await world.poll()
        fails = 503

        async def answer(request: web.Request) -> web.StreamResponse | None:
            return problem(fails, "no") if fails and request.path.endswith("/programs") else None

        world.vtn.before = answer
        an_event(world.vtn, "evt-1")
        an_event(world.vtn, "evt-2", programID="program-2")
        taken = await world.poll()
        assert taken.changed
        assert isinstance(taken.problem, TemporarilyUnavailable)
        assert set(await world.states()) == {"evt-1"}

        fails = 403
        taken = await world.poll()
        assert taken.problem is None
        assert set(await world.states()) == {"evt-1", "evt-2"}
        assert "programs" in world.health.aside
