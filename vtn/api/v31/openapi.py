"""The description of the OpenADR 3.1 API at ``/openapi.json``, made of the routes that are served.

The permission of an operation is that of its route; its types, filters and name stand here. A route without an entry
cannot be described: ``/openapi.json`` fails, and with it every test that reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from openadr_profiles import v31
from openadr_profiles.v31.common import Name, ObjectID, Target
from vtn.api.collection import OpenRoute, Route
from vtn.api.openapi import Json, Schemas, component_name, never_null
from vtn.api.openapi_collections import DescribedCollection, collection_operation, document, open_paths, served_at
from vtn.api.v31 import openapi_extensions, openapi_notifiers, openapi_performance, openapi_websocket, websocket
from vtn.settings import Settings

_PARAMETERS: Final[dict[str, str]] = {
    "skip": "How many objects to leave out at the beginning; the newest come first.",
    "limit": "How many objects to give at most; 50 if not said.",
    "targets": "Only objects that have one of these targets. Repeat the parameter for several.",
    "active": "true leaves out events that are over.",
    "programID": "Only what belongs to this program.",
    "eventID": "Only what belongs to this event.",
    "venID": "Only what belongs to this ven.",
    "clientName": "Only objects with exactly this client name.",
    "programName": "Only the program of exactly this name. An extension.",
    "venName": "Only the ven of exactly this name.",
    "resourceName": "Only resources of exactly this name.",
    "clientID": "Only what belongs to this client. For contacts, repeat the parameter for several clients.",
    "subscriptionID": "Only what belongs to this subscription.",
    "resourceGroupName": "Only the resource group of exactly this name.",
    "frozen": "true leaves out results that are not frozen.",
    "to": "The id of the result that it is compared with, of the same event.",
    "objects": "Only subscriptions that name one of these kinds. Repeat the parameter for several.",
}


_TARGETS: Final = {"targets": list[Target]}
_COLLECTIONS: Final = {
    "programs": DescribedCollection(
        v31.ProgramRequest,
        v31.Program,
        "programID",
        {**_TARGETS, "programName": Name},
        ("searchAllPrograms", "createProgram", "searchProgramByProgramId", "updateProgram", "deleteProgram"),
        conflicts=True,
    ),
    "events": DescribedCollection(
        v31.EventRequest,
        v31.Event,
        "eventID",
        {"programID": ObjectID, **_TARGETS, "active": bool},
        ("searchAllEvents", "createEvent", "searchEventsByID", "updateEvent", "deleteEvent"),
    ),
    "reports": DescribedCollection(
        v31.ReportRequest,
        v31.Report,
        "reportID",
        {"programID": ObjectID, "eventID": ObjectID, "clientName": Name},
        ("searchAllReports", "createReport", "searchReportsByReportID", "updateReport", "deleteReport"),
    ),
    "subscriptions": DescribedCollection(
        v31.SubscriptionRequest,
        v31.Subscription,
        "subscriptionID",
        {"programID": ObjectID, "clientName": Name, "objects": list[v31.ObjectType]},
        (
            "searchSubscriptions",
            "createSubscription",
            "searchSubscriptionByID",
            "updateSubscription",
            "deleteSubscription",
        ),
        note="A subscription is told of changes by webhook. Its callback URLs are verified before it is stored.",
    ),
    "vens": DescribedCollection(
        v31.BlVenRequest | v31.VenVenRequest,
        v31.Ven,
        "venID",
        {"venName": Name, **_TARGETS},
        ("searchVens", "createVen", "searchVenByID", "updateVen", "deleteVen"),
        conflicts=True,
    ),
    "resources": DescribedCollection(
        v31.BlResourceRequest | v31.VenResourceRequest,
        v31.Resource,
        "resourceID",
        {"resourceName": Name, "venID": ObjectID, **_TARGETS},
        (
            "searchVenResources",
            "createResource",
            "searchVenResourceByID",
            "updateVenResource",
            "deleteVenResource",
        ),
        conflicts=True,
        refers=True,
    ),
    "resource_groups": DescribedCollection(
        v31.ResourceGroupRequest,
        v31.ResourceGroup,
        "resourceGroupID",
        {"resourceGroupName": Name, **_TARGETS},
        (
            "searchResourceGroups",
            "createResourceGroup",
            "searchResourceGroupByID",
            "updateResourceGroup",
            "deleteResourceGroup",
        ),
        conflicts=True,
        refers=True,
        extension=True,
        note="An extension, not part of the OpenADR standard. A VEN sees the groups that hold resources of its own, "
        "and of their children only these.",
    ),
}
_CAPITAL: Final = re.compile(r"[A-Z]")
_ALWAYS: Final = {
    "program": ("targets",),
    "event": ("targets", "intervals"),
    "subscription": ("targets",),
    "ven": ("targets",),
    "resource": ("targets",),
    "resourceGroup": ("children", "targets"),
}
"""Members that answers always have, although the type does not demand them (COMPAT-045)."""
_ANSWERS: Final = {collection.answer.__name__: collection.answer for collection in _COLLECTIONS.values()}


def description(
    routes: Iterable[Route],
    open_routes: Iterable[OpenRoute],
    *,
    version: str,
    prefix: str,
    token_url: str,
    public: bool = False,
) -> Json:
    """Return the whole document for the routes below ``prefix``; raises KeyError for a route that nobody has described.

    ``public`` says that there are programs to be read without a token (COMPAT-017).
    """
    schemas = Schemas(texts=_PARAMETERS, adapt=_adapt_component)
    paths: dict[str, Json] = {}
    for route in routes:
        path, operation = _operation(route, schemas, public=public and route.permission.or_anonymous)
        paths.setdefault(path, {})[route.method.lower()] = operation
    paths |= open_paths(open_routes, schemas)
    return document(
        "OpenADR 3.1 VTN", version=version, prefix=prefix, token_url=token_url, paths=paths, schemas=schemas
    )


def served(settings: Settings, routes: Iterable[Route], open_routes: Iterable[OpenRoute]) -> Json:
    """Return the document for what a server with these settings serves."""
    return description(routes, open_routes, **served_at(settings, settings.prefixes[0]))


_OTHERS: Final[dict[tuple[str, str], Callable[[Route, Schemas], tuple[str, Json]]]] = {
    ("GET", websocket.PATH): openapi_websocket.describe,
    **openapi_extensions.DESCRIBED,
    **openapi_performance.DESCRIBED,
    **openapi_notifiers.DESCRIBED,
}
"""Routes that are none of the five operations of a collection, with what describes each: its path and operation."""


def _operation(route: Route, schemas: Schemas, *, public: bool) -> tuple[str, Json]:
    own = _OTHERS.get((route.method, route.path))
    if own is not None:
        path, operation = own(route, schemas)
        return path, operation | ({"security": [*operation["security"], {}]} if public else {})
    name, _, rest = route.path.lstrip("/").partition("/")
    collection, one = _COLLECTIONS[name], rest == "{id}"
    operation = collection_operation(route, name, collection, schemas, one=one, public=public)
    return f"/{name}" + (f"/{{{collection.id_name}}}" if one else ""), operation


def _adapt_component(type_name: str, schema: Json) -> None:
    """Describe an answer: it says its kind, has what it always has, and leaves out what is absent (GEN-018)."""
    if type_name in _ANSWERS:
        name = component_name(type_name)
        schema["properties"]["objectType"] = {"type": "string", "const": _CAPITAL.sub(r"_\g<0>", name).upper()}
        schema["required"] = [*schema["required"], "objectType", *_ALWAYS.get(name, ())]
    if type_name in _ANSWERS or type_name in openapi_extensions.ANSWERS:
        never_null(schema["properties"])
