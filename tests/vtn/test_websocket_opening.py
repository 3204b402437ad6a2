"""Opening and end of websockets: who may, how many, for how long, and where clients find them."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.ears import listening
from tests.vtn.harness import VtnUnderTest
from vtn.access import Role, Scope
from vtn.http.websocket import TOKEN_OVER

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({"objects": "RESOURCE_GROUP"}, "objects: expected PROGRAM, EVENT, REPORT"),
        ({"objects": "event"}, "not event"),
        ({"operations": "READ"}, "operations: expected CREATE, DELETE, UPDATE, not READ"),
        ({"programID": "a b"}, "programID: expected"),
        ({"targets": ""}, "targets: expected"),
        ({"after": "17"}, "after: expected the `resume` of a message"),
        ({"after": "17-1780000000-1"}, "after: expected"),
    ],
)
async def test_a_wrong_query_is_refused_with_the_name_of_its_member(
    vtn: VtnUnderTest, params: dict[str, str], detail: str
) -> None:
    refused = await vtn.bl.ask("GET", "/notifiers/ws", params=params, headers=UPGRADE)

    assert detail in refused.problem(400)


async def test_who_may_not_listen_is_refused(vtn: VtnUnderTest) -> None:
    """AUTH-001, AUTH-004, GEN-009; a token in the address is no token."""
    token = vtn.bl.headers["Authorization"].removeprefix("Bearer ")

    vtn_only = vtn.caller(Role.VEN, scopes={Scope.WRITE_REPORTS})
    targets_only = vtn.caller(Role.VEN, scopes={Scope.READ_TARGETS})

    assert (await vtn.nobody.ask("GET", "/notifiers/ws", headers=UPGRADE)).problem(401)
    in_query = {"access_token": token, "token": token}
    assert (await vtn.nobody.ask("GET", "/notifiers/ws", headers=UPGRADE, params=in_query)).problem(401)
    assert "read_targets" in (await vtn_only.ask("GET", "/notifiers/ws", headers=UPGRADE)).problem(403)
    asked = {"objects": "REPORT"}
    assert "read_ven_objects" in (
        await targets_only.ask("GET", "/notifiers/ws", headers=UPGRADE, params=asked)
    ).problem(403)


@pytest.mark.parametrize(
    "headers", [{}, {"Upgrade": "h2c", "Connection": "Upgrade"}, {"Upgrade": "websocket", "Connection": "Upgrade"}]
)
async def test_a_request_that_opens_no_websocket_is_told_so(vtn: VtnUnderTest, headers: dict[str, str]) -> None:
    refused = await vtn.bl.ask("GET", "/notifiers/ws", headers=headers)

    assert "websocket" in refused.problem(426)
    assert refused.headers["Upgrade"] == "websocket"


async def test_there_is_an_end_to_the_websockets_of_a_client_and_of_all(start_vtn: StartVtn) -> None:
    """GEN-008."""
    vtn = await start_vtn(websocket={"max_clients": 2, "max_per_client": 1})
    home = vtn.home()
    async with listening(home), listening(vtn.bl):
        again = await home.ask("GET", "/notifiers/ws", headers=UPGRADE)
        other = await vtn.home().ask("GET", "/notifiers/ws", headers=UPGRADE)

        assert "1 websockets at most" in again.problem(429)
        assert again.headers["Retry-After"] == "30"
        assert "as many websockets" in other.problem(503)
    await wait_until(lambda: not len(vtn.server._websockets.listeners))
    async with listening(home):
        pass


async def test_a_websocket_ends_with_its_token(vtn: VtnUnderTest) -> None:
    """AUTH-005: an hour later nothing is told any more."""
    async with listening(vtn.bl) as ear:
        vtn.now.pass_(hours=1)

        assert await ear.end() == TOKEN_OVER


async def test_what_is_told_last_comes_before_the_token_is_over(vtn: VtnUnderTest) -> None:
    """AUTH-005: no look at all tokens has to come first."""
    async with listening(vtn.bl) as ear:
        vtn.now.pass_(hours=1)
        await vtn.caller(Role.BL).program()

        assert await ear.end() == TOKEN_OVER
    assert ear.ids == []


async def test_a_websocket_ends_when_its_client_is_suspended(vtn: VtnUnderTest) -> None:
    """AUTH-034."""
    credentials = await vtn.server.clients.add("suspended-1", Role.VEN)
    session = vtn.caller(Role.VEN, client_id=credentials.client_id)
    async with listening(session) as ear, listening(vtn.bl) as other:
        await vtn.server.clients.suspend(credentials.client_id)

        assert await ear.end() == TOKEN_OVER
        assert not other.socket.closed


async def test_a_client_that_speaks_is_shut_out(vtn: VtnUnderTest) -> None:
    async with listening(vtn.bl) as ear:
        await ear.socket.send_str("{}")

        assert await ear.end() == aiohttp.WSCloseCode.UNSUPPORTED_DATA


async def test_pings_are_answered(vtn: VtnUnderTest) -> None:
    """And no time for a header runs on an open websocket, whatever its client sends."""
    async with listening(vtn.bl, autoping=False) as ear:
        await ear.socket.ping(b"here?")
        received = await ear.socket.receive()

    assert (received.type, received.data) == (aiohttp.WSMsgType.PONG, b"here?")


async def test_a_ping_starts_no_time_limit_for_a_header(start_vtn: StartVtn) -> None:
    """The limit is shorter than what this test waits for: three signs of life, a second apart."""
    vtn = await start_vtn(limits={"header_s": 0.5}, websocket={"heartbeat_s": 0.1})
    async with listening(vtn.bl, autoping=False) as ear:
        await ear.socket.ping(b"here?")
        assert (await ear.socket.receive()).type is aiohttp.WSMsgType.PONG
        for _ in range(3):
            await ear.status("ALIVE")


async def test_the_end_of_a_server_is_announced(start_vtn: StartVtn) -> None:
    vtn = await start_vtn()
    async with listening(vtn.bl) as ear:
        stopping = asyncio.create_task(vtn.stop())

        assert await ear.end() == aiohttp.WSCloseCode.GOING_AWAY
        await stopping


async def test_the_websocket_is_announced_where_clients_look_for_it(start_vtn: StartVtn) -> None:
    vtn = await start_vtn()
    public = await start_vtn(public_url="https://vtn.example/dr")

    (uri,) = (await vtn.bl.get("/notifiers")).ok()["WEBSOCKET"]["URIS"]
    assert uri == f"ws://127.0.0.1:{vtn.server.port}/openadr3/3.1.0/notifiers/ws"
    told_elsewhere = await public.ask(
        "GET", f"http://127.0.0.1:{public.server.port}/openadr3/3.1.1/notifiers", headers=public.bl.headers
    )
    assert told_elsewhere.ok()["WEBSOCKET"] == {
        "URIS": ["wss://vtn.example/dr/openadr3/3.1.1/notifiers/ws"],
        "serialization": "JSON",
        "authentication": {"method": "OAUTH2_BEARER_TOKEN"},
    }


async def test_an_open_websocket_is_an_answered_request(start_vtn: StartVtn) -> None:
    """It counts as a connection, and as no request that is under way; its header has what every answer has."""
    vtn = await start_vtn()
    async with listening(vtn.bl) as ear:
        metrics = (await vtn.ask("GET", f"{vtn.origin}/metrics")).raw.decode()

        headers = ear.socket._response.headers
        assert headers["Server"] == "openadr-fleet"
        assert headers["X-Request-Id"]
    assert 'oadr_vtn_requests_total{method="GET",route="/openadr3/3.1.0/notifiers/ws",status="101"} 1.0' in metrics
    assert "\noadr_vtn_websockets 1.0" in metrics
    assert "\noadr_vtn_requests_under_way 1.0" in metrics  # this one
