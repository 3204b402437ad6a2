"""Settings of business logic, VEN and bridge reach the token request alike."""

from base64 import b64encode
from typing import Any

import pytest
from aiohttp import web

from bridge_mqtt.settings import Vtn
from bridge_mqtt.vtn_side.gateway import client_for
from oadr.business_logic.connection import BusinessLogic
from openadr_client.client import VtnClient
from openadr_client.clock import SystemClock
from tests.support.scripted_vtn import scripted_vtn
from ven.settings import VtnSettings


def of_business_logic(settings: dict[str, Any]) -> VtnClient:
    return BusinessLogic.model_validate(settings).client()


def of_a_ven(settings: dict[str, Any]) -> VtnClient:
    return VtnSettings.model_validate(settings).client(SystemClock())


def of_a_bridge(settings: dict[str, Any]) -> VtnClient:
    return client_for(Vtn.model_validate(settings), SystemClock())


@pytest.mark.parametrize("client_of", [of_business_logic, of_a_ven, of_a_bridge])
async def test_token_settings_reach_the_token_server(client_of: Any) -> None:
    """Audience, scope, the way credentials are sent and the token URL, for all three."""
    headers: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        headers.append(request.headers.get("Authorization"))
        return web.json_response({"access_token": "t", "token_type": "Bearer", "expires_in": 300})

    async with scripted_vtn() as vtn:
        vtn.token_answer = answer
        given = {
            "url": vtn.base_url,
            "client_id": "one",
            "client_secret": "kq7 PLUM lattice",
            "token_url": f"{vtn.base_url}/auth/token",
            "audience": "https://vtn.example",
            "scope": "read_all",
            "client_authentication": "basic",
        }
        async with client_of(given) as client:
            await client.programs.search()

    expected = {"grant_type": "client_credentials", "audience": "https://vtn.example", "scope": "read_all"}
    assert vtn.token_forms == [expected]
    assert headers == ["Basic " + b64encode(b"one:kq7+PLUM+lattice").decode()]
    assert ("GET", "/auth/server") not in vtn.requests
