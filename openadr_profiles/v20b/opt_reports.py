"""Write what VENs of OpenADR 2.0b say about taking part, as a report on the event: OpenADR 3 has no opt (4.6).

The report has the name that opt reports of this project have, so that whoever reads those counts a VEN of 2.0b as one
more participant. A resource has one interval for each change, at the time it was received. The last state stands as
``OPT`` in the last interval (``openadr_profiles.fleet.reports``); beside it are the words of 2.0b:

============================  ====  =================================================================================
OADR20B_OPT_TYPE              text  optIn, optOut, rejected (an error code), noResponse, cancelConfirmed, cannotCancel
OADR20B_MODIFICATION_NUMBER   int   of the event that was answered
OADR20B_OPT_REASON            text  of EiOpt, or the description of an error
OADR20B_OPT_ID                text  of EiOpt
OADR20B_RESPONSE_CODE         text  of an answer
============================  ====  =================================================================================

An availability schedule is said in the same words, on the event that carries what belongs to no event: its intervals
are the times of availability.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from openadr_profiles.fleet.reports import OPT, OPT_IN, OPT_OUT, opt_report_name
from openadr_profiles.v31 import (
    AGGREGATED_REPORT,
    ZERO,
    Duration,
    Interval,
    IntervalPeriod,
    ReportPayloadDescriptor,
    ReportRequest,
    ReportResource,
    Start,
    Value,
    ValuesMap,
)

_PREFIX: Final = "OADR20B_"
_LONGEST: Final = 1000


class OptType(StrEnum):
    """Name what a VEN said, or did not say, about an event."""

    IN = "optIn"
    OUT = "optOut"
    REJECTED = "rejected"
    NO_RESPONSE = "noResponse"
    CANCEL_CONFIRMED = "cancelConfirmed"
    CANNOT_CANCEL = "cannotCancel"


_DECIDES: Final = frozenset({OptType.IN, OptType.OUT, OptType.REJECTED})


class Said(Struct, frozen=True, kw_only=True):
    """One thing that a VEN said. ``resources`` is empty for all of it; ``cancelled_at`` None: it holds.

    ``windows`` are the times of a schedule, as starts and lengths in seconds.
    """

    at: datetime
    opt_type: str
    number: int | None = None
    reason: str | None = None
    opt_id: str | None = None
    code: str | None = None
    resources: tuple[str, ...] = ()
    cancelled_at: datetime | None = None
    windows: tuple[tuple[datetime, int], ...] = ()


def in_force(said: Iterable[Said], resource: str = AGGREGATED_REPORT) -> Said | None:
    """Return what holds for a resource, or for all: the last opt that was not taken back (B-CRE-002, B-OPT-008)."""
    found = None
    for each in said:
        if each.cancelled_at is None and each.opt_type in _DECIDES and resource in _resources(each):
            found = each
    return found


def opt_report_20b(event_id: str, client_name: str, said: Sequence[Said]) -> ReportRequest:
    """Return the report on an event, from everything that was said about it in its order."""
    names = dict.fromkeys(name for each in said for name in _resources(each))
    resources = []
    for name in names:
        changes = _changes([each for each in said if name in _resources(each)], name)
        resources.append(
            ReportResource(
                resource_name=name,
                intervals=tuple(
                    Interval(
                        id=number,
                        interval_period=IntervalPeriod(start=Start.of(at), duration=ZERO),
                        payloads=_payloads(each, with_opt=number == len(changes) - 1, name=name, said=said),
                    )
                    for number, (at, each) in enumerate(changes)
                ),
            )
        )
    return ReportRequest(
        event_id=event_id,
        client_name=client_name,
        report_name=opt_report_name(event_id),
        payload_descriptors=_DESCRIPTORS,
        resources=tuple(resources),
    )


def schedule_report(event_id: str, client_name: str, said: Sequence[Said]) -> ReportRequest:
    """Return the report of a VEN's availability, on the event that carries it, without what was taken back."""
    resources: dict[str, list[Interval]] = {}
    for each in said:
        if each.cancelled_at is not None:
            continue
        for name in _resources(each):
            intervals = resources.setdefault(name, [])
            for start, length_s in each.windows:
                period = IntervalPeriod(start=Start.of(start), duration=Duration.of(timedelta(seconds=length_s)))
                intervals.append(Interval(id=len(intervals), interval_period=period, payloads=_words(each)))
    return ReportRequest(
        event_id=event_id,
        client_name=client_name,
        report_name=f"{_PREFIX}OPT",
        payload_descriptors=_DESCRIPTORS[1:],
        resources=tuple(ReportResource(resource_name=name, intervals=tuple(each)) for name, each in resources.items()),
    )


def _changes(said: Sequence[Said], name: str) -> list[tuple[datetime, Said]]:
    """Return each state with the time at which it began: what was said, and what held again when it was taken back."""
    found = [(each.at, each) for each in said]
    for each in said:
        taken_back = each.cancelled_at
        if taken_back is not None:
            then = (_as_of(other, taken_back) for other in said if other.at <= taken_back)
            held = in_force(then, name)
            if held is not None:
                found.append((taken_back, held))
    return sorted(found, key=lambda change: change[0])


def _as_of(said: Said, at: datetime) -> Said:
    """Return something that was said as it held at a moment."""
    if said.cancelled_at is not None and said.cancelled_at > at:
        return replace(said, cancelled_at=None)
    return said


def _resources(said: Said) -> tuple[str, ...]:
    return said.resources or (AGGREGATED_REPORT,)


def _payloads(each: Said, *, with_opt: bool, name: str, said: Sequence[Said]) -> tuple[ValuesMap, ...]:
    words = _words(each)
    held = in_force(said, name) if with_opt else None
    if held is None:
        return words
    values: tuple[Value, ...] = (OPT_IN,) if held.opt_type == OptType.IN else (OPT_OUT, _why(held))
    return (ValuesMap(type=OPT, values=values), *words)


def _why(said: Said) -> str:
    if said.opt_type == OptType.REJECTED:
        return f"refused with {said.code}" + (f": {said.reason}" if said.reason else "")
    return said.reason or "no reason given"


def _words(said: Said) -> tuple[ValuesMap, ...]:
    stated: tuple[tuple[str, Value | None], ...] = (
        ("OPT_TYPE", said.opt_type),
        ("MODIFICATION_NUMBER", said.number),
        ("OPT_REASON", said.reason[:_LONGEST] if said.reason else None),
        ("OPT_ID", said.opt_id),
        ("RESPONSE_CODE", said.code),
    )
    return tuple(ValuesMap(type=f"{_PREFIX}{name}", values=(value,)) for name, value in stated if value is not None)


_DESCRIPTORS: Final = (
    ReportPayloadDescriptor(payload_type=OPT),
    *(
        ReportPayloadDescriptor(payload_type=f"{_PREFIX}{name}")
        for name in ("OPT_TYPE", "MODIFICATION_NUMBER", "OPT_REASON", "OPT_ID", "RESPONSE_CODE")
    ),
)
