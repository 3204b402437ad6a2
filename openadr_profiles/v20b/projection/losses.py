"""Say what of an event of OpenADR 3 a VEN of 2.0b is not told, by name, and why some cannot be told at all."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class LossKind(StrEnum):
    """Kinds of losses from OpenADR 3 to 2.0b; counters and log lines name them."""

    TYPE_OMITTED = "TYPE_OMITTED"
    """A payload type has no signal in 2.0b."""
    NOT_A_NUMBER = "NOT_A_NUMBER"
    """Texts, booleans, points and curves: a 2.0b payload is one number."""
    OUT_OF_RANGE = "OUT_OF_RANGE"
    """A value that its signal does not allow."""
    UNITS = "UNITS"
    """Units or a currency that are missing, or that 2.0b does not know."""
    PRECISION = "PRECISION"
    """More digits than a 2.0b number keeps (32 bits)."""
    RANDOMIZATION = "RANDOMIZATION"
    """A start may be moved later only, not both ways, and the same for all intervals."""
    GAP_FILLED = "GAP_FILLED"
    """A time without a value got one: intervals of 2.0b have no gaps."""
    WHOLE_SECONDS = "WHOLE_SECONDS"
    """Times were cut to whole seconds."""
    CALENDAR = "CALENDAR"
    """Months and years became the days that they are at this start."""
    HORIZON = "HORIZON"
    """Of repetitions only those of the next time are told; the rest follows."""
    NOW_FROZEN = "NOW_FROZEN"
    """A start at once became the moment at which it was asked for."""
    OPEN_VALUES = "OPEN_VALUES"
    """Of several values without an end only the first one holds."""
    INTERVAL_IDS = "INTERVAL_IDS"
    """Intervals are numbered anew."""
    EVENT_NAME = "EVENT_NAME"
    """The event's name is not told."""
    TARGET_OMITTED = "TARGET_OMITTED"
    """A target that 2.0b has no element for."""
    ATTRIBUTE = "ATTRIBUTE"
    """An attribute of the program cannot be read; the default holds."""
    SIMPLE_ADDED = "SIMPLE_ADDED"
    """A SIMPLE signal stands beside the others, which the event did not have (B-EVT-032)."""


class Loss(Struct, frozen=True):
    """One loss: its kind, and what exactly in words."""

    kind: LossKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


class NoFormKind(StrEnum):
    """Reasons why an event is not sent to VENs of 2.0b."""

    NOTHING_LEFT = "NOTHING_LEFT"
    """No payload of it can be carried."""
    NOTHING_ASKED = "NOTHING_ASKED"
    """It has no payloads, as one that asks for reports only."""
    OVERLAP = "OVERLAP"
    """Two intervals of one payload type hold at the same time."""
    GAP = "GAP"
    """A time without a value, which the program does not let us fill, or which nothing can fill."""
    LEVEL = "LEVEL"
    """A level other than 0, 1, 2 and 3 (B-EVT-029)."""
    TOO_LONG = "TOO_LONG"
    """More intervals than a message may have."""
    FAILED = "FAILED"
    """It could not be projected, which is our fault; others are told all the same."""
    TOO_OFTEN = "TOO_OFTEN"
    """It was taken away and given again so often that it gets no further eventID."""
    CANCELLED = "CANCELLED"
    """It was called off (EVT-019): VENs that have it are told so."""


class NoForm(Struct, frozen=True):
    """An event that has no form in 2.0b, and why; ``losses`` are those that led to it."""

    kind: NoFormKind
    reason: str
    losses: tuple[Loss, ...] = ()
