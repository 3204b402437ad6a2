"""Tokens of a client: where they come from, when they are renewed, and what a refusal means."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web

from openadr_client.client import VtnClient
from openadr_client.clock import ManualClock
from openadr_client.errors import (
    Forbidden,
    TemporarilyUnavailable,
    Unauthorized,
)
from tests.support.scripted_vtn import ScriptedVtn, json_list, problem

START = datetime(2026, 1, 1, tzinfo=UTC)


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
