"""A bridge that stands by: it shows that it is alive, stores its share of the acknowledgments, waits for the lead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import structlog
from aiohttp import web

from bridge_mqtt.errors import ApiUnavailable, StoreUnavailable
from bridge_mqtt.leadership import Leadership
from bridge_mqtt.settings import ApiSettings, Settings
from bridge_mqtt.store import Store, inbox
from bridge_mqtt.topics import LONGEST_PAYLOAD, all_filters, standby_filters
from openadr_client import Backoff, MqttLink, Received

_log = structlog.get_logger(__name__)

_RETRY_S = (0.1, 5.0)


class Standby:
    """Stands by while ``until_leading`` is awaited."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        leadership: Leadership,
        *,
        now: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._store = store
        self._leadership = leadership
        self._now = now
        self._sleep = sleep
        self._link: MqttLink | None = None

    async def until_leading(self, started: Callable[[], None]) -> None:
        """Return when this bridge leads; ``started`` is called once it stands by.

        Raises:
            ApiUnavailable: the address of the HTTP API is taken.
            BrokerError: the broker refuses us, or cannot be reached at the beginning.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(Answers(self._settings.api, self._state))
            link = self._new_link()
            await stack.enter_async_context(link)
            receiving: asyncio.Task[None] | None = None
            _log.info("this bridge stands by", client_id=self._leadership.holder, leader=self._leadership.leader)
            started()
            try:
                while not await self._leadership.ask():
                    # Whoever cannot be seen by the others takes nothing that they wait for.
                    if self._leadership.is_shown and receiving is None:
                        receiving = asyncio.create_task(link.run())
                    elif not self._leadership.is_shown and receiving is not None:
                        await _ended(receiving)
                        receiving = None
                        await link.disconnect()
                    await self._sleep(self._settings.lease.renew_s / 2)
            finally:
                if receiving is not None:
                    await _ended(receiving)

    def _new_link(self) -> MqttLink:
        settings = self._settings
        wanted = standby_filters(settings)
        self._link = MqttLink(
            settings.broker,
            filters=wanted,
            unwanted=all_filters(settings),
            take=lambda batch: keep(self._store, batch, self._sleep),
            now=self._now,
            sleep=self._sleep,
            prefix=settings.broker.topic_prefix,
            longest=LONGEST_PAYLOAD,
        )
        return self._link

    def _state(self) -> dict[str, Any]:
        broker = None if self._link is None or self._link.connected_since is not None else self._link.problem
        return {
            "status": "standing by",
            "leader": self._leadership.leader,
            "broker": broker or "ok",
            "database": self._leadership.problem or "ok",
        }


async def keep(store: Store, batch: Sequence[Received], sleep: Callable[[float], Awaitable[None]]) -> None:
    """Store messages for the bridge that leads, again and again until the database is there (R19)."""
    first_s, longest_s = _RETRY_S
    backoff = Backoff(first_s=first_s, longest_s=longest_s)
    while True:
        try:
            async with store.transaction() as connection:
                await inbox.put(connection, batch)
        except StoreUnavailable as error:
            delay_s = backoff.failed()
            _log.error("database not available", problem=str(error), retry_in_s=round(delay_s, 2))
            await sleep(delay_s)
        else:
            return


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


class Answers:
    """The HTTP API of a bridge that starts or stands by: alive, ready, and for everything else 503 with who leads."""

    def __init__(self, settings: ApiSettings, state: Callable[[], dict[str, Any]]) -> None:
        self._settings = settings
        self._state = state
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> None:
        application = web.Application(client_max_size=1024)
        application.router.add_get("/health", self._alive)
        application.router.add_get("/ready", self._ready)
        application.router.add_route("*", "/{path:.*}", self._elsewhere)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._settings.host, self._settings.port).start()
        except OSError as error:
            await self._runner.cleanup()
            address = f"{self._settings.host}:{self._settings.port}"
            raise ApiUnavailable(f"the API cannot listen on {address}: {error.strerror or error}") from error

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _alive(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _ready(self, _: web.Request) -> web.Response:
        state = self._state()
        works = state.get("broker") == state.get("database") == "ok"
        return web.json_response(state, status=200 if works else 503)

    async def _elsewhere(self, _: web.Request) -> web.Response:
        state = self._state()
        detail = f"this bridge is {state['status']}"
        if leader := state.get("leader"):
            detail = f"{detail}; ask the one that leads: {leader}"
        body = {"title": "Service Unavailable", "status": 503, "detail": detail}
        return web.json_response(body, status=503, content_type="application/problem+json")
