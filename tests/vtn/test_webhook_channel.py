"""The channel of webhooks, against receivers over TLS: what is sent, what an answer means, and where nothing goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from bench.support.net import free_port
from tests.support.pki import Pki, server_context
from tests.vtn.receiver import Receiver
from vtn.notification_settings import Webhook
from vtn.notify.channel import NotDelivered
from vtn.notify.url_judge import Lookup, UrlJudge, system_lookup
from vtn.notify.webhook import WebhookChannel
from vtn.store.outbox.rows import Delivery, Endpoint, Notification, Operation, Push, Version

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
BODY = b'{"objectType":"EVENT","operation":"CREATE","object":{}}'


@asynccontextmanager
async def receiving(pki: Pki, *, name: str = "localhost") -> AsyncIterator[Receiver]:
    """A receiver over TLS that accepts everything."""
    receiver = Receiver()
    receiver.answering = lambda request: answer(200)
    await receiver.start(tls=server_context(pki.server(name)))
    try:
        yield receiver
    finally:
        await receiver.stop()


@asynccontextmanager
async def channel_to(
    ca: Path | None, *, lookup: Lookup = system_lookup, **settings: Any
) -> AsyncIterator[WebhookChannel]:
    """A channel that may call this machine."""
    rules = {"allowed": ["127.0.0.1", "localhost"], "ca_file": ca, "timeout_s": 10.0} | settings
    channel = WebhookChannel(UrlJudge(Webhook(**rules), lookup=lookup), lambda delivery, face: BODY, lambda: NOW)
    try:
        yield channel
    finally:
        await channel.close()


def endpoint(url: str, *, token: str | None = None, id_: str = "e") -> Endpoint:
    """An endpoint with this URL."""
    return Endpoint(id_, Push.WEBHOOK, "s", "home-1", url, token, 0, None)


def delivery(number: int = 1, *, attempts: int = 0) -> Delivery:
    """A delivery of some event."""
    at = "2026-06-01T11:00:00.000000Z"
    version = Version(at, at, (), (), "")
    note = Notification(number, at, "EVENT", Operation.CREATE, "o", None, "p", None, False, False, version)
    return Delivery(number, "e", note, Operation.CREATE, None, None, attempts)


async def answer(status: int, body: str = "", **headers: str) -> web.Response:
    """An answer of a receiver."""
    return web.Response(status=status, text=body, headers={name.replace("_", "-"): headers[name] for name in headers})


async def sent(channel: WebhookChannel, to: Endpoint, *numbers: int) -> list[int]:
    """Send deliveries and return the numbers of those that were accepted."""
    done: list[int] = []
    await channel.send(to, [delivery(number) for number in numbers], lambda one: done.append(one.id))
    return done


async def failure(channel: WebhookChannel, to: Endpoint, one: Delivery | None = None) -> NotDelivered:
    """Send a delivery that is not accepted, and return why."""
    with pytest.raises(NotDelivered) as raised:
        await channel.send(to, [one or delivery()], lambda _: pytest.fail("it was accepted"))
    return raised.value


async def test_a_delivery_is_one_post_of_json_with_the_token_of_its_entry(pki: Pki) -> None:
    """WEBHOOK-008, WEBHOOK-009, WEBHOOK-015, WEBHOOK-032: its id stays when it is sent again."""
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:
        url = f"{receiver.url}?key=a%20b&x=1"
        bodies = []

        async def keep(request: web.Request) -> web.Response:
            bodies.append(await request.read())
            return web.Response(status=204)

        receiver.answering = keep
        assert await sent(channel, endpoint(url, token="a token of a receiver"), 1, 2) == [1, 2]
        await channel.send(endpoint(url), [delivery(1, attempts=3)], lambda _: None)
    assert bodies == [BODY] * 3
    first, second, again = receiver.requests
    assert {(one.method, one.raw_path) for one in receiver.requests} == {("POST", "/hook?key=a%20b&x=1")}
    assert first.headers["Content-Type"] == "application/json"
    assert first.headers["Authorization"] == second.headers["Authorization"] == "Bearer a token of a receiver"
    assert "Authorization" not in again.headers
    assert [one.headers["X-Attempt"] for one in receiver.requests] == ["1", "1", "4"]
    ids = [one.headers["X-Request-ID"] for one in receiver.requests]
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_2xx_is_success(pki: Pki, status: int) -> None:
    """WEBHOOK-016."""
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:
        receiver.answering = lambda request: answer(status)
        assert await sent(channel, endpoint(receiver.url), 7) == [7]


@pytest.mark.parametrize(
    ("status", "final", "gone"),
    [
        *((status, False, False) for status in (301, 307, 408, 425, 429, 500, 502, 503)),
        *((status, True, False) for status in (400, 401, 403, 404, 405, 413, 422)),
        (410, True, True),
    ],
)
async def test_other_answers_are_failures(pki: Pki, status: int, final: bool, gone: bool) -> None:
    """WEBHOOK-016, WEBHOOK-019, WEBHOOK-020: no redirect is followed; the reason shows nothing of the answer's body."""
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:
        receiver.answering = lambda request: answer(status, "a page of the inside", Location=receiver.url)
        failed = await failure(channel, endpoint(receiver.url), delivery(5))
    assert failed.delivery is not None
    assert (failed.delivery.id, failed.final, failed.gone, failed.reason) == (5, final, gone, f"it answered {status}")
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("status", [429, 503, 500])
@pytest.mark.parametrize(
    ("asked", "pause"),
    [("120", 120.0), (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0), ("soon", None), ("", None)],
)
async def test_a_pause_that_is_asked_for(pki: Pki, status: int, asked: str, pause: float | None) -> None:
    """WEBHOOK-020: as a number or a date, of 429 and 503."""
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:
        receiver.answering = lambda request: answer(status, Retry_After=asked)
        assert (await failure(channel, endpoint(receiver.url))).retry_after_s == (None if status == 500 else pause)


async def test_what_is_behind_a_failure_is_not_sent(pki: Pki) -> None:
    """WEBHOOK-021."""
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:
        receiver.answering = lambda request: answer(200 if len(receiver.requests) < 3 else 500)
        done: list[int] = []
        with pytest.raises(NotDelivered) as raised:
            await channel.send(
                endpoint(receiver.url), [delivery(number) for number in range(1, 9)], lambda one: done.append(one.id)
            )
    assert raised.value.delivery is not None
    assert (done, raised.value.delivery.id, len(receiver.requests)) == ([1, 2], 3, 3)


async def test_connections_are_kept_and_one_that_was_closed_is_no_failure(pki: Pki) -> None:
    """A receiver that ends idle connections, or ends one at the moment it is used, is sent the delivery again."""
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:
        assert await sent(channel, endpoint(receiver.url), 1, 2, 3) == [1, 2, 3]
        assert len({id(one.transport) for one in receiver.requests}) == 1

        async def hang_up(request: web.Request) -> web.Response:
            if len(receiver.requests) == 4:
                assert request.transport is not None
                request.transport.abort()
            return web.Response()

        receiver.answering = hang_up
        assert await sent(channel, endpoint(receiver.url), 4) == [4]
        assert [one.headers["X-Request-ID"] for one in receiver.requests[3:]] == [
            receiver.requests[3].headers["X-Request-ID"]
        ] * 2


async def test_a_receiver_that_hangs_up_has_seen_the_delivery(pki: Pki) -> None:
    """It is an attempt, as the receiver may have taken it."""
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:

        async def hang_up(request: web.Request) -> web.Response:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        receiver.answering = hang_up
        failed = await failure(channel, endpoint(receiver.url))
    assert (failed.delivery is not None, failed.final, failed.reason) == (True, False, "it hung up")


async def test_a_receiver_that_does_not_answer_is_given_up(pki: Pki) -> None:
    """WEBHOOK-017."""
    async with receiving(pki) as receiver, channel_to(pki.ca, timeout_s=1.0) as channel:
        release = asyncio.Event()

        async def wait(request: web.Request) -> web.Response:
            await release.wait()
            return web.Response()

        receiver.answering = wait
        try:
            failed = await failure(channel, endpoint(receiver.url))
        finally:
            release.set()
    assert (failed.delivery is not None, failed.final, failed.reason) == (True, False, "it did not answer in time")


async def test_a_receiver_that_is_not_reached_has_seen_nothing(pki: Pki) -> None:
    """Nobody listens; a server that never answers the handshake; a name that is unknown."""

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("unknown")

    async with channel_to(pki.ca, timeout_s=1.0) as channel, channel_to(pki.ca, lookup=unknown) as lost:
        failed = await failure(channel, endpoint(f"https://127.0.0.1:{free_port()}/"))
        assert (failed.delivery, failed.reason) == (None, "it cannot be reached")
        silent = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0)
        async with silent:
            failed = await failure(channel, endpoint(f"https://127.0.0.1:{silent.sockets[0].getsockname()[1]}/"))
        assert (failed.delivery, failed.reason) == (None, "no connection in time")
        failed = await failure(lost, endpoint("https://receiver.example/"))
        assert (failed.delivery, failed.reason) == (None, "it cannot be reached")


async def test_a_certificate_that_is_not_trusted_gets_nothing(pki: Pki) -> None:
    """WEBHOOK-028: neither of another authority nor for another name."""
    async with receiving(pki) as receiver, channel_to(None) as channel:
        failed = await failure(channel, endpoint(receiver.url))
        assert (failed.delivery, failed.reason) == (None, "its certificate is not trusted")
        assert receiver.requests == []
    async with receiving(pki, name="another.example") as receiver, channel_to(pki.ca) as channel:
        failed = await failure(channel, endpoint(receiver.url))
        assert (failed.delivery, failed.reason) == (None, "its certificate is not trusted")
        assert receiver.requests == []


@pytest.mark.parametrize("url", ["https://10.0.0.1/", "http://127.0.0.1/", "https://127.0.0.1:22/", "https://[::1]/"])
async def test_the_rules_of_the_day_hold_for_urls_that_were_stored_before(url: str) -> None:
    """WEBHOOK-023, WEBHOOK-025: what is written in a URL is judged again before it is called."""
    async with channel_to(None) as channel:
        failed = await failure(channel, endpoint(url))
    assert failed.delivery is None
    assert "may not be called" in failed.reason


async def test_a_name_that_leads_inside_meanwhile_is_not_followed(pki: Pki) -> None:
    """WEBHOOK-023, WEBHOOK-024: the address that was judged is the one that is connected to; one bad one is enough."""
    found = ["127.0.0.1"]
    asked: list[str] = []

    async def changing(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return found

    async with (
        receiving(pki) as receiver,
        channel_to(pki.ca, lookup=changing, allowed=["localhost"]) as open_channel,
        channel_to(pki.ca, lookup=changing, allowed=[]) as channel,
    ):
        url = f"https://localhost:{urlsplit(receiver.url).port}/"
        assert await sent(open_channel, endpoint(url), 1) == [1]
        failed = await failure(channel, endpoint(url))
        assert (failed.delivery, failed.reason) == (None, "is at an address that callbacks may not go to")
        found[:] = ["8.8.8.8", "127.0.0.1"]
        assert (await failure(channel, endpoint(url))).delivery is None
        assert asked == ["localhost"] * 3
        assert len(receiver.requests) == 1


async def test_a_long_answer_is_not_read_to_its_end(pki: Pki) -> None:
    """WEBHOOK-027: it is a success all the same, and the connection is not used again."""
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:
        ended = asyncio.Event()

        async def endless(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                while True:
                    await response.write(b"x" * 65536)
            finally:
                ended.set()

        receiver.answering = endless
        assert await sent(channel, endpoint(receiver.url), 1) == [1]
        await asyncio.wait_for(ended.wait(), 60)


async def test_the_lab_switches_allow_http_and_this_machine() -> None:
    """Requirements 0.2: receivers of test suites, which have no TLS."""
    receiver = Receiver()
    receiver.answering = lambda request: answer(200)
    await receiver.start()
    try:
        async with channel_to(None, require_https=False, allow_private_addresses=True, allowed=[]) as channel:
            assert await sent(channel, endpoint(receiver.url), 1) == [1]
    finally:
        await receiver.stop()


async def test_idle_connections_are_bounded(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many endpoints there are, few connections are kept for the next delivery."""
    monkeypatch.setattr("vtn.notify.webhook._KEPT", 2)
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:
        for _ in range(2):
            for number in range(5):
                await sent(channel, endpoint(f"{receiver.url}/{number}", id_=f"e{number}"), 1)
        closing = [one.headers.get("Connection") for one in receiver.requests]
    assert closing == [None, None, "close", "close", "close"] * 2


async def test_an_answer_whose_body_breaks_off_is_an_answer(pki: Pki) -> None:
    """WEBHOOK-016: 200 is success; nobody is told the same twice because a body was promised that never came."""
    async with receiving(pki) as receiver, channel_to(pki.ca, timeout_s=1.0) as channel:
        release = asyncio.Event()

        async def promise(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await release.wait()
            return response

        receiver.answering = promise
        try:
            assert await sent(channel, endpoint(receiver.url), 1) == [1]
        finally:
            release.set()


@pytest.mark.parametrize(
    "asked", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2035 00:00:00 +99999999", "soon", "1e308"]
)
async def test_a_pause_that_cannot_be_read_is_none(pki: Pki, asked: str) -> None:
    """WEBHOOK-020: it is the receiver's failure, and none of ours."""
    async with receiving(pki) as receiver, channel_to(pki.ca) as channel:
        receiver.answering = lambda _: answer(503, Retry_After=asked)
        failed = await failure(channel, endpoint(receiver.url))
    assert (failed.reason, failed.retry_after_s) == ("it answered 503", None)
