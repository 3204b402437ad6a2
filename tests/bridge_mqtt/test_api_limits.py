"""Limits of the HTTP interface: questions that take too long, and whoever sends what no program of good will sends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from aiohttp import web

from bridge_mqtt.api.answers import ack_page
from bridge_mqtt.api.guard import Guard
from bridge_mqtt.api.route import ApiRoute, Right
from bridge_mqtt.api.server import Api
from bridge_mqtt.settings import ApiSettings


@asynccontextmanager
async def listening(*routes: ApiRoute, **limits: float) -> AsyncIterator[str]:
    """The URL of an interface with these routes."""
    settings = ApiSettings.model_validate({"port": 0})
    async with Api(settings, routes, Guard(settings, None), **limits) as api:
        yield api.url


def a_route(path: str, handle: Any, method: str = "GET") -> ApiRoute:
    """A route that needs no token."""
    return ApiRoute(method=method, path=path, handle=handle, summary="", tag="", right=Right.OPEN)


async def test_a_question_that_takes_too_long_is_given_up_and_answered() -> None:
    """503 with Retry-After, and what was at work for it has ended."""
    given_up = asyncio.Event()

    async def never(_: web.Request) -> web.Response:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            given_up.set()
        raise AssertionError

    async with (
        listening(a_route("/slow", never), answer_within_s=0.2) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/slow") as answer,
    ):
        body = await answer.json()

    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert body["detail"] == "there was no answer within 0.2 s; ask for less at once"
    assert given_up.is_set()


async def test_others_work_while_a_page_of_acknowledgments_is_written() -> None:
    """A thousand of them are encoded piece by piece."""
    turns = 0

    async def work() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    working = asyncio.create_task(work())
    page = await ack_page([{"id": number, "rawPayload": "x"} for number in range(1000)], 1000)
    working.cancel()

    assert isinstance(page.body, bytes)
    members = json.loads(page.body)
    assert (len(members["acks"]), members["nextBefore"]) == (1000, 999)
    assert turns >= 10
