"""The bridge's registration with a VTN that fails in the middle of it."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiohttp import web

from bridge_mqtt.settings import Vtn
from bridge_mqtt.vtn import VtnSide, client_for
from openadr_client import ManualClock, TemporarilyUnavailable
from tests.support.scripted_vtn import an_event, json_list, problem, scripted_vtn

VEN = an_event("v1", objectType="VEN", venName="mqtt-bridge", clientID="bridge", targets=["group:a"])


async def test_a_registration_that_fails_midway_is_done_again_in_whole() -> None:
    """Know our targets and resources once registered, though they could not be read at first."""
    busy = True

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/vens"):
            return json_list([VEN])
        return problem(503, "busy") if busy else json_list([])

    async with scripted_vtn() as vtn:
        vtn.answer = answer
        settings = Vtn(url=vtn.base_url, client_id="bridge", client_secret="x")
        clock = ManualClock()
        async with client_for(settings, clock) as client:
            nothing: Any = cast(Any, ())
            side = VtnSide(settings, client=client, store=nothing, registry=nothing, clock=clock)
            with pytest.raises(TemporarilyUnavailable):
                await side.register()
            assert not side.targets
            busy = False
            await side.register()
    assert side.targets == ("v1", "group:a")
