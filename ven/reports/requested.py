"""Build the reports that events ask for, and the names under which they are kept and sent.

`report_schedule` computes when they are due and `values` what is said of each resource. What is written here is built
once and handed to the store.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Final, Literal, TypeVar

from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    DueReport,
    Interval,
    ReportRequest,
    ReportResource,
    ValuesMap,
    Window,
    asks_about,
    format_instant,
    interval_periods,
    with_quality,
)
from openadr_profiles.v31.report_schedule import Coverage, coverage_of
from ven.panel.circuits import BranchCircuit
from ven.records import REQUESTED_REPORT
from ven.reports.queue import asked_text
from ven.reports.values import Facts, ResourceWindow, can_report, described, is_about_storage

MOST_VALUES: Final = 50_000
"""No report of ours has more intervals by resources; one that is asked for more has the latest."""

_AT_A_TIME: Final = 50
"""After so many payloads others have their turn."""

LARGE: Final = 500
"""Compute what is about more windows than this in a thread."""

Entries = Literal["all", "circuits", "total"]
"""The resources of a report: each circuit, all together, or both."""

_R = TypeVar("_R")


def report_name(event_id: str, group: Sequence[DueReport], coverage: Coverage | None = None) -> str:
    """Return the name of a report: the same whenever the same is asked of an event about the same intervals.

    The event is part of it: two events may ask the same about the same hours (RDESC-021). ``coverage`` is the group's,
    if it is known.
    """
    asked = sorted(asked_text(report.descriptor) for report in group)
    intervals = group[0].coverage if coverage is None else coverage
    covered = [f"{id_}/{format_instant(start)}/{end and format_instant(end)}" for id_, start, end in intervals]
    digest = hashlib.sha256("\n".join((event_id, *asked, *covered)).encode()).hexdigest()[:16]
    types = "+".join(report.descriptor.payload_type for report in group)
    return f"{REQUESTED_REPORT}{types}-{digest}"


async def build(
    group: Sequence[DueReport], facts: Facts, *, entries: Entries = "all"
) -> list[tuple[str, ReportRequest]]:
    """Build the reports for descriptors that are due together; return them with their names.

    ``entries`` leaves out the total, or everything else: whoever has too many circuits for one report builds it in
    parts. Nothing is built if nothing is left.

    Normally that is one. Storage is reported apart, because other resources have it. If a value is missing or estimated
    it must be marked, which the standard allows only beside a single value: then each descriptor gets a report of its
    own (RDESC-018, RDESC-020).
    """
    built: list[tuple[str, ReportRequest]] = []
    for of_storage in (False, True):
        asked = [
            each for each in group if can_report(each.descriptor) and is_about_storage(each.descriptor) is of_storage
        ]
        circuits = _asked_about(asked[0], facts, of_storage=of_storage) if asked else ()
        if not circuits:
            continue
        most = max(1, MOST_VALUES // (1 if asked[0].descriptor.aggregate else len(circuits) + 1))
        together = tuple(each.at_most(most) for each in asked)
        report = await _build_one(together, circuits, facts, entries)
        if report is not None:
            built.append(report)
            continue
        singles = [await _build_one((one,), circuits, facts, entries) for one in together]
        built += [single for single in singles if single is not None]
    return built


async def _build_one(
    group: Sequence[DueReport], circuits: tuple[BranchCircuit, ...], facts: Facts, which: Entries
) -> tuple[str, ReportRequest] | None:
    """Build one report, or return None if one of several values needs a mark, or if there is nothing to say."""
    entries: list[tuple[str, tuple[BranchCircuit, ...]]] = []
    if which != "total" and not group[0].descriptor.aggregate:
        entries = [(circuit.id, (circuit,)) for circuit in circuits]
    if which != "circuits":
        entries.append((AGGREGATED_REPORT, circuits))
    if not entries:
        return None
    windows = await _windows(group[0])
    coverage = coverage_of(windows)
    common, own = await computed(lambda: interval_periods(windows), size=len(windows))
    intervals: dict[str, list[Interval]] = {name: [] for name, _ in entries}
    made = 0
    for (interval_id, _, _), window, period in zip(coverage, windows, own, strict=True):
        for name, members in entries:
            made += len(group)
            if made >= _AT_A_TIME:
                made = 0
                await asyncio.sleep(0)
            payloads = _payloads(group, ResourceWindow(facts, members, window))
            if payloads is None:
                return None
            intervals[name].append(Interval(id=interval_id, interval_period=period, payloads=payloads))
    name = await computed(lambda: report_name(facts.event_id, group, coverage), size=len(windows))
    return name, ReportRequest(
        event_id=facts.event_id,
        client_name=facts.client_name,
        payload_descriptors=tuple(described(report.descriptor) for report in group),
        resources=tuple(
            ReportResource(resource_name=entry, interval_period=common, intervals=tuple(intervals[entry]))
            for entry, _ in entries
        ),
        report_name=name,
    )


async def computed(compute: Callable[[], _R], *, size: int) -> _R:
    """Return what something gives that takes no longer than its size; without blocking the loop if that is large."""
    return compute() if size <= LARGE else await asyncio.to_thread(compute)


async def _windows(report: DueReport) -> tuple[Window, ...]:
    found: list[Window] = []
    for place, number in enumerate(report.numbers):
        if place % LARGE == LARGE - 1:
            await asyncio.sleep(0)
        if (window := report.of.window(number)) is not None:
            found.append(window)
    return tuple(found)


def _payloads(group: Sequence[DueReport], scene: ResourceWindow) -> tuple[ValuesMap, ...] | None:
    """Return what is said of one resource in one window; None if a mark is needed and there are several values."""
    said = [scene.payload(report.descriptor) for report in group]
    if len(said) > 1:
        return None if any(quality is not None for _, quality in said) else tuple(payload for payload, _ in said)
    payload, quality = said[0]
    return (payload,) if quality is None else with_quality(payload, quality)


def _asked_about(asked: DueReport, facts: Facts, *, of_storage: bool) -> tuple[BranchCircuit, ...]:
    circuits = (each for each in facts.circuits if asks_about(asked.descriptor, facts.targets.get(each.id, ())))
    return tuple(each for each in circuits if not of_storage or each.id in facts.storages)
