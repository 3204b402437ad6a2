"""The client against servers that misbehave, refuse or are not there."""

import asyncio
from datetime import datetime, timedelta

import pytest
import structlog
from aiohttp import web

from bench.support.net import free_port
from openadr_client.backoff import NO_RETRY
from openadr_client.client import VtnClient
from openadr_client.clock import SystemClock
from openadr_client.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    Refused,
    TemporarilyUnavailable,
    UnexpectedAnswer,
    Unreachable,
)
from openadr_client.settings import ConnectionSettings, PushSettings
from openadr_client.transport import BaseTransport, origin
from openadr_profiles.addresses import web_address
from openadr_profiles.v31 import EventRequest
from tests.support.scripted_vtn import ScriptedVtn, an_event, json_list, problem


@pytest.mark.parametrize(
    "arguments",
    [
        {"base_url": "vtn.example"},
        {"base_url": "http://v", "client_id": "a"},
        {"base_url": "http://v", "client_secret": "a"},
        {"base_url": "http://v", "client_id": "a", "client_secret": "b", "token": "c"},
    ],
)
def test_constructor_refuses_what_does_not_fit_together(arguments: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"base_url|both or neither|either"):
        VtnClient(**arguments)  # type: ignore[arg-type]  # a table of wrong calls


@pytest.mark.parametrize(
    ("status", "class_"),
    [(400, InvalidRequest), (404, NotFound), (409, Conflict), (413, InvalidRequest), (422, InvalidRequest)],
)
async def test_refusals_carry_the_problem(
    vtn: ScriptedVtn, client: VtnClient, status: int, class_: type[Refused]
) -> None:
    """VENCLIENT-027."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return problem(status, "programID: unknown")

    vtn.answer = refuse
    with pytest.raises(class_, match="programID: unknown") as caught:
        await client.events.create(EventRequest(program_id="p"))
    assert (caught.value.problem.status, caught.value.problem.detail) == (status, "programID: unknown")
    assert len(vtn.paths) == 1


@pytest.mark.parametrize(("header", "seconds"), [("17", 17.0), ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0), (None, None)])
async def test_busy_vtn_says_when_to_come_back(
    vtn: ScriptedVtn, client: VtnClient, header: str | None, seconds: float | None
) -> None:
    """VENCLIENT-025: both forms of Retry-After."""

    async def busy(_: web.Request) -> web.StreamResponse:
        return problem(429, "slow down", **({"Retry_After": header} if header else {}))

    vtn.answer = busy
    with pytest.raises(TemporarilyUnavailable, match="slow down") as caught:
        await client.events.search()
    assert caught.value.retry_after_s == seconds


async def test_error_that_is_not_json_does_not_confuse(vtn: ScriptedVtn, client: VtnClient) -> None:
    """VENCLIENT-027."""

    async def gateway(_: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="<html>\n<h1>Bad gateway</h1>", content_type="text/html")

    vtn.answer = gateway
    with pytest.raises(TemporarilyUnavailable, match="502 <html> <h1>Bad gateway"):
        await client.events.search()


async def test_vtn_that_is_not_there_is_unreachable(transport: type[BaseTransport]) -> None:
    async with VtnClient(base_url=f"http://127.0.0.1:{free_port()}", transport=transport, retry=NO_RETRY) as client:
        with pytest.raises(Unreachable, match=r"cannot reach http://127\.0\.0\.1"):
            await client.events.search()


async def test_vtn_that_never_answers_is_unreachable_after_the_timeout(
    vtn: ScriptedVtn, transport: type[BaseTransport]
) -> None:
    forever = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await forever.wait()
        return web.Response()

    vtn.answer = hang
    async with VtnClient(base_url=vtn.base_url, timeout_s=0.05, transport=transport, retry=NO_RETRY) as client:
        with pytest.raises(Unreachable, match="no answer"):
            await client.events.search()
    forever.set()


async def test_redirect_is_not_followed_with_our_token(vtn: ScriptedVtn, client: VtnClient) -> None:
    async def redirect(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": "http://elsewhere.example/"})

    vtn.answer = redirect
    with pytest.raises(UnexpectedAnswer, match="elsewhere"):
        await client.events.search()


@pytest.mark.parametrize("body", ['{"a": 1}', "<html>", '"x"', ""])
async def test_success_that_is_no_list_is_an_unexpected_answer(vtn: ScriptedVtn, client: VtnClient, body: str) -> None:
    async def odd(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body)

    vtn.answer = odd
    with pytest.raises(UnexpectedAnswer, match="not a list"):
        await client.events.search()


async def test_unreadable_object_does_not_hide_the_others(vtn: ScriptedVtn, client: VtnClient) -> None:
    async def some_odd(_: web.Request) -> web.StreamResponse:
        return json_list([an_event("good"), {"id": "odd", "priority": "high"}, 7, an_event("fine")])

    vtn.answer = some_odd
    found = await client.events.search()
    assert [event.id for event in found] == ["good", "fine"]
    assert [broken.id for broken in found.broken] == ["odd", None]
    assert client.events.broken_seen == 2


@pytest.mark.parametrize(("ahead_s", "warned"), [(3, False), (-60, True), (60, True)])
async def test_clock_that_differs_from_the_servers_is_noticed_once(
    vtn: ScriptedVtn, ahead_s: int, warned: bool
) -> None:
    """TIME-038."""

    class Ours(SystemClock):
        def now(self) -> datetime:
            return super().now() + timedelta(seconds=ahead_s)

    with structlog.testing.capture_logs() as logs:
        async with VtnClient(base_url=vtn.base_url, clock=Ours()) as client:
            await client.events.search()
            await client.events.search()
    assert [log["event"] for log in logs] == ["clocks differ"] * warned


@pytest.mark.parametrize("packed", [True, False], ids=["gzip", "plain"])
async def test_packed_answers_are_welcome_and_plain_ones_read_too(
    vtn: ScriptedVtn, client: VtnClient, packed: bool
) -> None:
    """COMP-006."""
    welcome: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        welcome.append(request.headers.get("Accept-Encoding", ""))
        response = json_list([an_event("e1")])
        if packed:
            response.enable_compression(web.ContentCoding.gzip)
        return response

    vtn.answer = answer
    assert [event.id for event in await client.events.search()] == ["e1"]
    assert all("gzip" in each for each in welcome)


@pytest.mark.parametrize("length", [5, 50_000])
async def test_an_answer_that_is_cut_off_is_no_answer(transport: type[BaseTransport], length: int) -> None:
    """A server that hangs up in its body, packed or not, is unreachable or unreadable; never a shorter list."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        writer.write(f"Content-Length: {length}\r\n\r\n[]".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        VtnClient(base_url=f"http://127.0.0.1:{port}", token="t", transport=transport, retry=NO_RETRY) as client,
    ):
        with pytest.raises(Unreachable):
            await client.events.search()


@pytest.mark.parametrize("url", ["http://", "http://a b/", "http://host:port/x"])
async def test_a_url_that_is_none_is_named(transport: type[BaseTransport], url: str) -> None:
    """Whatever sends it."""
    async with VtnClient(base_url=url, token="t", transport=transport, retry=NO_RETRY) as client:
        with pytest.raises(Unreachable, match=r"is not a usable URL|cannot reach"):
            await client.events.search()


def test_a_password_in_a_url_is_in_no_message() -> None:
    assert origin("http://user:word@vtn:8080/openadr3") == "http://vtn:8080"
    assert origin("https://vtn/openadr3?at=a@b") == "https://vtn"
    for url in ("http://user:word@vtn", "https://token@vtn/openadr3/3.1.0"):
        with pytest.raises(ValueError, match="no user name or password") as refused:
            web_address(url)
        assert "word" not in str(refused.value).replace("password", "")
    for url in ("ftp://vtn", "http://", "vtn:8080", "http://[vtn"):
        with pytest.raises(ValueError, match="expected a URL such as"):
            web_address(url)
    assert web_address("https://vtn/openadr3/3.1.0/") == "https://vtn/openadr3/3.1.0"


def test_a_port_that_is_none_is_refused_where_an_address_is_read() -> None:
    """Not only when it is used, where it would be an error of the library."""
    for port in ("99999", "abc", "-1", "0"):
        for read in (web_address, lambda url: ConnectionSettings(url=url), lambda url: PushSettings(callback_url=url)):
            with pytest.raises(ValueError, match="expected a port from 1 to 65535"):
                read(f"https://vtn.example:{port}/openadr3/3.1.0")
    for fine in ("https://vtn.example:8443", "http://[::1]:8080/openadr3/3.1.0", "https://vtn.example:/x"):
        assert web_address(fine) == fine
