"""Endpoints about the server itself, beside the API: liveness, readiness, metrics, and the OpenAPI description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final

from aiohttp import web

from openadr_profiles.v31 import encode
from vtn.api import docs_page as pages
from vtn.api.collection import OpenRoute
from vtn.errors import Unavailable
from vtn.metrics import CONTENT_TYPE, Metrics
from vtn.outbox_metrics import OutboxMetrics
from vtn.services import Services
from vtn.store.database import Database
from vtn.store.migrate import is_migrated

_NO_STORE: Final = {"Cache-Control": "no-store"}


class About:
    """Answers to anybody, without a token (GEN-022)."""

    def __init__(
        self,
        database: Database,
        metrics: Metrics | None,
        outbox_metrics: OutboxMetrics,
        services: Services,
        describe: Callable[[], dict[str, Any]],
    ) -> None:
        self._database = database
        self._metrics = metrics
        self._outbox_metrics = outbox_metrics
        self._services = services
        self._describe = describe

    def routes(self) -> tuple[OpenRoute, ...]:
        """Return the routes, which are below the origin, not the prefixes."""
        return (
            OpenRoute("GET", "/health", self._alive),
            OpenRoute("GET", "/ready", self._ready),
            OpenRoute("GET", "/openapi.json", self._openapi),
            OpenRoute("GET", "/docs", self._docs),
            *(() if self._metrics is None else (_numbers_of(self._metrics, self._outbox_metrics),)),
        )

    async def _alive(self, _: web.Request) -> web.Response:
        return _status("alive")

    async def _ready(self, _: web.Request) -> web.Response:
        """Answer 200 if the database answers, can be written and has our tables; else 503 within a second (GEN-022).

        Background services that have failed and wait to be started again are named: requests are served without them.
        """
        if self._services.failure is not None:
            raise Unavailable(str(self._services.failure))
        await self._database.check_ready()
        if not await is_migrated(self._database):
            raise Unavailable("the tables of the database are not those of this version")
        return _status("ready", failing=self._services.failing)

    @cached_property
    def _description(self) -> dict[str, Any]:
        """The description of the API, made when somebody asks for it: it takes a tenth of a start."""
        return self._describe()

    @cached_property
    def _json(self) -> bytes:
        return encode(self._description)

    @cached_property
    def _page(self) -> str:
        return pages.page(self._description)

    async def _openapi(self, _: web.Request) -> web.Response:
        return web.Response(body=self._json, content_type="application/json", headers={"Cache-Control": "no-cache"})

    async def _docs(self, _: web.Request) -> web.Response:
        headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": pages.POLICY,
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(text=self._page, content_type="text/html", headers=headers)


def _numbers_of(metrics: Metrics, outbox_metrics: OutboxMetrics) -> OpenRoute:
    async def numbers(_: web.Request) -> web.Response:
        text = metrics.text() + await outbox_metrics.text()
        return web.Response(body=text, headers=_NO_STORE | {"Content-Type": CONTENT_TYPE})

    return OpenRoute("GET", "/metrics", numbers)


def _status(word: str, *, failing: Sequence[str] = ()) -> web.Response:
    found = {"status": word} | ({"failing": list(failing)} if failing else {})
    return web.Response(body=encode(found), content_type="application/json", headers=_NO_STORE)
