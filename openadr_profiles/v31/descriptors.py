"""Payload and report descriptors: the context of values, and the request for a report."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Meta, field
from msgspec.structs import force_setattr

from openadr_profiles.v31.common import Int32, Name, Target, Text, Wire
from openadr_profiles.v31.vocabulary import ReportPayloadType

EVENT_PAYLOAD_DESCRIPTOR: Final = "EVENT_PAYLOAD_DESCRIPTOR"
REPORT_PAYLOAD_DESCRIPTOR: Final = "REPORT_PAYLOAD_DESCRIPTOR"

_REPORT_TYPES: Final = frozenset(ReportPayloadType)


class EventPayloadDescriptor(Wire, frozen=True, kw_only=True):
    """Units and currency of a payload type in an event. A missing ``objectType`` is added (R-30, COMPAT-053)."""

    object_type: Literal["EVENT_PAYLOAD_DESCRIPTOR"] | None = field(name="objectType", default=None)
    payload_type: Name = field(name="payloadType")
    units: Name | None = None
    currency: Text | None = None

    def __post_init__(self) -> None:
        if self.object_type is None:
            force_setattr(self, "object_type", EVENT_PAYLOAD_DESCRIPTOR)


class ReportPayloadDescriptor(Wire, frozen=True, kw_only=True):
    """Units, reading type and quality of a payload type in a report. A missing ``objectType`` is added (R-30)."""

    object_type: Literal["REPORT_PAYLOAD_DESCRIPTOR"] | None = field(name="objectType", default=None)
    payload_type: Name = field(name="payloadType")
    reading_type: Name | None = field(name="readingType", default=None)
    units: Name | None = None
    accuracy: int | float | None = None
    confidence: Annotated[int, Meta(ge=0, le=100)] | None = None

    def __post_init__(self) -> None:
        if self.object_type is None:
            force_setattr(self, "object_type", REPORT_PAYLOAD_DESCRIPTOR)


class ProgramPayloadDescriptor(Wire, frozen=True, kw_only=True):
    """A descriptor in a program's list, which mixes both kinds and keeps their order (PROG-007).

    A missing ``objectType`` is added: a report's if a member or the payload type belongs to reports, else an
    event's (R-30).
    """

    object_type: Literal["EVENT_PAYLOAD_DESCRIPTOR", "REPORT_PAYLOAD_DESCRIPTOR"] | None = field(
        name="objectType", default=None
    )
    payload_type: Name = field(name="payloadType")
    units: Name | None = None
    currency: Text | None = None
    reading_type: Name | None = field(name="readingType", default=None)
    accuracy: int | float | None = None
    confidence: Annotated[int, Meta(ge=0, le=100)] | None = None

    def __post_init__(self) -> None:
        if self.object_type is None:
            of_report = (
                self.reading_type is not None
                or self.accuracy is not None
                or self.confidence is not None
                or self.payload_type in _REPORT_TYPES
            )
            force_setattr(self, "object_type", REPORT_PAYLOAD_DESCRIPTOR if of_report else EVENT_PAYLOAD_DESCRIPTOR)


class ReportDescriptor(Wire, frozen=True, kw_only=True):
    """A request for reports (RDESC-001). Members keep what was sent; ``report_schedule`` reads them."""

    payload_type: Name = field(name="payloadType")
    reading_type: Name | None = field(name="readingType", default=None)
    units: Name | None = None
    targets: tuple[Target, ...] | None = None
    aggregate: bool | None = None
    start_interval: Int32 | None = field(name="startInterval", default=None)
    num_intervals: Int32 | None = field(name="numIntervals", default=None)
    historical: bool | None = None
    frequency: Int32 | None = None
    repeat: Int32 | None = None
    report_intervals: Literal["INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"] | None = field(
        name="reportIntervals", default=None
    )
