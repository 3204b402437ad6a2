"""Events: requests to VENs, with their times."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field
from msgspec.structs import force_setattr

from openadr_profiles.v31.common import Instant, Interval, IntervalPeriod, ObjectID, Target, Text, Wire, distinct
from openadr_profiles.v31.descriptors import EventPayloadDescriptor, ReportDescriptor
from openadr_profiles.v31.duration import Duration


class EventRequest(Wire, frozen=True, kw_only=True):
    """An event as business logic writes it. ``priority`` 0 is the highest, absent the lowest (TIME-036)."""

    program_id: ObjectID = field(name="programID")
    event_name: Text | None = field(name="eventName", default=None)
    duration: Duration | None = None
    priority: Annotated[int, Meta(ge=0)] | None = None
    targets: tuple[Target, ...] | None = None
    report_descriptors: tuple[ReportDescriptor, ...] | None = field(name="reportDescriptors", default=None)
    payload_descriptors: tuple[EventPayloadDescriptor, ...] | None = field(name="payloadDescriptors", default=None)
    interval_period: IntervalPeriod | None = field(name="intervalPeriod", default=None)
    intervals: tuple[Interval, ...] | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "targets", distinct(self.targets) or None)


class Event(EventRequest, frozen=True, kw_only=True):
    """An event as the VTN returns it."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")
