"""Translate what the words of 2.0b reports are in OpenADR 3, and back (requirements 4.5)."""

from __future__ import annotations

import re
from typing import Final

from openadr_profiles.v20b.units import PRIVATE
from openadr_profiles.v20b.vocabulary import ReadingType20b, ReportType
from openadr_profiles.v31.vocabulary import DataQuality, ReadingType, ReportPayloadType

_TYPES: Final[dict[str, str]] = {
    ReportType.READING: ReportPayloadType.READING.value,
    ReportType.USAGE: ReportPayloadType.USAGE.value,
    ReportType.DEMAND: ReportPayloadType.DEMAND.value,
    ReportType.SET_POINT: ReportPayloadType.SETPOINT.value,
    ReportType.DELTA_USAGE: ReportPayloadType.DELTA_USAGE.value,
    ReportType.BASELINE: ReportPayloadType.BASELINE.value,
    ReportType.AVG_USAGE: ReportPayloadType.USAGE.value,
    ReportType.AVG_DEMAND: ReportPayloadType.DEMAND.value,
    ReportType.UP_REGULATION_CAPACITY_AVAILABLE: ReportPayloadType.UP_REGULATION_AVAILABLE.value,
    ReportType.DOWN_REGULATION_CAPACITY_AVAILABLE: ReportPayloadType.DOWN_REGULATION_AVAILABLE.value,
    ReportType.REGULATION_SETPOINT: ReportPayloadType.REGULATION_SETPOINT.value,
    ReportType.LEVEL: ReportPayloadType.SIMPLE_LEVEL.value,
    ReportType.RESOURCE_STATUS: ReportPayloadType.OPERATING_STATE.value,
    ReportType.OPERATING_STATE: ReportPayloadType.OPERATING_STATE.value,
}
_MEANS: Final = frozenset({ReportType.AVG_USAGE, ReportType.AVG_DEMAND})
_READINGS: Final[dict[str, str]] = {
    ReadingType20b.DIRECT_READ: ReadingType.DIRECT_READ.value,
    ReadingType20b.MEAN: ReadingType.MEAN.value,
    ReadingType20b.PEAK: ReadingType.PEAK.value,
    ReadingType20b.ESTIMATED: ReadingType.ESTIMATED.value,
    ReadingType20b.SUMMED: ReadingType.SUMMED.value,
    ReadingType20b.PROJECTED: ReadingType.FORECAST.value,
}
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_GOOD: Final = "Quality Good"
_ESTIMATED: Final = ("Quality Uncertain", "Quality Bad - Last Known")
_MISSING: Final = ("No Quality", "No New Value")


def payload_type(report_type: str) -> str:
    """Return the payload type of OpenADR 3 for a report type; a private one if the standard has none."""
    return _TYPES.get(report_type) or private(report_type)


def private(word: str) -> str:
    """Return the private word for one of 2.0b: ``deltaDemand`` becomes ``OADR20B_DELTA_DEMAND``."""
    return PRIVATE + "_".join(_WORD.findall(word)).upper()


def reading_type(report_type: str, reading: str) -> str | None:
    """Return the reading type of OpenADR 3; None where it does not apply. An average is a mean, whatever is said."""
    if report_type in _MEANS:
        return ReadingType.MEAN.value
    if reading == ReadingType20b.NOT_APPLICABLE:
        return None
    return _READINGS.get(reading) or private(reading)


def data_quality(quality: str) -> str:
    """Return what a quality of 2.0b is in OpenADR 3; one of a VEN's own (``x-``) is an estimate, being unknown."""
    if quality.startswith(_GOOD):
        return DataQuality.OK.value
    if quality.startswith(_MISSING):
        return DataQuality.MISSING.value
    if quality.startswith((*_ESTIMATED, "x-")):
        return DataQuality.ESTIMATED.value
    return DataQuality.BAD.value
