"""The description of the interface (OpenAPI 3.1), made of its routes and of the types that they read and write."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final, TypeAlias

import msgspec

from bridge_mqtt.api.route import ApiRoute, Parameter, Right

Json: TypeAlias = dict[str, Any]

_IN_PATH: Final = re.compile(r"\{(\w+)\}")
_REFUSALS: Final = {
    400: "A parameter or the body cannot be used; the detail names the member.",
    401: "No token, or one that does not hold.",
    403: "The token does not allow it, or nobody was given the right.",
    404: "There is no such event, panel or circuit.",
    408: "The body does not arrive in time.",
    409: "Something stands against it at present; the detail says what.",
    413: "The body is too large.",
    415: "The body is not application/json.",
    421: "The request names another machine.",
    500: "Something failed in the bridge.",
    501: "The bridge was not told what it needs for it; the detail names the setting.",
    502: "The VTN did not do it.",
    503: "The database or the VTN cannot be reached at present.",
}
_PROBLEM: Final[Json] = {
    "type": "object",
    "description": "A refusal (RFC 9457).",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_ALWAYS: Final = {
    Right.OPEN: (),
    Right.READ: (400, 401, 403, 421, 503),
    Right.WRITE: (400, 401, 403, 503),
}


def describe(routes: Sequence[ApiRoute]) -> Json:
    """Return the OpenAPI document of these routes."""
    components: Json = {}
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    named = {_name(name): schema for name, schema in sorted(components.items())}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "OpenADR Fleet: bridge to legacy panels",
            "version": version("openadr-fleet"),
            "description": "Events at panels, what they answered and measured. Powers are kW, instants are UTC. "
            "Each path means the same with a slash at its end.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": named | {"Problem": _PROBLEM},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(route: ApiRoute, components: Json) -> Json:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _IN_PATH.findall(route.path)
    ]
    answered: Json = {"description": "As asked."}
    if route.status != 204:
        answered["content"] = {"application/json": {"schema": _schema(route.answer, components)}}
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    refused = sorted({*_ALWAYS[route.right], *route.refusals})
    operation: Json = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [*in_path, *map(_parameter, route.parameters)],
        "responses": {str(route.status): answered}
        | {str(status): {"description": _REFUSALS[status], "content": problem} for status in refused},
        "security": [] if route.right is Right.OPEN else [{"bearer": []}, *([{}] if route.right is Right.READ else [])],
    }
    if route.body is not None:
        content = {"application/json": {"schema": _schema(route.body, components)}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _parameter(parameter: Parameter) -> Json:
    return {"name": parameter.name, "in": "query", "description": parameter.text, "schema": parameter.schema}


def _schema(type_: Any, components: Json) -> Json:
    if type_ is None:
        return {}
    (schema,), found = msgspec.json.schema_components([type_], ref_template="#/components/schemas/{name}")
    components |= {name: _tidy(each) for name, each in found.items()}
    tidy: Json = _tidy(schema)
    return tidy


def _tidy(schema: Any) -> Any:
    """Return a schema without titles, with the names of this document, and with one kind of quotes in texts."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidy: Json = {}
    for key, value in schema.items():
        match key:
            case "title":
                continue
            case "$ref":
                tidy[key] = "#/components/schemas/" + _name(value.rpartition("/")[2])
            case "description":
                tidy[key] = value.replace("``", "`")
            case "properties":
                tidy[key] = {member: _tidy(each) for member, each in value.items()}
            case _:
                tidy[key] = _tidy(value)
    return tidy


def _name(name: str) -> str:
    return name.removesuffix("Answer")


def _operation_id(route: ApiRoute) -> str:
    words = re.findall(r"[A-Za-z]+", route.path.removeprefix("/api"))
    return route.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)
