"""Describe what is in the outbox: changes of objects, who has to hear of them, and where those can be reached."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from msgspec import Struct

from vtn.store.rows import ObjectRow, ReportRow, SubscriptionRow

OBJECT_TYPES: Final = ("PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE")
"""The kinds of objects that anybody is told of; a resource group is not one (R-55)."""
BY_TARGETS: Final = ("PROGRAM", "EVENT")
"""The kinds of objects that VENs see by their targets; all others only their owner sees."""


class Operation(StrEnum):
    """Name what happened to an object, in the words of a notification (SUBS-007)."""

    CREATE = "CREATE"
    READ = "READ"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


class Push(StrEnum):
    """The ways to tell a client."""

    WEBHOOK = "WEBHOOK"
    MQTT = "MQTT"
    WEBSOCKET = "WEBSOCKET"


class Version(Struct, frozen=True, gc=False):
    """An object as it was at one moment. ``targets`` is None where its kind has none.

    ``program_id`` is the program of an event. ``program_targets`` are its targets, empty for other kinds and while
    ``events_follow_program`` is off: who may see an event must hold one of each list that is not empty (PRIV-016).
    """

    created_at: str
    modified_at: str
    targets: tuple[str, ...] | None
    program_targets: tuple[str, ...]
    members: str
    program_id: str | None = None
    records: str | None = None
    """The targets with their types (``ObjectRow.records``)."""

    @property
    def is_public(self) -> bool:
        """Return True if every VEN may see it, as a program or event."""
        return not self.targets and not self.program_targets


class Notification(Struct, frozen=True, gc=False):
    """One committed change of one object. ``seq`` grows from each change of an object to its next one.

    ``now`` is the object after the change, or before its removal. ``before`` is there only for an update that may have
    changed who sees a program or event: the object as it was (SUBS-027). ``program_id`` is an event's program, or that
    of a report's event; ``ven_id`` is a ven's own id, or a resource's ven if both belong to one client.
    """

    seq: int
    noted_at: str
    object_type: str
    operation: Operation
    object_id: str
    client_id: str | None
    program_id: str | None
    ven_id: str | None
    targets_inside: bool
    """An event whose report descriptors have targets of their own (EVT-020)."""
    has_tokens: bool
    """A subscription with bearer tokens, which are for its owner only (SUBS-011)."""
    now: Version
    before: Version | None = None

    def row(self, version: Version) -> ObjectRow:
        """Return the object as the renderers of the API take it, for a reader who may see all its targets."""
        row = (self.object_id, version.created_at, version.modified_at, version.members, version.targets)
        if self.object_type == "REPORT":
            return ReportRow(*row, program_id=self.program_id or "")
        if self.has_tokens:
            return SubscriptionRow(*row, version.records, hides_tokens=True)
        return ObjectRow(*row, version.records)


class Delivery(Struct, frozen=True, gc=False):
    """A change that one endpoint has to hear of.

    ``operation`` differs from that of the change where the recipients cannot see the object any more: DELETE, with the
    object as it was ``before``. ``held`` are the targets that decide what is shown, None where everything is. ``vens``
    are the vens whose topics of MQTT get it; None for all other topics that the change belongs to, and for webhooks.
    ``attempts`` counts earlier attempts.
    """

    id: int
    endpoint_id: str
    notification: Notification
    operation: Operation
    held: tuple[str, ...] | None
    vens: tuple[str, ...] | None
    attempts: int


class Endpoint(Struct, frozen=True, gc=False):
    """Describe where deliveries go, one after the other in the order of changes: a callback URL, or the broker of MQTT.

    ``failures`` counts failed attempts in a row, ``broken_at`` says since when the endpoint is only probed.
    ``bearer_token`` is the one of its subscription's entry, already opened; never write it anywhere. ``problem`` says
    why nothing can be sent at present, such as a token whose key is missing.
    """

    id: str
    push: Push
    subscription_id: str | None
    client_id: str | None
    url: str | None
    bearer_token: str | None
    failures: int
    broken_at: str | None
    problem: str | None = None
    as_of: str = ""
    """Last modification of its subscription; empty for a broker."""
    face: str | None = None
    """The version of the API on which its subscription was made; None is 3.1 (V301-040)."""
