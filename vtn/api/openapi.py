"""The description of the API at ``/openapi.json``, made of the routes that are served and the types that they read.

The permission, body and answer of a route stand here under its method and path. A route without an entry cannot be
described: `/openapi.json` fails, and with it every test that reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from openadr_profiles import v31
from openadr_profiles.contact import Contact
from openadr_profiles.v31.common import Name, ObjectID, Target
from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.instant import Start
from vtn.access import Permission, Scope
from vtn.api.collection import OpenRoute, Route

Json: TypeAlias = dict[str, Any]

_DURATION: Final = r"^-?P(?=\d|T\d)(\d+Y)?(\d+M)?(\d+[DW])?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$"
_START: Final = (
    r"^(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})"
    r"|0001-01-01([Tt ]00:00:00(\.0{1,9})?)?)$"
)
_TEXTS: Final[dict[type, Json]] = {
    Duration: {"type": "string", "maxLength": 128, "pattern": _DURATION, "example": "PT1H"},
    Start: {"type": "string", "pattern": _START, "example": "2026-01-31T16:00:00Z"},
}
_PAGE: Final[dict[str, Any]] = {
    "skip": Annotated[int, Meta(ge=0, le=2**31 - 1)],
    "limit": Annotated[int, Meta(ge=0, le=50)],
}
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
    "clientID": "Only the contact of this client. Repeat the parameter for several.",
    "resourceGroupName": "Only the resource group of exactly this name.",
    "objects": "Only subscriptions that name one of these kinds. Repeat the parameter for several.",
}
_ERRORS: Final = {
    400: "The request or its body cannot be read; the detail names the member.",
    401: "No token, or one that does not hold.",
    403: "The caller's role or scopes do not allow it.",
    404: "There is no such object for this caller.",
    408: "The body does not arrive in time.",
    409: "Another object has that name, the client has a ven, or groups would be nested in a circle or too deep.",
    412: "If-Match names a version that is no longer the current one.",
    413: "The body is larger than this server accepts.",
    415: "The body is not application/json.",
    429: "Too many requests; Retry-After says when to come back.",
    431: "The address or a header is longer than this server accepts.",
    500: "Something went wrong here.",
    501: "This server was told not to offer it.",
    503: "The database does not answer; Retry-After says when to come back.",
}


class _AuthServerInfo(msgspec.Struct, kw_only=True):
    """Where tokens are to be had."""

    token_url: Annotated[str, Meta(min_length=2, max_length=8000, extra_json_schema={"format": "uri"})] = msgspec.field(
        name="tokenURL"
    )


class _ClientCredentialRequest(msgspec.Struct, kw_only=True):
    """Credentials of a client. A Basic header may carry the id and the secret instead."""

    grant_type: str
    client_id: Annotated[str, Meta(max_length=4096)]
    client_secret: Annotated[str, Meta(max_length=4096)]
    scope: str | None = None


class _ClientCredentialResponse(msgspec.Struct, kw_only=True):
    """An access token."""

    access_token: Annotated[str, Meta(min_length=1, max_length=4096)]
    token_type: Annotated[str, Meta(min_length=6, max_length=6)]
    expires_in: int
    scope: str


class _AuthError(msgspec.Struct, kw_only=True):
    """Why there is no token: an error of OAuth 2.0 and a problem at once."""

    error: str
    error_description: str
    type: str
    title: str
    status: int
    detail: str


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
        note="Subscriptions are kept and their callback URLs verified; this version does not send notifications yet.",
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
    """The whole document for the routes below ``prefix``; raises KeyError for a route that nobody has described.

    ``public`` says that there are programs to be read without a token (COMPAT-017).
    """
    schemas = _Schemas()
    paths: dict[str, Json] = {}
    for route in routes:
        path, operation = _operation(route, schemas, public=public and route.permission.or_anonymous)
        paths.setdefault(path, {})[route.method.lower()] = operation
    for open_route in open_routes:
        paths.setdefault(open_route.path, {})[open_route.method.lower()] = _open_operation(open_route, schemas)
    scopes = {scope.value: _SCOPES[scope] for scope in Scope}
    client_credentials = {"tokenUrl": token_url, "scopes": scopes}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpenADR 3.1 VTN",
            "version": version,
            "description": "What this server serves. Subscriptions are kept, but notifications are not delivered yet.",
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


_SCOPES: Final = {
    Scope.READ_ALL: "Read everything that the role may see.",
    Scope.READ_BL: "Read as business logic.",
    Scope.READ_TARGETS: "Read programs and events.",
    Scope.READ_VEN_OBJECTS: "Read the client's own objects.",
    Scope.WRITE_PROGRAMS: "Write programs.",
    Scope.WRITE_EVENTS: "Write events.",
    Scope.WRITE_REPORTS: "Write reports.",
    Scope.WRITE_SUBSCRIPTIONS: "Write subscriptions.",
    Scope.WRITE_VENS: "Write vens and resources; as business logic, resource groups too.",
}


_EXTENSION: Final = {"x-extension": True, "description": "An extension: not part of the OpenADR standard."}
"""Members of operations that the standard does not have."""
_BY_CLIENT: Final = "How many to leave out at the beginning, in the order of client ids."


def _contacts(route: Route, schemas: _Schemas) -> Json:
    parameters = {"clientID": list[Name], **_PAGE}
    answer = {"type": "array", "items": schemas.of(Contact)}
    return _EXTENSION | {
        "tags": ["contacts"],
        "operationId": "searchContacts",
        "summary": "List when clients were last heard of, by client id. For business logic.",
        "security": _security(route.permission),
        "parameters": [
            schemas.parameter(*item) | ({"description": _BY_CLIENT} if item[0] == "skip" else {})
            for item in parameters.items()
        ],
        "responses": {"200": {"description": "As asked.", "content": _json(answer)}}
        | _problems({400, 401, 403, 429, 431, 500, 503}, schemas),
    }


def _operation(route: Route, schemas: _Schemas, *, public: bool) -> tuple[str, Json]:
    if (route.method, route.path) == ("GET", "/contacts"):
        return route.path, _contacts(route, schemas)
    name, _, rest = route.path.lstrip("/").partition("/")
    collection, one = _COLLECTIONS[name], rest == "{id}"
    kind = (route.method, one)
    errors = {400, 401, 403, 429, 431, 500, 503}
    operation: Json = {
        "tags": [name],
        "operationId": collection.operations[_KINDS.index(kind)],
        "summary": _WORDS[kind].format(name=name.replace("_", " ")),
        "security": _security(route.permission) + ([{}] if public else []),
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
        parameters += [schemas.parameter(*item) for item in (collection.filters | _PAGE).items()]
    if parameters:
        operation["parameters"] = parameters
    if route.method in {"POST", "PUT"}:
        errors |= {408, 413, 415} | ({409} if collection.conflicts else set())
        errors |= {404} if collection.refers else set()
        operation["requestBody"] = {"required": True, "content": _json(schemas.of(collection.request))}
    if route.method in {"PUT", "DELETE"}:
        errors |= {412}
    answer = schemas.of(collection.answer)
    many = kind == ("GET", False)
    success: Json = {
        "description": "As asked.",
        "content": _json({"type": "array", "items": answer} if many else answer),
    }
    if route.method == "POST":
        success["headers"] = {"Location": {"description": "Where it is.", "schema": {"type": "string"}}}
        success["links"] = _links(collection)
    operation["responses"] = {"201" if route.method == "POST" else "200": success} | _problems(errors, schemas)
    return f"/{name}" + (f"/{{{collection.id_name}}}" if one else ""), operation


def _links(collection: _Collection) -> Json:
    """From a new object to what can be done with it."""
    parameters = {collection.id_name: "$response.body#/id"}
    return {name: {"operationId": name, "parameters": parameters} for name in collection.operations[2:]}


def _open_operation(route: OpenRoute, schemas: _Schemas) -> Json:
    if (route.method, route.path) == ("GET", "/auth/server"):
        success = {"200": {"description": "As asked.", "content": _json(schemas.of(_AuthServerInfo))}}
        return {
            "tags": ["auth"],
            "operationId": "getAuthServerInfo",
            "summary": "Where tokens are to be had.",
            "security": [],
            "responses": success | _problems({429, 431, 500}, schemas),
        }
    if (route.method, route.path) != ("POST", "/auth/token"):
        raise KeyError(f"{route.method} {route.path}")
    form = "application/x-www-form-urlencoded"
    declined = {
        str(status): {"description": _ERRORS[status], "content": _json(schemas.of(_AuthError))}
        for status in (400, 401, 429)
    }
    return {
        "tags": ["auth"],
        "operationId": "fetchToken",
        "summary": "A token for the credentials of a client.",
        "security": [],
        "requestBody": {"required": True, "content": {form: {"schema": schemas.of(_ClientCredentialRequest)}}},
        "responses": {"200": {"description": "A token.", "content": _json(schemas.of(_ClientCredentialResponse))}}
        | declined
        | _problems({408, 413, 431, 500, 501, 503}, schemas),
    }


def _security(permission: Permission) -> list[Json]:
    return [*({"oAuth2ClientCredentials": [scope.value]} for scope in sorted(permission.scopes)), {"bearerAuth": []}]


def _problems(statuses: Iterable[int], schemas: _Schemas) -> Json:
    content = _json(schemas.of(v31.Problem))
    return {str(status): {"description": _ERRORS[status], "content": content} for status in sorted(statuses)}


def _json(schema: Json) -> Json:
    return {"application/json": {"schema": schema}}


class _Schemas:
    """JSON schemas of types, and the components that they refer to."""

    def __init__(self) -> None:
        self._found: dict[str, Json] = {}

    def of(self, type_: Any) -> Json:
        """The schema of a type, as a reference if it is an object."""
        (schema,), components = msgspec.json.schema_components(
            [type_], schema_hook=_schema_of_text, ref_template="#/components/schemas/{name}"
        )
        self._found |= components
        named: Json = _named(schema)
        return named

    def parameter(self, name: str, type_: Any, *, where: str = "query") -> Json:
        """A parameter; a list is given by repeating it."""
        found: Json = {"name": name, "in": where, "required": where == "path", "schema": self.of(type_)}
        if name in _PARAMETERS and where == "query":
            found["description"] = _PARAMETERS[name]
        return found

    def components(self) -> Json:
        """All schemas that were referred to, under the names of the standard."""
        return {_name(name): _component(name, _named(schema)) for name, schema in sorted(self._found.items())}


def _component(name: str, schema: Json) -> Json:
    if name == "Problem":
        schema["required"] = ["type", "title", "status", "detail"]
        schema["properties"]["status"] |= {"minimum": 100, "maximum": 599}
    if name in _ANSWERS:
        _as_answered(_name(name), schema)
    if name == Contact.__name__:
        _never_null(schema["properties"])
    return schema


def _as_answered(name: str, schema: Json) -> None:
    """An answer says its kind, has what it always has, and leaves out what is absent (GEN-018)."""
    properties: Json = schema["properties"]
    properties["objectType"] = {"type": "string", "const": _CAPITAL.sub(r"_\g<0>", name).upper()}
    schema["required"] = [*schema["required"], "objectType", *_ALWAYS.get(name, ())]
    _never_null(properties)


def _never_null(properties: Json) -> None:
    for member, found in properties.items():
        alternatives = [one for one in found.get("anyOf", ()) if one != {"type": "null"}]
        if len(alternatives) == 1:
            properties[member] = alternatives[0]


def _schema_of_text(type_: type) -> Json:
    return dict(_TEXTS[type_])


def _name(name: str) -> str:
    """The standard's name of a type: it begins with a small letter, except for the two forms of requests."""
    name = name.lstrip("_")
    return name if name.startswith(("Bl", "Ven")) and name.endswith("Request") else name[:1].lower() + name[1:]


def _named(schema: Any) -> Any:
    """A schema in the words of JSON Schema: names of the standard, plain patterns, numbers as numbers."""
    if isinstance(schema, list):
        return [_named(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: Json = {}
    for key, value in schema.items():
        match key:
            case "$ref":
                found[key] = "#/components/schemas/" + _name(value.rpartition("/")[2])
            case "properties":
                found[key] = {member: _named(inner) for member, inner in value.items()}
            case "mapping":
                found[key] = {word: _named({"$ref": ref})["$ref"] for word, ref in value.items()}
            case "pattern":
                found[key] = re.sub(r"\\Z$", "$", re.sub(r"^\\A", "^", value))
            case "title":
                continue
            case "description":
                found[key] = value.replace("``", "`")
            case "anyOf" if {"type": "integer"} in value and {"type": "number"} in value:
                found[key] = [_named(one) for one in value if one != {"type": "integer"}]
            case _:
                found[key] = _named(value)
    alternatives = found.get("anyOf")
    return alternatives[0] if alternatives is not None and len(alternatives) == 1 else found
