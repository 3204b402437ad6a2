"""The description of the OpenADR 3.1 API at ``/openapi.json``, made of the routes that are served.

The permission of an operation is that of its route; its types, filters and name stand here. A route without an entry
cannot be described: ``/openapi.json`` fails, and with it every test that reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

from openadr_profiles import v31
from openadr_profiles.v31.common import Name, ObjectID, Target
from vtn.access import Scope
from vtn.api.collection import OpenRoute, Route
from vtn.api.openapi import PAGE, SCOPES, Json, Schemas, component_name, json_content, never_null, problems, security
from vtn.api.openapi_auth import describe_auth
from vtn.api.v31 import openapi_extensions, openapi_notifiers, openapi_websocket, websocket
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
    "objects": "Only subscriptions that name one of these kinds. Repeat the parameter for several.",
}


@dataclass(frozen=True, slots=True)
class _Collection:
    """A kind of objects: its types, the filters of its search, and the names of its five operations."""

    request: Any
    answer: type
    id_name: str
    filters: dict[str, Any]
    operations: tuple[str, str, str, str, str]
    conflicts: bool = False
    refers: bool = False
    """Its documents name other objects by ids, which are answered 404 if there is none."""
    extension: bool = False
    note: str = ""


_TARGETS: Final = {"targets": list[Target]}
_COLLECTIONS: Final = {
    "programs": _Collection(
        v31.ProgramRequest,
        v31.Program,
        "programID",
        {**_TARGETS, "programName": Name},
        ("searchAllPrograms", "createProgram", "searchProgramByProgramId", "updateProgram", "deleteProgram"),
        conflicts=True,
    ),
    "events": _Collection(
        v31.EventRequest,
        v31.Event,
        "eventID",
        {"programID": ObjectID, **_TARGETS, "active": bool},
        ("searchAllEvents", "createEvent", "searchEventsByID", "updateEvent", "deleteEvent"),
    ),
    "reports": _Collection(
        v31.ReportRequest,
        v31.Report,
        "reportID",
        {"programID": ObjectID, "eventID": ObjectID, "clientName": Name},
        ("searchAllReports", "createReport", "searchReportsByReportID", "updateReport", "deleteReport"),
    ),
    "subscriptions": _Collection(
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
    "vens": _Collection(
        v31.BlVenRequest | v31.VenVenRequest,
        v31.Ven,
        "venID",
        {"venName": Name, **_TARGETS},
        ("searchVens", "createVen", "searchVenByID", "updateVen", "deleteVen"),
        conflicts=True,
    ),
    "resources": _Collection(
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
    "resource_groups": _Collection(
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
_PUBLIC: Final = (
    "Without a token: public programs and their events, as far as they have no targets. "
    "Any other object is answered 401 then."
)
_CAPITAL: Final = re.compile(r"[A-Z]")
_KINDS: Final = (("GET", False), ("POST", False), ("GET", True), ("PUT", True), ("DELETE", True))
_WORDS: Final = {
    ("GET", False): "List {name} that the caller may see, the newest first.",
    ("POST", False): "Make a new one of the {name}.",
    ("GET", True): "Read one of the {name}.",
    ("PUT", True): "Put another in the place of one of the {name}.",
    ("DELETE", True): "Remove one of the {name}; the answer is what it was.",
}
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
    for open_route in open_routes:
        paths.setdefault(open_route.path, {})[open_route.method.lower()] = describe_auth(open_route, schemas)
    scopes = {scope.value: SCOPES[scope] for scope in Scope}
    client_credentials = {"tokenUrl": token_url, "scopes": scopes}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpenADR 3.1 VTN",
            "version": version,
            "description": "What this server serves.",
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": prefix}],
        "paths": paths,
        "components": {
            "schemas": schemas.components(),
            "securitySchemes": {
                "oAuth2ClientCredentials": {"type": "oauth2", "flows": {"clientCredentials": client_credentials}},
                "bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def served(settings: Settings, routes: Iterable[Route], open_routes: Iterable[OpenRoute]) -> Json:
    """Return the document for what a server with these settings serves."""
    origin, external = settings.public_url or "", settings.auth.external
    prefix = origin + settings.prefixes[0]
    elsewhere = None if external is None or settings.auth.gives_tokens else external.token_url
    return description(
        routes,
        open_routes,
        version=metadata.version("openadr-fleet"),
        prefix=prefix,
        token_url=elsewhere or f"{prefix}/auth/token",
        public=bool(settings.public.programs),
    )


_OTHERS: Final[dict[tuple[str, str], Callable[[Route, Schemas], tuple[str, Json]]]] = {
    ("GET", websocket.PATH): openapi_websocket.describe,
    **openapi_extensions.DESCRIBED,
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
    kind = (route.method, one)
    errors = {400, 401, 403, 429, 431, 500, 503}
    operation = {
        "tags": [name],
        "operationId": collection.operations[_KINDS.index(kind)],
        "summary": _WORDS[kind].format(name=name.replace("_", " ")),
        "security": security(route.permission) + ([{}] if public else []),
    }
    if public:
        operation["description"] = _PUBLIC
    if collection.note:
        operation["description"] = collection.note
    if collection.extension:
        operation["x-extension"] = True
    parameters = []
    if one:
        errors |= {404}
        parameters.append(schemas.parameter(collection.id_name, ObjectID, where="path"))
    elif route.method == "GET":
        parameters += [schemas.parameter(*item) for item in (collection.filters | PAGE).items()]
    if parameters:
        operation["parameters"] = parameters
    if route.method in {"POST", "PUT"}:
        errors |= {408, 413, 415} | ({409} if collection.conflicts else set())
        errors |= {404} if collection.refers else set()
        operation["requestBody"] = {"required": True, "content": json_content(schemas.of(collection.request))}
    if route.method in {"PUT", "DELETE"}:
        errors |= {412}
    answer = schemas.of(collection.answer)
    many = kind == ("GET", False)
    success: Json = {
        "description": "As asked.",
        "content": json_content({"type": "array", "items": answer} if many else answer),
    }
    if route.method == "POST":
        success["headers"] = {"Location": {"description": "Where it is.", "schema": {"type": "string"}}}
        success["links"] = _links(collection)
    operation["responses"] = {"201" if route.method == "POST" else "200": success} | problems(errors, schemas)
    return f"/{name}" + (f"/{{{collection.id_name}}}" if one else ""), operation


def _links(collection: _Collection) -> Json:
    """Return links from a new object to what can be done with it."""
    parameters = {collection.id_name: "$response.body#/id"}
    return {name: {"operationId": name, "parameters": parameters} for name in collection.operations[2:]}


def _adapt_component(type_name: str, schema: Json) -> None:
    """Describe an answer: it says its kind, has what it always has, and leaves out what is absent (GEN-018)."""
    if type_name in _ANSWERS:
        name = component_name(type_name)
        schema["properties"]["objectType"] = {"type": "string", "const": _CAPITAL.sub(r"_\g<0>", name).upper()}
        schema["required"] = [*schema["required"], "objectType", *_ALWAYS.get(name, ())]
    if type_name in _ANSWERS or type_name in openapi_extensions.ANSWERS:
        never_null(schema["properties"])
