"""Limits of the HTTP interface: questions that take too long, and whoever sends what no program of good will sends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from bridge_mqtt.api.answers import ack_page
from bridge_mqtt.api.bodies import EventForPanel, NewEvent, body_of, span_for_panel
from bridge_mqtt.api.browser_sessions import BrowserSessions
from bridge_mqtt.api.guard import Guard
from bridge_mqtt.api.parameters import END, GRANULARITY, START, steps
from bridge_mqtt.api.refusals import WrongQuestion
from bridge_mqtt.api.route import ApiRoute, Right
from bridge_mqtt.api.server import Api
from bridge_mqtt.settings import ApiSettings


@asynccontextmanager
async def listening(*routes: ApiRoute, token: str | None = None, **limits: float) -> AsyncIterator[str]:
    """The URL of an interface with these routes."""
    settings = ApiSettings.model_validate({"port": 0, "token": token})
    async with Api(
        settings, routes, Guard(settings, None, BrowserSessions(lambda: datetime.now(UTC))), **limits
    ) as api:
        yield api.url


def a_route(path: str, handle: Any, method: str = "GET", right: Right = Right.OPEN) -> ApiRoute:
    """A route that needs no token unless told otherwise."""
    return ApiRoute(method=method, path=path, handle=handle, summary="", tag="", right=right)


async def send(url: str, request: bytes) -> bytes:
    """Send these bytes, and return all that is answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    return answer


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


async def test_a_token_that_is_no_text_is_not_valid() -> None:
    """401, whatever the bytes are."""

    async def never(_: web.Request) -> web.Response:
        raise AssertionError

    async with listening(a_route("/one", never, right=Right.READ), token="let-me-in") as url:
        answer = await send(
            url, b"GET /one HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer \xff\xfe\r\n\r\n"
        )

    assert answer.startswith(b"HTTP/1.1 401 "), answer


async def test_a_request_that_is_none_leaves_nothing_in_the_log(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Anybody can send any number of them, as of bodies that end too early."""
    begun, refused = asyncio.Event(), asyncio.Event()

    async def body(request: web.Request) -> web.Response:
        begun.set()
        try:
            await body_of(request, NewEvent)
        finally:
            asyncio.get_running_loop().call_later(0.2, refused.set)
        raise AssertionError

    head = b"POST /one HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    async with listening(a_route("/one", body, "POST")) as url:
        assert b" 400 " in await send(url, b"GET /one HTTP/1.1\r\n\x00bad: 1\r\n\r\n")
        assert b" 400 " in await send(url, b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n")
        _, writer = await asyncio.open_connection("127.0.0.1", URL(url).port)
        writer.write(head + b"Content-Length: 99\r\n\r\n{")
        await asyncio.wait_for(begun.wait(), 30)
        writer.close()
        await asyncio.wait_for(refused.wait(), 30)

    assert caplog.records == []
    assert "failed" not in capfd.readouterr().out


async def test_the_first_and_the_last_instant_are_instants_like_others() -> None:
    """What cannot be counted from them is refused by name, or left out."""

    async def history(request: web.Request) -> web.Response:
        start, end, _ = steps(request, datetime(2026, 1, 1, tzinfo=UTC))
        return web.json_response([start.isoformat(), end.isoformat()])

    route = ApiRoute(
        method="GET",
        path="/history",
        handle=history,
        summary="",
        tag="",
        right=Right.OPEN,
        parameters=(START, END, GRANULARITY),
    )
    async with (
        listening(route) as url,
        aiohttp.ClientSession() as session,
        session.get(f"{url}/history?end=0001-01-01T00:00:00Z") as first,
        session.get(f"{url}/history?end=0001-01-01T01:00:00Z") as second,
    ):
        refused = await first.json()
        assert (first.status, refused["detail"].partition(":")[0]) == (400, "end")
        assert await second.json() == ["0001-01-01T00:00:00+00:00", "0001-01-01T01:00:00+00:00"]
    last = EventForPanel(requested_reduction_kw=1, start_time="9999-12-31T23:59:59Z", duration_s=60)
    with pytest.raises(WrongQuestion, match=r"^durationS: the event would end after 9999-12-31"):
        span_for_panel(last, datetime(2026, 1, 1, tzinfo=UTC))
