"""The client's receiver of websockets, with a real VTN and with one that misbehaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from openadr_client import (
    NO_RETRY,
    NoWay,
    PushSettings,
    ReadAgain,
    ReceivedNotification,
    TemporarilyUnavailable,
    Unauthorized,
    Unreachable,
    VtnClient,
    WebsocketReceiver,
    listen,
    websocket_receiver,
)
from openadr_profiles.v31 import Event
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest

NOTIFICATION = {"objectType": "EVENT", "operation": "CREATE", "object": {"id": "e-1", "objectType": "EVENT"}}


def client_of(session: Session) -> VtnClient:
    """A client with the token of a session."""
    token = session.headers["Authorization"].removeprefix("Bearer ")
    return VtnClient(base_url=session.vtn.base_url, token=token, retry=NO_RETRY)


@asynccontextmanager
async def receiving(receiver: WebsocketReceiver, told: list[Any]) -> AsyncIterator[asyncio.Task[None]]:
    """A connection that is there, as a task."""
    task = asyncio.create_task(receiver.receive(told.append))
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_happens_is_told_as_an_object(vtn: VtnUnderTest) -> None:
    told: list[Any] = []
    bl = vtn.bl
    async with client_of(bl) as client, receiving(WebsocketReceiver(client, objects=("EVENT",)), told):
        await wait_until(lambda: told)
        event = await bl.event(await bl.program(), eventName="x")
        await wait_until(lambda: len(told) == 2)

    again, notification = told
    assert again == ReadAgain("connected to the websocket", "websocket")
    assert isinstance(notification, ReceivedNotification)
    assert (notification.operation, notification.object_type, notification.object_id) == (
        "CREATE",
        "EVENT",
        event["id"],
    )
    assert notification.object_as(Event).event_name == "x"
    assert notification.way == "websocket"
    assert notification.id


async def test_a_connection_that_breaks_is_made_again_without_a_gap(vtn: VtnUnderTest) -> None:
    """Tell what happened meanwhile, without a need to read again."""
    told: list[Any] = []
    bl = vtn.bl
    async with client_of(bl) as client:
        receiver = WebsocketReceiver(client, objects=("PROGRAM",))
        async with receiving(receiver, told):
            await wait_until(lambda: told)
            first = await bl.program()
            await wait_until(lambda: len(told) == 2)
        second = await bl.program()
        async with receiving(receiver, told):
            await wait_until(lambda: len(told) == 3)
            third = await bl.program()
            await wait_until(lambda: len(told) == 4)

    assert [type(each) for each in told] == [ReadAgain, *[ReceivedNotification] * 3]
    assert [each.object_id for each in told[1:]] == [first["id"], second["id"], third["id"]]


async def test_it_returns_when_the_token_is_over(vtn: VtnUnderTest) -> None:
    """To be called again, with the next token (VENCLIENT-015)."""
    told: list[Any] = []
    async with client_of(vtn.bl) as client, receiving(WebsocketReceiver(client), told) as task:
        await wait_until(lambda: told)
        vtn.now.pass_(hours=1)

        assert await task is None  # type: ignore[func-returns-value]


async def test_the_end_of_the_server_is_an_error(start_vtn: StartVtn) -> None:
    vtn = await start_vtn()
    told: list[Any] = []
    async with client_of(vtn.bl) as client, receiving(WebsocketReceiver(client), told) as task:
        await wait_until(lambda: told)
        await vtn.stop()

        with pytest.raises(Unreachable, match="ended the websocket"):
            await task


async def test_the_code_of_the_server_counts_though_it_cannot_be_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp says 1006 of a connection that is gone before its own answer to the close frame."""

    async def gone(*_: object) -> None:
        raise ConnectionResetError("Cannot write to closing transport")

    monkeypatch.setattr("aiohttp._websocket.writer.WebSocketWriter.close", gone)
    async with odd_vtn([], close_frame=b"\x88\x02" + (4401).to_bytes(2, "big")) as client:
        await WebsocketReceiver(client).receive(lambda told: None)
    async with odd_vtn([], close_frame=b"\x88\x02" + (4408).to_bytes(2, "big")) as client:
        with pytest.raises(Unreachable, match="code 4408"):
            await WebsocketReceiver(client).receive(lambda told: None)


async def test_listen_takes_the_websocket_where_there_is_no_broker(vtn: VtnUnderTest) -> None:
    bl = vtn.bl
    settings = PushSettings(mode="websocket")
    async with client_of(bl) as client:
        for chosen in (None, settings):
            async with listen(client, settings=chosen, objects=("PROGRAM",)) as told:
                assert (await anext(told)).way == "websocket"
                program = await bl.program()
                notification = await anext(told)
                assert isinstance(notification, ReceivedNotification)
                assert notification.object_id == program["id"]


@asynccontextmanager
async def odd_vtn(
    messages: list[str],
    *,
    status: int = 101,
    uris: object = None,
    close_frame: bytes | None = None,
    pings: int = 0,
) -> AsyncIterator[VtnClient]:
    """A client of a server that sends these messages, or refuses, or never answers (status 0).

    ``uris`` are what it announces; it waits for ``pings`` before it sends anything.
    """
    over = asyncio.Event()

    async def notifiers(request: web.Request) -> web.Response:
        own = [f"ws://{request.host}/ws"]
        return web.json_response({"WEBHOOK": True, "WEBSOCKET": {"URIS": own} if uris is None else uris})

    async def socket(request: web.Request) -> web.StreamResponse:
        if status == 0:
            await over.wait()
        if status != 101:
            return web.Response(status=status or 500)
        if "after" in request.query:
            return web.Response(status=400)
        answer = web.WebSocketResponse(autoping=not pings)
        await answer.prepare(request)
        for _ in range(pings):
            await answer.pong((await answer.receive()).data)
        for message in messages:
            await answer.send_str(message)
        if close_frame is not None:
            assert request.transport is not None
            request.transport.write(close_frame)
        await answer.close()
        return answer

    app = web.Application()
    app.add_routes([web.get("/notifiers", notifiers), web.get("/ws", socket)])
    async with TestServer(app) as server:
        base_url = str(server.make_url("")).rstrip("/")
        async with VtnClient(base_url=base_url, token="t", retry=NO_RETRY) as client:
            try:
                yield client
            finally:
                over.set()


async def test_what_is_told_twice_is_told_on_once_and_what_is_unreadable_is_a_reason_to_read() -> None:
    twice = json.dumps({"id": "7", "resume": "5-1", **NOTIFICATION})
    told: list[Any] = []
    async with odd_vtn(["{", "[]", twice, twice, json.dumps({"objectType": "EVENT"})]) as client:
        with pytest.raises(Unreachable):
            await WebsocketReceiver(client).receive(told.append)

    unreadable = ReadAgain("a notification that could not be read", "websocket")
    assert told[:2] == [unreadable, unreadable]
    assert [each.id for each in told[2:3]] == ["7"]
    assert told[3:] == [unreadable]


async def test_a_place_that_the_vtn_does_not_like_is_given_up() -> None:
    """It answers 400 to `after`: then it is asked from the present on."""
    told: list[Any] = []
    async with odd_vtn([json.dumps({"status": "OPEN", "resume": "5-1"})]) as client:
        receiver = WebsocketReceiver(client)
        with pytest.raises(Unreachable, match="ended the websocket"):
            await receiver.receive(told.append)
        with pytest.raises(TemporarilyUnavailable, match="does not go on"):
            await receiver.receive(told.append)
        with pytest.raises(Unreachable, match="ended the websocket"):
            await receiver.receive(told.append)
    assert told == [ReadAgain("connected to the websocket", "websocket")] * 2


async def test_what_was_told_is_remembered_up_to_a_bound() -> None:
    """A VTN whose place never moves on does not fill our memory."""
    told: list[Any] = []
    async with VtnClient(base_url="http://127.0.0.1:1") as client:
        receiver = WebsocketReceiver(client)
        for number in [*range(1500), *range(501, 1500)]:
            receiver._read(json.dumps({"id": str(number), "resume": "0-1", **NOTIFICATION}), told.append)
    assert len(told) == 1 + 1499
    assert len(receiver._told) == 1000


async def test_what_is_nested_too_deeply_is_a_reason_to_read() -> None:
    told: list[Any] = []
    nested = '{"objectType":"EVENT","object":' + "[" * 3000 + "]" * 3000 + "}"
    async with odd_vtn(["[" * 100_000, nested]) as client:
        with pytest.raises(Unreachable, match="ended the websocket"):
            await WebsocketReceiver(client).receive(told.append)
    assert told == [ReadAgain("a notification that could not be read", "websocket")] * 2


async def test_a_server_that_never_answers_the_opening_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_receiver, "_TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=0.2))
    async with odd_vtn([], status=0) as client:
        with pytest.raises(Unreachable, match="cannot reach"):
            await asyncio.wait_for(WebsocketReceiver(client).receive(lambda told: None), 30)


async def test_a_websocket_may_be_silent_for_longer_than_its_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server says something after three pings, each later than the limit of the opening."""
    monkeypatch.setattr(websocket_receiver, "_TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=0.5))
    monkeypatch.setattr(websocket_receiver, "_PING_EVERY_S", 1.0)
    told: list[Any] = []
    async with odd_vtn([json.dumps(NOTIFICATION)], pings=3) as client:
        with pytest.raises(Unreachable, match="ended the websocket"):
            await WebsocketReceiver(client).receive(told.append)
    assert [each.object_id for each in told] == ["e-1"]


async def test_a_password_in_an_address_is_not_shown() -> None:
    async with odd_vtn([], uris={"URIS": ["amqp://user:hush@x"]}) as client:
        with pytest.raises(NoWay, match="amqp://x") as raised:
            await WebsocketReceiver(client).receive(lambda told: None)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, Unauthorized),
        (403, NoWay),
        (404, NoWay),
        (426, NoWay),
        (429, TemporarilyUnavailable),
        (503, TemporarilyUnavailable),
    ],
)
async def test_a_refusal_says_what_can_be_done(status: int, error: type[Exception]) -> None:
    async with odd_vtn([], status=status) as client:
        with pytest.raises(error):
            await WebsocketReceiver(client).receive(lambda told: None)


@pytest.mark.parametrize(
    "uris", [True, {}, {"URIS": None}, {"URIS": []}, {"URIS": [7]}, {"URIS": ["mqtt://x"]}, "wss://x"]
)
async def test_an_announcement_in_another_form_is_no_way(uris: object) -> None:
    """VENCLIENT-029: it does no harm to the rest of /notifiers."""
    async with odd_vtn([], uris=uris) as client:
        found = await client.notifiers()
        assert found is not None
        assert found.webhook
        with pytest.raises(NoWay):
            await WebsocketReceiver(client).receive(lambda told: None)


async def test_no_token_is_sent_without_tls_to_who_is_reached_over_tls() -> None:
    """VENCLIENT-024."""
    async with odd_vtn([]) as client:
        client.base_url, plain = client.base_url.replace("http:", "https:"), client.base_url

        async def notifiers() -> Any:
            client.base_url = plain
            found = await VtnClient.notifiers(client)
            client.base_url = plain.replace("http:", "https:")
            return found

        client.notifiers = notifiers  # type: ignore[method-assign] # the edge that is replaced
        with pytest.raises(NoWay, match="expected wss://"):
            await WebsocketReceiver(client).receive(lambda told: None)
