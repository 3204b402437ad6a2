"""Resources of 3.0.1, which live below their ven."""

from __future__ import annotations

from msgspec import field

from openadr_profiles import v31
from openadr_profiles.v31.common import Instant, Name, ObjectID, ValuesMap, Wire
from openadr_profiles.v301.targets import TargetRecord, records_of, texts_of


class ResourceRequest(Wire, frozen=True, kw_only=True):
    """A resource as either role writes it; its ven is that of the path (V301-030)."""

    resource_name: Name = field(name="resourceName")
    attributes: tuple[ValuesMap, ...] | None = None
    targets: tuple[ValuesMap, ...] | None = None

    def of_ven(self, ven_id: str) -> tuple[v31.VenResourceRequest, tuple[TargetRecord, ...]]:
        """Return the resource as its VEN writes it in the core, and the records of targets, which describe it."""
        records = records_of(self.targets, descriptive=True)
        request = v31.VenResourceRequest(resource_name=self.resource_name, ven_id=ven_id, attributes=self.attributes)
        return request, records

    def of_business_logic(self, ven_id: str) -> tuple[v31.BlResourceRequest, tuple[TargetRecord, ...]]:
        """Return the resource as business logic writes it in the core, and the records of targets, which it holds."""
        records = records_of(self.targets)
        request = v31.BlResourceRequest(
            resource_name=self.resource_name, ven_id=ven_id, attributes=self.attributes, targets=texts_of(records)
        )
        return request, records


class Resource(ResourceRequest, frozen=True, kw_only=True):
    """A resource as the VTN returns it."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")
    ven_id: ObjectID = field(name="venID")
