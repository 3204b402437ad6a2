"""Ask for reports, and read them."""

from typing import Any

from openadr_profiles.v31 import (
    Report,
    ReportDescriptor,
    ReportRequest,
)
from tests.ven.builders import shed_event


def values(report: Report | ReportRequest) -> dict[str, list[dict[str, Any]]]:
    """For each resource and interval what is said, by payload type."""
    return {
        resource.resource_name: [
            {payload.type: payload.values[0] for payload in interval.payloads} for interval in resource.intervals
        ]
        for resource in report.resources
    }


def asking(*descriptors: ReportDescriptor, minutes: float = 30, kw: tuple[float, ...] = (-3, 0), **members: Any) -> Any:
    return shed_event(*kw, minutes=minutes, report_descriptors=descriptors, **members)
