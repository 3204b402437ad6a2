"""The six kinds of objects in one table, so that what holds for all of them is written once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from oadr_conformance import bodies
from oadr_conformance.bodies import ATTRIBUTE, COLLECTIONS, EVENT_DESCRIPTOR, PERIOD, REPORT_DESCRIPTOR, REPORT_REQUEST
from oadr_conformance.fields import FIELDS
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.wire import Obj, VtnAnswer

Query = dict[str, str]


class Make(Protocol):
    """Seeds one object with these members."""

    def __call__(self, t: Probe, **members: Any) -> Awaitable[Obj]: ...


@dataclass(frozen=True)
class Kind:
    """One kind of object and how to get specimens of it."""

    name: str
    """`program`, `event`, ..."""
    needs: str
    """Needs of a check that writes this kind."""
    make: Make
    plain: Make
    """A plain request body with these members, what it refers to being seeded."""
    full: Callable[[Probe], Awaitable[Obj]]
    """A request body with every member of the standard, what it refers to being seeded."""
    several: Callable[[Probe, int], Awaitable[tuple[list[Obj], Query]]]
    """Seeds n objects, in that order, and gives the query that finds these and no others."""
    text: str
    """A member that takes a free text of 1..128 characters and may be changed at will."""

    @property
    def path(self) -> str:
        """Path of the collection."""
        return COLLECTIONS[self.name]

    @property
    def object_type(self) -> str:
        """Return the word in `objectType`."""
        return self.name.upper()

    def check_type(self, answer: VtnAnswer, obj: Obj) -> None:
        """`objectType` is the word of the kind; the schemas of ven and resource also lead to the words of requests."""
        forms = {f"BL_{self.object_type}_REQUEST", f"VEN_{self.object_type}_REQUEST"}
        if answer.binding or self.name not in {"ven", "resource"} or obj.get("objectType") not in forms:
            answer.same("objectType", obj.get("objectType"), self.object_type)

    def writer(self, t: Probe) -> Actor:
        """Return the client that writes it in the checks: a VEN for reports and subscriptions, else business logic."""
        return t.ven if self.name in {"report", "subscription"} else t.bl

    def at(self, obj: Obj) -> str:
        """Path of one object."""
        return f"{self.path}/{obj['id']}"

    def as_request(self, obj: Obj, **changes: Any) -> Obj:
        """Return an object that was read as the body of a POST or PUT that changes these members, by its schema.

        That has no members of the VTN's own, no null, and `objectType` only where the schema requires it.
        """
        members = {member.steps[0] for member in FIELDS[self.name]} - {"objectType"}
        form = {"objectType": f"BL_{self.object_type}_REQUEST"} if self.name in {"ven", "resource"} else {}
        return {**form, **{key: obj[key] for key in obj if key in members and obj[key] is not None}, **changes}

    async def create(self, t: Probe, body: object) -> VtnAnswer:
        """POST as the writer."""
        await t.ready(self.writer(t))
        return await self.writer(t).post(self.path, body)

    async def replace(self, t: Probe, obj: Obj, body: object) -> VtnAnswer:
        """PUT as the writer."""
        return await self.writer(t).put(self.at(obj), body)

    async def seed(self, t: Probe, body: Obj) -> Obj:
        """Create it because the check needs it."""
        await t.ready(self.writer(t))
        return await t.seed(self.writer(t), self.path, body)

    async def read(self, t: Probe, obj: Obj) -> Obj:
        """GET as business logic."""
        return (await t.bl.get(self.at(obj))).expect(200).object()


async def _plain_program(t: Probe, **members: Any) -> Obj:
    return bodies.program(t.name("program"), **members)


async def _plain_event(t: Probe, **members: Any) -> Obj:
    return bodies.event((await t.program())["id"], **members)


async def _plain_report(t: Probe, **members: Any) -> Obj:
    return bodies.report((await t.event())["id"], **members)


async def _plain_subscription(t: Probe, **members: Any) -> Obj:
    return t.subscription_body(**members)


async def _plain_ven(t: Probe, **members: Any) -> Obj:
    return bodies.bl_ven(t.name("client"), t.name("ven"), **members)


async def _plain_resource(t: Probe, **members: Any) -> Obj:
    ven = await t.some_ven()
    return bodies.bl_resource(ven["clientID"], ven["id"], t.name("resource"), **members)


async def _full_program(t: Probe) -> Obj:
    return {
        "programName": t.name("program"),
        "intervalPeriod": PERIOD,
        "programDescriptions": [{"URL": "https://example.com/programs/tou"}],
        "payloadDescriptors": [EVENT_DESCRIPTOR, REPORT_DESCRIPTOR],
        "attributes": [ATTRIBUTE],
        "targets": ["group-a", "group-b"],
    }


async def _full_event(t: Probe) -> Obj:
    return {
        "programID": (await t.program())["id"],
        "eventName": "evening peak",
        "duration": "PT4H",
        "priority": 2,
        "targets": ["group-a", "group-b"],
        "reportDescriptors": [REPORT_REQUEST],
        "payloadDescriptors": [EVENT_DESCRIPTOR],
        "intervalPeriod": PERIOD,
        "intervals": [bodies.interval(0, intervalPeriod=PERIOD), bodies.interval(1, 0.25)],
    }


async def _full_report(t: Probe) -> Obj:
    measured = bodies.interval(0, 2.5, "USAGE", intervalPeriod=PERIOD)
    return {
        "eventID": (await t.event())["id"],
        "clientName": "conformance",
        "reportName": "battery",
        "payloadDescriptors": [REPORT_DESCRIPTOR],
        "resources": [{"resourceName": "heat pump", "intervalPeriod": PERIOD, "intervals": [measured]}],
    }


async def _full_subscription(t: Probe) -> Obj:
    entry = bodies.operation(t.callback_url, bearerToken="letmein")
    return {
        "clientName": t.name("client"),
        "programID": (await t.program())["id"],
        "objectOperations": [entry],
        "targets": ["group-a"],
    }


async def _full_ven(t: Probe) -> Obj:
    return bodies.bl_ven(t.name("client"), t.name("ven"), targets=["group-a"], attributes=[ATTRIBUTE])


async def _full_resource(t: Probe) -> Obj:
    ven = await t.some_ven()
    name = t.name("resource")
    return bodies.bl_resource(ven["clientID"], ven["id"], name, targets=["group-a"], attributes=[ATTRIBUTE])


async def _programs(t: Probe, count: int) -> tuple[list[Obj], Query]:
    target = t.name("target")
    return [await t.program(targets=[target]) for _ in range(count)], {"targets": target}


async def _events(t: Probe, count: int) -> tuple[list[Obj], Query]:
    program = await t.program()
    return [await t.event(program) for _ in range(count)], {"programID": program["id"]}


async def _reports(t: Probe, count: int) -> tuple[list[Obj], Query]:
    event = await t.event()
    return [await t.report(t.ven, event) for _ in range(count)], {"eventID": event["id"]}


async def _subscriptions(t: Probe, count: int) -> tuple[list[Obj], Query]:
    client, made = t.name("client"), []
    for number in range(count):
        word = _OBJECTS[number % len(_OBJECTS)]
        entries = [entry | {"objects": [word]} for entry in t.subscription_body()["objectOperations"]]
        made.append(await t.subscription(t.ven, clientName=client, objectOperations=entries))
    return made, {"clientName": client}


async def _vens(t: Probe, count: int) -> tuple[list[Obj], Query]:
    target = t.name("target")
    return [await t.some_ven(targets=[target]) for _ in range(count)], {"targets": target}


async def _resources(t: Probe, count: int) -> tuple[list[Obj], Query]:
    ven = await t.some_ven()
    return [await t.resource(ven) for _ in range(count)], {"venID": ven["id"]}


async def _make_program(t: Probe, **members: Any) -> Obj:
    return await t.program(**members)


async def _make_event(t: Probe, **members: Any) -> Obj:
    return await t.event(**members)


async def _make_report(t: Probe, **members: Any) -> Obj:
    return await t.report(t.ven, **members)


async def _make_subscription(t: Probe, **members: Any) -> Obj:
    return await t.subscription(t.ven, **members)


async def _make_ven(t: Probe, **members: Any) -> Obj:
    return await t.some_ven(**members)


async def _make_resource(t: Probe, **members: Any) -> Obj:
    return await t.resource(await t.some_ven(), **members)


KINDS: Final[dict[str, Kind]] = {
    kind.name: kind
    for kind in (
        Kind("program", "", _make_program, _plain_program, _full_program, _programs, "programName"),
        Kind("event", "", _make_event, _plain_event, _full_event, _events, "eventName"),
        Kind("report", "ven", _make_report, _plain_report, _full_report, _reports, "clientName"),
        Kind(
            "subscription",
            "ven",
            _make_subscription,
            _plain_subscription,
            _full_subscription,
            _subscriptions,
            "clientName",
        ),
        Kind("ven", "", _make_ven, _plain_ven, _full_ven, _vens, "venName"),
        Kind("resource", "", _make_resource, _plain_resource, _full_resource, _resources, "resourceName"),
    )
}


_OBJECTS: Final = ("EVENT", "PROGRAM", "RESOURCE", "VEN")
_TIMES: Final = {"intervalPeriod", "start", "duration"}
"""Members that give the time of an interval; they are kept even where the schema does not require them."""


async def plain_with(t: Probe, kind: Kind, path: str) -> Obj:
    """Return a plain body that has the member at this path, and beside it no more than the schema requires.

    `intervals.0.payloads.0.type`: the path leads through members and positions in lists.
    """
    full, plain = await kind.full(t), await kind.plain(t)
    first = path.partition(".")[0]
    required = {member.path for member in FIELDS[kind.name] if member.required or member.path.endswith("objectType")}

    def pruned(value: Any, above: str) -> Any:
        if isinstance(value, list):
            return [pruned(item, f"{above}.{number}") for number, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        kept = {}
        for key, item in value.items():
            here = f"{above}.{key}"
            asked_for = path == here or path.startswith(f"{here}.")
            if here in required or asked_for or key in _TIMES or not _listed(kind, here):
                kept[key] = pruned(item, here)
        return kept

    if first not in full or (first in plain and "." not in path):
        return plain
    return {**plain, first: pruned(full[first], first)}


def _listed(kind: Kind, path: str) -> bool:
    """Return True if the table of members has this path; of lists it describes the first elements."""
    return any(member.path == path for member in FIELDS[kind.name])


def needs_of(kind: Kind) -> str:
    """Return what a check that writes this kind needs; for `Area.each`."""
    return kind.needs
