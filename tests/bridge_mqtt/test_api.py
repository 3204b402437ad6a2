"""The HTTP interface: acknowledgments by event and panel, paged and filtered; health that tells the truth."""

import json
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import pytest
from pydantic import BaseModel

from bridge_mqtt.errors import ApiUnavailable
from bridge_mqtt.service import Bridge
from bridge_mqtt.settings import PanelSettings, Settings
from tests.bridge_mqtt.conftest import World, an_event


async def ask(bridge: Bridge, path: str, **headers: str) -> tuple[int, Any]:
    """Status and body."""
    async with aiohttp.ClientSession(headers=headers) as session, session.get(bridge.api_url + path) as answer:
        return answer.status, await answer.json(content_type=None)


async def with_acks(world: World, count: int) -> Bridge:
    """A bridge that has stored so many acknowledgments of one panel."""
    await world.add_panel("panel-1", plugged_in=False)
    bridge = await world.start()
    async with aiomqtt.Client(world.broker.host, world.broker.port) as client:
        for number in range(count):
            answer = {"op": "event", "status": "accepted", "event_id": "evt-9", "correlationId": f"c-{number}"}
            await client.publish("ven/ack/panel-1", json.dumps(answer), qos=1)
    await world.until("/api/vens/panel-1/acks?limit=1000", lambda page: len(page["acks"]) == count)
    return bridge


async def test_acks_are_paged_newest_first_under_every_path(world: World) -> None:
    """Section 13: by event and by panel."""
    await with_acks(world, 5)
    for path in ("/api/events/evt-9/acks", "/api/vens/panel-1/acks/"):
        first = await world.get(f"{path}?limit=2")
        second = await world.get(f"{path}?limit=2&before={first['nextBefore']}")
        third = await world.get(f"{path}?limit=2&before={second['nextBefore']}")

        ids = [ack["correlationId"] for page in (first, second, third) for ack in page["acks"]]
        assert ids == ["c-4", "c-3", "c-2", "c-1", "c-0"]
        assert third["nextBefore"] is None


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("op=event", 3),
        ("op=SHEDPANEL", 3),
        ("op=ping", 0),
        ("status=accepted", 3),
        ("status=failed", 0),
        ("correlationId=c-1", 1),
        ("eventId=evt-9", 3),
        ("eventId=other", 0),
        ("start=2020-01-01T00:00:00Z", 3),
        ("end=2020-01-01T00:00:00Z", 0),
    ],
)
async def test_acks_are_filtered(sqlite_world: World, query: str, count: int) -> None:
    """By operation in any dialect, status, correlationId, event and time."""
    await with_acks(sqlite_world, 3)

    assert len((await sqlite_world.get(f"/api/vens/panel-1/acks?{query}"))["acks"]) == count


async def test_an_ack_has_the_canonical_form(sqlite_world: World) -> None:
    """12.2."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await sqlite_world.post(an_event(shed_kw=3))
    page = await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    assert page
    (ack,) = (await sqlite_world.get("/api/events/evt-1/acks"))["acks"]

    assert {
        name: ack[name] for name in ("venId", "eventId", "op", "status", "error", "matched", "late", "duplicates")
    } == {
        "venId": "panel-1",
        "eventId": "evt-1",
        "op": "shedPanel",
        "status": "accepted",
        "error": None,
        "matched": True,
        "late": False,
        "duplicates": 0,
    }
    assert (ack["requestedShedKw"], ack["actualShedKw"], ack["dialect"]) == (3.0, 3.0, "flat")
    assert ack["circuitsCurtailed"][0].keys() == {
        "id", "name", "breakerAmps", "originalKw", "curtailedKw", "finalKw", "critical",
    }  # fmt: skip
    assert ack["receivedAt"].endswith("Z")
    assert ack["responseMs"] >= 0


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/api/vens/panel-9/acks", 404, "no panel 'panel-9'"),
        ("/api/events/evt-none/acks", 404, "no event 'evt-none'"),
        ("/api/events/evt-none", 404, "no event 'evt-none'"),
        ("/api/panels/panel-9", 404, "no panel 'panel-9'"),
        ("/api/vens/panel-1/acks?limit=0", 400, "limit: '0' is not a number from 1 to 1000"),
        ("/api/vens/panel-1/acks?limit=%C2%B2", 400, "limit: '²' is not a number from 1 to 1000"),
        ("/api/vens/panel-1/acks?before=x", 400, "before: 'x' is not a number from 1 to 9223372036854775807"),
        (
            "/api/vens/panel-1/acks?start=yesterday",
            400,
            "start: 'yesterday' is not an instant such as 2026-01-31T16:00:00Z",
        ),
        ("/api/vens/panel-1/acks?status=fine", 400, "status: 'fine' is none of"),
        ("/api/vens/panel-1/acks?colour=red", 400, "colour: no such parameter"),
        ("/nothing", 404, "GET /nothing"),
    ],
)
async def test_a_wrong_question_gets_a_problem_that_names_it(
    sqlite_world: World, path: str, status: int, detail: str
) -> None:
    """Never a traceback."""
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    bridge = await sqlite_world.start()

    answered, body = await ask(bridge, path)

    assert (answered, body["status"]) == (status, status)
    assert body["detail"].startswith(detail)


async def test_health_is_about_the_process_and_ready_about_its_parts(sqlite_world: World) -> None:
    """A VTN that is away is shown, but what panels hold is still ended in time."""
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    bridge = await sqlite_world.start()

    assert await ask(bridge, "/health") == (200, {"status": "ok"})
    status, parts = await ask(bridge, "/ready")
    assert (status, parts["status"], parts["broker"], parts["database"]) == (200, "ready", "ok", "ok")
    assert "cannot reach" in parts["vtn"]

    sqlite_world.broker.stop()
    await sqlite_world.until("/health", lambda answer: not bridge.health.ready)
    status, parts = await ask(bridge, "/ready")
    assert (status, parts["status"]) == (503, "not ready")
    assert "lost" in parts["broker"]


async def test_with_a_token_only_health_is_open(sqlite_world: World) -> None:
    """The API shows who uses how much power."""
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    bridge = await sqlite_world.start(api={"port": 0, "token": "let-me-in"})

    assert (await ask(bridge, "/health"))[0] == 200
    bridge.health.set_aside("panel panel-1", "no credentials")
    assert await ask(bridge, "/ready") == (
        200,
        {"status": "ready", "broker": "ok", "database": "ok", "vtn": "failed", "loops": "ok", "setAside": 1},
    )
    told = (await ask(bridge, "/ready", Authorization="Bearer let-me-in"))[1]
    assert (told["setAside"], "cannot reach" in told["vtn"]) == ({"panel panel-1": "no credentials"}, True)
    assert (await ask(bridge, "/api/panels"))[0] == 401
    assert (await ask(bridge, "/api/panels", Authorization="Bearer wrong"))[0] == 401
    assert (await ask(bridge, "/api/panels", Authorization="Bearer let-me-in"))[0] == 200


async def test_a_taken_port_is_one_clear_error(sqlite_world: World) -> None:
    """The address is named, and nothing is left running."""
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    first = await sqlite_world.start()
    port = int(first.api_url.rsplit(":", 1)[1])
    other = sqlite_world.settings(api={"port": port}, broker={"url": sqlite_world.broker.url, "client_id": "other"})

    with pytest.raises(ApiUnavailable, match=str(port)):
        async with Bridge(other):
            pass


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"panels": []}, "no panels are listed"),
        ({"panels": [{"id": "a"}, {"id": "a"}]}, "panels listed twice: a"),
        ({"panels": [{"id": "a/b"}]}, "'/', '\\+', '#' and control characters"),
        ({"panels": [{"id": "a", "dialect": "klingon"}]}, "flat"),
        ({"api": {"host": "0.0.0.0"}}, "set a token"),
        ({"database": {"url": "mysql://x"}}, "sqlite or postgresql"),
        ({"database": {"url": "sqlite://"}}, "data in memory would be lost"),
        ({"vtn": {"url": "vtn.example"}}, "expected a URL such as"),
        ({"vtn": {"url": "http://vtn.example", "client_id": "a"}}, "belong together"),
        ({"dispatch": {"level_shares": [0, 1, 0.5, 1]}}, "do not fall"),
        ({"colour": "red"}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_work_say_why(values: dict[str, Any], problem: str) -> None:
    """Everything is checked when the program starts."""
    least = {"vtn": {"url": "http://vtn.example/3.1.0"}, "panels": [{"id": "panel-1"}]}
    with pytest.raises(ValueError, match=problem):
        Settings.model_validate(least | values)


def test_every_setting_is_in_the_documentation() -> None:
    """A setting that nobody can find might as well not be there."""
    text = (Path(__file__).parents[2] / "docs" / "bridge.md").read_text()

    def names(model: type[BaseModel], prefix: str = "") -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                found += names(inner, f"{prefix}{name}.")
            else:
                found.append(prefix + name)
        return found

    assert [name for name in [*names(Settings), *names(PanelSettings)] if f"`{name}`" not in text] == []
