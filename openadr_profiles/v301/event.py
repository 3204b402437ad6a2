"""Events of 3.0.1: always with intervals, targets with types."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from openadr_profiles import v31
from openadr_profiles.v31.common import Instant, ObjectID, Text, ValuesMap, Wire
from openadr_profiles.v31.descriptors import EventPayloadDescriptor
from openadr_profiles.v31.duration import Duration
from openadr_profiles.v301.common import Interval, IntervalPeriod
from openadr_profiles.v301.descriptors import ReportDescriptor
from openadr_profiles.v301.targets import TargetRecord, records_of, texts_of


class EventRequest(Wire, frozen=True, kw_only=True):
    """An event as business logic writes it. ``duration`` is an extension: that of the core (V301-017)."""

    program_id: ObjectID = field(name="programID")
    event_name: Text | None = field(name="eventName", default=None)
    duration: Duration | None = None
    priority: Annotated[int, Meta(ge=0)] | None = None
    targets: tuple[ValuesMap, ...] | None = None
    report_descriptors: tuple[ReportDescriptor, ...] | None = field(name="reportDescriptors", default=None)
    payload_descriptors: tuple[EventPayloadDescriptor, ...] | None = field(name="payloadDescriptors", default=None)
    interval_period: IntervalPeriod | None = field(name="intervalPeriod", default=None)
    intervals: tuple[Interval, ...]

    def core(self) -> tuple[v31.EventRequest, tuple[TargetRecord, ...]]:
        """Return the event of the core, and the records of its targets and of those of its report descriptors.

        Raises Invalid for targets that cannot be matched.
        """
        records = records_of(self.targets)
        descriptors, inside = [], list[TargetRecord]()
        place = 0
        for number, descriptor in enumerate(self.report_descriptors or ()):
            its = records_of(descriptor.targets, member=f"reportDescriptors[{number}].targets", place=place)
            place += bool(its)
            inside += its
            descriptors.append(descriptor.core(texts_of(its)))
        request = v31.EventRequest(
            program_id=self.program_id,
            event_name=self.event_name,
            duration=self.duration,
            priority=self.priority,
            targets=texts_of(records),
            report_descriptors=None if self.report_descriptors is None else tuple(descriptors),
            payload_descriptors=self.payload_descriptors,
            interval_period=self.interval_period,
            intervals=self.intervals,
        )
        return request, (*records, *inside)


class Event(EventRequest, frozen=True, kw_only=True):
    """An event as the VTN returns it."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")
