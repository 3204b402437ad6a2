"""ETAG and COMP: validators, caches and compression of answers."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable

from oadr_conformance import bodies
from oadr_conformance.kinds import KINDS, Kind, needs_of
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.wire import VtnAnswer

area = Area("RFC 9110 sections 8.8 and 13; RFC 9111")


def _is_strong(tag: str) -> bool:
    return len(tag) > 2 and tag.startswith('"') and tag.endswith('"')


def _cacheable(answer: VtnAnswer) -> str:
    """The headers of a cacheable answer are right; its tag."""
    tag = answer.header("ETag")
    answer.true(_is_strong(tag), "a strong ETag", tag)
    answer.header("Cache-Control", "private")
    answer.header("Cache-Control", "no-cache")
    answer.header("Vary", "Authorization")
    answer.header("Vary", "Accept-Encoding")
    return tag


@area.each("ETAG-001", KINDS, needs=needs_of)
async def headers(t: Probe, kind: Kind) -> None:
    """Every 200 to a GET has a strong ETag; only its reader may keep it, and must ask before using it again."""
    objects, query = await kind.several(t, 1)
    for answer in (await t.bl.get(kind.at(objects[0])), await t.bl.get(kind.path, query)):
        _cacheable(answer.expect(200))


@area.each("ETAG-001", {"events": "/events", "programs": "/programs"}, needs="ven")
async def readers_have_their_own_tags(t: Probe, path: str) -> None:
    """Readers who get different bytes (hidden targets) get different tags."""
    mine = t.name("target")
    await t.enrol(t.ven, targets=[mine])
    targets = [mine, t.name("other")]
    obj = await (t.event(targets=targets) if path == "/events" else t.program(targets=targets))
    answer = await t.ven.get(f"{path}/{obj['id']}")
    other = (await t.bl.get(f"{path}/{obj['id']}")).expect(200).header("ETag")
    answer.true(answer.expect(200).header("ETag") != other, "another tag than that of BL", other)
    answer = await t.ven.get(f"{path}/{obj['id']}", headers={"If-None-Match": other})
    answer.expect(200)


@area.check("ETAG-001")
async def tag_follows_the_bytes(t: Probe) -> None:
    """The tag stays while the answer stays, and changes with it."""
    event = await t.event()
    path = f"/events/{event['id']}"
    before = (await t.bl.get(path)).expect(200).header("ETag")
    answer = await t.bl.get(path)
    answer.same("the tag of the same answer", answer.header("ETag"), before)
    (await t.bl.put(path, bodies.event(event["programID"], eventName="changed"))).expect(200)
    answer = await t.bl.get(path)
    answer.true(answer.header("ETag") != before, "another tag", before)


CONDITIONS: dict[str, Callable[[str], str]] = {
    "the tag": lambda tag: tag,
    "a list": lambda tag: f'"other", {tag}, "another"',
    "any": lambda _tag: "*",
    "a weak tag": lambda tag: f"W/{tag}",
}


@area.each(
    "ETAG-002",
    {f"{kind} {how}": (KINDS[kind], how) for kind in ("program", "event") for how in CONDITIONS}
    | {f"{kind} the tag": (KINDS[kind], "the tag") for kind in KINDS},
    needs=lambda case: case[0].needs,
)
async def not_modified(t: Probe, case: tuple[Kind, str]) -> None:
    """If-None-Match with the current tag, alone, in a list, weak or as *, gives 304 without a body, same headers."""
    kind, how = case
    objects, query = await kind.several(t, 1)
    for path, parameters in ((kind.at(objects[0]), {}), (kind.path, query)):
        tag = (await t.bl.get(path, parameters)).expect(200).header("ETag")
        answer = await t.bl.get(path, parameters, {"If-None-Match": CONDITIONS[how](tag)})
        answer.expect(304)
        answer.same("the length of the body", len(answer.exchange.body), 0)
        answer.same("the tag", _cacheable(answer), tag)


@area.each("ETAG-002", {"another tag": '"other"', "a part of a tag": '"', "an empty list": ","})
async def modified(t: Probe, condition: str) -> None:
    """If-None-Match without the current tag gives 200 with the body."""
    event = await t.event()
    answer = await t.bl.get(f"/events/{event['id']}", headers={"If-None-Match": condition})
    answer.expect(200)
    answer.has(id=event["id"])


async def _everywhere(actor: Actor, path: str, query: dict[str, str], tag: str) -> list[VtnAnswer]:
    """Several reads at once on connections of their own, so that more than one worker may answer."""
    headers = {"If-None-Match": tag, "Connection": "close"}
    return list(await asyncio.gather(*(actor.get(path, query, headers) for _ in range(8))))


@area.each("ETAG-003", KINDS, needs=needs_of)
async def no_stale_object(t: Probe, kind: Kind) -> None:
    """Once a change was answered no reader gets the state before it, nor a 304, whichever worker answers."""
    obj = await kind.make(t)
    for _ in range(5):
        tag = (await t.bl.get(kind.at(obj))).expect(200).header("ETag")
        body = kind.as_request(obj, **{kind.text: t.name("changed")})
        (await kind.replace(t, obj, body)).expect(200)
        for answer in await _everywhere(t.bl, kind.at(obj), {}, tag):
            answer.expect(200)
            answer.has(**{kind.text: body[kind.text]})


@area.each("ETAG-003", {"POST": "POST", "PUT": "PUT", "DELETE": "DELETE"}, needs="ven")
async def no_stale_search(t: Probe, method: str) -> None:
    """Once a write was answered every search shows it, for business logic and for a VEN."""
    program = await t.program()
    for _ in range(4):
        event = await t.event(program, eventName="before")
        query = {"programID": program["id"]}
        tags = {actor: (await actor.get("/events", query)).expect(200).header("ETag") for actor in (t.bl, t.ven)}
        body = bodies.event(program["id"], eventName="after")
        path = "/events" if method == "POST" else f"/events/{event['id']}"
        answer = await t.bl.send(method, path, body=None if method == "DELETE" else body)
        changed = answer.expect(200, 201).object()["id"]
        for actor, tag in tags.items():
            for answer in await _everywhere(actor, "/events", query, tag):
                answer.expect(200)
                found = {one["id"]: one.get("eventName") for one in answer.array()}
                answer.same("the event in the search", found.get(changed), None if method == "DELETE" else "after")


@area.check("ETAG-003 PRIV-003", needs="ven")
async def no_stale_grant(t: Probe) -> None:
    """Once the targets of a ven changed, no read of that VEN shows what it may no longer see."""
    target = t.name("target")
    ven = await t.enrol(t.ven, targets=[target])
    event = await t.event(targets=[target])
    query = {"programID": event["programID"]}
    for targets in ([], [target]) * 3:
        tag = (await t.ven.get("/events", query)).expect(200).header("ETag")
        body = bodies.bl_ven(ven["clientID"], ven["venName"], targets=targets)
        (await t.bl.put(f"/vens/{ven['id']}", body)).expect(200)
        for answer in await _everywhere(t.ven, "/events", query, tag):
            answer.expect(200)
            answer.same("the ids", answer.ids(), [event["id"]] if targets else [])


@area.each(
    "ETAG-004",
    {f"{method} {kind}": (method, KINDS[kind]) for kind in KINDS for method in ("PUT", "DELETE")},
    needs=lambda case: case[1].needs,
)
async def lost_update(t: Probe, case: tuple[str, Kind]) -> None:
    """If-Match with a stale tag is 412 and changes nothing; with the current tag, or *, the write goes through."""
    method, kind = case
    obj = await kind.make(t)
    writer = kind.writer(t)
    body = None if method == "DELETE" else kind.as_request(obj)
    answer = await writer.send(method, kind.at(obj), body=body, headers={"If-Match": '"stale"'})
    answer.expect(412)
    answer.same("status in the body", answer.object().get("status"), 412)
    answer = await writer.get(kind.at(obj))
    answer.same("the object", answer.expect(200).object(), obj)
    tag = answer.header("ETag")
    (await writer.send(method, kind.at(obj), body=body, headers={"If-Match": tag})).expect(200)


@area.check("ETAG-004")
async def any_current(t: Probe) -> None:
    """If-Match: * is fulfilled by any existing object."""
    program = await t.program()
    body = bodies.program(program["programName"])
    (await t.bl.put(f"/programs/{program['id']}", body, {"If-Match": "*"})).expect(200)


async def _big(t: Probe) -> tuple[str, str]:
    """The path of an event whose text is well above 1 KiB."""
    event = await t.event(intervals=[bodies.interval(number) for number in range(50)])
    return f"/events/{event['id']}", event["programID"]


@area.check("COMP-001", SHOULD, section="Definition: Compression")
async def gzip_when_asked(t: Probe) -> None:
    """To a client that accepts gzip a long answer comes in gzip and says so; Vary names Accept-Encoding."""
    path, _ = await _big(t)
    plain = (await t.bl.get(path)).expect(200)
    answer = await t.bl.get(path, headers={"Accept-Encoding": "gzip"})
    answer.expect(200).header("Content-Encoding", "gzip")
    answer.header("Vary", "Accept-Encoding")
    raw = answer.exchange.body
    answer.true(
        raw[:2] == b"\x1f\x8b" and gzip.decompress(raw) == plain.exchange.body, "the same text in gzip", "other bytes"
    )


@area.each(
    "COMP-002",
    {"no header": "", "identity": "identity", "gzip refused": "gzip;q=0", "an unknown coding": "snappy"},
    section="Definition: Compression; RFC 9110 section 12.5.3",
)
async def plain_when_not_asked(t: Probe, accepted: str) -> None:
    """To a client that does not accept gzip the answer comes as it is."""
    path, program_id = await _big(t)
    for where, query in ((path, {}), ("/events", {"programID": program_id})):
        answer = await t.bl.get(where, query, {"Accept-Encoding": accepted})
        coding = answer.expect(200).headers.get("Content-Encoding", "identity")
        answer.same("Content-Encoding", coding, "identity")
        answer.json()
