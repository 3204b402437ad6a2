"""Receivers of notifications that live through everything, as those of others would."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from aiohttp import web

from openadr_client import BrokerSettings
from openadr_client.mqtt import MqttLink, Received
from tests.e2e.ledger.verdict import Heard
from tests.support.waiting import wait_until

_UNWELL: Final = 0.02
_END: Final = "end"
_BACK_S: Final = 0.05

WEBSOCKET: Final = "websocket"
"""The name of the recipient that listens by websocket."""


class Hooks:
    """Receivers of webhooks, one for each path of one port. Now and then one is unwell: ``heard`` has what it read.

    ``wrong`` has what no receiver should see: somebody else's bearer token, or a request id for two messages.
    """

    def __init__(self, chance: random.Random) -> None:
        self.heard: dict[str, list[Heard]] = {}
        self.wrong: list[str] = []
        self._chance = chance
        self._runner: web.AppRunner | None = None
        self._ids: dict[str, tuple[str, object]] = {}
        self._origin = ""

    async def start(self) -> None:
        """Listen on a free port of 127.0.0.1."""
        app = web.Application()
        app.router.add_get("/{name}", self._echo)
        app.router.add_post("/{name}", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._origin = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Close the port."""
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, name: str) -> str:
        """Return the URL of a receiver."""
        return f"{self._origin}/{name}"

    @staticmethod
    def token(name: str) -> str:
        """Return the bearer token that a receiver expects."""
        return f"token-of-{name}"

    @staticmethod
    async def _echo(request: web.Request) -> web.Response:
        return web.Response(text=request.query["echo"])

    async def _take(self, request: web.Request) -> web.Response:
        name, body = request.match_info["name"], await request.read()
        if self._chance.random() < _UNWELL:
            return web.Response(status=503, headers={"Retry-After": "0"})
        url = self.url(name)
        if request.headers.get("Authorization") != f"Bearer {self.token(name)}":
            self.wrong.append(f"{url} was sent another bearer token than its own, or none")
        try:
            heard = Heard.of(body)
            key = heard.key
        except (ValueError, KeyError, TypeError):
            self.wrong.append(f"{url} was sent what is no notification: {body[:200]!r}")
            return web.Response(status=400)
        request_id = request.headers["X-Request-ID"]
        if self._ids.setdefault(request_id, (url, key)) != (url, key):
            self.wrong.append(f"{request_id} stands for {self._ids[request_id]} and {(url, key)}")
        self.heard.setdefault(url, []).append(heard)
        if self._chance.random() < _UNWELL and request.transport is not None:
            request.transport.abort()  # it has it, and the sender does not know
        return web.Response(status=204)


class Topics:
    """A subscriber to everything below a prefix, whose session outlives the broker."""

    def __init__(self, broker_url: str, prefix: str) -> None:
        self.heard: dict[str, list[Heard]] = {}
        self.wrong: list[str] = []
        self._prefix = prefix
        settings = BrokerSettings(
            url=broker_url, client_id="ledger", reconnect_least_s=0.05, reconnect_most_s=0.2, keepalive_s=3600
        )
        self._link = MqttLink(settings, filters=[f"{prefix}#"], take=self._take, now=lambda: datetime.now(UTC))
        self._task: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()

    async def start(self) -> None:
        """Subscribe."""
        await self._link.__aenter__()
        self._task = asyncio.create_task(self._link.run())

    async def stop(self) -> None:
        """Leave the broker."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._link.disconnect()

    async def caught_up(self) -> None:
        """Wait for all that was published up to now; what comes from one broker to one client keeps its order."""
        await self._link.publish(f"{self._prefix}{_END}", b"")
        await wait_until(self._ended.is_set, what="the end of what was published")

    async def _take(self, messages: Sequence[Received]) -> None:
        for message in messages:
            if message.topic == f"{self._prefix}{_END}":
                self._ended.set()
                continue
            topic = message.topic.removeprefix(self._prefix)
            if message.retained:
                self.wrong.append(f"{topic} is retained (MQTT-033)")
            try:
                self.heard.setdefault(topic, []).append(Heard.of(message.payload))
            except (ValueError, KeyError, TypeError):
                self.wrong.append(f"{topic} has what is no notification: {message.payload[:200]!r}")


class Socket:
    """A websocket of business logic that comes back whenever it is gone, and goes on from where it was."""

    def __init__(self, url: str, token: str) -> None:
        self.heard: dict[str, list[Heard]] = {WEBSOCKET: []}
        self.wrong: list[str] = []
        self.opened = asyncio.Event()
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._resume: str | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen, and return once it is told from where."""
        self._task = asyncio.create_task(self._run())
        await wait_until(self.opened.is_set, what="the websocket is open")

    async def stop(self) -> None:
        """Leave."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def caught_up(self, number: int) -> None:
        """Wait until it was told of everything up to a number that the outbox gave."""
        await wait_until(lambda: self._place() >= number, what=f"the websocket is told of change {number}")

    def _place(self) -> int:
        return int((self._resume or "0").partition("-")[0])

    async def _run(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError, OSError, TimeoutError):
                    after = {} if self._resume is None else {"after": self._resume}
                    async with session.ws_connect(self._url, headers=self._headers, params=after) as socket:
                        async for message in socket:
                            if message.type is aiohttp.WSMsgType.TEXT:
                                self._take(json.loads(message.data))
                await asyncio.sleep(_BACK_S)

    def _take(self, said: dict[str, Any]) -> None:
        if "status" not in said:
            self.heard[WEBSOCKET].append(Heard(said["operation"], said["objectType"], said["object"]))
        elif said["status"] == "OPEN":
            if said["missed"] and self._resume is not None:
                self.wrong.append(f"{WEBSOCKET} was told that it missed something after {self._resume}")
            self.opened.set()
        self._resume = said["resume"]
