"""Reports of a VEN on its resources, interval by interval."""

from __future__ import annotations

from msgspec import field

from openadr_profiles.v31.common import Instant, Interval, IntervalPeriod, Name, ObjectID, Text, Wire
from openadr_profiles.v31.descriptors import ReportPayloadDescriptor


class ReportResource(Wire, frozen=True, kw_only=True):
    """The values of one resource, or of several summed when the name is AGGREGATED_REPORT (RDESC-016)."""

    resource_name: Name = field(name="resourceName")
    interval_period: IntervalPeriod | None = field(name="intervalPeriod", default=None)
    intervals: tuple[Interval, ...]


class ReportRequest(Wire, frozen=True, kw_only=True):
    """A report as a VEN writes it."""

    event_id: ObjectID = field(name="eventID")
    client_name: Name = field(name="clientName")
    report_name: Text | None = field(name="reportName", default=None)
    payload_descriptors: tuple[ReportPayloadDescriptor, ...] | None = field(name="payloadDescriptors", default=None)
    resources: tuple[ReportResource, ...]


class Report(ReportRequest, frozen=True, kw_only=True):
    """A report as the VTN returns it; ``client_id`` comes from the sender's token (REPORT-002)."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")

    client_id: Name = field(name="clientID")
