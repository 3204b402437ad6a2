"""Read OpenADR events for panels: payloads become requests in kW, targets become panels."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from bridge_mqtt.allocation import whole_watts
from bridge_mqtt.model import PanelRecord
from openadr_profiles.v31 import Event, EventPayloadType, Unit
from openadr_profiles.v31.timeline import Held, Timeline

_MOST_MERGED = 200


class Ask(StrEnum):
    """The three ways an event can ask panels to use less."""

    SHED = "shed"  # kW less, together
    LIMIT = "limit"  # at most so many kW, together
    LEVEL = "level"  # a step from 0 to 3


_TYPES = {
    EventPayloadType.DISPATCH_SETPOINT_RELATIVE.value: Ask.SHED,
    EventPayloadType.IMPORT_CAPACITY_LIMIT.value: Ask.LIMIT,
    EventPayloadType.SIMPLE.value: Ask.LEVEL,
}


class Unusable(ValueError):
    """The event cannot be carried out by panels; the text says which member and why."""


@dataclass(frozen=True)
class Request:
    """A request and its value: kW for SHED and LIMIT, the level (0 to 3) for LEVEL."""

    ask: Ask
    value: Decimal

    def __str__(self) -> str:
        return f"{self.ask} {self.value.normalize():f}"


@dataclass(frozen=True)
class Asked:
    """A request and how long it lasts; ``until`` looks on through following intervals that ask the same."""

    request: Request
    start: datetime
    end: datetime | None
    until: datetime | None


@dataclass(frozen=True)
class Signs:
    """The sign of DISPATCH_SETPOINT_RELATIVE that means "use less", by program; negative by default."""

    positive_sheds: frozenset[str] = frozenset()

    def shed_kw(self, program_id: str, value: Decimal) -> Decimal:
        """The reduction in kW that the value asks for; 0 if it asks for more use."""
        return max(Decimal(0), value if program_id in self.positive_sheds else -value)


def asked_at(timeline: Timeline, at: datetime, signs: Signs) -> Asked | None:
    """Return the request of the event at a moment, None if none; raises Unusable for unreadable values or units."""
    held, request = _request_at(timeline, at, signs)
    if held is None or request is None:
        return None
    until = held.end
    for _ in range(_MOST_MERGED):
        if until is None:
            break
        following, same = _request_at(timeline, until, signs)
        if following is None or same != request:
            break
        until = following.end
    return Asked(request=request, start=held.start, end=held.end, until=until)


def _request_at(timeline: Timeline, at: datetime, signs: Signs) -> tuple[Held | None, Request | None]:
    values = timeline.values_at(at)
    for payload_type, ask in _TYPES.items():
        held = values.get(payload_type)
        if held is not None and held.values:
            return held, _request(timeline.event, held, ask, signs)
    return None, None


def _request(event: Event, held: Held, ask: Ask, signs: Signs) -> Request:
    value = held.values[0]
    where = f"{held.payload_type} in interval {held.window.interval_id}"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unusable(f"{where}: {value!r} is not a number")
    if ask is Ask.LEVEL:
        if value not in {0, 1, 2, 3}:
            raise Unusable(f"{where}: {value!r} is not a level from 0 to 3")
        return Request(ask, Decimal(int(value)))
    units = next((d.units for d in event.payload_descriptors or () if d.payload_type == held.payload_type), None)
    if units not in {None, Unit.KW.value}:
        raise Unusable(f"{where}: units {units!r} cannot be shed by panels; expected KW")
    kw = whole_watts(value)
    return Request(ask, signs.shed_kw(event.program_id, kw) if ask is Ask.SHED else max(Decimal(0), kw))


def request_kw(
    request: Request,
    capability_kw: Mapping[str, Decimal],
    baseline_kw: Mapping[str, Decimal],
    level_shares: Sequence[Decimal],
) -> Decimal:
    """The reduction in kW that a request means for these panels together."""
    match request.ask:
        case Ask.SHED:
            return request.value
        case Ask.LIMIT:
            return max(Decimal(0), whole_watts(sum(baseline_kw.values(), Decimal(0)) - request.value))
        case Ask.LEVEL:
            return whole_watts(sum(capability_kw.values(), Decimal(0)) * level_shares[int(request.value)])


def taking_part(event: Event, panels: Iterable[PanelRecord], bridge_targets: Collection[str]) -> list[PanelRecord]:
    """The enabled panels that an event is for.

    A panel takes part if its id or one of its groups is among the targets the VTN shows us. An event without targets,
    or with only such targets as the bridge's own ven holds, is for all.
    """
    enabled = [panel for panel in panels if panel.enabled]
    shown = set(event.targets or ())
    named = [panel for panel in enabled if panel.ven_id in shown or panel.groups & shown]
    if named or not shown:
        return named or enabled
    return enabled if shown <= set(bridge_targets) else []


def precedence(event: Event) -> tuple[bool, int, float, str]:
    """Return a sort key that puts the event a panel follows first (TIME-036): lowest number, then modified last."""
    moment = event.modification_date_time.timestamp()
    return (event.priority is None, event.priority or 0, -moment, event.id)


def next_moment(moments: Iterable[datetime | None], after: datetime, latest: datetime) -> datetime:
    """The first of the moments that is still to come, at most ``latest``."""
    return min((moment for moment in (*moments, latest) if moment is not None and moment > after), default=latest)


def piece_end(now: datetime, until: datetime | None, longest: timedelta) -> datetime:
    """Return the end of the shed to send now: the end of the request, or of one piece of the longest length."""
    return now + longest if until is None else min(until, now + longest)
