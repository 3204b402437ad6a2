"""Resource groups: an extension of OpenADR 3.1, in the form that two clients use (COMPAT-088)."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import field
from msgspec.structs import force_setattr

from openadr_profiles.v31.common import Instant, Name, ObjectID, Target, ValuesMap, Wire, distinct

RESOURCE_GROUP: Final = "RESOURCE_GROUP"
"""The ``objectType`` of an answer. ``ObjectType`` has the kinds of the standard only: no subscription can name it."""


class GroupChild(Wire, frozen=True, kw_only=True):
    """A member of a group: a resource or another group, by its id."""

    type: Literal["ven_resource", "resource_group"]
    id: ObjectID


class ResourceGroupRequest(Wire, frozen=True, kw_only=True):
    """A group as business logic writes it. Its name is unique; the order of ``children`` is kept.

    Clients send one of two words as ``objectType``, or none (COMPAT-029).
    """

    object_type: Literal["RESOURCE_GROUP", "BL_RESOURCE_GROUP_REQUEST"] | None = field(name="objectType", default=None)
    resource_group_name: Name = field(name="resourceGroupName")
    attributes: tuple[ValuesMap, ...] | None = None
    children: tuple[GroupChild, ...] | None = None
    targets: tuple[Target, ...] | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "targets", distinct(self.targets) or None)


class ResourceGroup(Wire, frozen=True, kw_only=True):
    """A group as the VTN returns it: a VEN gets those of its ``children`` that it may see."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")

    resource_group_name: Name = field(name="resourceGroupName")
    attributes: tuple[ValuesMap, ...] | None = None
    children: tuple[GroupChild, ...] | None = None
    targets: tuple[Target, ...] | None = None
