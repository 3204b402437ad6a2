"""Preview of events before they are issued: who gets what and when, warnings, and reasons to ask or to refuse.

Pure functions over OpenADR objects, for every interface that issues events (the command line, a console). Nothing here
reads or writes anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from msgspec.structs import asdict

from openadr_profiles.fleet.power import KW_PER, asked_kw, relative_units, unreadable_power
from openadr_profiles.fleet.precedence import overriding, payload_types
from openadr_profiles.fleet.recipients import Recipient, is_unseen, reached
from openadr_profiles.fleet.wording import kw_text, local_time
from openadr_profiles.v31 import Event, EventPayloadType, EventRequest, Resource, Ven
from openadr_profiles.v31.timeline import Timeline

_NOTHING: Final = Decimal(0)
_NAMED: Final = 5
_PAST: Final = timedelta(minutes=1)
TO_EVERYBODY: Final = "it goes to everybody"
"""The reason to ask that no limit takes away."""
NOBODY: Final = "nobody is reached: no VEN holds one of these targets (names of v301.name_targets are not counted)"


@dataclass(frozen=True)
class Safety:
    """Limits an event must keep (kW, days), and above how many kW in total issuing must be confirmed."""

    confirm_above_kw: Decimal = Decimal(1_000)
    max_kw_per_ven: Decimal = Decimal(10_000)
    max_total_kw: Decimal = Decimal(1_000_000)
    max_days_ahead: int = 366


@dataclass(frozen=True)
class Preview:
    """The consequences of issuing. Each member holds sentences for people; ``confirm`` and ``refused`` are reasons.

    With a reason in ``refused`` nothing may be issued; with one in ``confirm`` a person must agree first.
    """

    summary: tuple[str, ...]
    warnings: tuple[str, ...]
    confirm: tuple[str, ...]
    refused: tuple[str, ...]
    total_kw: Decimal | None
    recipients: int


def examine(
    requests: Sequence[tuple[EventRequest, Sequence[Recipient]]],
    others: Iterable[Event],
    vens: Sequence[Ven],
    resources: Sequence[Resource],
    *,
    now: datetime,
    safety: Safety,
) -> Preview:
    """Judge events before they are issued, each with its recipients, against the limits and the ``others`` there are.

    ``others`` are events of the VTN that are not over; those being replaced must not be among them.
    """
    everybody = [recipient for _, to in requests for recipient in to]
    found = [] if everybody else [NOBODY]
    found += [*_unseen(everybody, now), *_overlaps(requests, others, vens, resources, now)]
    return judge([(request, len(to)) for request, to in requests], now=now, safety=safety, warnings=found)


def judge(
    requests: Sequence[tuple[EventRequest, int]],
    *,
    now: datetime,
    safety: Safety,
    zone: tzinfo | None = None,
    warnings: Iterable[str] = (),
) -> Preview:
    """Judge events before they are issued, each with the number of its recipients, against the limits.

    ``warnings`` are added; times are told in ``zone``, default that of this machine.
    """
    preview = _Draft([], [], [], [])
    total: Decimal | None = None
    for request, count in requests:
        timeline = Timeline.of(_imagined(request, now), anchor=now)
        _examine_time(preview, timeline, now, safety, zone)
        kw, when = asked_kw(request), _when(timeline, zone)
        if kw is not None:
            total = (total or _NOTHING) + kw * count
        _examine_units(preview, request)
        _examine_power(preview, kw, count, when, safety)
        if not request.targets:
            preview.confirm.append(TO_EVERYBODY)
    recipients = sum(count for _, count in requests)
    if total is not None:
        _examine_total(preview, total, safety)
        if len(requests) > 1:
            preview.summary.append(f"{len(requests)} events, {_vens(recipients)}, {kw_text(total)} in total")
    preview.warnings.extend(warnings)
    return Preview(
        summary=tuple(dict.fromkeys(preview.summary)),
        warnings=tuple(dict.fromkeys(preview.warnings)),
        confirm=tuple(dict.fromkeys(preview.confirm)),
        refused=tuple(dict.fromkeys(preview.refused)),
        total_kw=total,
        recipients=recipients,
    )


@dataclass(frozen=True)
class _Draft:
    """A preview while it is being written."""

    summary: list[str]
    warnings: list[str]
    confirm: list[str]
    refused: list[str]


def _examine_time(preview: _Draft, timeline: Timeline, now: datetime, safety: Safety, zone: tzinfo | None) -> None:
    if (timeline.end or timeline.start) > now + timedelta(days=safety.max_days_ahead):
        preview.refused.append(f"it ends more than {safety.max_days_ahead} days ahead (max_days_ahead)")
    if timeline.cancelled:
        return
    if timeline.transpired(now):
        preview.warnings.append(f"it is over already: it ended {local_time(timeline.end or now, zone=zone)}")
        preview.confirm.append("it is over already")
    elif timeline.start < now - _PAST:
        start = local_time(timeline.start, zone=zone)
        preview.warnings.append(f"its start is in the past, {start}: what is left holds at once")


def _examine_units(preview: _Draft, request: EventRequest) -> None:
    """Refuse power that VENs cannot read or whose units are left to the program; ask about units of other things."""
    if EventPayloadType.DISPATCH_SETPOINT_RELATIVE not in payload_types(request):
        return
    units = relative_units(request)
    if units is None:
        preview.refused.append(
            "it does not say the units of its power: add a descriptor of DISPATCH_SETPOINT_RELATIVE with units KW, W "
            "or MW to payloadDescriptors"
        )
    elif units.upper() not in KW_PER:
        preview.confirm.append(f"its power is in {units}, so no limit in kW can be checked; expected KW, W or MW")
    elif problem := unreadable_power(request):
        preview.refused.append(problem)


def _examine_power(preview: _Draft, kw: Decimal | None, count: int, when: str, safety: Safety) -> None:
    if kw is None:
        preview.summary.append(f"{_vens(count)}, {when}")
        return
    preview.summary.append(f"{_vens(count)} x {kw_text(kw)} = {kw_text(kw * count)}, {when}")
    if kw > safety.max_kw_per_ven:
        most = kw_text(safety.max_kw_per_ven)
        preview.refused.append(f"{kw_text(kw)} for each VEN is above {most} (max_kw_per_ven)")


def _examine_total(preview: _Draft, total: Decimal, safety: Safety) -> None:
    if total > safety.max_total_kw:
        preview.refused.append(f"{kw_text(total)} in total is above {kw_text(safety.max_total_kw)} (max_total_kw)")
    if total > safety.confirm_above_kw:
        most = kw_text(safety.confirm_above_kw)
        preview.confirm.append(f"it asks for {kw_text(total)} in total, more than {most} (confirm_above_kw)")


def _unseen(recipients: Sequence[Recipient], now: datetime) -> list[str]:
    """Name those who may not hear of an event, because they were not heard of for more than a day."""
    known = [each for each in recipients if each.contact_known]
    never = [each.name for each in known if each.last_contact is None]
    long = [each.name for each in known if each.last_contact is not None and is_unseen(each.last_contact, now=now)]
    found = []
    for names, what in ((long, "unseen for more than a day"), (never, "never seen")):
        if names:
            few = ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
            found.append(f"{len(names):,} of {_vens(len(recipients))} {what}: {few}")
    return found


def _overlaps(
    requests: Sequence[tuple[EventRequest, Sequence[Recipient]]],
    others: Iterable[Event],
    vens: Sequence[Ven],
    resources: Sequence[Resource],
    now: datetime,
) -> list[str]:
    audiences = [(other, {ven.id for ven in reached(other.targets, vens, resources)}) for other in others]
    found: list[str] = []
    for request, to in requests:
        ids = {recipient.ven_id for recipient in to}
        shared = {other.id: len(ids & theirs) for other, theirs in audiences if ids & theirs}
        met = clashes(request, (other for other, _ in audiences if other.id in shared), now=now)
        found.extend(clash.text(shared[clash.other.id]) for clash in met)
    return found


@dataclass(frozen=True)
class Clash:
    """An event that asks for the same at the same time; the new one takes its place, or it has priority."""

    other: Event
    takes_place: bool

    def text(self, count: int) -> str:
        """Say what it means for so many VENs that both are for."""
        if self.takes_place:
            return f"it takes the place of event {_named(self.other)} for {_vens(count)}"
        return f"event {_named(self.other)} has priority over it for {_vens(count)}: it may change nothing"


def clashes(request: EventRequest, others: Iterable[Event], *, now: datetime) -> list[Clash]:
    """Return the events that ask for the same at the same time as one that is issued now, whoever they are for."""
    new = _imagined(request, now)
    found = []
    for other in others:
        if overriding(other, [new]):
            found.append(Clash(other, takes_place=True))
        elif overriding(new, [other]):
            found.append(Clash(other, takes_place=False))
    return found


def _imagined(request: EventRequest, now: datetime) -> Event:
    return Event(id="new", created_date_time=now, modification_date_time=now, **asdict(request))


def _when(timeline: Timeline, zone: tzinfo | None) -> str:
    start = local_time(timeline.start, zone=zone)
    if timeline.end is None:
        return f"from {start} without end"
    end = timeline.end.astimezone(zone)
    same_day = end.date() == timeline.start.astimezone(zone).date()
    return f"{start} to {end:%H:%M:%S}" if same_day else f"{start} to {local_time(timeline.end, zone=zone)}"


def _vens(count: int) -> str:
    return f"{count:,} VEN" + ("" if count == 1 else "s")


def _named(event: Event) -> str:
    return f"{event.event_name} ({event.id[:8]})" if event.event_name else event.id[:8]
