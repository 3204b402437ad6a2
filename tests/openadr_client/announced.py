"""A scripted VTN that announces a broker and its topics, under names that nobody would guess."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiomqtt
from aiohttp import web

from openadr_client import ReadAgain, ReceivedNotification
from openadr_client.notifications import Told
from tests.support.mosquitto import Mosquitto
from tests.support.scripted_vtn import ScriptedVtn, an_event, problem, scripted_vtn
from tests.support.waiting import wait_until


class Announcing:
    """Answers `/notifiers`, the topics and `/programs`; ``topics`` are what the endpoints tell, by their path."""

    def __init__(self, vtn: ScriptedVtn) -> None:
        self.vtn = vtn
        self.notifiers: dict[str, Any] = {"WEBHOOK": True}
        self.programs: list[dict[str, Any]] = []
        self.topics: dict[str, dict[str, str]] = {
            "programs": {"ALL": "odd/everybody/p/+"},
            "vens/v1/events": {"ALL": "odd/mine/e/+"},
            "vens/v1/programs": {"CREATE": "odd/mine/p/c", "UPDATE": "odd/mine/p/u"},
            "vens/v1/resources": {"ALL": "odd/mine/r/+"},
        }
        self.subscriptions: list[dict[str, Any]] = []
        vtn.answer = self.answer

    def announce(self, *uris: str, **authentication: str) -> None:
        """Announce a broker, without passwords if nothing else is said."""
        self.notifiers["MQTT"] = {
            "URIS": list(uris),
            "serialization": "JSON",
            "authentication": authentication or {"method": "ANONYMOUS"},
        }

    def add_program(self, id_: str) -> None:
        """Have a program for everybody, whose events have a topic of their own."""
        self.programs.append({**an_event(id_, objectType="PROGRAM", programName=id_)})
        self.topics[f"programs/{id_}/events"] = {"ALL": f"odd/everybody/e-of-{id_}/+"}

    async def answer(self, request: web.Request) -> web.StreamResponse:
        path = request.path.removeprefix("/openadr3/3.1.0/")
        if path == "notifiers":
            return web.json_response(self.notifiers)
        if path == "programs":
            return web.json_response(self.programs)
        if path.partition("/")[0] == "subscriptions":
            return await self._subscriptions(request)
        topics = self.topics.get(path.removeprefix("notifiers/mqtt/topics/"))
        return problem(404, "not here") if topics is None else web.json_response({"topics": topics})

    async def _subscriptions(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response(self.subscriptions if request.path.endswith("s") else self.subscriptions[0])
        if request.method == "DELETE":
            return web.json_response(self.subscriptions.pop())
        sent = await request.json()
        stored = {**an_event("s1", objectType="SUBSCRIPTION", clientID="home-1"), **sent}
        self.subscriptions = [stored]
        return web.json_response(stored, status=201)


class Ear:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def __call__(self, told: Told) -> None:
        self.told.append(told)

    @property
    def notifications(self) -> list[tuple[str, str, str | None]]:
        """Return operation, kind and id of each notification."""
        told = [each for each in self.told if isinstance(each, ReceivedNotification)]
        return [(each.operation, each.object_type, each.object_id) for each in told]

    @property
    def read_again(self) -> list[str]:
        """Return the reasons to read again."""
        return [each.reason for each in self.told if isinstance(each, ReadAgain)]

    async def hears(self, *reasons: str) -> None:
        """Return once these are the reasons to read again, in this order."""
        await wait_until(lambda: self.read_again == list(reasons), what=f"{reasons}")


Kind = TypeVar("Kind", bound=Announcing)


@asynccontextmanager
async def announcing(kind: Callable[[ScriptedVtn], Kind]) -> AsyncIterator[Kind]:
    """Run such a VTN."""
    async with scripted_vtn() as vtn:
        yield kind(vtn)


@asynccontextmanager
async def background(work: Any) -> AsyncIterator[asyncio.Task[None]]:
    """Run something beside the test, and end it; its error is the test's."""
    task = asyncio.ensure_future(work)
    try:
        yield task
    finally:
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]


async def publish(broker: Mosquitto, topic: str, *documents: Any, **tls: Any) -> None:
    """Publish documents, or bytes as they are."""
    async with aiomqtt.Client(broker.host, broker.port, **tls) as client:
        for each in documents:
            payload = each if isinstance(each, bytes) else json.dumps(each).encode()
            await client.publish(topic, payload, qos=1)
