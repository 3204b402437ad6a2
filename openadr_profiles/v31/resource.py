"""Resources: the devices or loads of a ven."""

from __future__ import annotations

from msgspec import field
from msgspec.structs import force_setattr

from openadr_profiles.v31.common import Instant, Name, ObjectID, Target, ValuesMap, Wire, distinct


class VenResourceRequest(Wire, frozen=True, kw_only=True, tag_field="objectType", tag="VEN_RESOURCE_REQUEST"):
    """A resource as its VEN writes it. Without ``venID`` it belongs to the caller's own ven (COMPAT-030)."""

    resource_name: Name = field(name="resourceName")
    ven_id: ObjectID | None = field(name="venID", default=None)
    attributes: tuple[ValuesMap, ...] | None = None


class BlResourceRequest(Wire, frozen=True, kw_only=True, tag_field="objectType", tag="BL_RESOURCE_REQUEST"):
    """A resource as business logic writes it. Without ``clientID`` it takes its ven's (COMPAT-030)."""

    client_id: Name | None = field(name="clientID", default=None)
    resource_name: Name = field(name="resourceName")
    ven_id: ObjectID = field(name="venID")
    attributes: tuple[ValuesMap, ...] | None = None
    targets: tuple[Target, ...] | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "targets", distinct(self.targets) or None)


class Resource(Wire, frozen=True, kw_only=True):
    """A resource as the VTN returns it."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")

    client_id: Name = field(name="clientID")
    resource_name: Name = field(name="resourceName")
    ven_id: ObjectID = field(name="venID")
    attributes: tuple[ValuesMap, ...] | None = None
    targets: tuple[Target, ...] | None = None
