"""GEN: bodies, methods, paths and members that every object shares."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from oadr_conformance import bodies
from oadr_conformance.bodies import NOBODYS_ID
from oadr_conformance.errors import Skipped, Unreachable
from oadr_conformance.fields import ABSENT, FIELDS, Field, each_field
from oadr_conformance.fields import needs_of as needs_of_name
from oadr_conformance.kinds import KINDS, Kind, needs_of
from oadr_conformance.moments import instant, order
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.wire import Obj, VtnAnswer

area = Area("Definition: Required and optional properties, POST and PUT, Problem")

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z")


def needs_of_full(kind: Kind) -> str:
    """Return the needs of a check that writes a complete body."""
    return needs_of_name(kind.name)


@area.check("GEN-001", needs="", section="Definition: revision")
async def both_patch_versions(t: Probe) -> None:
    """The prefixes .../3.1.0 and .../3.1.1 serve the same objects."""
    base = t.session.base
    if not base.endswith(("/3.1.0", "/3.1.1")):
        raise Skipped("the prefix of this VTN names no version")
    other = base[:-1] + ("1" if base.endswith("0") else "0")
    program = await t.program()
    answer = await t.bl.get(f"{other}/programs/{program['id']}")
    answer.same("the program", answer.expect(200).object(), program)


@area.each("GEN-003", KINDS, needs=needs_of)
async def json_with_charset(t: Probe, kind: Kind) -> None:
    """Bodies are JSON in UTF-8: a charset parameter is accepted, answers are application/json."""
    obj = await kind.make(t)
    body = kind.as_request(obj, **{kind.text: t.name("changed")})
    headers = {"Content-Type": "application/json; charset=utf-8"}
    answer = await kind.writer(t).put(kind.at(obj), json.dumps(body).encode(), headers)
    answer.expect(200).header("Content-Type", "application/json")
    answer.same(kind.text, answer.object().get(kind.text), body[kind.text])


@area.each("GEN-004", {"text": "text/plain", "XML": "application/xml"}, SHOULD)
async def other_content_types(t: Probe, content_type: str) -> None:
    """A body of another content type is 415."""
    body = json.dumps(bodies.program(t.name("program"))).encode()
    (await t.bl.post("/programs", body, {"Content-Type": content_type})).expect(415)


@area.check("GEN-004", SHOULD)
async def no_content_type(t: Probe) -> None:
    """A JSON body without a content type is accepted."""
    body = json.dumps(bodies.program(t.name("program"))).encode()
    (await t.bl.post("/programs", body, {"Content-Type": ""})).expect(201)


BROKEN = {
    "broken JSON": b'{"programName": ',
    "an array": b"[]",
    "a string": b'"program"',
    "a number": b"1",
    "null": b"null",
    "nothing": b"",
    "no UTF-8": b'{"programName": "\xff\xfe"}',
}


@area.each(
    "GEN-005",
    {f"{kind} {name}": (KINDS[kind], raw) for kind in KINDS for name, raw in BROKEN.items()},
    needs=lambda case: case[0].needs,
)
async def broken_bodies(t: Probe, case: tuple[Kind, bytes]) -> None:
    """A body that is no JSON object, or no body at all, is 400 on POST and PUT; nothing is stored."""
    kind, raw = case
    headers = {"Content-Type": "application/json"}
    obj = await kind.make(t)
    (await kind.writer(t).post(kind.path, raw, headers)).expect(400)
    (await kind.writer(t).put(kind.at(obj), raw, headers)).expect(400)
    answer = await t.bl.get(kind.at(obj))
    answer.same("the object after the refused PUT", answer.expect(200).object(), obj)


METHODS = {
    f"{method} {path}": (method, path)
    for path in bodies.COLLECTIONS.values()
    for method, path in (("PUT", path), ("DELETE", path), ("PATCH", path), ("POST", f"{path}/{NOBODYS_ID}"))
} | {"DELETE /auth/server": ("DELETE", "/auth/server"), "GET /auth/token": ("GET", "/auth/token")}


@area.each("GEN-006", METHODS)
async def undefined_methods(t: Probe, case: tuple[str, str]) -> None:
    """A method that the path does not have is 405 with an Allow header that names those it has."""
    method, path = case
    answer = await t.bl.send(method, path, body={} if method != "GET" else None)
    allowed = "POST" if path == "/auth/token" else "GET"
    answer.expect(405).header("Allow", allowed)
    answer.true(method not in answer.header("Allow"), f"Allow without {method}", answer.header("Allow"))


PROBLEM_MEMBERS = {"type", "title", "status", "detail", "instance"}
UNKNOWN_PATHS = ("/nonsense", "/programs/x/y/z", "/program", "/vens/x/resources", "/auth", "/")


@area.each("GEN-007 PROBLEM-006", {path: path for path in UNKNOWN_PATHS})
async def unknown_paths(t: Probe, path: str) -> None:
    """A path that the standard does not have is 404, with a body like that of any other error."""
    answer = await t.bl.get(path)
    body = answer.expect(404, allowed=(403,)).object()
    answer.true(body.keys() & PROBLEM_MEMBERS, "a problem", body)


@area.check("GEN-008", SHOULD, section="Definition: API Gateway")
async def large_bodies(t: Probe) -> None:
    """A body beyond the server's maximum (4 MiB unless configured) is 413."""
    body = bodies.program(t.name("program"), attributes=[{"type": "X", "values": ["x" * 5_000_000]}])
    (await t.bl.post("/programs", body)).expect(413)


ORDER: dict[str, tuple[str, str, str, Any, int]] = {
    "authentication before existence": ("nobody", "PUT", f"/programs/{NOBODYS_ID}", {"programName": 5}, 401),
    "authentication before the body": ("nobody", "POST", "/events", b"{", 401),
    "role before existence": ("ven", "PUT", f"/programs/{NOBODYS_ID}", {"programName": "x"}, 403),
    "role before the body": ("ven", "POST", "/programs", b"{", 403),
    "existence before the body (program)": ("bl", "PUT", f"/programs/{NOBODYS_ID}", b"{", 404),
    "existence before the body (event)": ("bl", "PUT", f"/events/{NOBODYS_ID}", {"programID": 5}, 404),
    "existence before the body (resource)": ("bl", "PUT", f"/resources/{NOBODYS_ID}", {"resourceName": "x"}, 404),
    "existence before the body (ven)": ("bl", "PUT", f"/vens/{NOBODYS_ID}", {}, 404),
    "existence before the body (subscription)": ("bl", "PUT", f"/subscriptions/{NOBODYS_ID}", {}, 404),
    "existence before the body (report)": ("ven", "PUT", f"/reports/{NOBODYS_ID}", {}, 404),
}


@area.each("GEN-009 MATRIX-003", ORDER, needs="ven", section="Definition: Response codes")
async def order_of_checks(t: Probe, case: tuple[str, str, str, Any, int]) -> None:
    """Of several mistakes the first in this order decides: token, role, existence, body, references, uniqueness."""
    who, method, path, body, status = case
    actor: Actor = getattr(t, who)
    (await actor.send(method, path, body=body)).expect(status)


@area.check("GEN-009")
async def body_before_uniqueness(t: Probe) -> None:
    """A body that is both wrong and a duplicate is 400, not 409."""
    program = await t.program()
    (await t.bl.post("/programs", bodies.program(program["programName"], targets=5))).expect(400)


_INTERNALS = (
    "Traceback",
    "SELECT ",
    "INSERT ",
    "sqlalchemy",
    "sqlite",
    "asyncpg",
    ".py",
    "Exception",
    "at 0x",
)
PROVOCATIONS: dict[str, tuple[str, str, Any]] = {
    "broken JSON": ("POST", "/programs", b'{"programName": '),
    "deep nesting": ("POST", "/programs", b'{"attributes": ' + b"[" * 5000 + b"]" * 5000 + b"}"),
    "a NUL character": ("POST", "/programs", {"programName": "a\0b"}),
    "a lone surrogate": ("POST", "/programs", b'{"programName": "\\ud800"}'),
    "a quote in the path": ("GET", "/programs/x'%20OR%201=1", None),
    "a NUL in the path": ("GET", "/programs/x%00y", None),
    "SQL in a filter": ("GET", "/vens?venName='%3B--", None),
    "a huge number": ("POST", "/events", {"programID": NOBODYS_ID, "priority": 10**40}),
    "an unknown path": ("GET", "/nonsense", None),
}


@area.each("GEN-010", PROVOCATIONS, section="Definition: Security objectives")
async def nothing_internal(t: Probe, case: tuple[str, str, Any]) -> None:
    """No error shows what the server is made of, and bad input is never a 5xx."""
    method, path, body = case
    answer = await t.bl.send(method, path, body=body)
    answer.true(answer.status < 500, "no 5xx", f"status {answer.status}")
    if answer.status >= 400:
        leaks = [word for word in _INTERNALS if word in answer.text]
        answer.true(not leaks, "an error without internals", f"{leaks} in {answer.text[:200]}")


def _sprinkled(value: Any) -> Any:
    """The body with a member nobody knows in every object of it."""
    if isinstance(value, dict):
        return {key: _sprinkled(item) for key, item in value.items()} | {"conformanceExtra": {"deep": [1]}}
    return [_sprinkled(item) for item in value] if isinstance(value, list) else value


@area.each("GEN-011 PROG-016 COMPAT-028", KINDS, needs=needs_of_full)
async def unknown_members(t: Probe, kind: Kind) -> None:
    """Members that the standard does not have are ignored at every level: accepted, neither stored nor returned."""
    body = await kind.full(t)
    answer = await kind.create(t, _sprinkled(body))
    obj = answer.expect(201).object()
    answer.true("conformanceExtra" not in answer.text, "no unknown member", "one")
    answer = await kind.replace(t, obj, _sprinkled(body))
    answer.expect(200)
    answer = await t.bl.get(kind.at(obj))
    answer.true("conformanceExtra" not in answer.expect(200).text, "no unknown member", "one")


@area.check("GEN-011", needs="ven")
async def program_in_a_report(t: Probe) -> None:
    """programID in a report, a member of version 3.0, is ignored."""
    event = await t.event()
    answer = await t.ven.post("/reports", bodies.report(event["id"], programID=event["programID"]))
    answer.true("programID" not in answer.expect(201).object(), "no programID", answer.text)


OWN_MEMBERS: dict[str, Obj] = {
    "texts": {"id": "mine", "createdDateTime": "2001-01-01T00:00:00Z", "modificationDateTime": "2001-01-01T00:00:00Z"},
    "odd types": {"id": 5, "createdDateTime": [], "modificationDateTime": {"x": 1}},
    "null": {"id": None, "createdDateTime": None, "modificationDateTime": None},
}


@area.each(
    "GEN-013",
    {f"{kind} {name}": (KINDS[kind], own) for kind in KINDS for name, own in OWN_MEMBERS.items()},
    needs=lambda case: case[0].needs,
)
async def members_of_the_vtn(t: Probe, case: tuple[Kind, Obj]) -> None:
    """id and both dates in a body are ignored whatever they are, and objectType where it steers nothing."""
    kind, own = case
    body = await kind.plain(t) | own
    if kind.name not in {"ven", "resource"}:
        body["objectType"] = next(iter(own.values()))
    answer = await kind.create(t, body)
    obj = answer.expect(201).object()
    for name in own:
        answer.true(isinstance(obj[name], str) and obj[name] != own[name], f"{name} by the VTN", obj[name])
    answer = await kind.replace(t, obj, body)
    answer.expect(200)
    answer.has(id=obj["id"], createdDateTime=obj["createdDateTime"])
    kind.check_type(answer, answer.object())


OPTIONAL = {f"{kind}.{member.path}": (kind, member) for kind, member in each_field() if member.optional}


@area.each(
    "GEN-014 COMPAT-027",
    {name: case for name, case in OPTIONAL.items() if not name.endswith("objectType")},
    needs=lambda case: needs_of_name(case[0]),
)
async def null_is_absent(t: Probe, case: tuple[str, Field]) -> None:
    """null for an optional member means the same as leaving it out."""
    name, member = case
    kind = KINDS[name]
    answer = await kind.create(t, member.put(await kind.full(t), None))
    got = member.get(answer.expect(201).object())
    if name == "resource" and member.path == "clientID":
        return  # stands for that of the ven
    answer.true(got in (ABSENT, None, [], member.default), f"no {member.path}", got)


@area.each("GEN-016 PROG-009", KINDS, needs=needs_of_full)
async def put_replaces(t: Probe, kind: Kind) -> None:
    """PUT replaces the whole: optional members not in the body are gone; id and createdDateTime stay."""
    body = await kind.full(t)
    obj = await kind.seed(t, body)
    optional = [one for one in FIELDS[kind.name] if one.optional and len(one.steps) == 1]
    small = {key: value for key, value in body.items() if key not in {one.path for one in optional}}
    kept = {key: body[key] for key in ("objectType", "clientID") if key in body}
    answer = await kind.replace(t, obj, small | kept)
    answer.expect(200)
    answer.has(id=obj["id"], createdDateTime=obj["createdDateTime"])
    after = await kind.read(t, obj)
    for member in optional:
        if member.path not in {"objectType", "clientID"}:
            got = member.get(after)
            answer.true(got in (ABSENT, None, [], member.default), f"no {member.path}", got)


@area.each("GEN-016 COMPAT-044", KINDS, needs=needs_of)
async def put_moves_the_date(t: Probe, kind: Kind) -> None:
    """PUT sets modificationDateTime to the time of the write: later than before, never before createdDateTime."""
    obj = await kind.make(t)
    if "." not in obj["modificationDateTime"]:
        await asyncio.sleep(1.1)  # the clock of this VTN shows whole seconds
    answer = await kind.replace(t, obj, kind.as_request(obj, **{kind.text: t.name("changed")}))
    after = answer.expect(200).object()
    moved = order(after["modificationDateTime"]) > order(obj["modificationDateTime"])
    answer.true(moved, f"a modificationDateTime after {obj['modificationDateTime']}", after["modificationDateTime"])
    answer.true(order(after["createdDateTime"]) <= order(after["modificationDateTime"]), "created first", after)


MIXED: list[Any] = [0.17, 1, 2.0, -3, 0, 1e-7, 123456789012, 0.1, True, False, "1", "", {"x": 1.5, "y": -2.5}]
VALUES: dict[str, tuple[str, list[Any]]] = {
    "a number": ("PRICE", [0.17]),
    "whole numbers": ("CONFORMANCE_NUMBERS", [1, -3, 0]),
    "texts": ("CONFORMANCE_TEXTS", ["1", "two"]),
    "truth values": ("CONFORMANCE_CHOICES", [True, False]),
    "points": ("CONFORMANCE_POINTS", [{"x": 1.5, "y": -2.5}]),
    "a mixture": ("CONFORMANCE_MIXTURE", MIXED),
}


@area.each("GEN-017 COMPAT-052 EVT-009", VALUES, section="API description: valuesMap")
async def values_round_trip(t: Probe, case: tuple[str, list[Any]]) -> None:
    """Payload values keep their kind, value and order: 0.17, 1, 2.0, true, texts and points come back as sent."""
    type_, values = case
    program = await t.program()
    payload = {"type": type_, "values": values}
    answer = await t.bl.post("/events", bodies.event(program["id"], intervals=[{"id": 0, "payloads": [payload]}]))
    obj = answer.expect(201).object()
    answer.same("the values", obj["intervals"][0]["payloads"][0]["values"], values)
    answer = await t.bl.get(f"/events/{obj['id']}")
    answer.same("the values read back", answer.object()["intervals"][0]["payloads"][0]["values"], values)


@area.each("GEN-017", {"a number": [2.5], "a mixture": MIXED}, needs="ven")
async def report_values_round_trip(t: Probe, values: list[Any]) -> None:
    """Values of a report come back as sent."""
    resource = bodies.reported()
    resource["intervals"][0]["payloads"][0]["values"] = values
    made = await t.report(t.ven, resources=[resource])
    answer = await t.ven.get(f"/reports/{made['id']}")
    answer.same("the intervals", answer.expect(200).object()["resources"][0]["intervals"], resource["intervals"])


@area.check("GEN-017")
async def order_is_kept(t: Probe) -> None:
    """Lists keep their order: intervals, payloads, descriptors, attributes."""
    intervals = [bodies.interval(number, number / 8) for number in (5, 1, 9, 0)]
    event = await t.event(intervals=intervals)
    answer = await t.bl.get(f"/events/{event['id']}")
    answer.same("the intervals", answer.expect(200).object()["intervals"], intervals)


@area.each("GEN-017", {word: word for word in ("NaN", "Infinity", "-Infinity")})
async def no_numbers(t: Probe, word: str) -> None:
    """NaN and Infinity are no JSON: 400."""
    program = await t.program()
    raw = json.dumps(bodies.event(program["id"], intervals=[bodies.interval(0, "@")])).replace('"@"', word)
    (await t.bl.post("/events", raw.encode(), {"Content-Type": "application/json"})).expect(400)


async def _every_view(t: Probe, kind: Kind) -> list[tuple[VtnAnswer, Obj]]:
    """The object as POST, GET, search, PUT and DELETE answer it."""
    objects, query = await kind.several(t, 1)
    obj = objects[0]
    body = kind.as_request(obj)
    got = (await t.bl.get(kind.at(obj))).expect(200)
    found = (await t.bl.get(kind.path, query)).expect(200)
    put = (await kind.replace(t, obj, body)).expect(200)
    gone = (await kind.writer(t).delete(kind.at(obj))).expect(200)
    posted = (await kind.create(t, body)).expect(201)
    views = [(got, got.object()), (put, put.object()), (gone, gone.object()), (posted, posted.object())]
    return [*views, *((found, one) for one in found.array())]


@area.each("GEN-018 COMPAT-040 COMPAT-042 VEN-009 RES-010", KINDS, needs=needs_of)
async def always_there(t: Probe, kind: Kind) -> None:
    """Every answer carries id, both dates, the objectType of its kind and all required members."""
    required = [one.path for one in FIELDS[kind.name] if one.required and len(one.steps) == 1]
    for answer, obj in await _every_view(t, kind):
        for name in ("id", "createdDateTime", "modificationDateTime", *required):
            answer.true(obj.get(name) is not None, f"a member {name}", obj)
        kind.check_type(answer, obj)


@area.each("GEN-019 COMPAT-044", KINDS, needs=needs_of)
async def dates(t: Probe, kind: Kind) -> None:
    """Dates of the VTN are RFC 3339, never null; where rulings are binding in UTC with T and Z."""
    for answer, obj in await _every_view(t, kind):
        for name in ("createdDateTime", "modificationDateTime"):
            text = obj.get(name)
            good = isinstance(text, str) and (_INSTANT.fullmatch(text) if answer.binding else instant(text))
            answer.true(good, f"{name} like 2030-01-01T00:00:00.000Z", text)


@area.check("GEN-020", needs="callback", section="Definition: Additional guidelines for webhooks")
async def writes_do_not_wait(t: Probe) -> None:
    """A write is answered when it is stored: a webhook that never answers neither fails nor delays it."""
    program = await t.program()
    entry = bodies.operation(t.callback_url, operations=["CREATE", "UPDATE", "DELETE"])
    await t.subscription(t.bl, objectOperations=[entry])
    for _ in range(5):
        answer = await t.bl.post("/events", bodies.event(program["id"]))
        answer.expect(201)
        answer.true(answer.exchange.seconds < 2, "an answer within 2 s", f"{answer.exchange.seconds:.1f} s")


@area.check("GEN-021", section="Definition: API Gateway")
async def sustained_load(t: Probe) -> None:
    """2000 requests one after another and 200 at once are all answered: no connection is reset."""
    token = await t.bl.token()
    actor = t.bl
    for number in range(2000):
        answer = await actor.get("/programs", {"limit": 1}, {"Authorization": f"Bearer {token}"})
        answer.true(answer.status == 200, "status 200 each time", f"{answer.status} at request {number + 1}")
        if len(t.log) > 50:
            t.log.clear()
    try:
        answers = await asyncio.gather(*(actor.get("/programs", {"limit": 1}) for _ in range(200)))
    except Unreachable as error:
        raise answer.fail("an answer to each of 200 parallel requests", str(error)) from error
    answer.same("the statuses", sorted({one.status for one in answers}), [200])


@area.check("GEN-022", SHOULD)
async def health(t: Probe) -> None:
    """GET /health outside the versioned prefix answers 200 without a token."""
    (await t.nobody.get(f"{t.session.origin}/health")).expect(200)
