"""Write a result as CSV for settlement: a line for each participant and step, energies in kWh and power in kW."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final

from openadr_profiles.performance import ParticipantPerformance, PerformanceStep

COLUMNS: Final = (
    "event_id",
    "participant",
    "start",
    "end",
    "requested_kwh",
    "baseline_kwh",
    "metered_kwh",
    "delivered_kwh",
    "shortfall_kwh",
    "delivered_kw",
    "estimated",
    "method",
    "inputs_sha256",
    "client_id",
    "resource",
)
_FORMULA: Final = frozenset("=+-@\t")


def settlement_head() -> str:
    """Return the first line."""
    return ",".join(COLUMNS) + "\n"


def settlement_lines(
    event_id: str, one: ParticipantPerformance, step: timedelta, *, method: str, inputs_sha256: str
) -> str:
    """Return the lines of one participant; what is not known is empty.

    Of names, characters that no terminal prints are replaced, and a table that reads them takes none for a formula.
    """
    text = io.StringIO()
    write = csv.writer(text, lineterminator="\n").writerow
    before = [_plain(event_id), _plain(one.participant)]
    after = [method, inputs_sha256, _plain(one.client_id), _plain(one.resource)]
    for each in one.steps:
        times = (each.start.isoformat(), (each.start + step).isoformat())
        write([*before, *times, *_figures(each), "yes" if each.estimated else "no", *after])
    return text.getvalue()


def _figures(step: PerformanceStep) -> Iterator[str]:
    figures: Iterable[float | None] = (
        step.requested_kwh,
        step.baseline_kwh,
        step.metered_kwh,
        step.delivered_kwh,
        step.shortfall_kwh,
        step.delivered_kw,
    )
    return ("" if figure is None else f"{figure:.3f}" for figure in figures)


def _plain(text: str) -> str:
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return f"'{shown}" if shown[:1] in _FORMULA else shown
