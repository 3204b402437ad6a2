"""Keep values of VENs as reports of OpenADR 3, in the same store as those that came by ``POST /reports`` (4.5).

The values of a request are in one report, which is continued in another one when it has become long: none is lost, and
a value that is sent again takes the place of itself (B-RPT-013).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from msgspec import structs

from openadr_profiles.v31 import ObjectType, Report, ReportRequest, decode
from openadr_profiles.v31.common import Interval
from vtn.api.v20b.report_lookup import newest_of_name
from vtn.api.v20b.working_out import worked_out
from vtn.api.v31.render import Renderer
from vtn.errors import NotFound, Stale
from vtn.store.large import Large
from vtn.store.report import ReportStore
from vtn.store.rows import ObjectRow
from vtn.store.v20b.vens import Ven20b

MOST_INTERVALS: Final = 500
"""Intervals of one report; what comes after them is in the next one."""
_TRIES: Final = 5
_RENDERER: Final = Renderer(ObjectType.REPORT)
_RID: Final = "OADR20B_RID"


class ReportKeeping:
    """Adds values to the reports of VENs."""

    def __init__(self, reports: ReportStore) -> None:
        self._reports = reports

    async def keep(self, ven: Ven20b, given: ReportRequest, present: str | None) -> str:
        """Store values, in the report ``present`` if it has room; return the id of the report they are in.

        Raises Invalid if the VEN sees the event no more.
        """
        size = sum(len(each.intervals) for each in given.resources)
        given = await worked_out(partial(_each_once, given), size=size)
        if present is None:
            present = await newest_of_name(self._reports, ven, given.event_id, given.report_name)
        for _ in range(_TRIES):
            row = None if present is None else await self._found(ven, present)
            if row is None:
                break
            merged = await worked_out(partial(_merged_with, row, given), size=size)
            if merged is None:
                break
            try:
                await self._reports.replace(row.id, merged, by=ven.caller, check=_unchanged_since(row))
            except Stale:
                continue
            except NotFound:
                break
            return row.id
        return (await self._reports.create(given, by=ven.caller)).id

    async def _found(self, ven: Ven20b, id_: str) -> ObjectRow | None:
        try:
            row = await self._reports.get(id_, visible_to=ven.caller)
        except NotFound:
            return None
        return None if isinstance(row, Large) else row


class _unchanged_since:  # noqa: N801 (it reads as the check it is)
    """Raise Stale if a report was changed since it was read."""

    def __init__(self, row: ObjectRow) -> None:
        self._row = row

    def __call__(self, now: ObjectRow) -> None:
        if now.modified_at != self._row.modified_at:
            raise Stale("the report was changed meanwhile")


def _merged_with(row: ObjectRow, given: ReportRequest) -> ReportRequest | None:
    return _merged(decode(_RENDERER.one(row), Report), given)


def _merged(present: Report, given: ReportRequest) -> ReportRequest | None:
    """Return a report with more values; None if it would become too long, or is of something else."""
    if present.event_id != given.event_id:
        return None
    resources = {each.resource_name: each for each in present.resources}
    for resource in given.resources:
        old = resources.get(resource.resource_name)
        intervals = resource.intervals if old is None else _together(old.intervals, resource.intervals)
        if len(intervals) > MOST_INTERVALS and (old is None or len(intervals) > len(old.intervals)):
            return None  # it may not grow; values that are sent again take the place of themselves
        resources[resource.resource_name] = structs.replace(old or resource, intervals=intervals)
    described = {each.payload_type: each for each in present.payload_descriptors or ()}
    described |= {each.payload_type: each for each in given.payload_descriptors or ()}
    return structs.replace(
        given, resources=tuple(resources.values()), payload_descriptors=tuple(described.values()) or None
    )


def _each_once(given: ReportRequest) -> ReportRequest:
    """Return a report in which a value is once that the VEN has sent twice; the later one counts."""
    resources = (structs.replace(each, intervals=_together((), each.intervals)) for each in given.resources)
    return structs.replace(given, resources=tuple(resources))


def _together(old: tuple[Interval, ...], new: tuple[Interval, ...]) -> tuple[Interval, ...]:
    """Return intervals in the order of their starts; of two with the same value and start the new one counts."""
    found = {_key(each): each for each in (*old, *new)}
    ordered = sorted(found.items(), key=lambda item: item[0][0])
    return tuple(structs.replace(interval, id=number) for number, (_, interval) in enumerate(ordered))


def _key(interval: Interval) -> tuple[str, tuple[object, ...]]:
    period = interval.interval_period
    at = None if period is None or period.start is None else period.start.at
    start = "" if at is None else at.isoformat()
    return start, tuple(_names(interval))


def _names(interval: Interval) -> Iterator[object]:
    """Yield what an interval tells of: the rID of a value."""
    for payload in interval.payloads:
        if payload.type == _RID:
            yield from payload.values
