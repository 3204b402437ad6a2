"""Report descriptors of 3.0.1: their targets have types."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from openadr_profiles import v31
from openadr_profiles.v31.common import Int32, Name, ValuesMap, Wire


class ReportDescriptor(Wire, frozen=True, kw_only=True):
    """A request for reports. ``reportIntervals`` is an extension: that of the core (V301-017)."""

    payload_type: Name = field(name="payloadType")
    reading_type: Name | None = field(name="readingType", default=None)
    units: Name | None = None
    targets: tuple[ValuesMap, ...] | None = None
    aggregate: bool | None = None
    start_interval: Int32 | None = field(name="startInterval", default=None)
    num_intervals: Int32 | None = field(name="numIntervals", default=None)
    historical: bool | None = None
    frequency: Int32 | None = None
    repeat: Int32 | None = None
    report_intervals: Literal["INTERVALS", "SUB_INTERVALS", "OPEN_INTERVALS"] | None = field(
        name="reportIntervals", default=None
    )

    def core(self, targets: tuple[str, ...]) -> v31.ReportDescriptor:
        """Return the descriptor of the core, with these targets."""
        return v31.ReportDescriptor(
            payload_type=self.payload_type,
            reading_type=self.reading_type,
            units=self.units,
            targets=targets or None,
            aggregate=self.aggregate,
            start_interval=self.start_interval,
            num_intervals=self.num_intervals,
            historical=self.historical,
            frequency=self.frequency,
            repeat=self.repeat,
            report_intervals=self.report_intervals,
        )
