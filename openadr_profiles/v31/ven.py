"""vens: the VTN's records of its VENs. A VEN and business logic write different members (VEN-001, VEN-002)."""

from __future__ import annotations

from msgspec import field
from msgspec.structs import force_setattr

from openadr_profiles.v31.common import Instant, Name, ObjectID, Target, ValuesMap, Wire, distinct


class VenVenRequest(Wire, frozen=True, kw_only=True, tag_field="objectType", tag="VEN_VEN_REQUEST"):
    """A ven as the VEN itself writes it: it may not set targets or clientID (VEN-007)."""

    ven_name: Name = field(name="venName")
    attributes: tuple[ValuesMap, ...] | None = None


class BlVenRequest(Wire, frozen=True, kw_only=True, tag_field="objectType", tag="BL_VEN_REQUEST"):
    """A ven as business logic writes it, with the targets it grants."""

    client_id: Name = field(name="clientID")
    ven_name: Name = field(name="venName")
    attributes: tuple[ValuesMap, ...] | None = None
    targets: tuple[Target, ...] | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "targets", distinct(self.targets) or None)


class Ven(Wire, frozen=True, kw_only=True):
    """A ven as the VTN returns it; ``object_type`` is VEN (VEN-009), other servers say other words (R-21)."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")

    client_id: Name = field(name="clientID")
    ven_name: Name = field(name="venName")
    attributes: tuple[ValuesMap, ...] | None = None
    targets: tuple[Target, ...] | None = None
