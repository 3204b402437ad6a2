"""The client against servers that misbehave, refuse or are not there; `test_client_with_vtn` uses a real VTN."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import structlog
from aiohttp import web

from bench.support.net import free_port
from openadr_client import pooled_transport as long
from openadr_client import short_transport as short
from openadr_client.backoff import NO_RETRY
from openadr_client.client import NOT_MODIFIED, VtnClient
from openadr_client.clock import ManualClock, SystemClock
from openadr_client.errors import (
    AnswerTooLarge,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    Refused,
    TemporarilyUnavailable,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from openadr_client.pooled_transport import PooledTransport
from openadr_client.settings import ConnectionSettings, PushSettings
from openadr_client.short_transport import ShortTransport
from openadr_client.transport import BaseTransport, origin
from openadr_profiles.addresses import web_address
from openadr_profiles.v31 import EventRequest
from tests.support.scripted_vtn import ScriptedVtn, an_event, json_list, problem, scripted_vtn

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def vtn() -> AsyncIterator[ScriptedVtn]:
    async with scripted_vtn() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture(params=[PooledTransport, ShortTransport])
def transport(request: pytest.FixtureRequest) -> type[BaseTransport]:
    """Both that there are: of a VEN, and of a command that ends."""
    kind: type[BaseTransport] = request.param
    return kind


@pytest.fixture
async def client(vtn: ScriptedVtn, clock: ManualClock, transport: type[BaseTransport]) -> AsyncIterator[VtnClient]:
    async with VtnClient(
        base_url=vtn.base_url,
        client_id="home",
        client_secret="s3cret",
        clock=clock,
        transport=transport,
        retry=NO_RETRY,
    ) as client:
        yield client


async def test_token_is_found_by_asking_the_vtn_and_then_kept(vtn: ScriptedVtn, client: VtnClient) -> None:
    """VENCLIENT-003, VENCLIENT-004, VENCLIENT-006."""
    await client.events.search()
    await client.programs.search()

    assert vtn.token_forms == [{"grant_type": "client_credentials", "client_id": "home", "client_secret": "s3cret"}]
    assert vtn.authorizations == ["Bearer token-1", "Bearer token-1"]


async def test_audience_and_scope_are_sent_to_a_token_server_that_asks_for_them(vtn: ScriptedVtn) -> None:
    """Some token servers refuse a request without an audience."""

    async def demanding(request: web.Request) -> web.StreamResponse:
        if (await request.post()).get("audience") != "https://vtn.example":
            return web.json_response(
                {"error": "access_denied", "error_description": "audience is required"}, status=403
            )
        return web.json_response({"access_token": "t", "token_type": "Bearer", "expires_in": 300})

    vtn.token_answer = demanding
    account: dict[str, Any] = {"base_url": vtn.base_url, "client_id": "home", "client_secret": "s3cret"}
    async with VtnClient(**account, audience="https://vtn.example", scope="read_all") as client:
        await client.events.search()
    assert vtn.token_forms[-1]["scope"] == "read_all"
    assert vtn.authorizations == ["Bearer t"]
    async with VtnClient(**account) as client:
        with pytest.raises(Unauthorized, match="audience is required"):
            await client.events.search()


async def test_credentials_go_into_the_header_for_a_token_server_that_takes_them_only_there(vtn: ScriptedVtn) -> None:
    """RFC 6749 section 2.3.1: id and secret are form-encoded before they are joined by a colon."""
    seen: list[str | None] = []

    async def demanding(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"access_token": "t", "token_type": "Bearer", "expires_in": 300})

    vtn.token_answer = demanding
    async with VtnClient(
        base_url=vtn.base_url, client_id="home:1", client_secret="a b%ä", client_authentication="basic"
    ) as client:
        await client.events.search()

    assert vtn.token_forms == [{"grant_type": "client_credentials"}]
    assert seen == ["Basic " + base64.b64encode(b"home%3A1:a+b%25%C3%A4").decode()]


async def test_token_url_of_a_vtn_without_discovery_is_below_its_base(vtn: ScriptedVtn, client: VtnClient) -> None:
    """VENCLIENT-003."""

    async def not_found(_: web.Request) -> web.StreamResponse:
        return problem(404, "no such path")

    vtn.server_info = not_found
    await client.events.search()
    assert vtn.authorizations == ["Bearer token-1"]


async def test_token_is_renewed_before_it_ends(vtn: ScriptedVtn, client: VtnClient, clock: ManualClock) -> None:
    """VENCLIENT-004: 60 s before."""
    await client.events.search()
    await clock.advance(3539)
    await client.events.search()
    await clock.advance(2)
    await client.events.search()
    assert vtn.authorizations == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_old_token_serves_on_while_the_token_service_is_down(
    vtn: ScriptedVtn, client: VtnClient, clock: ManualClock
) -> None:
    await client.events.search()

    async def down(_: web.Request) -> web.StreamResponse:
        return problem(503, "maintenance")

    vtn.token_answer = down
    await clock.advance(3550)
    await client.events.search()
    assert vtn.authorizations[-1] == "Bearer token-1"

    await clock.advance(60)
    with pytest.raises(TemporarilyUnavailable, match="maintenance"):
        await client.events.search()


async def test_concurrent_calls_share_one_token_request(vtn: ScriptedVtn, client: VtnClient) -> None:
    """VENCLIENT-006."""
    await asyncio.gather(*(client.events.search() for _ in range(10)))
    assert len(vtn.token_forms) == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_token_is_renewed_once_and_the_request_repeated_once(
    vtn: ScriptedVtn, client: VtnClient, status: int
) -> None:
    """VENCLIENT-005."""

    async def refuse_the_first(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] == "Bearer token-1":
            return problem(status, "token revoked")
        return json_list([])

    vtn.answer = refuse_the_first
    assert await client.events.search() == []
    assert vtn.authorizations == ["Bearer token-1", "Bearer token-2"]


async def test_concurrent_refusals_share_one_renewal(vtn: ScriptedVtn, client: VtnClient) -> None:
    """VENCLIENT-005, VENCLIENT-006."""

    async def refuse_the_first(request: web.Request) -> web.StreamResponse:
        return problem(401, "no") if request.headers["Authorization"] == "Bearer token-1" else json_list([])

    vtn.answer = refuse_the_first
    await asyncio.gather(*(client.events.search() for _ in range(10)))
    assert len(vtn.token_forms) == 2


@pytest.mark.parametrize(("status", "class_"), [(401, Unauthorized), (403, Forbidden)])
async def test_second_refusal_is_reported(
    vtn: ScriptedVtn, client: VtnClient, status: int, class_: type[Exception]
) -> None:
    """VENCLIENT-005."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return problem(status, "not you")

    vtn.answer = refuse
    with pytest.raises(class_, match="not you"):
        await client.events.search()
    assert len(vtn.authorizations) == 2


async def test_wrong_secret_is_unauthorized_and_names_the_client(vtn: ScriptedVtn, client: VtnClient) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response({"error": "invalid_client", "error_description": "who?"}, status=401)

    vtn.token_answer = refuse
    with pytest.raises(Unauthorized, match=r"client home got no token: .*401 invalid_client who\?") as caught:
        await client.events.search()
    assert "s3cret" not in str(caught.value)


async def test_without_credentials_requests_go_without_a_token(vtn: ScriptedVtn) -> None:
    """VENCLIENT-002."""
    async with VtnClient(base_url=vtn.base_url) as anonymous:
        await anonymous.events.search()
    assert vtn.authorizations == [None]
    assert vtn.token_forms == []


async def test_given_token_is_used_as_it_is(vtn: ScriptedVtn) -> None:
    async with VtnClient(base_url=vtn.base_url, token="mine") as client:
        await client.events.search()
    assert vtn.authorizations == ["Bearer mine"]


def test_secrets_do_not_show_in_representations() -> None:
    """VENCLIENT-026."""
    client = VtnClient(base_url="http://vtn", client_id="home", client_secret="s3cret")
    assert repr(client) == "VtnClient(base_url='http://vtn', client_id='home')"
    assert "s3cret" not in repr(VtnClient(base_url="http://vtn", token="s3cret"))


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


class Shelf:
    """Events in the VTN's order, newest first, with an entity tag for every page."""

    def __init__(self, vtn: ScriptedVtn, count: int) -> None:
        self.ids = [f"e{number}" for number in range(count)]
        self.not_modified = 0
        self.after_page: dict[int, Any] = {}
        vtn.answer = self.answer

    async def answer(self, request: web.Request) -> web.StreamResponse:
        skip, limit = int(request.query["skip"]), int(request.query["limit"])
        body = json.dumps([an_event(id_) for id_ in self.ids[skip : skip + limit]])
        etag = f'"{hash(body)}"'
        if action := self.after_page.pop(skip, None):
            action()
        if request.headers.get("If-None-Match") == etag:
            self.not_modified += 1
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(text=body, headers={"ETag": etag}, content_type="application/json")


@pytest.mark.parametrize("count", [0, 1, 49, 50, 51, 99, 100, 230])
async def test_all_pages_are_read(vtn: ScriptedVtn, client: VtnClient, count: int) -> None:
    """VENCLIENT-007."""
    shelf = Shelf(vtn, count)
    assert [event.id for event in await client.events.search()] == shelf.ids


async def test_deletion_while_paging_hides_no_other_object(vtn: ScriptedVtn, client: VtnClient) -> None:
    """VENCLIENT-007, VENCLIENT-012: an event that slips to the page just read must not look deleted."""
    shelf = Shelf(vtn, 120)
    shelf.after_page[0] = lambda: shelf.ids.remove("e3")
    assert {event.id for event in await client.events.search()} == set(shelf.ids)


async def test_insertion_while_paging_repeats_no_object(vtn: ScriptedVtn, client: VtnClient) -> None:
    shelf = Shelf(vtn, 120)
    shelf.after_page[0] = lambda: shelf.ids.insert(0, "new")
    found = [event.id for event in await client.events.search()]
    assert found == [id_ for id_ in shelf.ids if id_ != "new"]


async def test_vtn_that_ignores_paging_is_not_read_for_ever(vtn: ScriptedVtn, client: VtnClient) -> None:
    async def same_page(_: web.Request) -> web.StreamResponse:
        return json_list([an_event(f"e{number}") for number in range(50)])

    vtn.answer = same_page
    assert len(await client.events.search()) == 50


async def test_pages_of_large_objects_are_read_a_few_at_a_time(
    vtn: ScriptedVtn, client: VtnClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VENCLIENT-007: no more is read of one answer than fits, and objects larger than that are said to be so."""
    shelf = Shelf(vtn, 30)
    three = len(json.dumps([an_event(id_) for id_ in shelf.ids[-3:]]))
    for module in (long, short):
        monkeypatch.setattr(module, "MAX_BODY", three)

    assert [event.id for event in await client.events.search()] == shelf.ids
    first = await client.events.poll()
    assert first is not NOT_MODIFIED
    assert [event.id for event in first] == shelf.ids
    assert await client.events.poll() is NOT_MODIFIED
    for module in (long, short):
        monkeypatch.setattr(module, "MAX_BODY", three // 4)
    with pytest.raises(AnswerTooLarge, match="more than"):
        await client.events.search()


async def test_object_that_is_larger_than_an_answer_may_be_hides_no_other(
    vtn: ScriptedVtn, client: VtnClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """V16: large events are read one by one, and one that is too large is named as unreadable."""
    shelf = Shelf(vtn, 7)
    shelf.ids[3] = "e" * 120
    one = len(json.dumps([an_event("e6")]))
    for module in (long, short):
        monkeypatch.setattr(module, "MAX_BODY", one + 20)

    found = await client.events.search()
    assert [event.id for event in found] == [id_ for id_ in shelf.ids if id_ != "e" * 120]
    assert [(each.id, "more than" in each.problem) for each in found.broken] == [(None, True)]


async def test_new_object_while_single_ones_are_read_hides_no_other(
    vtn: ScriptedVtn, client: VtnClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(vtn, 7)
    known = list(shelf.ids)
    for module in (long, short):
        monkeypatch.setattr(module, "MAX_BODY", len(json.dumps([an_event("e6")])) + 20)
    shelf.after_page[2] = lambda: shelf.ids.insert(0, "new")

    assert [event.id for event in await client.events.search()] == known


async def test_vtn_that_has_always_another_page_is_not_read_for_ever(vtn: ScriptedVtn, client: VtnClient) -> None:
    """V3."""

    async def another_page(request: web.Request) -> web.StreamResponse:
        skip = int(request.query["skip"])
        return json_list([an_event(f"e{skip + number}") for number in range(50)])

    vtn.answer = another_page
    with pytest.raises(UnexpectedAnswer, match="no last page: 400 pages"):
        await client.events.poll()


async def test_unreadable_object_is_named_once(vtn: ScriptedVtn, client: VtnClient) -> None:
    """V18: not again at every poll, but again if its problem is another one."""
    broken: dict[str, Any] = {"id": "bad", "intervals": 5}

    async def one_broken(_: web.Request) -> web.StreamResponse:
        return json_list([an_event("e1"), broken])

    vtn.answer = one_broken
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            await client.events.search()
        broken["intervals"] = "none"
        await client.events.search()
    assert [log["id"] for log in logs if log["event"] == "unreadable object ignored"] == ["bad", "bad"]


async def test_poll_says_when_nothing_has_changed(vtn: ScriptedVtn, client: VtnClient) -> None:
    shelf = Shelf(vtn, 120)
    first = await client.events.poll()
    assert first is not NOT_MODIFIED
    assert [event.id for event in first] == shelf.ids
    assert await client.events.poll() is NOT_MODIFIED
    assert shelf.not_modified == 3


@pytest.mark.parametrize("gone", ["e0", "e60", "e119"])
async def test_poll_sees_a_change_on_any_page(vtn: ScriptedVtn, client: VtnClient, gone: str) -> None:
    shelf = Shelf(vtn, 120)
    await client.events.poll()
    shelf.ids.remove(gone)
    second = await client.events.poll()
    assert second is not NOT_MODIFIED
    assert [event.id for event in second] == shelf.ids


async def test_poll_sees_that_the_last_page_is_gone(vtn: ScriptedVtn, client: VtnClient) -> None:
    shelf = Shelf(vtn, 60)
    await client.events.poll()
    del shelf.ids[49:]
    second = await client.events.poll()
    assert second is not NOT_MODIFIED
    assert [event.id for event in second] == shelf.ids


async def test_filters_are_sent_in_the_exploded_form(vtn: ScriptedVtn, client: VtnClient) -> None:
    """PAGE-012, PAGE-013."""
    await client.events.search(program_id="p1", targets=["north", "a,b"], active=True)
    assert vtn.paths == ["GET /events?programID=p1&targets=north&targets=a,b&active=true&skip=0&limit=50"]


async def test_expired_token_counts_by_the_given_clock(vtn: ScriptedVtn) -> None:
    clock = ManualClock(START)
    vtn.expires_in = 10
    async with VtnClient(base_url=vtn.base_url, client_id="home", client_secret="x", clock=clock) as client:
        await client.events.search()
        await clock.advance(8)
        await client.events.search()
        await clock.advance_to(START + timedelta(seconds=9))
        await client.events.search()
    assert vtn.authorizations == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


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
