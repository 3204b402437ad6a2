"""OpenADR 3.1: the core model. Every other language is translated to and from these objects."""

from openadr_profiles.v31.codec import decode, encode
from openadr_profiles.v31.common import Interval, IntervalPeriod, Metadata, Point, Value, ValuesMap
from openadr_profiles.v31.descriptors import (
    EventPayloadDescriptor,
    ProgramPayloadDescriptor,
    ReportDescriptor,
    ReportPayloadDescriptor,
)
from openadr_profiles.v31.duration import FOREVER, ZERO, Duration
from openadr_profiles.v31.errors import Invalid
from openadr_profiles.v31.event import Event, EventRequest
from openadr_profiles.v31.instant import NOW, Start, format_instant, parse_instant
from openadr_profiles.v31.notifiers import (
    MqttAuthentication,
    MqttNotifier,
    Notifiers,
    NotifierTopics,
    OperationTopics,
)
from openadr_profiles.v31.packed import PACKED_FROM, PackedIntervals, decode_event
from openadr_profiles.v31.problem import Problem
from openadr_profiles.v31.program import Program, ProgramDescription, ProgramRequest
from openadr_profiles.v31.report import Report, ReportRequest, ReportResource
from openadr_profiles.v31.report_schedule import (
    DueReport,
    ReportPlan,
    Timing,
    asks_about,
    chosen_reports,
    due_reports,
    due_together,
    grouped,
    interval_periods,
    payload_descriptor,
    with_quality,
)
from openadr_profiles.v31.resource import BlResourceRequest, Resource, VenResourceRequest
from openadr_profiles.v31.resource_group import RESOURCE_GROUP, GroupChild, ResourceGroup, ResourceGroupRequest
from openadr_profiles.v31.subscription import (
    ObjectOperation,
    Subscription,
    SubscriptionRequest,
    operation_meant,
)
from openadr_profiles.v31.timeline import (
    Held,
    InForce,
    Lifespan,
    Offset,
    Timeline,
    Window,
    in_force,
    lifespan,
    random_offset,
    unshifted,
)
from openadr_profiles.v31.ven import BlVenRequest, Ven, VenVenRequest
from openadr_profiles.v31.vocabulary import (
    AGGREGATED_REPORT,
    Attribute,
    DataQuality,
    EventPayloadType,
    ObjectType,
    OperatingState,
    ReadingType,
    ReportPayloadType,
    Unit,
)

__all__ = [
    "AGGREGATED_REPORT",
    "FOREVER",
    "NOW",
    "RESOURCE_GROUP",
    "PACKED_FROM",
    "PackedIntervals",
    "decode_event",
    "ZERO",
    "Attribute",
    "BlResourceRequest",
    "BlVenRequest",
    "DataQuality",
    "DueReport",
    "Duration",
    "Event",
    "EventPayloadDescriptor",
    "EventPayloadType",
    "EventRequest",
    "GroupChild",
    "Held",
    "InForce",
    "Interval",
    "IntervalPeriod",
    "Invalid",
    "Lifespan",
    "Metadata",
    "MqttAuthentication",
    "MqttNotifier",
    "NotifierTopics",
    "Notifiers",
    "OperationTopics",
    "ObjectOperation",
    "ObjectType",
    "OperatingState",
    "Offset",
    "Point",
    "Problem",
    "Program",
    "ProgramDescription",
    "ProgramPayloadDescriptor",
    "ProgramRequest",
    "ReadingType",
    "Report",
    "ReportDescriptor",
    "ReportPayloadDescriptor",
    "ReportPayloadType",
    "ReportPlan",
    "ReportRequest",
    "ReportResource",
    "Resource",
    "ResourceGroup",
    "ResourceGroupRequest",
    "Start",
    "Subscription",
    "SubscriptionRequest",
    "Timeline",
    "Timing",
    "Unit",
    "Value",
    "ValuesMap",
    "Ven",
    "VenResourceRequest",
    "VenVenRequest",
    "Window",
    "asks_about",
    "decode",
    "chosen_reports",
    "due_reports",
    "due_together",
    "grouped",
    "encode",
    "format_instant",
    "in_force",
    "interval_periods",
    "lifespan",
    "operation_meant",
    "parse_instant",
    "payload_descriptor",
    "random_offset",
    "unshifted",
    "with_quality",
]
