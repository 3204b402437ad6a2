"""Write what a VEN of OpenADR 2.0b is told of an event: one projection, its number, the VEN's targets and the clock."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.messages import (
    EMPTY_TARGET,
    Event,
    EventDescriptor,
    Interval,
    Period,
    Signal,
    SignalPayload,
    Target,
    TransportInterface,
    WrittenEvent,
)
from openadr_profiles.v20b.projection import (
    EventStatus20b,
    Projection,
    SignalPart,
    TargetPart,
    current_value,
    parts_for,
)
from openadr_profiles.v20b.writing import KeptEvent, KeptIntervals
from vtn.lru import LruCache
from vtn.store.v20b.event_rows import IssueRow
from vtn.store.v20b.vens import Ven20b

_MEMBERS = {
    "group_id": "group_ids",
    "group_name": "group_names",
    "resource_id": "resource_ids",
    "ven_id": "ven_ids",
    "party_id": "party_ids",
    "end_device_asset": "end_device_assets",
    "meter_asset": "meter_assets",
    "pnode": "pnodes",
    "aggregated_pnode": "aggregated_pnodes",
    "service_delivery_point": "service_delivery_points",
}


_VARIANTS: Final = 2


class _Variant(NamedTuple):
    """Hold what an event is told with beside its projection and its target."""

    number: int
    modified_at: datetime | None
    status: EventStatus20b
    values: tuple[float, ...]
    device_classes: tuple[str, ...]


class ToldIssue(Struct, frozen=True):
    """One number of an issue: the projection, when it was made, and the intervals of each signal, made once for all.

    ``written`` is what VENs were told of it last, which is the same for many of them.
    """

    projection: Projection
    made_at: datetime
    intervals: tuple[KeptIntervals, ...]
    written: LruCache[_Variant, KeptEvent]

    @staticmethod
    def of(projection: Projection, made_at: datetime) -> ToldIssue:
        """Prepare a projection to be told."""
        intervals = tuple(map(_intervals, projection.signals))
        return ToldIssue(projection, made_at, intervals, LruCache(_VARIANTS))

    @property
    def count(self) -> int:
        """Return the number of intervals."""
        return sum(map(len, self.intervals))


class ToldIssues:
    """Hold what was told lately, by event, issue and number. It is never changed, so it is kept without a watch.

    ``most`` bounds the intervals of all of them, of about 1 KB each with all that is written of them.
    """

    def __init__(self, most: int = 50_000) -> None:
        self._most = most
        self._kept: LruCache[tuple[str, int, int], ToldIssue] = LruCache(10_000)
        self._intervals = 0

    def get(self, key: tuple[str, int, int]) -> ToldIssue | None:
        """Return what is kept under a key."""
        return self._kept.get(key)

    def put(self, key: tuple[str, int, int], told: ToldIssue) -> None:
        """Keep something; everything else is forgotten if there is too much."""
        if self._intervals + told.count > self._most:
            self._kept.clear()
            self._intervals = 0
        self._intervals += told.count
        self._kept.put(key, told)


def event_message(
    issue: IssueRow,
    told: ToldIssue,
    *,
    number: int,
    modified_at: datetime | None,
    status: EventStatus20b,
    now: datetime,
    held: Iterable[str],
    ven: Ven20b,
) -> WrittenEvent:
    """Return an event for one VEN (B-EVT-012, B-EVT-030, B-EVT-034, B-EVT-035)."""
    projection = told.projection
    parts = parts_for(projection.targets, held, ven.ven_id, also_named=(ven.id, ven.name))
    variant = _Variant(
        number,
        modified_at if number else None,
        status,
        tuple(current_value(part, projection.start, now, status) for part in projection.signals),
        tuple(part.value for part in parts if part.element == "end_device_asset"),
    )
    kept = told.written.get(variant)
    if kept is None:
        kept = KeptEvent(_whole(issue, told, variant))
        told.written.put(variant, kept)
    return kept.told_to(_target(parts))


def _whole(issue: IssueRow, told: ToldIssue, variant: _Variant) -> Event:
    """Return an event without a target."""
    projection, classes = told.projection, variant.device_classes
    device_class = Target(end_device_assets=classes) if classes else None
    return Event(
        descriptor=EventDescriptor(
            event_id=issue.wire_id,
            modification_number=variant.number,
            modification_date_time=variant.modified_at,
            priority=projection.priority,
            market_context=projection.market_context,
            created_date_time=told.made_at,
            event_status=variant.status.value,
            test_event="true" if projection.test_event else "false",
            vtn_comment=projection.comment,
        ),
        active_period=Period(
            start=projection.start,
            duration=Duration20b(projection.duration_s),
            start_after=Duration20b(projection.start_after_s) if projection.start_after_s else None,
            notification=_length(projection.notification_s),
            ramp_up=_length(projection.ramp_up_s),
            recovery=_length(projection.recovery_s),
        ),
        signals=tuple(
            Signal(
                intervals=intervals,
                target=device_class,
                signal_name=part.name,
                signal_type=part.type,
                signal_id=part.signal_id,
                item_base=part.item_base,
                current_value=value,
            )
            for part, intervals, value in zip(projection.signals, told.intervals, variant.values, strict=True)
        ),
        response_required=projection.response_required,
    )


def _intervals(part: SignalPart) -> KeptIntervals:
    return KeptIntervals(
        Interval(duration=Duration20b(length_s), uid=str(number), payloads=(SignalPayload(value=value),))
        for number, (length_s, value) in enumerate(zip(part.durations_s, part.values, strict=True))
    )


def _length(seconds: int | None) -> Duration20b | None:
    return None if seconds is None else Duration20b(seconds)


def _target(parts: Iterable[TargetPart]) -> Target:
    named: dict[str, tuple[str, ...]] = {}
    interfaces: list[TransportInterface] = []
    for part in parts:
        if part.element == "transport_interface":
            receipt, _, delivery = part.value.partition("/")
            interfaces.append(TransportInterface(point_of_receipt=receipt, point_of_delivery=delivery))
        elif part.element != "end_device_asset":  # device classes belong to the signals
            member = _MEMBERS[part.element]
            named[member] = (*named.get(member, ()), part.value)
    return replace(EMPTY_TARGET, transport_interfaces=tuple(interfaces), **named)
