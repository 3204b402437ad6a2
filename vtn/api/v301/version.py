"""OpenADR 3.0.1 as the application serves it: one line for each module of routes."""

from __future__ import annotations

from typing import Final

from vtn.api.collection import OpenRoute
from vtn.api.payload_values import PayloadValues
from vtn.api.v301 import event, program, report, resource, subscription, ven
from vtn.api.v301.face import Rules
from vtn.api.version import ApiVersion
from vtn.cache.responses import ResponseCache
from vtn.http import problem
from vtn.notify.callback import Callbacks
from vtn.settings import Settings
from vtn.store.stores import Stores
from vtn.store.vens_with_resources import VensWithResources

NAME: Final = "OpenADR 3.0.1"


def version(
    settings: Settings,
    stores: Stores,
    cache: ResponseCache,
    *,
    values: PayloadValues,
    callbacks: Callbacks,
    token: OpenRoute,
) -> ApiVersion:
    """Return the version below ``settings.v301.prefixes``. ``token`` is /auth/token; there is no /auth/server."""
    rules = Rules.of(settings.v301)
    routes = (
        *program.routes(stores.programs, cache, rules),
        *event.routes(stores.events, cache, rules, values),
        *report.routes(stores.reports, cache, rules, settings.reports, values),
        *ven.routes(VensWithResources(stores.vens, stores.resources), cache, rules),
        *resource.routes(stores.vens, stores.resources, cache, rules),
        *subscription.routes(stores.subscriptions, cache, rules, callbacks),
    )
    return ApiVersion(
        name=NAME,
        prefixes=settings.v301.prefixes,
        routes=routes,
        open_routes=(token,),
        origin_routes=(),
        write_problem=problem.response,
        describe=dict,
    )
