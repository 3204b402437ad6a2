"""Read OpenADR events for panels: payloads become requests in kW to the watt, targets become panels."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bridge_mqtt.allocation import whole_watts
from bridge_mqtt.model import PanelRecord
from openadr_profiles.fleet.power import KINDS, PayloadNotUnderstood, PayloadReader, PowerRequest
from openadr_profiles.v31 import Event
from openadr_profiles.v31.timeline import Held, Timeline

_MOST_MERGED = 200


class Unusable(ValueError):
    """The event cannot be carried out by panels; the text says which interval and payload, and why."""


@dataclass(frozen=True)
class Asked:
    """A request and how long it lasts; ``until`` looks on through following intervals that ask the same."""

    request: PowerRequest
    start: datetime
    end: datetime | None
    until: datetime | None


def asked_at(timeline: Timeline, at: datetime, reader: PayloadReader) -> Asked | None:
    """Return the request of the event at a moment, None if none; raises Unusable for unreadable values or units."""
    held, request = _request_at(timeline, at, reader)
    if held is None or request is None:
        return None
    until = held.end
    for _ in range(_MOST_MERGED):
        if until is None:
            break
        following, same = _request_at(timeline, until, reader)
        if following is None or same != request:
            break
        until = following.end
    return Asked(request=request, start=held.start, end=held.end, until=until)


def _request_at(timeline: Timeline, at: datetime, reader: PayloadReader) -> tuple[Held | None, PowerRequest | None]:
    values = timeline.values_at(at)
    acted_on = (payload_type for payload_type in KINDS if reader.why_not(payload_type) is None)
    held = next((values[payload_type] for payload_type in acted_on if payload_type in values), None)
    if held is None:
        return None, None
    try:
        request = reader.request(held.payload_type, held.values)
    except PayloadNotUnderstood as error:
        raise Unusable(f"interval {held.window.interval_id}: {error}") from error
    return held, PowerRequest(request.kind, whole_watts(request.value))


def taking_part(
    event: Event,
    panels: Iterable[PanelRecord],
    bridge_targets: Collection[str],
    seen_by: Collection[str] | None = None,
) -> list[PanelRecord]:
    """Return the enabled panels that an event is for.

    A panel takes part if its id or one of its groups is among the targets the VTN shows us. An event without targets,
    or with only such targets as the bridge's own ven holds, is for all. Where each panel is a ven of its own, it is for
    those that see it, ``seen_by``.
    """
    enabled = [panel for panel in panels if panel.enabled]
    if seen_by is not None:
        return [panel for panel in enabled if panel.ven_id in seen_by]
    shown = set(event.targets or ())
    named = [panel for panel in enabled if panel.ven_id in shown or panel.groups & shown]
    if named or not shown:
        return named or enabled
    return enabled if shown <= set(bridge_targets) else []


def next_moment(moments: Iterable[datetime | None], after: datetime, latest: datetime) -> datetime:
    """Return the first of the moments that is still to come, at most ``latest``."""
    return min((moment for moment in (*moments, latest) if moment is not None and moment > after), default=latest)


def piece_end(now: datetime, until: datetime | None, longest: timedelta) -> datetime:
    """Return the end of the shed to send now: the end of the request, or of one piece of the longest length."""
    return now + longest if until is None else min(until, now + longest)
