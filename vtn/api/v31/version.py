"""OpenADR 3.1 as the application serves it: one line for each module of routes."""

from __future__ import annotations

from functools import partial
from typing import Any

from vtn.api import contact, performance, subscription_health
from vtn.api.collection import OpenRoute, Route
from vtn.api.payload_values import PayloadValues
from vtn.api.v31 import (
    event,
    notifiers,
    program,
    report,
    resource,
    resource_group,
    subscription,
    ven,
    websocket,
)
from vtn.api.version import ApiVersion
from vtn.cache.responses import ResponseCache
from vtn.contacts import ContactRecorder
from vtn.evaluations import Evaluations
from vtn.http import problem
from vtn.notify.callback import Callbacks
from vtn.notify.websocket import Websockets
from vtn.settings import Settings
from vtn.store.stores import Stores

NAME = "OpenADR 3.1"


def version(
    settings: Settings,
    stores: Stores,
    cache: ResponseCache,
    *,
    values: PayloadValues,
    callbacks: Callbacks,
    contacts: ContactRecorder,
    authentication: notifiers.Authentication | None,
    evaluations: Evaluations,
    websockets: Websockets,
    holding: websocket.Holding,
    origin: websocket.Origin,
    auth_routes: tuple[OpenRoute, ...],
) -> ApiVersion:
    """Return the version below ``settings.prefixes``. ``auth_routes`` are /auth/server and /auth/token."""
    routes = (
        *program.routes(stores.programs, cache),
        *event.routes(stores.events, cache, values),
        *report.routes(stores.reports, cache, settings.reports, values),
        *ven.routes(stores.vens, cache),
        *resource.routes(stores.resources, cache),
        *resource_group.routes(stores.resource_groups, cache),
        *subscription.routes(stores.subscriptions, cache, callbacks),
        *notifiers.routes(
            settings.mqtt,
            settings.privacy,
            stores.programs,
            stores.vens,
            authentication,
            partial(websocket.announcement, origin),
        ),
        *websocket.routes(websockets, holding),
        *contact.routes(stores.contacts, contacts),
        *subscription_health.routes(stores.outbox_listing),
        *performance.routes(stores, evaluations),
        *_routes_20b(settings, stores),
    )
    return ApiVersion(
        name=NAME,
        prefixes=settings.prefixes,
        routes=routes,
        open_routes=auth_routes,
        # Older clients look for resources here.
        origin_routes=tuple(route for route in routes if (route.method, route.path) == ("GET", "/resources")),
        write_problem=problem.response,
        describe=partial(_described, settings, routes, auth_routes),
    )


def _described(settings: Settings, routes: tuple[Route, ...], open_routes: tuple[OpenRoute, ...]) -> dict[str, Any]:
    from vtn.api.v31 import openapi  # noqa: PLC0415 (few servers are asked)

    return openapi.served(settings, routes, open_routes)


def _routes_20b(settings: Settings, stores: Stores) -> tuple[Route, ...]:
    """Return the routes of VENs of OpenADR 2.0b, if it is served."""
    if settings.v20b is None or not settings.v20b.enabled:
        return ()
    from vtn.api import ven_20b  # noqa: PLC0415 (few servers speak it)

    return ven_20b.routes(stores.v20b.vens, stores.v20b.outbox, stores.v20b.listing)
