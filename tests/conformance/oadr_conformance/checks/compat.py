"""COMPAT: what clients in the field rely on beyond the letter of the standard."""

from __future__ import annotations

import asyncio
from typing import Any

from oadr_conformance import bodies
from oadr_conformance.checks.auth import ask_token, token_fields
from oadr_conformance.errors import Skipped
from oadr_conformance.kinds import KINDS, Kind, needs_of
from oadr_conformance.probe import Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.wire import Obj

area = Area("Known clients of OpenADR 3")


@area.check("COMPAT-002", SHOULD, needs="secret")
async def token_at_the_origin(t: Probe) -> None:
    """The token endpoint answers below the API prefix and at /auth/token of the origin."""
    fields = token_fields(t.session.subject.bl)
    for url in (f"{t.session.base}/auth/token", f"{t.session.origin}/auth/token"):
        answer = await ask_token(t, fields, url=url)
        answer.true(answer.expect(200).object().get("access_token"), f"a token from {url}", answer.text)


@area.check("COMPAT-005", SHOULD, needs="secret")
async def unknown_form_members(t: Probe) -> None:
    """Unknown members of a token request, such as audience, are ignored."""
    (await ask_token(t, token_fields(t.session.subject.bl) | {"audience": "vtn"})).expect(200)


@area.check("COMPAT-012", SHOULD, needs="secret")
async def burst_of_token_requests(t: Probe) -> None:
    """Ten token requests of a client at once are all answered."""
    fields = token_fields(t.session.subject.bl)
    answers = await asyncio.gather(*(ask_token(t, fields, patient=False) for _ in range(10)))
    answers[0].same("the statuses", sorted(answer.status for answer in answers), [200] * 10)


@area.check("COMPAT-021", SHOULD)
async def resources_at_the_origin(t: Probe) -> None:
    """GET /resources on the origin answers too."""
    (await t.bl.get(f"{t.session.origin}/resources")).expect(200)


@area.each("COMPAT-022", {"trailing": "/programs/", "doubled": "//programs", "both": "//programs//"}, SHOULD)
async def slashes(t: Probe, path: str) -> None:
    """Doubled and trailing slashes are collapsed without a redirect."""
    (await t.bl.get(path)).expect(200).array()


BY_NAME = {
    "programs by programName": ("program", lambda name: {"programName": name}),
    "programs by target type": ("program", lambda name: {"targetType": "PROGRAM_NAME", "targetValues": name}),
    "vens by target type": ("ven", lambda name: {"targetType": "VEN_NAME", "targetValues": name}),
    "resources by target type": ("resource", lambda name: {"targetType": "RESOURCE_NAME", "targetValues": name}),
}


@area.each("COMPAT-024 V301-033", BY_NAME, SHOULD)
async def by_name(t: Probe, case: tuple[str, Any]) -> None:
    """Objects can be looked up by their exact name: programName, or targetType=..._NAME with targetValues."""
    kind, query = KINDS[case[0]], case[1]
    wanted = await kind.make(t)
    await kind.make(t)
    answer = await t.bl.get(kind.path, query(wanted[kind.text]))
    answer.same("the ids", answer.expect(200).ids(), [wanted["id"]])
    answer = await t.bl.get(kind.path, query(wanted[kind.text][:-1]))
    answer.same("the ids for a part of the name", answer.expect(200).ids(), [])


@area.each("COMPAT-045", KINDS, SHOULD, needs=needs_of)
async def lists_are_always_there(t: Probe, kind: Kind) -> None:
    """Events always have an array intervals; what may have targets always has an array targets."""
    empty: dict[str, dict[str, Any]] = {"event": {"intervals": None}, "report": {"resources": []}}
    obj = await kind.make(t, **empty.get(kind.name, {}))
    answer = await t.bl.get(kind.at(obj))
    names = [*(["intervals"] if kind.name == "event" else []), *([] if kind.name == "report" else ["targets"])]
    for name in names:
        answer.same(name, answer.expect(200).object().get(name), [])
    if kind.name == "report":
        answer.same("resources", answer.expect(200).object().get("resources"), [])


def _nulls(value: Any, path: str = "") -> list[str]:
    """Return the paths of nulls in a JSON value, except a null that stands for an undisclosed token."""
    if isinstance(value, dict):
        return [place for key, item in value.items() if key != "bearerToken" for place in _nulls(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [place for item in value for place in _nulls(item, f"{path}[]")]
    return [path] if value is None else []


@area.each("COMPAT-046 GEN-018", KINDS, SHOULD, needs=needs_of)
async def no_nulls(t: Probe, kind: Kind) -> None:
    """Members without a value are left out, not null."""
    obj = await kind.make(t)
    answer = await t.bl.get(kind.at(obj))
    answer.same("members that are null", _nulls(answer.expect(200).object()), [])


_ALWAYS = {"id", "createdDateTime", "modificationDateTime", "objectType", "targets"}
MEMBERS: dict[str, set[str]] = {
    "program": {"programName"},
    "event": {"programID", "intervalPeriod", "intervals"},
    "report": {"eventID", "clientName", "clientID", "resources"},
    "subscription": {"clientName", "clientID", "objectOperations"},
    "ven": {"clientID", "venName"},
    "resource": {"clientID", "resourceName", "venID"},
}


@area.each("COMPAT-047", KINDS, SHOULD, needs=needs_of)
async def nothing_invented(t: Probe, kind: Kind) -> None:
    """Members with a value appear only if they were stored: no attributes, priority or descriptors out of nowhere."""
    obj = await kind.make(t)
    answer = await t.bl.get(kind.at(obj))
    body = answer.expect(200).object()
    extra = {key for key, value in body.items() if value is not None} - _ALWAYS - MEMBERS[kind.name]
    answer.same("further members", sorted(extra), [])


DESCRIPTORS: dict[str, tuple[Obj, str]] = {
    "an event type": ({"payloadType": "PRICE", "units": "KWH"}, "EVENT_PAYLOAD_DESCRIPTOR"),
    "a reading type": ({"payloadType": "X", "readingType": "MEAN"}, "REPORT_PAYLOAD_DESCRIPTOR"),
    "a confidence": ({"payloadType": "X", "confidence": 5}, "REPORT_PAYLOAD_DESCRIPTOR"),
    "a report type": ({"payloadType": "USAGE"}, "REPORT_PAYLOAD_DESCRIPTOR"),
}


@area.each("COMPAT-053 OBJ-003", DESCRIPTORS, SHOULD)
async def descriptor_types(t: Probe, case: tuple[Obj, str]) -> None:
    """A program's payload descriptor without objectType gets the one it must have meant."""
    if not t.profile.infer_object_type:
        raise Skipped("applies where descriptors.infer_object_type is on")
    descriptor, expected = case
    answer = await t.bl.post("/programs", bodies.program(t.name("program"), payloadDescriptors=[descriptor]))
    got = answer.expect(201).object()["payloadDescriptors"]
    answer.same("the descriptor", got, [descriptor | {"objectType": expected}])


@area.each("COMPAT-053", {"events": "event", "reports": "report"}, SHOULD, needs="ven")
async def descriptors_without_type(t: Probe, name: str) -> None:
    """Events and reports take payload descriptors without objectType: there is only one kind."""
    if not t.profile.infer_object_type:
        raise Skipped("applies where descriptors.infer_object_type is on")
    kind = KINDS[name]
    descriptor = {"payloadType": "PRICE" if name == "event" else "USAGE", "units": "KWH"}
    body = await kind.full(t) | {"payloadDescriptors": [descriptor]}
    answer = await kind.create(t, body)
    got = answer.expect(201).object()["payloadDescriptors"][0]
    answer.same("the descriptor", {key: got[key] for key in descriptor}, descriptor)
