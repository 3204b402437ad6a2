"""VTNs of OpenADR 3.0.1 that are wrong in what only 3.0.1 has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from mutants import callbacks as c
from mutants import handlers as f
from mutants.handlers import Changing, Fault, FaultPlace, Obj, drops, renames, sets
from mutants.proxy import Handler, ProxiedAnswer, ProxiedRequest, Upstream


def _targets(change: Callable[[Obj], Any]) -> Changing:
    """Return the change of every map of targets."""
    return renames("targets", lambda maps: [change(one) if isinstance(one, dict) else one for one in maps or []])


def _as_texts(obj: Obj) -> Obj:
    maps = obj.get("targets")
    return obj | {"targets": [value for one in maps for value in one["values"]]} if maps else obj


def _texts(one: Obj) -> Obj:
    return one | {"values": [value if isinstance(value, str) else json.dumps(value) for value in one["values"]]}


def _numbers(one: Obj) -> Obj:
    return one | {"values": [int(value) if str(value).isdecimal() else value for value in one["values"]]}


def _sends(change: Callable[[ProxiedRequest], ProxiedRequest]) -> Handler:
    """The VTN understands another request than was sent."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await upstream.send(change(asked))

    return handle


def _body(change: Changing) -> Handler:
    def changed(asked: ProxiedRequest) -> ProxiedRequest:
        body = asked.json()
        return replace(asked, body=json.dumps(change(body)).encode()) if isinstance(body, dict) else asked

    return _sends(changed)


def _any_ven() -> Handler:
    """Finds a resource below every ven."""
    homes: dict[str, str] = {}

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        parts = asked.below.strip("/").split("/")
        if len(parts) == 3 and asked.method == "POST":
            told = await upstream.send(asked)
            homes[str((told.json() or {}).get("id"))] = parts[1]
            return told
        if len(parts) == 4 and parts[3] in homes:
            asked = replace(asked, path=f"{asked.prefix}/vens/{homes[parts[3]]}/resources/{parts[3]}")
        return await upstream.send(asked)

    return handle


def _below_vens(handler: Handler) -> Handler:
    """The fault for resources only."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await (handler(asked, upstream) if "/resources" in asked.below else upstream.send(asked))

    return handle


def _tells(change: Changing) -> Callable[[], Handler]:
    return lambda: c.tells(change)


def _path_of_31() -> Handler:
    """Answers paths of 3.1."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        return told.with_json([], 200) if told.status == 404 else told

    return handle


_METADATA: Final = (
    "programLongName",
    "retailerName",
    "retailerLongName",
    "programType",
    "country",
    "principalSubdivision",
    "timeZoneOffset",
    "bindingEvents",
    "localPrice",
)

_WORDS: Final = {"POST": "CREATE", "PUT": "UPDATE", "GET": "READ"}


def _accepts_all() -> Handler:
    """Takes what has to be refused, by POST and by PUT."""
    post, put = f.accepts(), f.accepts("PUT")

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        return await (put if asked.method == "PUT" else post)(asked, upstream)

    return handle


def _started(body: Obj) -> Obj:
    """Say a start wherever there is none."""
    start = {"start": "2030-01-01T00:00:00Z"}
    changed = dict(body)
    if "intervalPeriod" in changed:
        changed["intervalPeriod"] = start | changed["intervalPeriod"]
    changed["intervals"] = [
        each | {"intervalPeriod": start | each["intervalPeriod"]} if "intervalPeriod" in each else each
        for each in body.get("intervals", [])
    ]
    return changed


def _narrows() -> Handler:
    """Finds nothing where a parameter of 3.1 is given."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        return told.with_json([]) if asked.given("targets") or asked.given("active") else told

    return handle


def _for_every_program() -> Handler:
    """Stores a subscription for all programs there are as well."""

    async def handle(asked: ProxiedRequest, upstream: Upstream) -> ProxiedAnswer:
        told = await upstream.send(asked)
        if asked.method == "POST" and asked.collection == "subscriptions" and told.status == 201:
            found = await upstream.send(
                upstream.as_bl(replace(asked, method="GET", path=f"{asked.prefix}/programs", body=b""))
            )
            for program in found.json():
                if program["id"] != asked.json()["programID"]:
                    other = asked.json() | {"programID": program["id"]}
                    await upstream.send(replace(asked, body=json.dumps(other).encode()))
        return told

    return handle


WRONG_301: Final = (
    Fault("targets are texts, as in 3.1", partial(f.objects, _as_texts), "V301-002/*; V301-003/*; V301-006/*"),
    Fault(
        "all targets are of one type", partial(f.objects, _targets(sets(type="GROUP"))), "V301-002/*; V301-006/*[!P]"
    ),
    Fault(
        "values of targets become texts",
        partial(f.objects, _targets(_texts)),
        "V301-003/*: a number; V301-003/*: a fraction; V301-003/*: a truth*",
    ),
    Fault("values of targets become numbers", partial(f.objects, _targets(_numbers)), "V301-003/*a text*"),
    Fault("targets are lost", partial(f.objects, drops("targets")), "V301-002/*; V301-003/*; V301-006/*"),
    Fault(
        "the type of targets is not looked at",
        partial(f.forgets, "targetType"),
        "V301-005/*another type; V301-034/*another type",
    ),
    Fault(
        "the values of targets are not looked at",
        partial(f.forgets, "targetValues"),
        "V301-005/*another value; V301-034/*another value; V301-005/*of another type; V301-034/*of another type",
    ),
    Fault("only the first value of targets counts", f.first_of_each, "V301-005/*any of*; V301-034/*any of*"),
    Fault(
        "a search by targets finds nothing",
        lambda: f.lists(lambda _found: []),
        "V301-005/*type and*; V301-005/*: a type; V301-005/*alone; "
        "V301-034/*type and*; V301-034/*: a type; V301-034/*alone; V301-033/*",
    ),
    *(
        Fault(f"{name} is lost", partial(f.objects, drops(name)), f"V301-01[01]/members of programs: {name}")
        for name in _METADATA
    ),
    Fault("what is required may be missing", _accepts_all, "V301-013/*; V301-015/*; V301-023/a report of*"),
    Fault("periods without a start get one", lambda: _body(_started), "V301-015/*"),
    Fault(
        "a start of zeros is refused",
        lambda: f.refuses_if(400, lambda asked: b"0000-00-00" in asked.body),
        "V301-021/*",
    ),
    Fault(
        "a start of zeros is shown",
        lambda: f.text(lambda text: text.replace("0001-01-01T00:00:00Z", "0000-00-00")),
        "V301-021/*",
    ),
    Fault(
        "durations are written anew",
        partial(f.objects, renames("duration", lambda _text: "PT1H")),
        "V301-019/*; V301-017/*event.duration",
    ),
    Fault("attributes are lost", partial(f.objects, drops("attributes")), "V301-017/*attributes"),
    Fault(
        "descriptors of reports are lost", partial(f.objects, drops("reportDescriptors")), "V301-017/*reportIntervals"
    ),
    Fault(
        "descriptors have no type",
        partial(f.objects, renames("payloadDescriptors", lambda found: [drops("objectType")(one) for one in found])),
        "V301-022/*",
    ),
    Fault("reports name no program", lambda: f.at("/reports", f.objects(drops("programID"))), "V301-023/a report has*"),
    Fault(
        "a ven has no objectType",
        partial(f.objects, drops("objectType")),
        "V301-025/a ven r*; V301-029/resources below a v*",
    ),
    Fault("everybody is business logic", f.everybody_is_bl, "V301-025/a ven of*; V301-008/*"),
    Fault("resources of a new ven are lost", lambda: _body(drops("resources")), "V301-027/*"),
    Fault("a ven shows no resources", partial(f.objects, drops("resources")), "V301-027/*; V301-028/*"),
    Fault(
        "there is nothing below a ven", lambda: _below_vens(f.status((200, 201), 404)), "V301-029/resources below a v*"
    ),
    Fault("the ven of a resource is not looked at", _any_ven, "V301-029/resources below an*"),
    Fault("names of resources may be the same", lambda: _below_vens(f.accepts()), "V301-031/*"),
    Fault("names of resources are taken everywhere", lambda: _below_vens(f.status(201, 409)), "V301-031/*"),
    Fault("parameters of 3.1 narrow", _narrows, "V301-033/*"),
    Fault("read_all opens nothing to VENs", lambda: f.status(200, 403, "GET"), "V301-035/*"),
    Fault("paths of 3.1 are answered", _path_of_31, "V301-037/*"),
    Fault(
        "operations mean something else",
        partial(f.objects, renames("operations", lambda words: words[:1])),
        "V301-041/*",
    ),
    Fault(
        "notifications have the words of 3.1",
        _tells(lambda told: told | {"operation": _WORDS.get(told["operation"], "DELETE?")}),
        "V301-040/notifications*",
        FaultPlace.CALLBACKS,
    ),
    Fault(
        "notifications have another object",
        _tells(lambda told: told | {"object": told["object"] | {"programID": "x"}}),
        "V301-040/notifications*",
        FaultPlace.CALLBACKS,
    ),
    Fault("notifications are of no type", _tells(drops("objectType")), "V301-040/notifications*", FaultPlace.CALLBACKS),
    Fault("a subscription is told of all programs", _for_every_program, "V301-040/of its*"),
    Fault(
        "words of 3.1 are refused",
        lambda: f.refuses_if(
            400, lambda asked: any(word in asked.body for word in (b"_ALTERNATE", b"_INSTRUCTION", b"_LEVEL_"))
        ),
        "V301-045/*",
    ),
)
"""Faults of a VTN of 3.0.1, and the checks that have to see them."""
