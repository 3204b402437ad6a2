"""Write notifications: the object as its recipient would get it from the API, and what happened to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from openadr_profiles.v31 import encode
from vtn.access import Entitlement
from vtn.lru import LruCache
from vtn.store.outbox.rows import BY_TARGETS, Delivery, Notification, Operation
from vtn.store.rows import ObjectRow
from vtn.store.visibility import seen_by

Render: TypeAlias = Callable[[ObjectRow], bytes]
"""Writes one object as JSON, as a version of the API does."""

_KEPT: Final = 64
_LARGEST_KEPT: Final = 64 * 1024


class Content:
    """Write the JSON of notifications (WEBHOOK-008 … WEBHOOK-014, MQTT-028). ``renderers`` has one for each type."""

    def __init__(self, renderers: Mapping[str, Render]) -> None:
        self._renderers = renderers
        self._made: LruCache[tuple[int, Operation, tuple[str, ...] | None], bytes] = LruCache(_KEPT)

    def of(self, delivery: Delivery) -> bytes:
        """Return the notification of a delivery, as UTF-8. Many recipients share one."""
        return self.shown(delivery.notification, delivery.operation, delivery.held)

    def shown(self, notification: Notification, operation: Operation, held: tuple[str, ...] | None) -> bytes:
        """Return a change as who holds these targets is told of it; ``held`` is None for who sees all of the object.

        Who does not see it any more is told DELETE, with the object as it was before the update (SUBS-027).
        """
        key = notification.seq, operation, held
        made = self._made.get(key)
        if made is None:
            made = self._write(notification, operation, held)
            if len(made) <= _LARGEST_KEPT:
                self._made.put(key, made)
        return made

    def _write(self, notification: Notification, operation: Operation, held: tuple[str, ...] | None) -> bytes:
        kind = notification.object_type
        hidden = operation is Operation.DELETE and notification.operation is Operation.UPDATE
        version = notification.before if hidden and notification.before is not None else notification.now
        row = notification.row(version)
        if held is not None and kind in BY_TARGETS:
            inside = {"targets_inside": notification.targets_inside} if kind == "EVENT" else {}
            seen = {name: getattr(row, name) for name in ("id", "created_at", "modified_at", "members", "targets")}
            seen["target_records"] = row.records
            (row,) = seen_by(Entitlement(frozenset(held)), [{**seen, **inside}])
        targets = b',"targets":%b' % encode(row.targets) if row.targets else b""
        head = f'{{"objectType":"{kind}","operation":"{operation.value}","object":'.encode()
        return b"".join((head, self._renderers[kind](row), targets, b"}"))
