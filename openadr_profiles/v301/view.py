"""Objects of the core as 3.0.1 shows them: texts of the store in, texts of an answer out.

The members of most objects are the same on both faces, so their text goes out as it is stored. Only what differs is
decoded: a period without a start, targets with types, attributes that have members of their own. Numbers keep their
text (GEN-017).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import Raw

from openadr_profiles import v31
from openadr_profiles.v31 import NOW, Timeline, ValuesMap, decode, encode, format_instant
from openadr_profiles.v31.common import Interval, IntervalPeriod
from openadr_profiles.v301.program import MEMBERS, has_member
from openadr_profiles.v301.targets import TargetRecord, read, shown

_PERIOD: Final = 'intervalPeriod":{'
_STARTED: Final = 'intervalPeriod":{"start":'
_TARGETS_INSIDE: Final = '"targets":["'


def program_members(members: str) -> str:
    """Return the members of a program: attributes that have a member become that (V301-010)."""
    if '"attributes":[' not in members and _all_start(members):
        return members
    program = _raw(members)
    period = program.get("intervalPeriod")
    if period is not None:
        program["intervalPeriod"] = _started(period, NOW.text)
    listed = program.pop("attributes", None)
    rest, named = [], {}
    for attribute in () if listed is None else msgspec.json.decode(listed, type=list[Raw]):
        known = decode(attribute, ValuesMap)
        member = MEMBERS.get(known.type, "")
        if has_member(known) and member not in named:
            named[member] = msgspec.json.decode(attribute, type=dict[str, Any])["values"][0]
        else:
            rest.append(attribute)
    program |= {member: Raw(encode(value)) for member, value in named.items()}
    if rest:
        program["attributes"] = Raw(encode(rest))
    return _text(program)


def event_members(members: str, records: str | None, modified_at: str, untyped: str) -> str:
    """Return the members of an event: every period has a start, and targets of report descriptors have types.

    A start that is not stored is the one that the intervals before it lead to; "now" is the moment of the last change,
    ``modified_at`` (V301-016). ``records`` are the event's, as they are stored.
    """
    if _all_start(members) and _TARGETS_INSIDE not in members:
        return members
    event = _raw(members)
    if _TARGETS_INSIDE in members and "reportDescriptors" in event:
        event["reportDescriptors"] = _with_types(event["reportDescriptors"], read(records), untyped)
    if not _all_start(members):
        whole = decode(f"{{{members}}}", v31.EventRequest)
        _start(event, whole.interval_period, whole.intervals or (), whole.duration, modified_at)
    return _text(event)


def report_members(members: str, program_id: str, modified_at: str) -> str:
    """Return the members of a report: it names its program and not its client (V301-023, V301-024)."""
    text = f'"programID":"{program_id}"{_from(members, "eventID")}'
    if _all_start(text):
        return text
    report = _raw(text)
    resources = msgspec.json.decode(report["resources"], type=list[dict[str, Raw]])
    whole = decode(f"{{{members}}}", v31.ReportRequest)
    for resource, its in zip(resources, whole.resources, strict=True):
        _start(resource, its.interval_period, its.intervals, None, modified_at)
    report["resources"] = Raw(encode(resources))
    return _text(report)


def subscription_members(members: str) -> str:
    """Return the members of a subscription, without its client."""
    return _from(members, "clientName")[1:]


def ven_members(members: str, resources: Iterable[str]) -> str:
    """Return the members of a ven, without its client and with its resources, given as whole texts (V301-028)."""
    return f'{_from(members, "venName")[1:]},"resources":[{",".join(resources)}]'


def ven_members_alone(members: str) -> str:
    """Return the members of a ven whose resources are not told."""
    return _from(members, "venName")[1:]


def resource_members(members: str) -> str:
    """Return the members of a resource, without its client."""
    return _from(members, "venID")[1:]


def _all_start(members: str) -> bool:
    """Return True if no period of an object lacks a start, which is always written first.

    A quotation mark in a text is written with a backslash, so no text looks like a member.
    """
    return members.count(_PERIOD) == members.count(_STARTED)


def _from(members: str, name: str) -> str:
    """Return the members from the comma before one of them on; the client is written before it."""
    return members[members.index(f',"{name}":') :]


def _raw(members: str) -> dict[str, Any]:
    return msgspec.json.decode(f"{{{members}}}", type=dict[str, Raw])


def _text(members: dict[str, Any]) -> str:
    return encode(members).decode()[1:-1]


def _started(period: Raw, start: str) -> Raw:
    """Return a period with a start, first, unless it has one."""
    members = msgspec.json.decode(period, type=dict[str, Raw])
    return Raw(encode(members if "start" in members else {"start": start, **members}))


def _start(
    target: dict[str, Any],
    period: IntervalPeriod | None,
    intervals: Sequence[Interval],
    duration: v31.Duration | None,
    modified_at: str,
) -> None:
    """Put starts into the period and the intervals of an event or of a resource of a report."""
    if period is not None:
        target["intervalPeriod"] = _started(target["intervalPeriod"], NOW.text)
    if all(one.interval_period is None or one.interval_period.start is not None for one in intervals):
        return
    at = datetime.fromisoformat(modified_at)
    event = v31.Event(
        program_id="-",
        interval_period=period,
        intervals=tuple(intervals),
        duration=duration,
        id="-",
        created_date_time=at,
        modification_date_time=at,
    )
    timeline = Timeline.of(event, anchor=at)
    is_now = (period is None or period.start is None or period.start.is_now) and timeline.start == at
    starts: dict[int, str] = {}
    for window in timeline.windows():
        if window.cycle:
            break
        now = is_now and window.start == at
        starts[window.interval_index] = NOW.text if now else format_instant(window.start)
    never = NOW.text if timeline.end is None else format_instant(timeline.end)
    items = msgspec.json.decode(target["intervals"], type=list[dict[str, Raw]])
    for number, item in enumerate(items):
        if "intervalPeriod" in item:
            item["intervalPeriod"] = _started(item["intervalPeriod"], starts.get(number, never))
    target["intervals"] = Raw(encode(items))


def _with_types(listed: Raw, records: Sequence[TargetRecord], untyped: str) -> Raw:
    """Return report descriptors whose targets have types.

    Those that a reader may not see are left out already. What is left of a descriptor has targets that its records
    have, and one that was left out has none of these, so the order tells which is which.
    """
    places: dict[int, list[TargetRecord]] = {}
    for record in records:
        if record.place is not None:
            places.setdefault(record.place, []).append(record)
    waiting = iter(sorted(places))
    descriptors = msgspec.json.decode(listed, type=list[dict[str, Raw]])
    for descriptor in descriptors:
        if "targets" not in descriptor:
            continue
        texts = msgspec.json.decode(descriptor["targets"], type=list[str])
        its = next((places[place] for place in waiting if any(one.text in texts for one in places[place])), [])
        descriptor["targets"] = Raw(shown(its, texts, untyped).encode())
    return Raw(encode(descriptors))
