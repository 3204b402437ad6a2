"""Reports of 3.0.1: they name the program of their event (V301-023)."""

from __future__ import annotations

from msgspec import field

from openadr_profiles import v31
from openadr_profiles.v31.common import Instant, Name, ObjectID, Text, Wire
from openadr_profiles.v31.descriptors import ReportPayloadDescriptor
from openadr_profiles.v301.common import Interval, IntervalPeriod


class ReportResource(v31.ReportResource, frozen=True, kw_only=True):
    """The values of one resource."""

    resource_name: Name = field(name="resourceName")
    interval_period: IntervalPeriod | None = field(name="intervalPeriod", default=None)
    intervals: tuple[Interval, ...]


class ReportRequest(Wire, frozen=True, kw_only=True):
    """A report as a VEN writes it."""

    program_id: ObjectID = field(name="programID")
    event_id: ObjectID = field(name="eventID")
    client_name: Name = field(name="clientName")
    report_name: Text | None = field(name="reportName", default=None)
    payload_descriptors: tuple[ReportPayloadDescriptor, ...] | None = field(name="payloadDescriptors", default=None)
    resources: tuple[ReportResource, ...]

    def core(self) -> v31.ReportRequest:
        """Return the report of the core, which does not name the program."""
        return v31.ReportRequest(
            event_id=self.event_id,
            client_name=self.client_name,
            report_name=self.report_name,
            payload_descriptors=self.payload_descriptors,
            resources=self.resources,
        )


class Report(ReportRequest, frozen=True, kw_only=True):
    """A report as the VTN returns it."""

    id: ObjectID
    created_date_time: Instant = field(name="createdDateTime")
    modification_date_time: Instant = field(name="modificationDateTime")
    object_type: str = field(name="objectType", default="")
