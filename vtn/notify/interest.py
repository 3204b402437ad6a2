"""Which changes a client that listens is told of: what it asked for, as far as it may see it (SUBS-020 … SUBS-027).

The same rule as that of subscriptions (``vtn/store/outbox/recipients.py``), for one client at a time and without SQL.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct, json

from vtn.access import Entitlement
from vtn.store.outbox.rows import OBJECT_TYPES, Notification, Operation, Version

OPERATIONS: Final = frozenset({Operation.CREATE, Operation.UPDATE, Operation.DELETE})
"""Operations that a client that listens is told of; READ is for webhooks (R-27)."""
_OF_A_PROGRAM: Final = frozenset({"EVENT", "REPORT"})
_WITHOUT_TARGETS: Final = frozenset({"REPORT", "SUBSCRIPTION"})


class Interest(Struct, frozen=True, gc=False):
    """Hold what a client wants to hear of. ``program_id`` is for events and reports (SUBS-022); no ``targets``: all."""

    object_types: frozenset[str] = frozenset(OBJECT_TYPES)
    operations: frozenset[Operation] = OPERATIONS
    program_id: str | None = None
    targets: frozenset[str] | None = None

    def covers(self, notification: Notification) -> bool:
        """Return True if changes of this object are asked for, whatever happened to it and whoever may see it."""
        kind = notification.object_type
        return kind in self.object_types and (
            self.program_id is None or kind not in _OF_A_PROGRAM or self.program_id == notification.program_id
        )


def told_to_all(notification: Notification, interest: Interest) -> Operation | None:
    """Return what business logic, which sees everything, is told of a change; None if it is told nothing (SUBS-023)."""
    operation, asked = notification.operation, interest.targets
    if operation not in interest.operations or not interest.covers(notification):
        return None
    if asked is None or notification.object_type in _WITHOUT_TARGETS:
        return operation
    versions = (notification.now, notification.before)
    return operation if any(one is not None and asked.intersection(one.targets or ()) for one in versions) else None


def told_to_owner(notification: Notification, interest: Interest) -> Operation | None:
    """Return what a VEN is told of a change of an object of its own that is no program or event."""
    operation = notification.operation
    return operation if operation in interest.operations and interest.covers(notification) else None


def told_to_holder(notification: Notification, interest: Interest, held: frozenset[str]) -> Operation | None:
    """Return what a VEN that holds these targets is told of a change of a program or event; None: nothing.

    An update reaches who saw the object, or sees it now. Who does not see it any more is told DELETE (SUBS-027).
    """
    if not interest.covers(notification):
        return None
    now, before = notification.now, notification.before
    seen = Entitlement(held)
    asked = seen if interest.targets is None else Entitlement(held, interest.targets)
    sees_now = _admits(seen, now)
    if not (sees_now and _admits(asked, now)) and not (before is not None and _admits(asked, before)):
        return None
    operation = notification.operation if sees_now else Operation.DELETE
    return operation if operation in interest.operations else None


def _admits(entitlement: Entitlement, version: Version) -> bool:
    return entitlement.admits(version.targets or (), program_targets=version.program_targets)


def deciding_targets(notification: Notification) -> frozenset[str]:
    """Return the targets that decide who is told of a change of a program or event, and what of it is shown."""
    found: set[str] = set()
    for version in (notification.now, notification.before):
        if version is not None:
            found.update(version.targets or (), version.program_targets)
            if notification.targets_inside:
                found.update(_targets_inside(version.members))
    return frozenset(found)


class _Descriptor(Struct):
    targets: tuple[str, ...] | None = None


class _Descriptors(Struct, rename={"descriptors": "reportDescriptors"}):
    descriptors: tuple[_Descriptor, ...] | None = None


def _targets_inside(members: str) -> set[str]:
    """Return the targets of an event's report descriptors (EVT-020)."""
    event = json.decode(f"{{{members}}}", type=_Descriptors)
    return {target for descriptor in event.descriptors or () for target in descriptor.targets or ()}
