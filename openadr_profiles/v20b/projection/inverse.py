"""An event of 2.0b as one of OpenADR 3: signals become payloads, with one interval for each change of any (4.2)."""

from __future__ import annotations

from bisect import bisect_right
from datetime import timedelta
from itertools import accumulate
from typing import Final

from openadr_profiles.v20b.projection.losses import Loss, LossKind
from openadr_profiles.v20b.projection.projection import Projection, SignalPart
from openadr_profiles.v20b.projection.signals import payload_type_of
from openadr_profiles.v20b.projection.units import units_of
from openadr_profiles.v31 import (
    FOREVER,
    Duration,
    EventPayloadDescriptor,
    EventRequest,
    Interval,
    IntervalPeriod,
    Start,
    Unit,
    ValuesMap,
)


def to_core(projection: Projection, program_id: str) -> tuple[EventRequest, tuple[Loss, ...]]:
    """Return the event of OpenADR 3 that an event of 2.0b is, and what of it has no place there."""
    losses = []
    signals: dict[str, SignalPart] = {}
    for part in projection.signals:
        type_ = payload_type_of(part.name, part.type)
        if type_ is None or type_ in signals:
            losses.append(Loss(LossKind.TYPE_OMITTED, f"signal {part.signal_id} of type {part.type}"))
        else:
            signals[type_] = part
    edges = {type_: tuple(accumulate(part.durations_s)) for type_, part in signals.items()}
    total_s = projection.duration_s
    cuts = sorted({0, *(edge for each in edges.values() for edge in each if edge < total_s or not total_s)})
    if not total_s:
        cuts = [cut for cut in cuts if cut == 0 or any(cut in each[:-1] for each in edges.values())]
    ends: list[int | None] = [*cuts[1:], total_s or None]
    intervals = tuple(
        Interval(
            id=number,
            interval_period=IntervalPeriod(
                start=Start.of(projection.start + timedelta(seconds=begin)),
                duration=FOREVER if end is None else Duration.of(timedelta(seconds=end - begin)),
            ),
            payloads=tuple(
                ValuesMap(type=type_, values=(_value_at(part, edges[type_], begin),)) for type_, part in signals.items()
            ),
        )
        for number, (begin, end) in enumerate(zip(cuts, ends, strict=True))
    )
    event = EventRequest(
        program_id=program_id,
        event_name=projection.comment,
        priority=projection.priority - 1 if projection.priority else None,
        targets=projection.targets or None,
        payload_descriptors=tuple(_descriptor(type_, part) for type_, part in signals.items()) or None,
        interval_period=IntervalPeriod(
            start=Start.of(projection.start),
            randomize_start=Duration.of(timedelta(seconds=projection.start_after_s))
            if projection.start_after_s
            else None,
        ),
        intervals=intervals,
    )
    for what, stated in (
        ("x-eiNotification", projection.notification_s),
        ("x-eiRampUp", projection.ramp_up_s),
        ("x-eiRecovery", projection.recovery_s),
        ("testEvent", projection.test_event or None),
    ):
        if stated is not None:
            losses.append(Loss(LossKind.ATTRIBUTE, f"{what} belongs to the program"))
    return event, tuple(losses)


def _value_at(part: SignalPart, edges: tuple[int, ...], at_s: int) -> float:
    """Return the value of the interval that a second lies in; the last one may be open."""
    return part.values[min(bisect_right(edges[:-1], at_s), len(part.values) - 1)]


def _descriptor(type_: str, part: SignalPart) -> EventPayloadDescriptor:
    if part.item_base is None:
        units = _PERCENT.get(type_)
        return EventPayloadDescriptor(payload_type=type_, units=units)
    units, currency = units_of(part.item_base)
    return EventPayloadDescriptor(payload_type=type_, units=units, currency=currency)


_PERCENT: Final = {
    "CHARGE_STATE_SETPOINT": Unit.PERCENT.value,
    "CONTROL_LEVEL_OFFSET_PERCENT": Unit.PERCENT.value,
    "OADR20B_LOAD_CONTROL_CAPACITY": Unit.PERCENT.value,
}
