"""`oadr subscription`: what business logic is shown of subscriptions and their callbacks."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web
from typer.testing import CliRunner, Result

from oadr.__main__ import app
from oadr.errors import Exit
from tests.support.scripted_vtn import ScriptedVtn, json_list, problem, scripted_vtn

SUBSCRIPTION = {
    "id": "3f2a",
    "createdDateTime": "2026-01-01T00:00:00Z",
    "modificationDateTime": "2026-01-01T00:00:00Z",
    "objectType": "SUBSCRIPTION",
    "clientID": "home-1",
    "clientName": "Home 1",
    "programID": None,
    "objectOperations": [
        {
            "objects": ["EVENT", "PROGRAM"],
            "operations": ["CREATE", "UPDATE"],
            "callbackUrl": "https://home-1.example/hook",
            "bearerToken": "only for the receiver",
        },
        {"objects": ["EVENT"], "operations": ["DELETE"], "callbackUrl": "https://home-1.example/hook"},
    ],
    "targets": ["group:north"],
}
FINE = {
    "subscriptionID": "3f2a",
    "clientID": "home-1",
    "clientName": "Home 1",
    "callbackUrl": "https://home-1.example/hook",
    "state": "WORKING",
    "pending": 0,
    "dead": 0,
    "failures": 0,
    "lastSuccess": "2026-01-01T00:00:00Z",
}
BROKEN = FINE | {
    "subscriptionID": "77aa",
    "clientID": "home-2",
    "callbackUrl": "https://home-2.example/hook",
    "state": "BROKEN",
    "pending": 12,
    "oldestPending": "2026-01-01T00:00:00Z",
    "failures": 20,
    "lastError": "answered 500",
}
LOST = FINE | {"subscriptionID": "88bb", "clientID": "home-3", "dead": 2}


async def run(vtn: ScriptedVtn, *words: str) -> Result:
    """Run a command against the scripted VTN."""
    environment = {"OADR_BL_URL": vtn.base_url, "OADR_BL_CLIENT_ID": "utility", "OADR_BL_CLIENT_SECRET": "secret"}
    return await asyncio.to_thread(CliRunner(env=environment).invoke, app, ("subscription", *words))


def rows(result: Result) -> Any:
    """Return what a command printed as JSON."""
    assert result.exit_code == Exit.OK, result.stderr
    return json.loads(result.stdout)


async def test_the_list_says_who_wants_to_hear_of_what() -> None:
    """And never shows a bearer token, not even one that the VTN gave to its owner."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.path.endswith("/subscriptions")
        return json_list([SUBSCRIPTION])

    async with scripted_vtn() as vtn:
        vtn.answer = answer
        result = await run(vtn, "list", "--objects", "event")
        (row,) = rows(result)
    assert row["about"] == ["EVENT CREATE/UPDATE", "PROGRAM CREATE/UPDATE", "EVENT DELETE"]
    assert row["callbackUrls"] == ["https://home-1.example/hook"]
    assert row["targets"] == ["group:north"]
    assert "only for the receiver" not in result.output
    assert any("objects=EVENT" in path for path in vtn.paths)


async def test_health_shows_all_callbacks_or_those_with_trouble() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.path.endswith("/subscription_health")
        return json_list([FINE, BROKEN, LOST])

    async with scripted_vtn() as vtn:
        vtn.answer = answer
        every = rows(await run(vtn, "health", "--client", "home-2", "--subscription", "77aa"))
        bad = rows(await run(vtn, "health", "--bad"))
    assert [row["state"] for row in every] == ["WORKING", "BROKEN", "WORKING"]
    assert [row["subscriptionID"] for row in bad] == ["77aa", "88bb"]
    assert bad[0]["lastError"] == "answered 500"
    assert "ago" in bad[0]["oldestPendingAgo"]
    assert "clientID=home-2" in vtn.paths[0]
    assert "subscriptionID=77aa" in vtn.paths[0]


async def test_a_long_list_of_callbacks_is_read_page_after_page() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        start, limit = int(request.query["skip"]), int(request.query["limit"])
        return json_list([FINE | {"subscriptionID": f"s{number}"} for number in range(120)][start : start + limit])

    async with scripted_vtn() as vtn:
        vtn.answer = answer
        found = rows(await run(vtn, "health"))
    assert [row["subscriptionID"] for row in found] == [f"s{number}" for number in range(120)]


async def test_a_vtn_that_knows_no_pages_is_read_once() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return json_list([FINE | {"subscriptionID": f"s{number}"} for number in range(50)])

    async with scripted_vtn() as vtn:
        vtn.answer = answer
        found = rows(await run(vtn, "health"))
    assert [row["subscriptionID"] for row in found] == [f"s{number}" for number in range(50)]


async def test_who_may_not_see_how_callbacks_fare_is_told_so() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return problem(403, "only for business logic")

    async with scripted_vtn() as vtn:
        vtn.answer = answer
        result = await run(vtn, "health")
    assert result.exit_code == Exit.UNAUTHORIZED
    assert "only for business logic" in result.stderr
    assert "does not tell" not in result.stderr


async def test_a_vtn_that_does_not_tell_is_named_as_such() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return problem(404, "there is nothing here")

    async with scripted_vtn() as vtn:
        vtn.answer = answer
        result = await run(vtn, "health")
    assert result.exit_code == Exit.REFUSED
    assert "does not tell" in result.stderr
