"""Repeated calls, against a server that fails as a test says: what is repeated, how long is waited, what never is."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from bench.support.net import free_port
from openadr_client import (
    AnswerTooLarge,
    Clock,
    NotFound,
    Retry,
    TemporarilyUnavailable,
    UnexpectedAnswer,
    Unreachable,
    VtnClient,
    VtnError,
    event_request,
)
from openadr_client import pooled_transport as pooled
from openadr_client import short_transport as short
from openadr_client.transport import BaseTransport
from tests.support.scripted_vtn import Answerer, ScriptedVtn, an_event, problem

START = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = event_request("p", "SIMPLE", [1], start=START, duration=timedelta(hours=1))


class PatientClock(Clock):
    """A clock for which waiting takes no time; keeps how long was waited, in seconds."""

    def __init__(self) -> None:
        self._now = START
        self.waits: list[float] = []
        self.at_sleep: Callable[[], Awaitable[None]] | None = None

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, instant: datetime) -> None:
        self.waits.append((instant - self._now).total_seconds())
        self._now = max(self._now, instant)
        if self.at_sleep is not None:
            await self.at_sleep()


@pytest.fixture
def clock() -> PatientClock:
    return PatientClock()


@pytest.fixture
async def client(vtn: ScriptedVtn, clock: PatientClock, transport: type[BaseTransport]) -> AsyncIterator[VtnClient]:
    async with VtnClient(base_url=vtn.base_url, token="t", clock=clock, transport=transport) as client:
        yield client


def answers(*listed: web.Response | None) -> Answerer:
    """Give these answers one after the other, the last one for ever; None breaks the connection."""
    left = list(listed)

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        given = left.pop(0) if len(left) > 1 else left[0]
        if given is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return web.Response(status=given.status, body=given.body, headers=given.headers)

    return answer


def event() -> web.Response:
    return web.json_response(an_event("e"))


CALLS: dict[str, Callable[[VtnClient], Awaitable[Any]]] = {
    "GET": lambda client: client.events.get("e"),
    "PUT": lambda client: client.events.replace("e", EVENT),
    "DELETE": lambda client: client.events.delete("e"),
    "POST": lambda client: client.events.create(EVENT),
}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_what_can_be_done_twice_is_repeated(
    vtn: ScriptedVtn, client: VtnClient, clock: PatientClock, method: str, status: int
) -> None:
    vtn.answer = answers(problem(status, "busy"), problem(status, "busy"), event())

    assert (await CALLS[method](client)).id == "e"
    assert vtn.paths == [f"{method} /events/e"] * 3
    assert 0.25 <= clock.waits[0] <= 0.5 <= clock.waits[1] <= 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_post_that_may_have_arrived_is_sent_once(vtn: ScriptedVtn, client: VtnClient, status: int) -> None:
    """A gateway's error does not tell whether the VTN has made the object."""
    vtn.answer = answers(problem(status, "busy"), event())
    with pytest.raises(TemporarilyUnavailable):
        await client.events.create(EVENT)
    assert vtn.paths == ["POST /events"]


async def test_a_post_whose_connection_broke_is_sent_once(vtn: ScriptedVtn, client: VtnClient) -> None:
    vtn.answer = answers(None, event())
    with pytest.raises(Unreachable) as caught:
        await client.events.create(EVENT)
    assert caught.value.was_sent
    assert vtn.paths == ["POST /events"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_broken_connection_is_made_again(vtn: ScriptedVtn, client: VtnClient, method: str) -> None:
    vtn.answer = answers(None, event())
    assert (await CALLS[method](client)).id == "e"


async def test_a_post_that_was_refused_unread_is_repeated(
    vtn: ScriptedVtn, client: VtnClient, clock: PatientClock
) -> None:
    """429: too many requests, this one was not looked at (RFC 6585)."""
    vtn.answer = answers(problem(429, "slow down", Retry_After="7"), event())
    assert (await client.events.create(EVENT)).id == "e"
    assert vtn.paths == ["POST /events"] * 2
    assert clock.waits == [7]


async def test_a_post_that_never_left_is_repeated(clock: PatientClock, transport: type[BaseTransport]) -> None:
    """Nothing listens at first; the server is there by the second attempt and gets the request once."""
    port, arrived = free_port(), []

    async def create(request: web.Request) -> web.Response:
        arrived.append(await request.text())
        return event()

    app = web.Application()
    app.router.add_post("/events", create)
    runner = web.AppRunner(app)
    await runner.setup()

    async def start() -> None:
        clock.at_sleep = None
        await web.TCPSite(runner, "127.0.0.1", port).start()

    clock.at_sleep = start
    try:
        async with VtnClient(
            base_url=f"http://127.0.0.1:{port}", token="t", clock=clock, transport=transport
        ) as client:
            assert (await client.events.create(EVENT)).id == "e"
    finally:
        await runner.cleanup()
    assert len(arrived) == 1


async def test_a_token_server_that_is_busy_is_asked_again_and_the_post_is_sent_once(
    vtn: ScriptedVtn, clock: PatientClock, transport: type[BaseTransport]
) -> None:
    """Fetching a token makes nothing that could be there twice."""
    vtn.token_answer = answers(problem(503, "busy"), None, web.json_response({"access_token": "t"}))
    vtn.answer = answers(event())
    async with VtnClient(
        base_url=vtn.base_url, client_id="a", client_secret="b", clock=clock, transport=transport
    ) as client:
        await client.events.create(EVENT)
    assert vtn.paths == ["POST /events"]
    assert len(vtn.token_forms) == 3


async def test_a_deletion_whose_answer_was_lost_says_that_it_may_be_done(vtn: ScriptedVtn, client: VtnClient) -> None:
    vtn.answer = answers(problem(504, "the VTN was too slow"), problem(404, "no such event"))
    with pytest.raises(NotFound, match="an earlier attempt, whose answer was lost, may have deleted it"):
        await client.events.delete("e")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_endless_429_ends_after_four_attempts(
    vtn: ScriptedVtn, client: VtnClient, clock: PatientClock, method: str
) -> None:
    vtn.answer = answers(problem(429, "slow down"))
    with pytest.raises(TemporarilyUnavailable, match="slow down"):
        await CALLS[method](client)
    assert len(vtn.paths) == 4
    assert len(clock.waits) == 3


@pytest.mark.parametrize("header", ["0", "Thu, 01 Jan 1970 00:00:00 GMT", "1e308", "-1", "soon", "²"])
async def test_a_wait_that_is_none_is_replaced_by_our_own(
    vtn: ScriptedVtn, client: VtnClient, clock: PatientClock, header: str
) -> None:
    """V2: a VTN that says 0 does not get a thousand requests a second."""
    vtn.answer = answers(problem(503, "busy", Retry_After=header), event())
    await client.events.get("e")
    assert len(clock.waits) == 1
    assert 0.25 <= clock.waits[0] <= 0.5


@pytest.mark.parametrize("header", ["61", "99999999999999", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_a_wait_that_is_too_long_ends_the_call_at_once(
    vtn: ScriptedVtn, client: VtnClient, clock: PatientClock, header: str
) -> None:
    vtn.answer = answers(problem(503, "maintenance", Retry_After=header))
    with pytest.raises(TemporarilyUnavailable, match="maintenance") as caught:
        await client.events.get("e")
    assert len(vtn.paths) == 1
    assert clock.waits == []
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s >= 61


async def test_the_time_of_all_attempts_is_limited(
    vtn: ScriptedVtn, clock: PatientClock, transport: type[BaseTransport]
) -> None:
    vtn.answer = answers(problem(503, "busy"))
    retry = Retry(attempts=1000, total_s=10, first_s=1, longest_s=2)
    async with VtnClient(base_url=vtn.base_url, token="t", clock=clock, transport=transport, retry=retry) as client:
        with pytest.raises(TemporarilyUnavailable):
            await client.events.get("e")
    assert sum(clock.waits) <= 10
    assert 5 <= len(vtn.paths) <= 16


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (problem(501, "not here"), TemporarilyUnavailable),
        (web.Response(text="<html>"), UnexpectedAnswer),
        (web.json_response({"id": 1e308}), UnexpectedAnswer),
        (web.Response(status=302, headers={"Location": "/"}), UnexpectedAnswer),
    ],
)
async def test_what_will_not_pass_is_not_repeated(
    vtn: ScriptedVtn, client: VtnClient, clock: PatientClock, answer: web.Response, error: type[VtnError]
) -> None:
    vtn.answer = answers(answer)
    with pytest.raises(error):
        await client.events.get("e")
    assert len(vtn.paths) == 1
    assert clock.waits == []


async def test_an_answer_that_is_too_large_is_not_repeated(
    vtn: ScriptedVtn, client: VtnClient, clock: PatientClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (pooled, short):
        monkeypatch.setattr(module, "MAX_BODY", 1000)
    vtn.answer = answers(web.json_response(an_event("e", eventName="x" * 2000)))
    with pytest.raises(AnswerTooLarge):
        await client.events.get("e")
    assert len(vtn.paths) == 1
    assert clock.waits == []


async def test_an_answer_that_drips_is_given_up_and_asked_for_again(
    vtn: ScriptedVtn, clock: PatientClock, transport: type[BaseTransport]
) -> None:
    """The time of a request ends with its last byte, however many came before."""
    over = asyncio.Event()

    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"[")
        await over.wait()
        return response

    vtn.answer = drip
    retry = Retry(attempts=2)
    async with VtnClient(
        base_url=vtn.base_url, token="t", clock=clock, transport=transport, retry=retry, timeout_s=0.5
    ) as client:
        with pytest.raises(Unreachable, match=r"within 0\.5 s"):
            await client.events.get("e")
    over.set()
    assert vtn.paths == ["GET /events/e"] * 2


async def test_an_address_that_is_none_is_not_tried_again(clock: PatientClock, transport: type[BaseTransport]) -> None:
    async with VtnClient(base_url="http://[", token="t", clock=clock, transport=transport) as client:
        with pytest.raises(Unreachable, match="not a usable URL"):
            await client.events.get("e")
    assert clock.waits == []


@pytest.mark.parametrize("limits", [{"attempts": 0}, {"total_s": -1}, {"first_s": -0.1}])
def test_limits_that_make_no_sense_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Retry: expected"):
        Retry(**limits)


@pytest.mark.parametrize("id_", ["", ".", ".."])
async def test_an_id_that_would_name_another_path_is_not_asked_for(
    vtn: ScriptedVtn, client: VtnClient, id_: str
) -> None:
    """DELETE /events/.. would be sent as DELETE of what is above."""
    with pytest.raises(ValueError, match="is no id: expected 1 to 128 letters"):
        await client.events.delete(id_)
    assert vtn.paths == []
