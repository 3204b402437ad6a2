"""Say what a report of 2.0b loses in OpenADR 3, by name (requirements 4.7)."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ReportLossKind(StrEnum):
    """Kinds of losses; counters and log lines name them."""

    REPORT_TYPE = "REPORT_TYPE"
    """OpenADR 3 has no such payload type: a private one is used."""
    READING_TYPE = "READING_TYPE"
    """OpenADR 3 has no such reading type: a private one is used."""
    UNIT = "UNIT"
    """OpenADR 3 has no such unit: a private one is used, and values are in the base unit."""
    PULSE_FACTOR = "PULSE_FACTOR"
    """What a pulse is worth is not told: values are counts."""
    MAINS = "MAINS"
    """Frequency and voltage of the mains are not told."""
    PER_VALUE_QUALITY = "PER_VALUE_QUALITY"
    """Confidence and accuracy belong to a report: the last of several is told, the others are private payloads."""
    DATA_QUALITY = "DATA_QUALITY"
    """Of 21 qualities 4 are left; the word itself is a private payload."""
    STATE = "STATE"
    """The state of a resource is one word; what was said exactly stands in private payloads."""
    SOURCES = "SOURCES"
    """A value of several sources is reported for all resources together."""
    GREEN_BUTTON = "GREEN_BUTTON"
    """Green Button documents are not kept."""


class ReportLoss(Struct, frozen=True):
    """One loss: its kind, and what exactly in words."""

    kind: ReportLossKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"
