"""Subscriptions of 3.0.1: always of one program, and filtered by targets with types."""

from __future__ import annotations

from msgspec import field

from openadr_profiles import v31
from openadr_profiles.v31.common import Instant, Name, ObjectID, ValuesMap, Wire
from openadr_profiles.v31.subscription import ObjectOperation
from openadr_profiles.v301.targets import TargetRecord, records_of, texts_of


class SubscriptionRequest(Wire, frozen=True, kw_only=True):
    """A subscription as a client writes it."""

    client_name: Name = field(name="clientName")
    program_id: ObjectID = field(name="programID")
    object_operations: tuple[ObjectOperation, ...] = field(name="objectOperations")
    targets: tuple[ValuesMap, ...] | None = None

    def core(self) -> tuple[v31.SubscriptionRequest, tuple[TargetRecord, ...]]:
        """Return the subscription of the core, and the records of its targets; raises Invalid for such of nothing."""
        records = records_of(self.targets)
        request = v31.SubscriptionRequest(
            client_name=self.client_name,
            program_id=self.program_id,
            object_operations=self.object_operations,
            targets=texts_of(records),
        )
        return request, records


class Subscription(SubscriptionRequest, frozen=True, kw_only=True):
    """A subscription as the VTN returns it."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")
