"""The words of the standard."""

from __future__ import annotations

from enum import StrEnum

import pytest

from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    Attribute,
    DataQuality,
    EventPayloadType,
    ObjectType,
    OperatingState,
    ReadingType,
    ReportPayloadType,
    Unit,
    VenResourceRequest,
    decode,
)


@pytest.mark.parametrize(
    ("words", "count", "some"),
    [
        (EventPayloadType, 38, ["SIMPLE", "PRICE_ALTERNATE", "IMPORT_CAPACITY_AVAILABLE_PRICE", "CTA2045_REBOOT"]),
        (ReportPayloadType, 24, ["READING", "DELTA_USAGE", "LOAD_SHED_DELTA_AVAILABLE", "EXPORT_RESERVATION_FEE"]),
        (ReadingType, 7, ["DIRECT_READ", "ESTIMATED", "SUMMED", "MEAN", "PEAK", "FORECAST", "AVERAGE"]),
        (OperatingState, 11, ["NORMAL", "SGD_ERROR_CONDITION", "RUNNING_OPTED_OUT", "IDLE_CURTAILED"]),
        (DataQuality, 4, ["OK", "MISSING", "ESTIMATED", "BAD"]),
        (Unit, 13, ["KWH", "KW", "THERMS", "GHG", "PERCENT", "KVARH", "FAHRENHEIT", "VOLTS"]),
        (Attribute, 13, ["LOCATION", "AREA", "MAX_POWER_CONSUMPTION", "PROGRAM_LONG_NAME", "LOCAL"]),
        (ObjectType, 6, ["PROGRAM", "EVENT", "REPORT", "SUBSCRIPTION", "VEN", "RESOURCE"]),
    ],
)
def test_vocabulary_is_complete(words: type[StrEnum], count: int, some: list[str]) -> None:
    """ENUM-001, ENUM-002, ENUM-003, ENUM-004, ENUM-005, ENUM-007, ENUM-010, ENUM-014, ENUM-016."""
    assert len(words) == count
    assert set(some) <= set(words)


def test_import_and_export_each_have_the_six_capacity_words() -> None:
    """ENUM-001."""
    kinds = ["SUBSCRIPTION", "RESERVATION", "RESERVATION_FEE", "AVAILABLE", "AVAILABLE_PRICE", "LIMIT"]

    for direction in ("IMPORT", "EXPORT"):
        assert {f"{direction}_CAPACITY_{kind}" for kind in kinds} <= set(EventPayloadType)


@pytest.mark.parametrize(
    ("words", "stray"),
    [
        (ReadingType, "NORMAL"),
        (ReadingType, "ERROR"),
        (OperatingState, "AGGREGATED_REPORT"),
        (Unit, "VOLTAGE"),
        (Unit, "PERCENTAGE"),
        (EventPayloadType, "CAPACITY_SUBSCRIPTION"),
        (EventPayloadType, "CAPACITY_AVAILABLE_FEE"),
        (EventPayloadType, "IMPORT_CAPACITY_AVAILABLE_FEE"),
    ],
)
def test_strays_of_the_documents_are_not_words(words: type[StrEnum], stray: str) -> None:
    """ENUM-003, ENUM-004, ENUM-008, ENUM-015: they pass as private strings."""
    assert stray not in set(words)


def test_name_of_an_aggregated_report_is_reserved() -> None:
    """ENUM-006."""
    assert AGGREGATED_REPORT == "AGGREGATED_REPORT"
    resource = decode('{"resourceName":"AGGREGATED_REPORT","venID":"v"}', VenResourceRequest)
    assert resource.resource_name == AGGREGATED_REPORT, "a resource may have it; the server warns"


@pytest.mark.parametrize(
    "words",
    [EventPayloadType, ReportPayloadType, ReadingType, OperatingState, DataQuality, Unit, Attribute, ObjectType],
)
def test_words_are_written_as_the_standard_spells_them(words: type[StrEnum]) -> None:
    """ENUM-017: a word is its text, so any other text is as good a value."""
    assert all(word == word.name for word in words)
