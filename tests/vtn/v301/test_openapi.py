"""The description of 3.0.1: the same as the official document, member by member, but for what is named here."""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

import pytest
import yaml

from tests.support.official import DOCUMENTS
from tests.vtn.harness import VtnUnderTest
from tests.vtn.test_openapi import plain, without_null
from vtn.api.v301.openapi import description
from vtn.app import build
from vtn.settings import Settings

Json: TypeAlias = dict[str, Any]

OFFICIAL: Json = yaml.safe_load((DOCUMENTS / "openadr3-3.0.1.yaml").read_text(encoding="utf-8"))
OBJECTS = ("program", "report", "event", "subscription", "ven", "resource")
"""Schemas of the standard for requests and answers; ours has one for each."""
PARTS = (
    "interval",
    "intervalPeriod",
    "valuesMap",
    "point",
    "eventPayloadDescriptor",
    "reportPayloadDescriptor",
    "reportDescriptor",
    "problem",
)
WRITTEN = frozenset({"id", "createdDateTime", "modificationDateTime", "objectType"})
"""Members that the VTN writes; the standard has them in requests too, where they mean nothing (COMPAT-028)."""
CAPPED = "texts without a limit are capped at 4096 characters (OBJ-007)"
DEVIATIONS = {
    r"program\.(programLongName|retailer\w*Name|programType|country|principalSubdivision): ": CAPPED,
    r"event\.eventName: ": CAPPED,
    r"report\.reportName: ": CAPPED,
    r"eventPayloadDescriptor\.currency: ": CAPPED,
    r"(event|report)?PayloadDescriptor\.(units|readingType): ": "1 to 128 characters, as on 3.1 (GEN-015)",
    r"reportDescriptor\.(units|readingType): ": "1 to 128 characters, as on 3.1 (GEN-015)",
    r"program\.payloadDescriptors: ": "one schema for both kinds, the same members (PROG-007)",
    r"program\.programDescriptions: ": "the URI also has a pattern: absolute (OBJ-012)",
    r"program\.attributes: ": "an extension (V301-017)",
    r"event\.duration: ": "an extension (V301-017)",
    r"reportDescriptor\.reportIntervals: ": "an extension (V301-017)",
    r"ven\.clientID: ": "an extension in requests (V301-025)",
    r"ven\.resources: ": "always in answers; in requests their ven is not said (V301-028, V301-030)",
    r"resource\.venID: ": "from the path: in answers only, and always there (V301-030)",
    r"subscription\.objectOperations: ": (
        "operations also in the words of HTTP (SUBS-007 as ruled); URLs absolute, tokens capped (OBJ-007)"
    ),
    r"valuesMap\.values: ": "an integer is a number",
    r"\w+\.objectType: ": "answers say exactly their kind (GEN-018)",
    r"\w+\.(id|createdDateTime|modificationDateTime): required True": "always in answers",
    r"intervalPeriod\.start: ": "a pattern instead of a format: also the beginning of time (V301-021)",
    r"\w+\.(duration|randomizeStart|timeZoneOffset): ": "no default: absent is not PT0S (V301-020)",
    r"reportDescriptor\.\w+: ": "no default: absent is absent (COMPAT-046)",
    r"problem\.(type|title|status|detail|instance): ": "always there (PROBLEM-001)",
}
"""Intended differences of our schemas, as patterns of ``object.member``, with reasons."""


@pytest.fixture(scope="module")
def ours() -> Json:
    """Our description, as it is served."""
    server = build(Settings())
    _, served = server._wiring(server._stores()).versions()
    token = served.open_routes[:1]
    found = description(served.routes, token, version="0", prefix="/openadr3/3.0.1", token_url="/auth/token")
    copy: Json = json.loads(json.dumps(found))
    return copy


def resolved(document: Json, schema: Json) -> Json:
    """A schema without references but to what is compared on its own, and in one way of writing."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2].removesuffix("Request")
        known = {*OBJECTS, *PARTS}
        return {"object": name} if name in known else resolved(document, document["components"]["schemas"][name])
    found: Json = {}
    for key, value in schema.items():
        if key in {"description", "example", "title", "discriminator", "summary"}:
            continue
        if key == "properties":
            found[key] = {name: resolved(document, one) for name, one in value.items()}
        elif key in {"anyOf", "oneOf"}:
            found["anyOf"] = [resolved(document, one) for one in value]
        elif key == "items":
            found[key] = resolved(document, value)
        else:
            found[key] = sorted(value) if key == "required" else value
    return plain(found)


def differences(document: Json, theirs_name: str, name: str) -> list[str]:
    """Return the differences between two schemas: members, their types, and which are required."""
    theirs = resolved_whole(OFFICIAL, theirs_name)
    mine = resolved_whole(document, name)
    is_request = name.endswith("Request")
    found = []
    for member in sorted({*theirs["properties"], *mine["properties"]}):
        expected, got = theirs["properties"].get(member), mine["properties"].get(member)
        label = f"{theirs_name}.{member}"
        if expected is None or got is None:
            if not (is_request and member in WRITTEN):
                found.append(f"{label}: {'missing' if got is None else 'not in the standard'}")
            continue
        if without_null(expected) != without_null(got):
            found.append(f"{label}: {json.dumps(expected)} became {json.dumps(got)}")
        if (member in theirs.get("required", ())) != (member in mine.get("required", ())):
            found.append(f"{label}: required {member in mine.get('required', ())}")
    return found


def resolved_whole(document: Json, name: str) -> Json:
    """A named schema with all its members."""
    return resolved(document, document["components"]["schemas"][name])


def pairs() -> list[tuple[str, str]]:
    """Return what is compared: the name in the standard, and ours."""
    return [*((name, name) for name in (*OBJECTS, *PARTS)), *((name, f"{name}Request") for name in OBJECTS)]


@pytest.mark.parametrize(("theirs", "mine"), pairs())
def test_objects_have_the_members_of_the_standard(ours: Json, theirs: str, mine: str) -> None:
    """Every difference is named, with its reason."""
    found = [one for one in differences(ours, theirs, mine) if not any(re.match(known, one) for known in DEVIATIONS)]

    assert found == []


def test_no_deviation_is_named_that_is_none(ours: Json) -> None:
    """The list stays as long as it must be."""
    found = [one for theirs, mine in pairs() for one in differences(ours, theirs, mine)]

    assert [known for known in DEVIATIONS if not any(re.match(known, one) for one in found)] == []


def test_every_schema_of_the_standard_is_compared_or_known_not_to_be_served() -> None:
    """A member of the official document cannot be forgotten."""
    elsewhere = {
        *("objectID", "objectTypes", "dateTime", "duration"),  # inside the others
        *("clientCredentialRequest", "clientCredentialResponse", "authError"),  # as on 3.1
        "notification",  # never in an answer
    }
    assert set(OFFICIAL["components"]["schemas"]) == {*OBJECTS, *PARTS, *elsewhere}


def test_paths_operations_and_parameters_are_those_of_the_standard(ours: Json) -> None:
    """V301-029, V301-037: with their operationIds; no path more, none less."""
    assert ours["paths"].keys() == OFFICIAL["paths"].keys()
    for path, item in ours["paths"].items():
        official = OFFICIAL["paths"][path]
        common = official.get("parameters", [])
        assert item.keys() == official.keys() - {"parameters"}, path
        for method, operation in item.items():
            theirs = {one["name"]: one for one in [*common, *official[method].get("parameters", [])]}
            mine = {one["name"]: one for one in operation.get("parameters", [])}
            assert operation["operationId"] == official[method]["operationId"]
            assert sorted(mine) == sorted(theirs), (path, method)
            for name, one in mine.items():
                assert (one["in"], one["required"]) == (theirs[name]["in"], theirs[name].get("required", False))
                expected, got = resolved(OFFICIAL, theirs[name]["schema"]), resolved(ours, one["schema"])
                assert got == expected, (path, method, name)


def test_bodies_and_scopes_are_those_of_the_standard(ours: Json) -> None:
    """V301-035: of requests and answers, by the names of their schemas; its scopes open everything they should."""
    for path, item in ours["paths"].items():
        for method, operation in item.items():
            official = OFFICIAL["paths"][path][method]
            if path == "/auth/token":
                continue
            if "requestBody" in official:
                theirs = official["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                mine = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                assert mine == f"{theirs}Request"
            (success,) = (status for status in operation["responses"] if status.startswith("2"))
            assert success in official["responses"]
            errors = {status for status in official["responses"] if not status.startswith("2")}
            assert errors - {"409", "404"} <= set(operation["responses"]), (path, method)
            found = [one.get("oAuth2ClientCredentials") for one in operation["security"]]
            for one in official["security"]:
                assert one.get("oAuth2ClientCredentials") in found, (path, method)


async def test_the_description_is_served_below_the_prefix(vtn: VtnUnderTest) -> None:
    """To anybody; that of 3.1 stays where it was, and says nothing of this one."""
    found = (await vtn.ask("GET", f"{vtn.origin}/openadr3/3.0.1/openapi.json")).ok()

    assert found["info"]["title"] == "OpenADR 3.0.1 VTN"
    assert found["servers"] == [{"url": "/openadr3/3.0.1"}]
    assert "/vens/{venID}/resources" in found["paths"]
    of_31 = (await vtn.ask("GET", f"{vtn.origin}/openapi.json")).ok()
    assert "/vens/{venID}/resources" not in of_31["paths"]
    (await vtn.ask("GET", f"{vtn.base_url}/openapi.json")).problem(404)
