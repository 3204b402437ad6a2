"""vens of 3.0.1: one form of request for both roles, with their resources in answers."""

from __future__ import annotations

from typing import Final

from msgspec import field

from openadr_profiles import v31
from openadr_profiles.v31.common import Instant, Name, ObjectID, ValuesMap, Wire
from openadr_profiles.v301.resource import Resource, ResourceRequest
from openadr_profiles.v301.targets import TargetRecord, records_of, texts_of

UNASSIGNED: Final = "unassigned-"
"""The beginning of the clientID of a ven that belongs to no client yet (V301-025, V301-026)."""


class VenRequest(Wire, frozen=True, kw_only=True):
    """A ven as either role writes it. ``clientID`` is an extension: business logic says whose ven it is (V301-025)."""

    ven_name: Name = field(name="venName")
    attributes: tuple[ValuesMap, ...] | None = None
    targets: tuple[ValuesMap, ...] | None = None
    resources: tuple[ResourceRequest, ...] | None = None
    client_id: Name | None = field(name="clientID", default=None)

    def of_ven(self) -> tuple[v31.VenVenRequest, tuple[TargetRecord, ...]]:
        """Return the ven as its VEN writes it in the core, and the records of targets, which describe it."""
        return v31.VenVenRequest(ven_name=self.ven_name, attributes=self.attributes), records_of(
            self.targets, descriptive=True
        )

    def of_business_logic(self) -> tuple[v31.BlVenRequest, tuple[TargetRecord, ...]]:
        """Return the ven as business logic writes it in the core, and the records of targets, which it holds.

        Without ``clientID`` the beginning of a placeholder stands for it.
        """
        records = records_of(self.targets)
        request = v31.BlVenRequest(
            client_id=self.client_id or UNASSIGNED,
            ven_name=self.ven_name,
            attributes=self.attributes,
            targets=texts_of(records),
        )
        return request, records


class Ven(Wire, frozen=True, kw_only=True):
    """A ven as the VTN returns it."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")
    ven_name: Name = field(name="venName")
    attributes: tuple[ValuesMap, ...] | None = None
    targets: tuple[ValuesMap, ...] | None = None
    resources: tuple[Resource, ...]
