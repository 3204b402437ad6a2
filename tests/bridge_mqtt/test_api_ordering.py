"""Events that are made, stopped and deleted at the bridge's interface, with a real VTN and a real panel program."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from bridge_mqtt.service import Bridge
from bridge_mqtt.settings import ApiSettings, Issuing, Settings
from openadr_client.errors import NotFound
from tests.bridge_mqtt.conftest import World
from tests.bridge_mqtt.test_with_vtn import SECRET, Town, a_town
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

TOKEN = "may write"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
async def town(tmp_path: Path, mosquitto: Mosquitto) -> AsyncIterator[Town]:
    """A VTN whose operator is known to the bridge."""
    async with a_town(tmp_path, mosquitto) as town:
        yield town


def settings(town: Town, *ven_ids: str, **issuing: Any) -> Settings:
    """A bridge that may write events as the operator."""
    plain = town.settings([{"id": ven_id} for ven_id in ven_ids])
    issuer = {"client_id": "operator", "client_secret": SECRET, "program": "relief"} | issuing
    return plain.model_copy(
        update={
            "api": ApiSettings.model_validate({"port": 0, "write_token": TOKEN}),
            "issuing": Issuing.model_validate(issuer),
        }
    )


async def tell(
    bridge: Bridge, method: str, path: str, body: Any = None, *, token: str = TOKEN, **request: Any
) -> tuple[int, Any]:
    """Status and body of the answer."""
    headers = {"Authorization": f"Bearer {token}"}
    given = request or ({} if body is None else {"json": body})
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, bridge.api_url + path, **given) as answer,
    ):
        return answer.status, await answer.json(content_type=None) if await answer.read() else None


def an_order(
    town: Town, *, kw: float = 3.0, after_s: float = 0, length_s: float = 3600, **members: Any
) -> dict[str, Any]:
    """An event of the original's form."""
    start = town.clock.now() + timedelta(seconds=after_s)
    return {
        "startTime": start.isoformat().replace("+00:00", "Z"),
        "endTime": (start + timedelta(seconds=length_s)).isoformat(),
        "requestedReductionKw": kw,
    } | members


async def test_an_event_that_is_posted_becomes_one_of_the_vtn_and_reaches_the_panel(town: Town) -> None:
    """Section 13: a compatible endpoint that makes an OpenADR event; for the bridge's ven only, in kW."""
    panel = await town.panel("panel-1", "flat", 1)
    bridge = await town.bridge(settings(town, "panel-1"))
    order = an_order(town, name="evening")

    status, made = await tell(bridge, "POST", "/api/events/", order)

    assert (status, made["status"], made["requestedReductionKw"], made["name"]) == (201, "scheduled", 3.0, "evening")
    event = await town.operator.events.get(made["id"])
    (own,) = await town.operator.vens.search(ven_name="mqtt-bridge")
    assert event.targets == (own.id,)
    assert event.program_id == town.program_id
    assert (event.intervals or ())[0].payloads[0].values == (-3.0,)
    await wait_until(lambda: panel.model.sheds == 1, timeout_s=60)
    status, seen = await tell(bridge, "GET", f"/api/events/{made['id']}")
    assert (seen["startTime"], seen["endTime"]) == (made["startTime"], made["endTime"])


@pytest.mark.parametrize("way", ["stop", "delete"])
async def test_an_event_that_is_stopped_or_deleted_is_so_at_the_vtn_and_restored_at_the_panel(
    town: Town, way: str
) -> None:
    """No. 8: the original sent nothing, and panels stayed curtailed."""
    panel = await town.panel("panel-1", "flat", 1)
    bridge = await town.bridge(settings(town, "panel-1"))
    _, made = await tell(bridge, "POST", "/api/events", an_order(town))
    await wait_until(lambda: panel.model.event_id is not None, timeout_s=60)
    path = f"/api/events/{made['id']}"

    if way == "stop":
        assert await tell(bridge, "POST", f"{path}/stop") == (202, {"status": "stopping", "eventId": made["id"]})
    else:
        assert await tell(bridge, "DELETE", path) == (204, None)

    await wait_until(lambda: panel.model.event_id is None, timeout_s=60)

    async def state() -> Any:
        _, event = await tell(bridge, "GET", path)
        return event["status"] == "cancelled" and event

    event = await wait_until(state, timeout_s=60)
    if way == "stop":
        assert (await town.operator.events.get(made["id"])).id == made["id"]
        assert event["startTime"] == made["startTime"]
        status, refusal = await tell(bridge, "POST", f"{path}/stop")
        assert (status, refusal["detail"]) == (409, f"event {made['id']!r} is cancelled already")
    else:
        with pytest.raises(NotFound):
            await town.operator.events.get(made["id"])
        assert (await tell(bridge, "DELETE", path))[0] == 404


async def test_an_event_for_one_panel_reaches_that_one_only(town: Town) -> None:
    """send-event: the panel's id is a target that the VTN shows to the bridge; if it is not, that is said."""
    one, two = await town.panel("panel-1", "flat", 1), await town.panel("panel-2", "flat", 2)
    bridge = await town.bridge(settings(town, "panel-1", "panel-2"))
    body = {"requestedReductionKw": 2.5, "durationS": 3600}

    status, made = await tell(bridge, "POST", "/api/vens/panel-1/send-event", body)
    refused, problem = await tell(bridge, "POST", "/api/vens/panel-2/send-event/", body)

    assert (status, made["requestedReductionKw"]) == (201, 2.5)
    assert (await town.operator.events.get(made["id"])).targets == ("panel-1",)
    await wait_until(lambda: one.model.sheds == 1, timeout_s=60)
    assert two.model.sheds == 0
    assert refused == 409
    assert "give its ven 'mqtt-bridge' the target 'panel-2'" in problem["detail"]


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"requestedReductionKw": 0}, "requestedReductionKw: 0.0 is not a power in kW above 0 and up to 1000000"),
        ({"requestedReductionKw": -3}, "requestedReductionKw: -3.0 is not a power"),
        ({"requestedReductionKw": 1e308}, "requestedReductionKw: 1e+308 is not a power"),
        ({"requestedReductionKw": "lots"}, "requestedReductionKw: expected "),
        ({"requestedReductionKw": None}, "requestedReductionKw: expected "),
        ({"startTime": "today"}, "startTime: 'today' is not an instant such as"),
        ({"startTime": 17}, "startTime: expected "),
        ({"endTime": "2020-01-01T00:00:00Z"}, "endTime: 2020-01-01T00:00:00+00:00 is not after startTime"),
        ({"startTime": "2020-01-01T00:00", "endTime": "2020-01-01T01:00"}, "endTime: 2020-01-01T01:00:00+00:00 is"),
        ({"endTime": "2099-01-01T00:00:00Z"}, "endTime: the event would last more than 31 days"),
        ({"status": "completed"}, "status: 'completed' is none of scheduled, active"),
    ],
)  # fmt: skip
async def test_an_order_that_makes_no_sense_is_refused(town: Town, change: dict[str, Any], detail: str) -> None:
    """11.2: the original took any status, and an end before the start."""
    bridge = await town.bridge(settings(town, "panel-1"))

    status, problem = await tell(bridge, "POST", "/api/events/", an_order(town) | change)

    assert (status, problem["detail"][: len(detail)]) == (400, detail)
    assert await town.operator.events.search() == []


@pytest.mark.parametrize(
    ("request_", "status", "detail"),
    [
        ({"json": {}}, 400, "startTime: required, but missing"),
        ({"json": []}, 400, "the body: expected"),
        ({"data": b"{", "headers": JSON}, 400, "the body: not readable"),
        ({"data": b"", "headers": JSON}, 400, "the body: empty"),
        ({"data": b"\xff{}", "headers": JSON}, 400, "the body: not readable"),
        (
            {"data": b'{"x":' + b"[" * 50_000, "headers": JSON},
            400,
            "the body: not readable JSON",
        ),
        ({"data": b" " * 70_000, "headers": JSON}, 413, "POST /api/events/"),
        ({"data": {"startTime": "x"}}, 415, "Content-Type: expected application/json"),
        ({"data": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, "Content-Type: expected application/json"),
    ],
)
async def test_a_body_that_is_none_is_refused(town: Town, request_: dict[str, Any], status: int, detail: str) -> None:
    """Deep, long, broken, and what a form of another site could send."""
    bridge = await town.bridge(settings(town, "panel-1"))

    answered, problem = await tell(bridge, "POST", "/api/events/", **request_)

    assert (answered, problem["status"]) == (status, status)
    assert problem["detail"].startswith(detail)


@pytest.mark.parametrize(
    ("issuing", "status", "detail"),
    [
        ({"program": "none"}, 409, "issuing.program: the VTN has no program 'none'"),
        ({"client_secret": "wrong"}, 502, "issuing.client_secret: the VTN does not take the credentials"),
        ({"client_id": "bridge"}, 403, "issuing.client_id: the VTN does not allow it to this client"),
    ],
)
async def test_what_is_missing_at_the_vtn_is_said(
    town: Town, issuing: dict[str, Any], status: int, detail: str
) -> None:
    """A wrong program, wrong credentials, and those of a VEN: each is named by its setting."""
    bridge = await town.bridge(settings(town, "panel-1", **issuing))

    answered, problem = await tell(bridge, "POST", "/api/events/", an_order(town))

    assert (answered, problem["detail"][: len(detail)]) == (status, detail)


async def test_a_vtn_that_is_away_is_said_with_503_and_whether_anything_was_done(sqlite_world: World) -> None:
    """A second attempt might make a second event, so nothing is repeated in secret."""
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    issuing = {"client_id": "operator", "client_secret": SECRET, "program": "relief"}
    bridge = await sqlite_world.start(api={"port": 0, "write_token": TOKEN}, issuing=issuing)

    status, problem = await tell(bridge, "DELETE", "/api/events/evt-1")

    assert status == 503
    assert problem["detail"].startswith("the VTN cannot be reached (nothing was done)")
    for method, path in (("DELETE", "a.b"), ("DELETE", "x" * 129), ("POST", "a.b/stop")):
        status, problem = await tell(bridge, method, f"/api/events/{path}")
        assert (status, problem["detail"][:8]) == (404, "no event"), path


async def test_without_credentials_the_setting_is_named(sqlite_world: World) -> None:
    """501, and not a 202 that does nothing (no. 41)."""
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    bridge = await sqlite_world.start(api={"port": 0, "write_token": TOKEN})

    for method, path in (("POST", "/api/events"), ("DELETE", "/api/events/e"), ("POST", "/api/events/e/stop")):
        status, problem = await tell(bridge, method, path, {} if method == "POST" else None)
        assert (status, problem["detail"].split(":")[0]) == (501, "issuing.client_id")


async def test_the_description_names_every_path_and_opens_as_a_page(sqlite_world: World) -> None:
    """OpenAPI 3.1: each reference leads somewhere, each route is there once; pages for people are none of it."""
    await sqlite_world.add_panel("panel-1", plugged_in=False)
    bridge = await sqlite_world.start(api={"port": 0, "token": "secret"})
    status, document = await tell(bridge, "GET", "/openapi.json", token="none")
    assert status == 200
    assert document["openapi"] == "3.1.0"
    routed = {
        (route.method.lower(), route.resource.canonical)
        for route in _application(bridge).router.routes()
        if route.resource is not None
        and route.method != "HEAD"
        and not route.resource.canonical.endswith("/")
        and not route.resource.canonical.startswith("/page/")
    }
    described = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert described == routed
    ids = [operation["operationId"] for methods in document["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))
    references = set(_references(document))
    assert references
    assert {each.rpartition("/")[2] for each in references} <= document["components"]["schemas"].keys()

    async with aiohttp.ClientSession() as session, session.get(f"{bridge.api_url}/docs") as answer:
        page = await answer.text()
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert all(path in page for path in document["paths"])


def _application(bridge: Bridge) -> web.Application:
    runner = bridge._api._runner
    assert runner is not None
    return runner.app


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [each for inner in value.values() for each in _references(inner)]
    return [each for inner in value for each in _references(inner)] if isinstance(value, list) else []
