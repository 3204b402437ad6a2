"""The description of the interface itself, for programs and for people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from aiohttp import web

from bridge_mqtt.api.answers import answer
from bridge_mqtt.api.docs_page import POLICY, docs_page
from bridge_mqtt.api.openapi import describe
from bridge_mqtt.api.route import ApiRoute, Right


class AboutRoutes:
    """Answers what can be asked; the description is made when somebody wants it."""

    def __init__(self, routes: Callable[[], Sequence[ApiRoute]]) -> None:
        self._routes = routes

    def routes(self) -> tuple[ApiRoute, ...]:
        """Return the routes."""
        return (
            ApiRoute(
                method="GET",
                path="/openapi.json",
                handle=self._openapi,
                summary="This description, for programs",
                tag="about",
                right=Right.OPEN,
            ),
            ApiRoute(
                method="GET",
                path="/docs",
                handle=self._docs,
                summary="This description, for people",
                tag="about",
                right=Right.OPEN,
            ),
        )

    @cached_property
    def _description(self) -> dict[str, Any]:
        return describe(self._routes())

    async def _openapi(self, _: web.Request) -> web.Response:
        return answer(self._description, headers={"Cache-Control": "no-cache"})

    async def _docs(self, _: web.Request) -> web.Response:
        headers = {
            "Cache-Control": "no-cache",
            "Content-Security-Policy": POLICY,
            "X-Content-Type-Options": "nosniff",
        }
        return web.Response(text=docs_page(self._description), content_type="text/html", headers=headers)
