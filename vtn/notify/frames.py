"""Make the frames of websockets: one for all clients that are shown the same of a change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from openadr_profiles.v31 import encode
from vtn.http.websocket import frame_of
from vtn.notify.interest import (
    Interest,
    deciding_targets,
    told_to_all,
    told_to_holder,
    told_to_owner,
)
from vtn.notify.places import Place
from vtn.store.outbox.rows import BY_TARGETS, Notification, Operation

Shown: TypeAlias = Callable[[Notification, Operation, tuple[str, ...] | None], bytes]
"""Writes a notification as who holds these targets is told of it; None: who may see all of the object."""


class Frames:
    """The frames of one change. ``place`` is where a client goes on that has received it.

    For a program or event they depend on the targets held, as far as these decide anything: thousands of VENs with one
    of them in common share a frame.
    """

    def __init__(self, notification: Notification, place: Place, shown: Shown) -> None:
        self.by_targets = notification.object_type in BY_TARGETS
        self._notification = notification
        self._place = place
        self._shown = shown
        self._deciding = deciding_targets(notification) if self.by_targets else frozenset()
        self._told: dict[tuple[Interest, frozenset[str]], bytes | None] = {}
        self._made: dict[tuple[Operation, tuple[str, ...] | None], bytes] = {}

    def for_all(self, interest: Interest) -> bytes | None:
        """Return what business logic is told; None if nothing."""
        return self._frame(told_to_all(self._notification, interest), None)

    def for_owner(self, interest: Interest) -> bytes | None:
        """Return what a VEN is told of a change of an object of its own that is no program or event; None: nothing."""
        return self._frame(told_to_owner(self._notification, interest), None)

    def for_holder(self, interest: Interest, held: frozenset[str]) -> bytes | None:
        """Return what a VEN that holds these targets is told of a change of a program or event; None: nothing."""
        deciding = held & self._deciding
        key = interest, deciding
        if key not in self._told:
            operation = told_to_holder(self._notification, interest, deciding)
            self._told[key] = self._frame(operation, tuple(sorted(deciding)))
        return self._told[key]

    def _frame(self, operation: Operation | None, held: tuple[str, ...] | None) -> bytes | None:
        if operation is None:
            return None
        key = operation, held
        frame = self._made.get(key)
        if frame is None:
            head = f'{{"id":"{self._notification.seq}","resume":"{self._place}",'.encode()
            frame = self._made[key] = frame_of(head + self._shown(self._notification, operation, held)[1:])
        return frame


def status(word: str, place: Place, **more: bool) -> bytes:
    """Return the frame of a message that tells of no change: OPEN at the beginning, ALIVE now and then."""
    return frame_of(encode({"status": word, "resume": str(place), **more}))
