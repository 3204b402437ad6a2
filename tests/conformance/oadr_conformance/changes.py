"""Changes that somebody is told of: objects that concern the first VEN, and who writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from oadr_conformance import bodies
from oadr_conformance.callbacks import LabCallback
from oadr_conformance.kinds import KINDS, Kind
from oadr_conformance.probe import Actor, Probe
from oadr_conformance.told import OPERATIONS, Told
from oadr_conformance.wire import Obj


@dataclass(frozen=True)
class Change:
    """One operation on one kind of object: business logic writes programs and events, the first VEN the others.

    The first VEN hears of it, but for the creation of a ven: a client has one, so business logic makes another's.
    """

    kind: Kind
    operation: str

    @property
    def name(self) -> str:
        """`event CREATE`."""
        return f"{self.kind.name} {self.operation}"

    def writer(self, t: Probe) -> Actor:
        """Return who makes the change."""
        return t.bl if self.kind.name in {"program", "event"} or self._first_ven else t.ven

    def listener(self, t: Probe) -> Actor:
        """Return who hears of it."""
        return t.bl if self._first_ven else t.ven

    @property
    def _first_ven(self) -> bool:
        return self.name == "ven CREATE"

    async def before(self, t: Probe, **members: object) -> Obj:
        """Return the object that is to be changed or removed; nothing where it is to be created.

        A program or event has these members.
        """
        if self.writer(t) is not t.bl:
            await t.ready(t.ven)
        if self.operation == "CREATE":
            return {}
        if self.kind.name == "ven":
            return await t.own_ven(t.ven)
        return await t.seed(self.writer(t), self.kind.path, await self._body(t, **members))

    async def make(self, t: Probe, obj: Obj, **members: object) -> Obj:
        """Make the change, as the question of a check; return the object as the answer shows it.

        What is created has these members, if it is a program or event.
        """
        writer, path = self.writer(t), f"{self.kind.path}/{obj.get('id')}"
        if self.operation == "CREATE":
            return (await writer.post(self.kind.path, await self._body(t, **members))).expect(201).object()
        if self.operation == "DELETE":
            return (await writer.delete(path)).expect(200).object()
        return (await writer.put(path, await self._changed(t, obj))).expect(200).object()

    async def _body(self, t: Probe, **members: object) -> Obj:
        if self.kind.name == "resource":
            ven = await t.own_ven(t.ven)
            return bodies.ven_resource(ven["id"], t.name("resource"))
        if self.kind.name == "report":
            return bodies.report((await t.event())["id"])
        if self.kind.name == "event" and "programID" in members:
            return bodies.event(str(members["programID"]), **members)
        return await self.kind.plain(t, **(members if self.kind.name in {"program", "event"} else {}))

    async def _changed(self, t: Probe, obj: Obj) -> Obj:
        if self.kind.name == "ven":
            return bodies.ven_ven(t.name("ven"))
        if self.kind.name == "resource":
            return bodies.ven_resource(obj["venID"], t.name("resource"))
        return self.kind.as_request(obj, **{self.kind.text: t.name(self.kind.name)})


CHANGES: Final = {
    change.name: change for change in (Change(kind, operation) for kind in KINDS.values() for operation in OPERATIONS)
}
CREATED, CHANGED, REMOVED = (CHANGES[f"event {operation}"] for operation in OPERATIONS)
"""Changes of events."""


def entry(callback: LabCallback, *changes: Change, **members: object) -> Obj:
    """Return an entry of objectOperations for these changes."""
    objects = list(dict.fromkeys(change.kind.object_type for change in changes))
    operations = list(dict.fromkeys(change.operation for change in changes))
    return bodies.operation(callback.url, objects=objects, operations=operations, **members)


async def heard(t: Probe, change: Change, callback: LabCallback) -> tuple[Told, Obj]:
    """Make a change that somebody subscribes to; return its notification, and the object as the subscriber reads it.

    Of what is removed that is what it read last.
    """
    await t.ready(change.listener(t))
    obj = await change.before(t)
    await t.subscription(change.listener(t), objectOperations=[entry(callback, change)])
    shown = await seen(t, change, obj) if change.operation == "DELETE" else {}
    made = await change.make(t, obj)
    told = await callback.told(made["id"], change.operation)
    return told, shown or await seen(t, change, made)


async def seen(t: Probe, change: Change, obj: Obj) -> Obj:
    """Return the object as who hears of it reads it."""
    return (await change.listener(t).get(f"{change.kind.path}/{obj['id']}")).expect(200).object()


async def create_event(t: Probe, program: Obj, **members: object) -> Obj:
    """Create an event, as the question of a check."""
    return (await t.bl.post("/events", bodies.event(program["id"], **members))).expect(201).object()
