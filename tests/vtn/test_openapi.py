"""The description of the API: the same as the official document, member by member, but for what is named here."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from tests.vtn.harness import VtnUnderTest
from vtn.api.v31.openapi import description
from vtn.app import build
from vtn.settings import Settings
from vtn.store.rows import ObjectRow

Json: TypeAlias = dict[str, Any]

OFFICIAL: Json = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "openapi" / "openadr3-3.1.yaml").read_text(encoding="utf-8")
)

OBJECTS = (
    "programRequest",
    "eventRequest",
    "reportRequest",
    "subscriptionRequest",
    "BlVenRequest",
    "VenVenRequest",
    "BlResourceRequest",
    "VenResourceRequest",
    "interval",
    "intervalPeriod",
    "valuesMap",
    "point",
    "eventPayloadDescriptor",
    "reportPayloadDescriptor",
    "reportDescriptor",
    "problem",
    "authServerInfo",
    "program",
    "event",
    "report",
    "subscription",
    "ven",
    "resource",
    "notifiersResponse",
    "mqttNotifierBindingObject",
    "mqttNotifierAuthenticationAnonymous",
    "mqttNotifierAuthenticationOauth2BearerToken",
    "mqttNotifierAuthenticationCertificate",
    "notifierOperationsTopics",
    "notifierTopicsResponse",
)
"""Schemas that both documents have under the same name."""

DEVIATIONS = {
    r"(event|eventRequest)\.(eventName): ": "texts without a limit are capped at 4096 characters (OBJ-007)",
    r"(report|reportRequest)\.(reportName): ": "texts without a limit are capped at 4096 characters (OBJ-007)",
    r"(eventPayloadDescriptor|programPayloadDescriptor)\.currency: ": "capped at 4096 characters (OBJ-007)",
    r"subscription(Request)?\.objectOperations: ": (
        "operations also in the words of HTTP (SUBS-007 as ruled); bearerToken capped at 4096 characters (OBJ-007)"
    ),
    r"(event|report)PayloadDescriptor\.objectType: ": "may be missing in a request and is added (R-30)",
    r"valuesMap\.values: ": "an integer is a number",
    r"BlResourceRequest\.clientID: ": "taken from the ven when missing (COMPAT-030)",
    r"VenResourceRequest\.venID: ": "the caller's own ven when missing (COMPAT-030)",
    r"program(Request)?\.payloadDescriptors: ": "one schema for both kinds, the same members (PROG-007)",
    r"program(Request)?\.programDescriptions: ": "the URI also has a pattern: absolute (OBJ-012)",
    r"\w+\.start: ": "a pattern instead of a format: also the beginning of time (TIME-005, R-39)",
    r"intervalPeriod\.(duration|randomizeStart): ": "no default: absent is not PT0S (R-38)",
    r"(eventRequest|event)\.duration: ": "no default: absent is not PT0S (R-38)",
    r"(ven|resource)\.objectType: ": "VEN and RESOURCE in answers (R-21)",
    r"\w+\.objectType: ": "answers say exactly their kind (GEN-018)",
    r"(program|event|subscription|ven|resource)\.targets: ": "always in answers (COMPAT-045)",
    r"event\.intervals: ": "always in answers (COMPAT-045)",
    r"notifiersResponse\.WEBSOCKET: ": "a way of ours beside those of the standard (VENCLIENT-029)",
    r"mqttNotifierAuthenticationOauth2BearerToken\.password: ": "of an account at a broker without tokens (MQTT-047)",
    r"problem\.(type|title|status|detail): ": "always there (PROBLEM-001)",
    r"problem\.instance: ": "absent or null where there is none",
}
"""Intended differences of our schemas, as patterns of ``object.member``, with reasons."""

EXTRA_PARAMETERS = {("/programs", "get", "programName"): "narrow by exact name (ruling 8)"}

EXTENSIONS = {
    ("/contacts", "get"),
    ("/notifiers/ws", "get"),
    ("/subscription_health", "get"),
    ("/resource_groups", "get"),
    ("/resource_groups", "post"),
    ("/resource_groups/{resourceGroupID}", "get"),
    ("/resource_groups/{resourceGroupID}", "put"),
    ("/resource_groups/{resourceGroupID}", "delete"),
    ("/performance/results", "get"),
    ("/performance/results", "post"),
    ("/performance/results/{resultID}", "get"),
    ("/performance/results/{resultID}", "delete"),
    ("/performance/results/{resultID}/freeze", "post"),
    ("/performance/results/{resultID}/participants", "get"),
    ("/performance/results/{resultID}/differences", "get"),
    ("/performance/results/{resultID}/settlement", "get"),
}
"""Operations of ours that the standard does not have."""


@pytest.fixture(scope="module")
def whole_of_ours() -> Json:
    """Our description, as it is served."""
    server = build(Settings())
    served, _ = server._wiring(server._stores()).versions()
    found = description(
        served.routes, served.open_routes, version="0", prefix="/openadr3/3.1.0", token_url="/auth/token"
    )
    copy: Json = json.loads(json.dumps(found))
    return copy


@pytest.fixture(scope="module")
def ours(whole_of_ours: Json) -> Json:
    """Our description without extensions."""
    paths = {
        path: {method: operation for method, operation in item.items() if (path, method) not in EXTENSIONS}
        for path, item in whole_of_ours["paths"].items()
    }
    return whole_of_ours | {"paths": {path: item for path, item in paths.items() if item}}


def test_extensions_are_marked_as_such(whole_of_ours: Json) -> None:
    """And nothing else is."""
    marked = {
        (path, method)
        for path, item in whole_of_ours["paths"].items()
        for method, operation in item.items()
        if operation.get("x-extension")
    }
    assert marked == EXTENSIONS
    for path, method in EXTENSIONS:
        assert "not part of the OpenADR standard" in whole_of_ours["paths"][path][method]["description"]


def resolved(document: Json, schema: Json) -> Json:
    """A schema without references but to what is compared on its own, with ``allOf`` joined and one way of writing."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {"object": name} if name in OBJECTS else resolved(document, document["components"]["schemas"][name])
    found: Json = {}
    for key, value in schema.items():
        if key in {"description", "example", "title", "discriminator", "summary", "additionalProperties"}:
            continue
        if key == "allOf":
            for part in value:
                inner = whole(document, part["$ref"].rpartition("/")[2]) if "$ref" in part else resolved(document, part)
                found["properties"] = found.get("properties", {}) | inner.get("properties", {})
                found["required"] = sorted({*found.get("required", ()), *inner.get("required", ())})
                found["type"] = "object"
        elif key == "properties":
            found[key] = found.get(key, {}) | {name: resolved(document, one) for name, one in value.items()}
        elif key in {"anyOf", "oneOf"}:
            found["anyOf"] = [resolved(document, one) for one in value]
        elif key == "items":
            found[key] = resolved(document, value)
        elif key == "required":
            found[key] = sorted({*found.get("required", ()), *value})
        else:
            found[key] = value
    return plain(found)


def whole(document: Json, name: str) -> Json:
    """A named schema with all its members."""
    return resolved(document, document["components"]["schemas"][name])


def plain(schema: Json) -> Json:
    """One way of writing what means the same."""
    nullable = schema.pop("nullable", False)
    alternatives = schema.get("anyOf")
    if alternatives is not None:
        rest = [one for one in alternatives if one != {"type": "null"}]
        nullable = nullable or len(rest) < len(alternatives)
        kinds = {json.dumps(one, sort_keys=True) for one in rest}
        if len(rest) == 1:
            schema = {key: value for key, value in schema.items() if key != "anyOf"} | rest[0]
        else:
            schema["anyOf"] = [json.loads(kind) for kind in sorted(kinds)]
    if nullable:
        schema["null"] = True
    if schema.get("default", 0) is None:
        del schema["default"]
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]
    if "enum" in schema:
        schema = {"enum": sorted(one for one in schema["enum"] if one is not None)} | (
            {"null": True} if "null" in schema else {}
        )
    if schema.get("type") == "integer" and schema.get("format") == "int32":
        schema = {"minimum": -(2**31), "maximum": 2**31 - 1} | schema
    if schema.get("type") in {"integer", "number"}:
        schema.pop("format", None)
    if schema.get("required") == []:
        del schema["required"]
    return schema


def differences(document: Json, name: str) -> list[str]:
    """Return the differences between two schemas: members, their types, and which are required."""
    theirs, mine = whole(OFFICIAL, name), whole(document, name)
    found = []
    for member in sorted({*theirs["properties"], *mine["properties"]}):
        expected, got = theirs["properties"].get(member), mine["properties"].get(member)
        if expected is None or got is None:
            found.append(f"{name}.{member}: {'missing' if got is None else 'not in the standard'}")
            continue
        # null for any optional member is absence (GEN-014), so "nullable" is no difference in a request.
        if without_null(expected) != without_null(got):
            found.append(f"{name}.{member}: {json.dumps(expected)} became {json.dumps(got)}")
        if (member in theirs.get("required", ())) != (member in mine.get("required", ())):
            found.append(f"{name}.{member}: required {member in mine.get('required', ())}")
    return found


def without_null(schema: Any) -> Any:
    """The same, whether or not null is allowed."""
    if isinstance(schema, list):
        return [without_null(one) for one in schema]
    if isinstance(schema, dict):
        return {key: without_null(value) for key, value in schema.items() if key not in {"null", "default"}}
    return schema


@pytest.mark.parametrize("name", OBJECTS)
def test_objects_have_the_members_of_the_standard(ours: Json, name: str) -> None:
    """Every difference is named, with its reason."""
    unnamed = [found for found in differences(ours, name) if not any(re.match(known, found) for known in DEVIATIONS)]
    assert unnamed == []


def test_no_deviation_is_named_that_is_none(ours: Json) -> None:
    """The list stays as long as it must be."""
    found = [one for name in OBJECTS for one in differences(ours, name)]

    assert [known for known in DEVIATIONS if not any(re.match(known, one) for one in found)] == []


def test_every_schema_of_the_standard_is_compared_or_known_not_to_be_served() -> None:
    """A member of the official document cannot be forgotten."""
    elsewhere = {
        *("venRequest", "resourceRequest", "objectMetadata", "objectID", "clientID", "venName", "clientName", "target"),
        *("resourceName", "units", "readingType", "objectTypes", "dateTime", "duration"),  # inside the others
        *("clientCredentialRequest", "clientCredentialResponse", "authError"),  # below
        "notification",  # never in an answer
    }
    assert set(OFFICIAL["components"]["schemas"]) == set(OBJECTS) | elsewhere


def test_paths_and_operations_are_those_of_the_standard(ours: Json) -> None:
    """With their operationIds."""

    def operations(document: Json) -> dict[tuple[str, str], str]:
        return {
            (path, method): operation["operationId"]
            for path, item in document["paths"].items()
            for method, operation in item.items()
            if method in {"get", "post", "put", "delete"}
        }

    assert operations(ours) == operations(OFFICIAL)


def test_resource_groups_are_described(whole_of_ours: Json) -> None:
    """COMPAT-088: an answer says its kind and always has its children; nobody can subscribe to it."""
    schemas = whole_of_ours["components"]["schemas"]
    assert schemas["resourceGroup"]["properties"]["objectType"] == {"type": "string", "const": "RESOURCE_GROUP"}
    assert {"children", "targets", "objectType"} < set(schemas["resourceGroup"]["required"])
    assert "RESOURCE_GROUP" not in json.dumps(schemas["subscriptionRequest"])


def test_parameters_are_those_of_the_standard(ours: Json) -> None:
    """Names, places, limits."""
    for path, item in ours["paths"].items():
        common = OFFICIAL["paths"][path].get("parameters", [])
        for method, operation in item.items():
            theirs = {one["name"]: one for one in [*common, *OFFICIAL["paths"][path][method].get("parameters", [])]}
            mine = {
                one["name"]: one
                for one in operation.get("parameters", [])
                if (path, method, one["name"]) not in EXTRA_PARAMETERS
            }
            assert sorted(mine) == sorted(theirs), (path, method)
            for name, one in mine.items():
                assert (one["in"], one["required"]) == (theirs[name]["in"], theirs[name].get("required", False))
                expected, got = resolved(OFFICIAL, theirs[name]["schema"]), resolved(ours, one["schema"])
                assert got == expected, (path, method, name)


def test_bodies_are_those_of_the_standard(ours: Json) -> None:
    """Of requests and of answers, by the names of their schemas."""
    for path, item in ours["paths"].items():
        for method, operation in item.items():
            official = OFFICIAL["paths"][path][method]
            if "requestBody" in official and path != "/auth/token":
                theirs = official["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                mine = operation["requestBody"]["content"]["application/json"]["schema"]
                names = {one["$ref"].rpartition("/")[2] for one in mine.get("anyOf", [mine])}
                form = OFFICIAL["components"]["schemas"][theirs]
                assert names == {one["$ref"].rpartition("/")[2] for one in form.get("oneOf", ())} or names == {theirs}
            (success,) = (status for status in operation["responses"] if status.startswith("2"))
            assert success in official["responses"]
            errors = {status for status in official["responses"] if not status.startswith("2")}
            # 409 stands on operations that never conflict, 404 where an unknown filter gives an empty list.
            assert errors - {"409", "404", "403", "501"} <= set(operation["responses"]), (path, method)


def test_scopes_include_those_of_the_standard(ours: Json) -> None:
    """AUTH-012: and more words for reading, which the standard needs to work."""
    for path, item in ours["paths"].items():
        for method, operation in item.items():
            found = [
                one["oAuth2ClientCredentials"] for one in operation["security"] if "oAuth2ClientCredentials" in one
            ]
            for one in OFFICIAL["paths"][path][method].get("security", []):
                if "oAuth2ClientCredentials" in one:
                    assert one["oAuth2ClientCredentials"] in found, (path, method)


@pytest.mark.parametrize(
    "name",
    ["clientCredentialRequest", "clientCredentialResponse", "authError"],
)
def test_tokens_have_the_members_of_the_standard(ours: Json, name: str) -> None:
    """AUTH-020, AUTH-029: all required ones are there."""
    theirs, mine = OFFICIAL["components"]["schemas"][name], ours["components"]["schemas"][name]

    assert set(theirs["required"]) <= set(mine["properties"])
    assert set(theirs["required"]) <= set(mine["required"])


async def test_the_description_is_served_to_anybody(vtn: VtnUnderTest) -> None:
    """On the origin; it says where the API is, and how subscribers are told."""
    document = (await vtn.ask("GET", f"{vtn.origin}/openapi.json")).ok()

    assert document["openapi"] == "3.1.0"
    assert document["servers"] == [{"url": "/openadr3/3.1.0"}]
    assert "webhook" in document["paths"]["/subscriptions"]["post"]["description"]


async def test_the_page_loads_nothing_from_anywhere(vtn: VtnUnderTest) -> None:
    """Offline: no script, no link to another host; every operation is on it."""
    answer = await vtn.ask("GET", f"{vtn.origin}/docs")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    page = answer.raw.decode()
    assert not re.search(r"<script|<link|<img|https?://", page)
    document = (await vtn.ask("GET", f"{vtn.origin}/openapi.json")).ok()
    for path in document["paths"]:
        assert f"<code>{path}</code>" in page


async def test_every_answer_to_a_test_is_compared_with_the_official_document(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-30: a descriptor that is answered without objectType would fail whatever test meets it."""
    program = await vtn.bl.program()
    bare = [{"payloadType": "PRICE"}]
    event = await vtn.bl.event(program, payloadDescriptors=bare)
    assert event["payloadDescriptors"] == [{"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": "PRICE"}]

    def bare_text(_: object, row: ObjectRow) -> bytes:
        at = row.created_at
        told = {"objectType": "EVENT", "createdDateTime": at, "modificationDateTime": at, "payloadDescriptors": bare}
        return json.dumps({"id": row.id, "programID": program["id"], **told}).encode()

    monkeypatch.setattr("vtn.api.v31.render.Renderer.one", bare_text)
    with pytest.raises(AssertionError, match="objectType"):
        await vtn.bl.event(program)
