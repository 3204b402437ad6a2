"""Subscriptions: who wants to be told of operations on which objects, and where (SUBS-001 … SUBS-013)."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import field
from msgspec.structs import force_setattr

from openadr_profiles.v31.common import Instant, Name, ObjectID, Target, Text, Uri, Wire, distinct
from openadr_profiles.v31.vocabulary import ObjectType

OperationWord: TypeAlias = Literal["CREATE", "READ", "UPDATE", "DELETE", "POST", "GET", "PUT"]

_MEANING: Final[dict[OperationWord, str]] = {"POST": "CREATE", "GET": "READ", "PUT": "UPDATE"}


def operation_meant(word: OperationWord) -> str:
    """CREATE, READ, UPDATE or DELETE; the HTTP words mean the same (some clients can only read what they sent)."""
    return _MEANING.get(word, word)


class ObjectOperation(Wire, frozen=True, kw_only=True, omit_defaults=False):
    """Operations on kinds of objects, and where to tell of them. Either list may be empty (SUBS-006).

    ``bearer_token`` is written even when it is null: strict readers look for the key (COMPAT-050).
    """

    objects: tuple[ObjectType, ...]
    operations: tuple[OperationWord, ...]
    callback_url: Uri = field(name="callbackUrl")
    bearer_token: Text | None = field(name="bearerToken", default=None)


class SubscriptionRequest(Wire, frozen=True, kw_only=True):
    """A subscription as a client writes it. ``targets`` narrow what it is told of (SUBS-012)."""

    client_name: Name = field(name="clientName")
    program_id: ObjectID | None = field(name="programID", default=None)
    object_operations: tuple[ObjectOperation, ...] = field(name="objectOperations")
    targets: tuple[Target, ...] | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "targets", distinct(self.targets) or None)


class Subscription(SubscriptionRequest, frozen=True, kw_only=True):
    """A subscription as the VTN returns it; ``client_id`` is its owner, who alone gets the tokens back (SUBS-011)."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")

    client_id: Name = field(name="clientID")
