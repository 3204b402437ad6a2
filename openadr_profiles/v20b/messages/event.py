"""Messages of the service EiEvent."""

from __future__ import annotations

from datetime import datetime

from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.messages.common import (
    EMPTY_TARGET,
    EiResponse,
    Interval,
    ItemBase,
    Part,
    Period,
    QualifiedEventID,
    Target,
)


class EventDescriptor(Part, frozen=True, kw_only=True):
    """Say which event it is, in which version and state. ``priority`` 1 is the highest, 0 the lowest (B-EVT-022).

    ``test_event`` is a text: any other than ``false`` means a test (B-EVT-021).
    """

    event_id: str
    modification_number: int
    modification_date_time: datetime | None = None
    modification_reason: str | None = None
    priority: int | None = None
    market_context: str
    created_date_time: datetime
    event_status: str
    test_event: str | None = None
    vtn_comment: str | None = None


class Signal(Part, frozen=True, kw_only=True):
    """Hold what is asked for in each interval. Its own target names device classes only (B-EVT-034)."""

    intervals: tuple[Interval, ...]
    target: Target | None = None
    signal_name: str
    signal_type: str
    signal_id: str
    item_base: ItemBase | None = None
    current_value: float | None = None


class Baseline(Part, frozen=True, kw_only=True):
    """Hold what the receiver would use without the event (B-EVT-039)."""

    start: datetime
    duration: Duration20b
    intervals: tuple[Interval, ...]
    baseline_id: str
    resource_ids: tuple[str, ...] = ()
    baseline_name: str
    item_base: ItemBase | None = None


class Event(Part, frozen=True, kw_only=True):
    """An event, and whether its VENs have to answer (``always`` or ``never``, B-EVT-020)."""

    descriptor: EventDescriptor
    active_period: Period
    signals: tuple[Signal, ...]
    baseline: Baseline | None = None
    target: Target = EMPTY_TARGET
    response_required: str = "always"


class WrittenEvent(Event, frozen=True, kw_only=True):
    """An event of which the whole element is written already, as ``text``."""

    text: str


class RequestEvent(Part, frozen=True, kw_only=True):
    """Ask for the events of a VEN, the first ``reply_limit`` of them if it is given (B-EVT-003)."""

    request_id: str
    ven_id: str
    reply_limit: int | None = None


class DistributeEvent(Part, frozen=True, kw_only=True):
    """Give a VEN all its events (B-EVT-001). ``response`` is there only if it was asked for (B-EVT-006)."""

    response: EiResponse | None = None
    request_id: str
    vtn_id: str
    events: tuple[Event, ...] = ()


class EventResponse(Part, frozen=True, kw_only=True):
    """A VEN's answer to one version of an event; ``request_id`` is that of the distribution (B-CRE-003)."""

    code: str
    description: str | None = None
    request_id: str
    qualified_event_id: QualifiedEventID
    opt_type: str


class CreatedEvent(Part, frozen=True, kw_only=True):
    """Answer events. No responses at all are right only with an error in ``response`` (B-CRE-005)."""

    response: EiResponse
    event_responses: tuple[EventResponse, ...] = ()
    ven_id: str
