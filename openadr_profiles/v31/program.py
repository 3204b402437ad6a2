"""Programs, to which events belong."""

from __future__ import annotations

from msgspec import field
from msgspec.structs import force_setattr

from openadr_profiles.v31.common import Instant, IntervalPeriod, Name, ObjectID, Target, Uri, ValuesMap, Wire, distinct
from openadr_profiles.v31.descriptors import ProgramPayloadDescriptor


class ProgramDescription(Wire, frozen=True, kw_only=True):
    """A link to a description for people or machines (OBJ-012: absolute)."""

    url: Uri = field(name="URL")


class ProgramRequest(Wire, frozen=True, kw_only=True):
    """A program as business logic writes it. ``interval_period`` is informative only (PROG-010)."""

    program_name: Name = field(name="programName")
    interval_period: IntervalPeriod | None = field(name="intervalPeriod", default=None)
    program_descriptions: tuple[ProgramDescription, ...] | None = field(name="programDescriptions", default=None)
    payload_descriptors: tuple[ProgramPayloadDescriptor, ...] | None = field(name="payloadDescriptors", default=None)
    attributes: tuple[ValuesMap, ...] | None = None
    targets: tuple[Target, ...] | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "targets", distinct(self.targets) or None)


class Program(ProgramRequest, frozen=True, kw_only=True):
    """A program as the VTN returns it."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")
