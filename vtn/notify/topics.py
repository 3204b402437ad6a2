"""The names of MQTT topics: where clients are told to look, and where changes are published (MQTT-013, MQTT-015).

A topic is a prefix, a tree and an operation, as in ``openadr3/programs/create``. Business logic has trees for
everything. VENs have ``public/`` for what everybody may see, and ``vens/{its id}/`` for what is theirs, so that a
broker needs two rules for each VEN (MQTT-016).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

from msgspec.structs import replace

from vtn.store.outbox.rows import Delivery, Operation


class Tree(StrEnum):
    """The topics of one endpoint of discovery for one kind of reader, without prefix and operation."""

    PROGRAMS = "programs"
    PROGRAM = "programs/{program}"
    PROGRAM_EVENTS = "events/programs/{program}"
    EVENTS = "events"
    REPORTS = "reports"
    SUBSCRIPTIONS = "subscriptions"
    VENS = "vens"
    RESOURCES = "resources"
    PUBLIC_PROGRAMS = "public/programs"
    PUBLIC_PROGRAM = "public/programs/{program}"
    PUBLIC_PROGRAM_EVENTS = "public/events/programs/{program}"
    VEN = "vens/{ven}"
    VEN_EVENTS = "vens/{ven}/events"
    VEN_PROGRAMS = "vens/{ven}/programs"
    VEN_PROGRAM = "vens/{ven}/programs/{program}"
    VEN_PROGRAM_EVENTS = "vens/{ven}/programs/{program}/events"
    VEN_RESOURCES = "vens/{ven}/resources"


def everything(prefix: str) -> str:
    """Return the filter of all topics below a prefix."""
    return f"{prefix}#"


def of_everybody(prefix: str) -> str:
    """Return the filter of the topics that every VEN may read."""
    return f"{prefix}public/#"


def of_one_ven(prefix: str, ven_id: str) -> str:
    """Return the filter of the topics of one ven."""
    return f"{prefix}{Tree.VEN.format(ven=ven_id)}/#"


_OF_ONE_OBJECT: Final = frozenset({Tree.PROGRAM, Tree.PUBLIC_PROGRAM, Tree.VEN, Tree.VEN_PROGRAM})
"""Nobody can wait here for the creation: before it there is no id to ask with (MQTT-008)."""
_PUBLISHED: Final = (Operation.CREATE, Operation.UPDATE, Operation.DELETE)
"""READ is told by webhooks only (MQTT-031)."""

_BUSINESS_LOGIC: Final = {
    "PROGRAM": (Tree.PROGRAMS, Tree.PROGRAM),
    "EVENT": (Tree.EVENTS, Tree.PROGRAM_EVENTS),
    "REPORT": (Tree.REPORTS,),
    "SUBSCRIPTION": (Tree.SUBSCRIPTIONS,),
    "VEN": (Tree.VENS,),
    "RESOURCE": (Tree.RESOURCES,),
}
_EVERYBODY: Final = {
    "PROGRAM": (Tree.PUBLIC_PROGRAMS, Tree.PUBLIC_PROGRAM),
    "EVENT": (Tree.PUBLIC_PROGRAM_EVENTS,),
}
_ENTITLED: Final = {
    "PROGRAM": (Tree.VEN_PROGRAMS, Tree.VEN_PROGRAM),
    "EVENT": (Tree.VEN_EVENTS, Tree.VEN_PROGRAM_EVENTS),
}
_OWNER: Final = {"VEN": (Tree.VEN,), "RESOURCE": (Tree.VEN_RESOURCES,)}


class TopicNames:
    """Names the topics below one prefix."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def answer(self, tree: Tree, *, program_id: str = "", ven_id: str = "") -> dict[str, str]:
        """Return the topics of a tree by operation, and ``ALL``, a filter for them together (MQTT-008)."""
        base = self._base(tree, program_id, ven_id)
        names = {str(each): _topic(base, each) for each in _PUBLISHED if not _is_vain(tree, each)}
        return names | {"ALL": f"{base}/+"}

    def of(self, delivery: Delivery) -> Iterator[str]:
        """Return the topics that a delivery is published to, a VEN's one after the other (MQTT-021).

        With vens these are theirs; with targets ``held``, and no vens, those of everybody; else those of business logic
        and of the owner.
        """
        notification, operation = delivery.notification, delivery.operation
        if operation not in _PUBLISHED:
            return
        program_id = _program_id(delivery)
        for tree in _trees(delivery):
            for ven_id in (notification.ven_id or "",) if delivery.vens is None else delivery.vens:
                if not _is_vain(tree, operation):
                    yield _topic(self._base(tree, program_id, ven_id), operation)

    def _base(self, tree: Tree, program_id: str, ven_id: str) -> str:
        return self._prefix + tree.format(program=program_id, ven=ven_id)


def _is_vain(tree: Tree, operation: Operation) -> bool:
    return operation is Operation.CREATE and tree in _OF_ONE_OBJECT


def _topic(base: str, operation: Operation) -> str:
    return f"{base}/{operation.lower()}"


def for_everybody(delivery: Delivery) -> Delivery | None:
    """Return what everybody is told of a change of which business logic is told; None if nothing (MQTT-022).

    It is what who holds no targets sees: the object, or DELETE when it is not public any more (SUBS-027).
    """
    notification, operation = delivery.notification, delivery.operation
    if delivery.vens is not None or notification.object_type not in _EVERYBODY:
        return None
    if not notification.now.is_public:
        before = notification.before
        if operation is not Operation.UPDATE or before is None or not before.is_public:
            return None
        operation = Operation.DELETE
    return replace(delivery, operation=operation, held=())


def _trees(delivery: Delivery) -> tuple[Tree, ...]:
    kind = delivery.notification.object_type
    if delivery.vens is not None:
        return _ENTITLED.get(kind, ())
    if delivery.held is not None:
        return _EVERYBODY.get(kind, ())
    owner = _OWNER.get(kind, ()) if delivery.notification.ven_id is not None else ()
    return (*_BUSINESS_LOGIC[kind], *owner)


def _program_id(delivery: Delivery) -> str:
    """Return the program in a topic; who is told that an event is hidden from now on knows it by its old one."""
    notification = delivery.notification
    if notification.object_type == "PROGRAM":
        return notification.object_id
    was_hidden = delivery.operation is Operation.DELETE and notification.operation is Operation.UPDATE
    before = notification.before if was_hidden else None
    return (before.program_id if before is not None else None) or notification.program_id or ""
