"""Every panel as a ven of its own: credentials, events that each sees, resources, and reports under its name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from bridge_mqtt.errors import BadCredentials
from bridge_mqtt.health import Health
from bridge_mqtt.model import EventState, PanelRecord
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import Store, events
from bridge_mqtt.vtn_side.credentials import read_credentials
from bridge_mqtt.vtn_side.event_reader import ReadEvents
from bridge_mqtt.vtn_side.gateway import client_for
from bridge_mqtt.vtn_side.panel_vens import PanelVens
from openadr_client import SystemClock, Unauthorized
from openadr_profiles.join_line import JoinLine
from openadr_profiles.panel import Load
from tests.support.scripted_vtn import problem
from tests.support.small_vtn import Manners, SmallVtn, small_vtn
from tests.support.waiting import wait_until

SECRET = "a secret that is nowhere else"


def write_lines(file: Path, url: str, names: Sequence[str]) -> Path:
    """Write join lines for these panels, whose clients have other names than they."""
    lines = [
        JoinLine(
            url=url, client_id=f"client-{name}", client_secret=SECRET, ven_name=name, token_url=f"{url}/auth/token"
        ).encode()
        for name in names
    ]
    file.write_text("# panels of the north\n\n" + "\n".join(lines) + "\n")
    file.chmod(0o600)
    return file


class Vens:
    """Panels as vens at a small VTN."""

    def __init__(self, vtn: SmallVtn, store: Store, side: PanelVens, health: Health) -> None:
        self.vtn = vtn
        self.store = store
        self.side = side
        self.health = health
        self.changes = 0

    async def poll(self) -> ReadEvents:
        """Ask for every ven once."""

        def changed() -> None:
            self.changes += 1

        return await self.side.poll(changed)

    def event(self, id_: str, *panels: str, **members: Any) -> None:
        """Show an event to these panels only."""
        now = datetime.now(UTC)
        self.vtn.put(
            "events",
            id=id_,
            programID="program-1",
            intervalPeriod={"start": (now + timedelta(hours=1)).isoformat(), "duration": "PT1H"},
            intervals=[{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}],
            **members,
        )
        self.show(id_, *panels)

    def show(self, id_: str, *panels: str) -> None:
        """Let these panels see an event, and no others."""
        for client_id, seen in self.vtn.seen_by.items():
            (seen.add if client_id.removeprefix("client-") in panels else seen.discard)(id_)

    async def seen_by(self) -> dict[str, set[str]]:
        """Return what is known now, and make sure that a bridge that starts again knows the same."""
        now = {id_: set(who) for id_, who in self.side.seen_by.items()}
        await self.side.recall()
        assert {id_: set(who) for id_, who in self.side.seen_by.items()} == now
        return now


@asynccontextmanager
async def the_vens(
    url: str, folder: Path, panels: Sequence[str], *, manners: Manners | None = None, unlisted: Sequence[str] = ()
) -> AsyncIterator[Vens]:
    async with AsyncExitStack() as stack:
        vtn = await stack.enter_async_context(small_vtn(manners))
        vtn.seen_by = {f"client-{name}": set() for name in panels}
        settings = Settings.model_validate(
            {
                "vtn": {
                    "url": vtn.base_url,
                    "identity": "per_panel",
                    "credentials_file": write_lines(folder / "lines", vtn.base_url, panels),
                    "poll_interval_s": 0.05,
                },
                "database": {"url": url},
                "panels": [{"id": name} for name in (*panels, *unlisted)],
            }
        )
        clock, health, registry = SystemClock(), Health(), Registry(settings)
        registry.recall(PanelRecord(ven_id=name, loads=(Load(id="ev1"), Load(id="heater1"))) for name in panels)
        store = await Store.open(settings.database.url.get_secret_value())
        stack.push_async_callback(store.close)
        client = await stack.enter_async_context(client_for(settings.vtn, clock))
        assert settings.vtn.credentials_file is not None
        side = PanelVens(
            settings.vtn,
            settings.vtn.credentials_file,
            client=client,
            store=store,
            registry=registry,
            health=health,
            clock=clock,
        )
        yield Vens(vtn, store, side, health)


async def test_each_panel_is_a_ven_and_sees_its_own_events(database_url: str, tmp_path: Path) -> None:
    """An event is stored once with those that see it; who loses sight of it is out, and nobody left withdraws it."""
    async with the_vens(database_url, tmp_path, ("panel-1", "panel-2", "panel-3")) as world:
        world.vtn.put("programs", id="program-1", programName="relief")
        world.event("evt-1", "panel-1", "panel-2")
        assert (await world.poll()).changed
        assert world.changes == 1
        registered = {each["venName"]: each["clientID"] for each in world.vtn.objects["vens"].values()}
        assert registered == {name: f"client-{name}" for name in ("panel-1", "panel-2", "panel-3")}
        assert await world.seen_by() == {"evt-1": {"panel-1", "panel-2"}}
        assert list(world.side.programs) == ["program-1"]
        assert not (await world.poll()).changed

        world.event("evt-2", "panel-3")
        world.show("evt-1", "panel-2", "panel-3")
        await world.poll()
        assert await world.seen_by() == {"evt-1": {"panel-2", "panel-3"}, "evt-2": {"panel-3"}}

        world.show("evt-1")
        await world.poll()
        assert await world.seen_by() == {"evt-2": {"panel-3"}}
        async with world.store.reading() as connection:
            withdrawn = {each.event.id: each.withdrawn_at is not None for each in await events.newest(connection, 9)}
        assert withdrawn == {"evt-1": True, "evt-2": False}

        world.show("evt-1", "panel-1")
        await world.poll()
        async with world.store.reading() as connection:
            assert set(await events.open_versions(connection)) == {"evt-1", "evt-2"}


async def test_resources_of_each_panel_belong_to_its_own_ven(sqlite_url: str, tmp_path: Path) -> None:
    """They are brought beside the polls, and again if they are lost."""
    async with the_vens(sqlite_url, tmp_path, ("panel-1", "panel-2")) as world:
        await world.poll()
        keeping = asyncio.create_task(world.side.keep_resources())
        resources = world.vtn.objects["resources"]
        await wait_until(lambda: len(resources) == 6)
        vens = {each["id"]: each["venName"] for each in world.vtn.objects["vens"].values()}
        assert {(vens[each["venID"]], each["resourceName"]) for each in resources.values()} == {
            (name, f"{name}{circuit}") for name in ("panel-1", "panel-2") for circuit in ("", "/ev1", "/heater1")
        }
        del resources[next(iter(resources))]
        await wait_until(lambda: len(resources) == 6)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def test_a_ven_that_is_refused_is_named_and_the_others_go_on(sqlite_url: str, tmp_path: Path) -> None:
    """Neither a client that was removed, nor a name that is taken, nor a list that cannot be read stops another."""
    names = ("panel-1", "panel-2", "panel-3", "panel-4")
    async with the_vens(sqlite_url, tmp_path, names, unlisted=("panel-9",)) as world:
        refusing = True

        async def answer(request: web.Request) -> web.StreamResponse | None:
            who = request.headers.get("Authorization", "")
            if refusing and who.endswith("client-panel-1"):
                return problem(401, "no such client")
            if refusing and who.endswith("client-panel-2") and request.path.endswith("/events"):
                return web.Response(text="<html>")
            if refusing and who.endswith("client-panel-3") and request.path.endswith("/vens"):
                return problem(409, "the name is taken")
            return None

        world.vtn.before = answer
        world.event("evt-1", *names)
        taken = await world.poll()
        assert taken.changed
        assert taken.problem is None
        assert await world.seen_by() == {"evt-1": {"panel-3", "panel-4"}}
        assert set(world.health.aside) == {"ven panel-1", "ven panel-2", "panel panel-9"}
        assert SECRET not in str(world.health.as_json())
        refusing = False
        await world.poll()
        assert await world.seen_by() == {"evt-1": set(names)}
        assert set(world.health.aside) == {"panel panel-9"}


async def test_nobody_who_gets_in_is_said_at_once(sqlite_url: str, tmp_path: Path) -> None:
    """One clear error instead of a bridge that waits for ever."""
    async with the_vens(sqlite_url, tmp_path, ("panel-1", "panel-2")) as world:

        async def answer(_: web.Request) -> web.StreamResponse | None:
            return problem(401, "no such client")

        world.vtn.before = answer
        with pytest.raises(Unauthorized):
            await world.poll()


async def test_a_vtn_that_fails_amid_a_round_keeps_what_was_read(database_url: str, tmp_path: Path) -> None:
    """What was answered before is stored, and the others are asked again."""
    names = [f"panel-{n}" for n in range(30)]
    async with the_vens(database_url, tmp_path, names) as world:
        world.event("evt-1", *names)
        asked, fails = 0, True

        async def answer(request: web.Request) -> web.StreamResponse | None:
            nonlocal asked
            asked += request.path.endswith("/events")
            return problem(503, "busy") if fails and asked > 10 else None

        world.vtn.before = answer
        taken = await world.poll()
        assert taken.changed
        assert taken.problem is not None
        some = (await world.seen_by())["evt-1"]
        assert 0 < len(some) <= 10
        fails = False
        assert (await world.poll()).problem is None
        assert await world.seen_by() == {"evt-1": set(names)}
        async with world.store.reading() as connection:
            assert [each.state for each in await events.newest(connection, 9)] == [EventState.SCHEDULED]


async def test_a_few_requests_are_on_their_way_at_a_time(sqlite_url: str, tmp_path: Path) -> None:
    """450 vens share the connections of one client, and each is asked once a round."""
    names = [f"panel-{n}" for n in range(450)]
    async with the_vens(sqlite_url, tmp_path, names) as world:
        world.event("evt-1", *names)
        await world.poll()
        assert await world.seen_by() == {"evt-1": set(names)}
        assert world.changes == 3
        assert world.vtn.most_at_once <= 8
        assert world.vtn.requests.count("GET /events") == 450
        before = len(world.vtn.requests)
        await world.poll()
        assert world.vtn.requests[before:].count("GET /events") == 450
        assert world.changes == 3


BAD_LINES = {
    "not a line": ("home-1 secret", "line 4: this is no join line"),
    "another VTN": ("other", "line 4: it is for the VTN https://other.example/3.1"),
    "twice": ("twice", "line 4: panel panel-1 has credentials in an earlier line"),
    "no panel": ("slash", "line 4: panel id 'a/b'"),
}


@pytest.mark.parametrize(("last", "expected"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_line_that_cannot_be_used_is_named_and_shows_no_secret(tmp_path: Path, last: str, expected: str) -> None:
    """The message names the line, the problem and what was expected."""
    url = "https://vtn.example/3.1"
    made = {
        "other": ("https://other.example/3.1", "panel-2"),
        "twice": (url, "panel-1"),
        "slash": (url, "a/b"),
    }
    file = write_lines(tmp_path / "lines", url, ["panel-1"])
    if last in made:
        address, name = made[last]
        last = JoinLine(url=address, client_id="c", client_secret=SECRET, ven_name=name).encode()
    file.write_text(file.read_text() + last + "\n")
    with pytest.raises(BadCredentials) as caught:
        read_credentials(file, url)
    assert expected in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    """It holds secrets; the message says what to do. Neither is there anything to do without a file or a line."""
    url = "https://vtn.example/3.1"
    file = write_lines(tmp_path / "lines", url, ["panel-1"])
    assert read_credentials(file, url)["panel-1"].client_id == "client-panel-1"
    assert SECRET not in repr(read_credentials(file, url))
    file.chmod(0o640)
    with pytest.raises(BadCredentials, match="chmod 600"):
        read_credentials(file, url)
    with pytest.raises(BadCredentials, match="No such file"):
        read_credentials(tmp_path / "none", url)
    empty = tmp_path / "empty"
    empty.touch(0o600)
    with pytest.raises(BadCredentials, match="no join line"):
        read_credentials(empty, url)
