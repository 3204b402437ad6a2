"""Parts of a description of the API (OpenAPI 3.1): schemas made of the types that are read and written, and problems.

Each version describes its own routes with these (``vtn/api/v31/openapi.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from openadr_profiles.v31 import Problem
from openadr_profiles.v31.duration import Duration
from openadr_profiles.v31.instant import Start
from vtn.access import Permission, Scope

Json: TypeAlias = dict[str, Any]

_DURATION: Final = r"^-?P(?=\d|T\d)(\d+Y)?(\d+M)?(\d+[DW])?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?$"
_START: Final = (
    r"^(\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})"
    r"|0001-01-01([Tt ]00:00:00(\.0{1,9})?)?)$"
)
_FORM_OF_A_ROLE: Final = re.compile(r"(Bl|Ven)(Ven|Resource)Request")
_TEXTS: Final[dict[type, Json]] = {
    Duration: {"type": "string", "maxLength": 128, "pattern": _DURATION, "example": "PT1H"},
    Start: {"type": "string", "pattern": _START, "example": "2026-01-31T16:00:00Z"},
}
ERRORS: Final = {
    400: "The request or its body cannot be read; the detail names the member.",
    401: "No token, or one that does not hold.",
    403: "The caller's role or scopes do not allow it.",
    404: "There is no such object for this caller.",
    408: "The body does not arrive in time.",
    409: "Another object has that name, the client has a ven, or groups would be nested in a circle or too deep.",
    412: "If-Match names a version that is no longer the current one.",
    413: "The body is larger than this server accepts.",
    415: "The body is not application/json.",
    426: "The request does not ask for a websocket.",
    429: "Too many requests; Retry-After says when to come back.",
    431: "The address or a header is longer than this server accepts.",
    500: "Something went wrong here.",
    501: "This server was told not to offer it.",
    503: "The database does not answer; Retry-After says when to come back.",
}


PAGE: Final[dict[str, Any]] = {
    "skip": Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)],
    "limit": Annotated[int, msgspec.Meta(ge=0, le=50)],
}
"""The parameters of a page of a list."""
SCOPES: Final = {
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


def security(permission: Permission) -> list[Json]:
    """Return the security requirements of an operation: any one of its scopes, or a bearer token."""
    return [*({"oAuth2ClientCredentials": [scope.value]} for scope in sorted(permission.scopes)), {"bearerAuth": []}]


def problems(statuses: Iterable[int], schemas: Schemas) -> Json:
    """Return the responses of refused requests."""
    content = json_content(schemas.of(Problem))
    return {str(status): {"description": ERRORS[status], "content": content} for status in sorted(statuses)}


def json_content(schema: Json) -> Json:
    """Return the content of a JSON body."""
    return {"application/json": {"schema": schema}}


class Schemas:
    """JSON schemas of types, and the components that they refer to.

    ``texts`` describes parameters by name, ``adapt`` changes the schema of a component, given under the type's name.
    """

    def __init__(self, *, texts: Mapping[str, str], adapt: Callable[[str, Json], None]) -> None:
        self._components: dict[str, Json] = {}
        self._texts = texts
        self._adapt = adapt

    def of(self, type_: Any) -> Json:
        """Return the schema of a type, as a reference if it is an object."""
        (schema,), components = msgspec.json.schema_components(
            [type_], schema_hook=_schema_of_text, ref_template="#/components/schemas/{name}"
        )
        self._components |= components
        named: Json = _named(schema)
        return named

    def parameter(self, name: str, type_: Any, *, where: str = "query") -> Json:
        """Return a parameter; a list is given by repeating it."""
        parameter: Json = {"name": name, "in": where, "required": where == "path", "schema": self.of(type_)}
        if name in self._texts and where == "query":
            parameter["description"] = self._texts[name]
        return parameter

    def components(self) -> Json:
        """Return all schemas that were referred to, under the names of the standard."""
        components = {}
        for name, schema in sorted(self._components.items()):
            described = components[component_name(name)] = _named(schema)
            if name == Problem.__name__:
                described["required"] = ["type", "title", "status", "detail"]
                described["properties"]["status"] |= {"minimum": 100, "maximum": 599}
            self._adapt(name, described)
        return components


def never_null(properties: Json) -> None:
    """Describe members that may be absent, but are never null (GEN-018)."""
    for member, found in properties.items():
        alternatives = [one for one in found.get("anyOf", ()) if one != {"type": "null"}]
        if len(alternatives) == 1:
            properties[member] = alternatives[0]


def _schema_of_text(type_: type) -> Json:
    return dict(next(_TEXTS[one] for one in type_.__mro__ if one in _TEXTS))


def component_name(name: str) -> str:
    """Return the standard's name of a type: it begins with a small letter, except for the two forms of requests."""
    name = name.lstrip("_")
    return name if _FORM_OF_A_ROLE.fullmatch(name) else name[:1].lower() + name[1:]


def _named(schema: Any) -> Any:
    """Return a schema in the words of JSON Schema: names of the standard, plain patterns, numbers as numbers."""
    if isinstance(schema, list):
        return [_named(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found: Json = {}
    for key, value in schema.items():
        match key:
            case "$ref":
                found[key] = "#/components/schemas/" + component_name(value.rpartition("/")[2])
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
