"""Hold what was read from reports, as rows to be stored, and which reports are to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class ReadEnergy(NamedTuple):
    """Hold the energy of one meter over a time, in kWh; ``kind`` is ``tables.DRAWN`` or ``tables.BASELINE``."""

    resource: str
    kind: int
    starts_at_ms: int
    length_ms: int
    kwh: float
    estimated: bool


class OptWord(NamedTuple):
    """Hold the word of a resource on taking part."""

    resource: str
    opted_in: bool
    reason: str | None
    state: str
    decided_at_ms: int | None


class ShedWord(NamedTuple):
    """Hold what was asked of a resource in an interval, and what it did, in kW."""

    resource: str
    starts_at_ms: int
    interval_id: int
    ends_at_ms: int | None
    requested_kw: float | None
    baseline_kw: float | None
    demand_kw: float | None
    delivered_kw: float | None
    gross_kw: float | None
    final_kw: float | None
    state: str | None


class ReportText(NamedTuple):
    """Hold a report as it is stored: ``members`` is its JSON without braces."""

    id: str
    event_id: str
    program_id: str
    client_id: str
    changed_at: str
    members: str


@dataclass(frozen=True, slots=True)
class Said:
    """Hold all that one report says.

    ``left_out`` counts values that could not be read, ``assumed`` those without a unit. ``trouble`` says
    why the report, or something in it, could not be read.
    """

    report: ReportText
    readings: Sequence[ReadEnergy] = ()
    opts: Sequence[OptWord] = ()
    sheds: Sequence[ShedWord] = ()
    left_out: int = 0
    assumed: int = 0
    trouble: str | None = None

    @property
    def taken(self) -> int:
        """Return the number of values that were read."""
        return len(self.readings) + len(self.opts) + len(self.sheds)


@dataclass(frozen=True, slots=True)
class Queued:
    """Hold reports to be read together: the numbers of their entries in the queue, and those that are gone by now."""

    entries: Sequence[int]
    reports: Sequence[ReportText]
    gone: Sequence[str]
