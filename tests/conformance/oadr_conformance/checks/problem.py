"""PROBLEM: the body of every error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from oadr_conformance import bodies
from oadr_conformance.bodies import NOBODYS_ID
from oadr_conformance.checks.gen import PROBLEM_MEMBERS
from oadr_conformance.probe import Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.wire import VtnAnswer

area = Area("Definition: Problem; API description: problem")

Provoke = Callable[[Probe, dict[str, str]], Awaitable[VtnAnswer]]


async def _duplicate(t: Probe, headers: dict[str, str]) -> VtnAnswer:
    program = await t.program()
    return await t.bl.post("/programs", bodies.program(program["programName"]), headers)


async def _large(t: Probe, headers: dict[str, str]) -> VtnAnswer:
    body = bodies.program(t.name("program"), attributes=[{"type": "X", "values": ["x" * 5_000_000]}])
    return await t.bl.post("/programs", body, headers)


ERRORS: dict[str, tuple[int, Provoke]] = {
    "400 bad member": (400, lambda t, headers: t.bl.post("/programs", {"programName": 5}, headers)),
    "400 broken JSON": (400, lambda t, headers: t.bl.post("/events", b"{", headers)),
    "400 bad parameter": (400, lambda t, headers: t.bl.get("/events", {"limit": 51}, headers)),
    "400 unknown program": (400, lambda t, headers: t.bl.post("/events", bodies.event(NOBODYS_ID), headers)),
    "401 no token": (401, lambda t, headers: t.nobody.get("/reports", headers=headers)),
    "401 bad token": (0, lambda t, headers: t.impostor.get("/programs", headers=headers)),
    "403 role": (403, lambda t, headers: t.ven.post("/programs", bodies.program(t.name("program")), headers)),
    "404 object": (404, lambda t, headers: t.bl.get(f"/programs/{NOBODYS_ID}", headers=headers)),
    "404 path": (404, lambda t, headers: t.bl.get("/nonsense", headers=headers)),
    "405 method": (405, lambda t, headers: t.bl.send("PATCH", "/programs", body={}, headers=headers)),
    "409 duplicate": (409, _duplicate),
    "413 too large": (413, _large),
    "415 content type": (
        415,
        lambda t, headers: t.bl.post("/programs", b"a,b", headers | {"Content-Type": "text/csv"}),
    ),
}


async def _provoked(t: Probe, case: tuple[int, Provoke], **headers: str) -> VtnAnswer:
    status, provoke = case
    others = {0: (401, 403), 401: (403,), 403: (401,), 404: (400, 403)}.get(status, ())
    return (await provoke(t, headers)).expect(status or t.profile.invalid_token_status, allowed=others)


@area.each("PROBLEM-001 PROBLEM-006 COMPAT-060", ERRORS, needs="ven")
async def members(t: Probe, case: tuple[int, Provoke]) -> None:
    """Every error body is a JSON object with the texts title and detail, and status (no schema requires all three)."""
    answer = await _provoked(t, case)
    body = answer.object()
    present = ("title", "detail") if answer.binding else [name for name in ("title", "detail") if name in body]
    for name in present:
        answer.true(isinstance(body.get(name), str) and body[name], f"a text {name}", body)
    told = "status" in body if answer.binding else body.keys() & PROBLEM_MEMBERS
    answer.true(told, "a status" if answer.binding else f"one of {', '.join(sorted(PROBLEM_MEMBERS))}", body)


@area.each("PROBLEM-002", ERRORS, needs="ven")
async def status(t: Probe, case: tuple[int, Provoke]) -> None:
    """status in the body is the HTTP status, as an integer."""
    answer = await _provoked(t, case)
    body = answer.object()
    if answer.binding or "status" in body:
        answer.same("status", body.get("status"), answer.status)


@area.each("PROBLEM-003", ERRORS, needs="ven")
async def uris(t: Probe, case: tuple[int, Provoke]) -> None:
    """type and instance, where present, are absolute URIs."""
    answer = await _provoked(t, case)
    body = answer.object()
    for name in ("type", "instance"):
        if body.get(name) is not None or (answer.binding and name in body):
            uri = body[name]
            good = isinstance(uri, str) and len(uri) >= 3 and urlsplit(uri).scheme
            answer.true(good, f"an absolute URI as {name}", uri)


@area.each("PROBLEM-004", ERRORS, needs="ven")
async def media_type(t: Probe, case: tuple[int, Provoke]) -> None:
    """Errors are application/json to a client that accepts only that."""
    answer = await _provoked(t, case, Accept="application/json")
    answer.header("Content-Type", "application/json")


@area.check("PROBLEM-004")
async def asked_for_problem_json(t: Probe) -> None:
    """A client that accepts application/problem+json gets that or application/json."""
    answer = await t.bl.get(f"/programs/{NOBODYS_ID}", headers={"Accept": "application/problem+json"})
    kind = answer.expect(404).header("Content-Type").partition(";")[0].strip()
    answer.true(kind in {"application/problem+json", "application/json"}, "a JSON media type", kind)


DETAILS: dict[str, tuple[dict[str, object], str]] = {
    "a missing member": ({"intervals": [{"id": 0, "payloads": []}, {"id": 1}]}, "intervals[1].payloads"),
    "a wrong type": ({"priority": "high"}, "priority"),
    "a deep member": ({"intervals": [{"id": 0, "payloads": [{"type": "", "values": []}]}]}, "payloads[0].type"),
}


@area.each("PROBLEM-005", DETAILS, SHOULD)
async def detail_names_the_member(t: Probe, case: tuple[dict[str, object], str]) -> None:
    """The detail of a 400 names the path of the member that is wrong."""
    members, path = case
    program = await t.program()
    answer = await t.bl.post("/events", bodies.event(program["id"]) | members)
    detail = str(answer.expect(400).object().get("detail"))
    answer.true(path in detail, f"a detail that names {path}", detail)


@area.check("PROBLEM-007", SHOULD)
async def detail_of_a_conflict(t: Probe) -> None:
    """The detail of a 409 names the member that clashes."""
    answer = await _duplicate(t, {})
    detail = str(answer.expect(409).object().get("detail"))
    answer.true("programName" in detail, "a detail that names programName", detail)


@area.check("PROBLEM-007", SHOULD, needs="ven ven2")
async def conflict_discloses_nothing(t: Probe) -> None:
    """A 409 to a client that may not read the other object does not show that object's id."""
    ven = await t.enrol(t.ven)
    answer = await t.ven2.post("/vens", bodies.ven_ven(ven["venName"]))
    answer.expect(409)
    answer.true(ven["id"] not in answer.text, "no id of the other ven", answer.text)
