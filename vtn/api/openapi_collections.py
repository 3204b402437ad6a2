"""Descriptions of collections of objects: their types, filters and five operations, for every version of the API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Final

from openadr_profiles.v31.common import ObjectID
from vtn.access import Scope
from vtn.api.collection import OpenRoute, Route
from vtn.api.openapi import PAGE, SCOPES, Json, Schemas, json_content, problems, security
from vtn.api.openapi_auth import describe_auth
from vtn.settings import Settings


@dataclass(frozen=True, slots=True)
class DescribedCollection:
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
    above: str | None = None
    """The name of the id in the path of what the objects live below."""


_PUBLIC: Final = (
    "Without a token: public programs and their events, as far as they have no targets. "
    "Any other object is answered 401 then."
)
_KINDS: Final = (("GET", False), ("POST", False), ("GET", True), ("PUT", True), ("DELETE", True))
_WORDS: Final = {
    ("GET", False): "List {name} that the caller may see, the newest first.",
    ("POST", False): "Make a new one of the {name}.",
    ("GET", True): "Read one of the {name}.",
    ("PUT", True): "Put another in the place of one of the {name}.",
    ("DELETE", True): "Remove one of the {name}; the answer is what it was.",
}


def document(title: str, *, version: str, prefix: str, token_url: str, paths: Json, schemas: Schemas) -> Json:
    """Return a whole document."""
    scopes = {scope.value: SCOPES[scope] for scope in Scope}
    client_credentials = {"tokenUrl": token_url, "scopes": scopes}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": title,
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


def served_at(settings: Settings, prefix: str) -> dict[str, Any]:
    """Return what a description says of a server with these settings: version, prefix, token_url and public."""
    external, prefix = settings.auth.external, (settings.public_url or "") + prefix
    elsewhere = None if external is None or settings.auth.gives_tokens else external.token_url
    return {
        "version": metadata.version("openadr-fleet"),
        "prefix": prefix,
        "token_url": elsewhere or f"{prefix}/auth/token",
        "public": bool(settings.public.programs),
    }


def open_paths(open_routes: Iterable[OpenRoute], schemas: Schemas) -> Json:
    """Return the paths of routes that anybody may use."""
    paths: Json = {}
    for route in open_routes:
        paths.setdefault(route.path, {})[route.method.lower()] = describe_auth(route, schemas)
    return paths


def collection_operation(
    route: Route, name: str, collection: DescribedCollection, schemas: Schemas, *, one: bool, public: bool
) -> Json:
    """Return the description of an operation on a collection; ``one`` is on one of its objects."""
    kind = (route.method, one)
    errors = {400, 401, 403, 429, 431, 500, 503}
    operation: Json = {
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
    if collection.above is not None:
        errors |= {404}
        parameters.append(schemas.parameter(collection.above, ObjectID, where="path"))
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
    return operation


def _links(collection: DescribedCollection) -> Json:
    """Return links from a new object to what can be done with it."""
    parameters = {collection.id_name: "$response.body#/id"}
    return {name: {"operationId": name, "parameters": parameters} for name in collection.operations[2:]}
