"""OpenADR 3.0.1: the objects as clients of that version write and read them, and how they become those of the core."""

from openadr_profiles.v301.common import UNTYPED, VERSION, Interval, IntervalPeriod, Start
from openadr_profiles.v301.descriptors import ReportDescriptor
from openadr_profiles.v301.event import Event, EventRequest
from openadr_profiles.v301.program import Program, ProgramRequest
from openadr_profiles.v301.report import Report, ReportRequest, ReportResource
from openadr_profiles.v301.resource import Resource, ResourceRequest
from openadr_profiles.v301.subscription import Subscription, SubscriptionRequest
from openadr_profiles.v301.targets import TargetRecord
from openadr_profiles.v301.ven import UNASSIGNED, Ven, VenRequest

__all__ = [
    "UNASSIGNED",
    "UNTYPED",
    "VERSION",
    "Event",
    "EventRequest",
    "Interval",
    "IntervalPeriod",
    "Program",
    "ProgramRequest",
    "Report",
    "ReportDescriptor",
    "ReportRequest",
    "ReportResource",
    "Resource",
    "ResourceRequest",
    "Start",
    "Subscription",
    "SubscriptionRequest",
    "TargetRecord",
    "Ven",
    "VenRequest",
]
