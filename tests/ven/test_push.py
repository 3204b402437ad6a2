"""A home that is told of changes: a hint is one more poll and nothing else (VENCLIENT-010, VENCLIENT-013)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from openadr_client import SystemClock
from tests.openadr_client.announced import Announcing, announcing, publish
from tests.support.mosquitto import Mosquitto
from tests.support.scripted_vtn import an_event
from tests.support.waiting import wait_until
from tests.ven.home import CIRCUITS
from ven.agent import run_ven
from ven.settings import VenSettings

FORGED = {
    "objectType": "EVENT",
    "operation": "CREATE",
    "object": an_event(
        "forged",
        intervalPeriod={"start": "2020-01-01T00:00:00Z", "duration": "P9999Y"},
        intervals=[{"id": 0, "payloads": [{"type": "SIMPLE", "values": [3]}]}],
    ),
}


class VtnWithBroker(Announcing):
    """Knows one ven, and shows the events that the test puts there."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.events: list[dict[str, Any]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/openadr3/3.1.0/")
        if path.startswith(("vens", "resources")):
            kind = "RESOURCE" if path.startswith("resources") else "VEN"
            ours = an_event("v1", venName="home-1", venID="v1", clientID="home-1", objectType=kind)
            if request.method != "GET":
                return web.json_response({**ours, **(await request.json()), "objectType": kind})
            return web.json_response([ours] if kind == "VEN" else [])
        if path == "events":
            return web.json_response(self.events)
        return await super().answer(request)

    @property
    def polls(self) -> int:
        """Return how often events were asked for."""
        return sum(path.startswith("GET /events?") for path in self.vtn.paths)

    def programs_since(self, begin: int) -> int:
        """Return how often programs were asked for since there were so many requests."""
        return sum(path.startswith("GET /programs") for path in self.vtn.paths[begin:])


@pytest.fixture
async def there(mosquitto: Mosquitto) -> AsyncIterator[VtnWithBroker]:
    async with announcing(VtnWithBroker) as found:
        found.announce(mosquitto.url)
        yield found


@asynccontextmanager
async def home(there: VtnWithBroker, folder: Path, **settings: Any) -> AsyncIterator[None]:
    """Run a home that polls once a day, and goes by what it is told in between."""
    given = {
        "vtn": {"url": there.vtn.base_url, "client_id": "home-1", "client_secret": "x"},
        "ven_name": "home-1",
        "store": folder / "home.sqlite3",
        "circuits": CIRCUITS,
        "poll_s": 86_400,
        "push": {"spread_s": 0},
        **settings,
    }
    ready = asyncio.Event()
    task = asyncio.create_task(run_ven(VenSettings.model_validate(given), clock=SystemClock(), ready=ready))
    try:
        is_ready = asyncio.ensure_future(ready.wait())
        await asyncio.wait({task, is_ready}, return_when=asyncio.FIRST_COMPLETED)
        assert not task.done(), task.result()
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_hint_is_read_for_long_before_the_next_poll(
    there: VtnWithBroker, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    async with home(there, tmp_path):
        await wait_until(lambda: there.polls == 2)  # the first, and one after it began to listen
        there.events.append(an_event("e1"))
        await publish(
            mosquitto, "odd/mine/e/create", {"objectType": "EVENT", "operation": "CREATE", "object": an_event("e1")}
        )
        await wait_until(lambda: there.polls == 3)


async def test_a_forged_hint_changes_nothing_but_one_more_poll(
    there: VtnWithBroker, mosquitto: Mosquitto, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wrong, doubled or forged: what a VEN does is what REST shows it."""
    async with home(there, tmp_path):
        await wait_until(lambda: there.polls == 2)
        await publish(mosquitto, "odd/mine/e/create", *[FORGED] * 500)
        await wait_until(lambda: there.polls >= 3)
        there.events.append(an_event("real"))
        await publish(mosquitto, "odd/mine/e/create", FORGED)
        await wait_until(lambda: "event_id=real" in capsys.readouterr().out)
    assert there.polls < 20


async def test_a_home_without_push_asks_for_no_ways(there: VtnWithBroker, tmp_path: Path) -> None:
    async with home(there, tmp_path, push={"mode": "off"}, poll_s=0.1):
        await wait_until(lambda: there.polls >= 3)  # it would have asked beside the first
    assert "GET /notifiers" not in there.vtn.paths


async def test_a_hint_does_not_hurry_a_vtn_that_cannot_answer(
    there: VtnWithBroker, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """VENCLIENT-025: Retry-After and back-off hold, whatever anybody tells us."""
    async with home(there, tmp_path):
        await wait_until(lambda: there.polls == 2)
        ordinary = there.vtn.answer
        refused: list[str] = []

        async def overloaded(request: web.Request) -> web.Response:
            refused.append(request.path)
            return web.Response(status=503, headers={"Retry-After": "3600"}, text=json.dumps({}))

        there.vtn.answer = overloaded  # the poll may be under way, and ask for resources yet: that is refused as well
        await publish(mosquitto, "odd/mine/e/create", FORGED)
        await wait_until(lambda: refused)
        there.vtn.answer = ordinary
        before = there.polls
        for _ in range(2):
            await publish(mosquitto, "odd/mine/e/create", *[FORGED] * 20)
            seen = len(there.vtn.paths)
            await publish(mosquitto, "odd/mine/p/c", {**FORGED, "objectType": "PROGRAM"})
            # Told of a program, it asks for the topics of all: by then it has heard what came before.
            await wait_until(partial(there.programs_since, seen))
        assert there.polls == before
