"""Write notifications: the object as its recipient would get it from the API, and what happened to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from openadr_profiles.v31 import encode
from vtn.access import Entitlement
from vtn.lru import LruCache
from vtn.store.outbox.rows import BY_TARGETS, Delivery, Notification, Operation
from vtn.store.rows import ObjectRow
from vtn.store.visibility import seen_by

Render: TypeAlias = Callable[[ObjectRow], bytes]
"""Writes one object as JSON, as a version of the API does."""


class Form(NamedTuple):
    """The form of a version's notifications: what writes an object of each type, its targets, and the operations."""

    renderers: Mapping[str, Render]
    targets: Callable[[ObjectRow], bytes]
    """Writes the targets of an object that has some, as JSON."""
    words: Mapping[Operation, str]


def plain_targets(row: ObjectRow) -> bytes:
    """Write the targets of an object as they are stored."""
    return encode(row.targets)


_WORDS: Final = {operation: operation.value for operation in Operation}
_KEPT: Final = 64
_LARGEST_KEPT: Final = 64 * 1024


class Content:
    """Write the JSON of notifications (WEBHOOK-008 … WEBHOOK-014, MQTT-028). ``renderers`` has one for each type.

    ``other_faces`` are the forms of versions beside the main one, by the face of a subscription (V301-040).
    """

    def __init__(self, renderers: Mapping[str, Render], other_faces: Mapping[str, Form] | None = None) -> None:
        self._forms: dict[str | None, Form] = {None: Form(renderers, plain_targets, _WORDS)}
        self._forms.update(other_faces or {})
        self._made: LruCache[tuple[int, Operation, tuple[str, ...] | None, str | None], bytes] = LruCache(_KEPT)

    def of(self, delivery: Delivery, face: str | None = None) -> bytes:
        """Return the notification of a delivery, as UTF-8. Many recipients share one."""
        return self.shown(delivery.notification, delivery.operation, delivery.held, face)

    def shown(
        self,
        notification: Notification,
        operation: Operation,
        held: tuple[str, ...] | None,
        face: str | None = None,
    ) -> bytes:
        """Return a change as who holds these targets is told of it; ``held`` is None for who sees all of the object.

        Who does not see it any more is told DELETE, with the object as it was before the update (SUBS-027).
        """
        key = notification.seq, operation, held, face
        made = self._made.get(key)
        if made is None:
            made = self._write(notification, operation, held, self._forms[face])
            if len(made) <= _LARGEST_KEPT:
                self._made.put(key, made)
        return made

    def _write(
        self, notification: Notification, operation: Operation, held: tuple[str, ...] | None, form: Form
    ) -> bytes:
        kind = notification.object_type
        hidden = operation is Operation.DELETE and notification.operation is Operation.UPDATE
        version = notification.before if hidden and notification.before is not None else notification.now
        row = notification.row(version)
        if held is not None and kind in BY_TARGETS:
            inside = {"targets_inside": notification.targets_inside} if kind == "EVENT" else {}
            seen = {name: getattr(row, name) for name in ("id", "created_at", "modified_at", "members", "targets")}
            seen["target_records"] = row.records
            (row,) = seen_by(Entitlement(frozenset(held)), [{**seen, **inside}])
        targets = b',"targets":%b' % form.targets(row) if row.targets else b""
        head = f'{{"objectType":"{kind}","operation":"{form.words[operation]}","object":'.encode()
        return b"".join((head, form.renderers[kind](row), targets, b"}"))
