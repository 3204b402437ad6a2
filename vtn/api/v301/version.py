"""OpenADR 3.0.1 as the application serves it: one line for each module of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Any, Final

from aiohttp import web

from openadr_profiles.v31 import encode
from vtn.api.collection import OpenRoute, Route
from vtn.api.payload_values import PayloadValues
from vtn.api.v301 import event, program, report, resource, subscription, ven
from vtn.api.v301.face import Rules
from vtn.api.version import ApiVersion
from vtn.auth.endpoint import TokenEndpoint
from vtn.cache.responses import ResponseCache
from vtn.http import problem
from vtn.notify.callback import Callbacks
from vtn.settings import Settings
from vtn.store.stores import Stores
from vtn.store.vens_with_resources import VensWithResources
from vtn.version_settings import V301

NAME: Final = "OpenADR 3.0.1"


def version(
    settings: Settings,
    stores: Stores,
    cache: ResponseCache,
    *,
    values: PayloadValues,
    callbacks: Callbacks,
    endpoint: TokenEndpoint,
) -> ApiVersion:
    """Return the version below ``settings.v301.prefixes``. It has no /auth/server (V301-037)."""
    rules = Rules.of(settings.v301)
    routes = (
        *program.routes(stores.programs, cache, rules),
        *event.routes(stores.events, cache, rules, values),
        *report.routes(stores.reports, cache, rules, settings.reports, values),
        *ven.routes(VensWithResources(stores.vens, stores.resources), cache, rules),
        *resource.routes(stores.vens, stores.resources, cache, rules),
        *subscription.routes(stores.subscriptions, cache, rules, callbacks, legacy=settings.v301.legacy_webhooks),
    )
    token = OpenRoute("POST", "/auth/token", _token(endpoint, settings.v301))
    describe = partial(_described, settings, routes, (token,))
    return ApiVersion(
        name=NAME,
        prefixes=settings.v301.prefixes,
        routes=routes,
        open_routes=(token, OpenRoute("GET", "/openapi.json", _description(describe))),
        origin_routes=(),
        write_problem=problem.response,
        describe=describe,
    )


def _described(settings: Settings, routes: tuple[Route, ...], open_routes: tuple[OpenRoute, ...]) -> dict[str, Any]:
    from vtn.api.v301 import openapi  # noqa: PLC0415 (few servers are asked)

    return openapi.served(settings, routes, open_routes)


def _token(endpoint: TokenEndpoint, settings: V301) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of /auth/token, which answers a wrong secret as the settings say (V301-038)."""

    async def token(request: web.Request) -> web.Response:
        answer = await endpoint.token(request, json_too=settings.json_tokens)
        if answer.status == 401:
            answer.set_status(settings.invalid_client_status)
        return answer

    return token


def _description(describe: Callable[[], dict[str, Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return the handler of /openapi.json, which makes the document when somebody asks for it."""
    made = cache(lambda: encode(describe()))

    async def description(_: web.Request) -> web.Response:
        return web.Response(body=made(), content_type="application/json", headers={"Cache-Control": "no-cache"})

    return description
