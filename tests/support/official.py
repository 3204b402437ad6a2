"""Judge requests and answers by the official documents of OpenADR 3.1 and 3.0.1 (`tests/data/openapi`)."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import jsonschema_rs
import yaml

DOCUMENTS: Final = Path(__file__).parents[1] / "data" / "openapi"

EXTENSIONS: Final = {
    ("GET", "/contacts"),
    ("GET", "/subscription_health"),
    ("GET", "/vens_20b"),
    ("POST", "/vens_20b"),
    ("POST", "/vens_20b/orders"),
    ("GET", "/performance/results"),
    ("POST", "/performance/results"),
    ("GET", "/performance/results/{id}"),
    ("DELETE", "/performance/results/{id}"),
    ("POST", "/performance/results/{id}/freeze"),
    ("GET", "/performance/results/{id}/participants"),
    ("GET", "/performance/results/{id}/differences"),
    ("GET", "/performance/results/{id}/settlement"),
}
"""Operations of ours that the document does not have; a VTN that has no such path is asked in vain."""

_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"
_BEGINNING_OF_TIME: Final = re.compile(r"0001-01-01([T ]00:00:00Z?)?")


class OfficialDocument:
    """The paths, parameters and schemas of the standard's OpenAPI document.

    Where the document contradicts itself it is read as the definition does: the ``objectType`` of a stored ven is VEN
    and that of a resource is RESOURCE (R-21), not that of a request; and the format ``date-time`` does not exclude the
    beginning of time without an offset, which stands for "now" (R-39).
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self._components: dict[str, Any] = _as_json_schema(document["components"])
        self._paths = {_pattern(path): operations for path, operations in document["paths"].items()}
        for stored, kind in (("ven", "VEN"), ("resource", "RESOURCE")):
            if f"Bl{stored.capitalize()}Request" in self._components["schemas"]:
                _let_stored_objects_have_their_own_kind(self._components["schemas"], stored, kind)

    def request_problems(self, method: str, target: str, body: bytes | None, content_type: str = _JSON) -> list[str]:
        """Return what is wrong with a request; `target` is the path below the API's root, with its query."""
        parts = urlsplit(target)
        operation = self._operation(method, parts.path)
        if operation is None and any(
            method == each and _pattern(path).fullmatch(parts.path) for each, path in EXTENSIONS
        ):
            return []
        if operation is None:
            return [f"{method} {parts.path}: the document has no such operation"]
        problems = self._query_problems(operation, parse_qsl(parts.query, keep_blank_values=True))
        described = self._resolved(operation.get("requestBody", {})).get("content", {})
        if body is None:
            return problems
        if content_type not in described:
            return [*problems, f"a body of {content_type}; expected {' or '.join(described) or 'none'}"]
        value = dict(parse_qsl(body.decode())) if content_type == _FORM else json.loads(body)
        return problems + self._problems(described[content_type]["schema"], value)

    def answer_problems(self, method: str, target: str, status: int, body: bytes) -> list[str]:
        """Return what is wrong with an answer; a status that the document does not name has no schema."""
        operation = self._operation(method, urlsplit(target).path)
        if operation is None:
            return []
        answer = self._resolved(operation["responses"].get(str(status), {}))
        content = answer.get("content", {})
        schema = next((each["schema"] for each in content.values() if "schema" in each), None)
        return [] if schema is None else self._problems(schema, json.loads(body))

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for pattern, operations in self._paths.items():
            if pattern.fullmatch(path) and method.lower() in operations:
                found: dict[str, Any] = operations[method.lower()]
                return found
        return None

    def _query_problems(self, operation: dict[str, Any], query: list[tuple[str, str]]) -> list[str]:
        known = {each["name"]: each["schema"] for each in map(self._resolved, operation.get("parameters", ()))}
        problems = [f"?{name}: the operation has no such parameter" for name, _ in query if name not in known]
        for name, schema in known.items():
            texts = [text for each, text in query if each == name]
            if texts:
                value = texts if schema.get("type") == "array" else _value_of(texts[0], schema.get("type"))
                problems += [f"?{name}: {problem}" for problem in self._problems(schema, value)]
        return problems

    def _problems(self, schema: dict[str, Any], value: Any) -> list[str]:
        whole = json.dumps(_as_json_schema(schema), sort_keys=True)
        return [
            f"{'.'.join(map(str, error.instance_path)) or '(whole)'}: {error.message[:300]}"
            for error in self._validator(whole).iter_errors(value)
        ]

    @cache  # noqa: B019 # there is one document for as long as the tests run
    def _validator(self, schema: str) -> jsonschema_rs.Draft4Validator:
        return jsonschema_rs.Draft4Validator(
            {**json.loads(schema), "components": self._components},
            validate_formats=True,
            formats={"date-time": _is_instant, "int32": _anything, "float": _anything},
        )

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in node:
            return node
        found: Any = {"components": self._components}
        for step in node["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        return self._resolved(found)


@cache
def official_document(version: str = "3.1") -> OfficialDocument:
    """Return the official document of a version, read once."""
    text = (DOCUMENTS / f"openadr3-{version}.yaml").read_text(encoding="utf-8")
    return OfficialDocument(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)))


def _as_json_schema(node: Any) -> Any:
    """Write a schema of OpenAPI 3.0 as JSON Schema: `nullable` becomes a union, `discriminator` says nothing more."""
    if isinstance(node, list):
        return [_as_json_schema(each) for each in node]
    if not isinstance(node, dict):
        return node
    written = {key: _as_json_schema(value) for key, value in node.items() if key not in {"example", "discriminator"}}
    if written.pop("nullable", False) is not True:
        return written
    if isinstance(written.get("type"), str) and "enum" not in written:
        return {**written, "type": [written["type"], "null"]}
    return {"anyOf": [{"type": "null"}, written]}


def _let_stored_objects_have_their_own_kind(schemas: dict[str, Any], stored: str, kind: str) -> None:
    request = f"Bl{stored.capitalize()}Request"
    own = json.loads(json.dumps(schemas[request]))
    own["properties"]["objectType"] = {"enum": [kind]}
    schemas[stored]["allOf"] = [
        own if part == {"$ref": f"#/components/schemas/{request}"} else part for part in schemas[stored]["allOf"]
    ]


def _value_of(text: str, type_: str | None) -> Any:
    if type_ in {"integer", "boolean"}:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _is_instant(text: str) -> bool:
    if _BEGINNING_OF_TIME.fullmatch(text):
        return True
    return bool(jsonschema_rs.is_valid({"format": "date-time"}, text, validate_formats=True))


def _anything(_: object) -> bool:
    return True
