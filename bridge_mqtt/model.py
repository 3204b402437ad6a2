"""The data that the bridge's rules work on: panels, holdings, commands, and what a panel should shed for an event."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from openadr_profiles.panel import CommandState, Dialect, Load, Op

CLOCK_STEP: Final = timedelta(hours=1)
"""A panel's message that is so much older than its last one, by its own clock, is not late: the clock was put back."""


class HoldingState(StrEnum):
    """States of a shed that was sent to a panel, as far as the bridge knows."""

    SENDING = "sending"  # the command is on its way
    HELD = "held"  # the panel said yes
    UNCERTAIN = "uncertain"  # no answer came
    UNREACHABLE = "unreachable"  # no answer came to the ping either
    SUSPECT = "suspect"  # the panel is there, but may hold it once, twice or not at all: restore before anything else
    RELEASING = "releasing"  # a restore is on its way


class EventState(StrEnum):
    """States of an event at this bridge."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    COMPLETING = "completing"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    MISSED = "missed"

    @property
    def is_final(self) -> bool:
        """Return True if the state does not change any more."""
        return self in {EventState.COMPLETED, EventState.CANCELLED, EventState.FAILED, EventState.MISSED}


class ShareBy(StrEnum):
    """The quantities that the parts of an event can be in proportion to."""

    CAPABILITY = "capability"  # what each panel can shed
    EQUAL = "equal"
    WEIGHT = "weight"  # the weight that the settings give each panel


class Asks(StrEnum):
    """The panels of an event that are asked when its request is for less than all can shed."""

    ALL = "all"
    FEWEST = "fewest"  # those that have shed least in this season


class OnGiveback(StrEnum):
    """Hold what is done when a panel has given a shed back."""

    AGAIN = "again"  # restore it and shed again
    SHARE_OUT = "share_out"  # leave it out for the rest of the window; others take over
    IGNORE = "ignore"  # only log and show it


@dataclass(frozen=True, kw_only=True)
class AddedPanel:
    """A panel that was added through the HTTP interface; ``location`` is latitude and longitude in degrees."""

    ven_id: str
    name: str
    created_at: datetime
    location: tuple[float, float] | None = None
    registration_id: str | None = None
    groups: tuple[str, ...] = ()
    enabled: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class PanelRecord:
    """A panel as it is configured and as it was last heard of."""

    ven_id: str
    name: str | None = None
    groups: frozenset[str] = frozenset()
    enabled: bool = True
    dialect: Dialect | None = None
    capability_kw: Decimal | None = None
    least_kw: Decimal = Decimal(0)
    most_kw: Decimal | None = None
    weight: Decimal = Decimal(1)
    location: tuple[float, float] | None = None  # degrees of latitude and longitude
    created_at: datetime | None = None  # when it was added through the interface; None if it was not
    last_seen_at: datetime | None = None
    sample_at: datetime | None = None  # by the panel's own clock
    sample_received_at: datetime | None = None
    message_num: int | None = None
    used_power_kw: float | None = None
    shed_power_kw: float | None = None
    baseline_power_kw: float | None = None
    event_id: str | None = None
    tells_event: bool = False
    restarted_at: datetime | None = None
    answered_at: datetime | None = None  # its last ack, by its own clock
    answer_received_at: datetime | None = None  # of the same ack; not stored
    free_since: datetime | None = None  # since when it shows no event; None if it never showed one
    loads: tuple[Load, ...] = ()
    error: str | None = None

    @property
    def sample_is_newer_than_answer(self) -> bool:
        """Return True if the latest sample was measured after the last answer, so that it reflects the command.

        By the panel's clock, which has whole seconds, and by the receipt, which stands for a time that is missing. If
        the panel's clock has gone back by ``CLOCK_STEP`` or more since the answer, the receipt alone decides.
        """
        if self.sample_at is None:
            return False
        received, answered = self.sample_received_at, self.answer_received_at
        if self.answered_at is not None and self.sample_at <= self.answered_at:
            are_known = received is not None and answered is not None
            if not are_known or self.answered_at - self.sample_at < CLOCK_STEP:
                return False
        return received is None or answered is None or received > answered


@dataclass(frozen=True, kw_only=True, slots=True)
class Holding:
    """The one shed that a panel holds, or may hold (rule C6)."""

    ven_id: str
    event_id: str
    window_start: datetime
    window_end: datetime | None
    amount_kw: Decimal
    until: datetime | None  # when the panel's own timer ends it; None while it is queued
    correlation_id: str
    state: HoldingState
    since: datetime  # of the last command about it


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A row of the outbox."""

    correlation_id: str
    ven_id: str
    op: Op
    reason: str
    state: CommandState
    queued_at: datetime
    event_id: str | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None
    amount_kw: Decimal | None = None
    sent_at: datetime | None = None
    deadline_at: datetime | None = None
    answered_at: datetime | None = None
    answered_by: str | None = None
    status: str | None = None
    error: str | None = None
    response_ms: int | None = None
    actual_kw: float | None = None
    late: bool = False
    double_shed: bool = False
    load_id: str | None = None  # of SET_LOAD: which circuit,
    enabled: bool | None = None  # and whether it is to be on
    id: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Want:
    """The shed that a panel should hold now."""

    event_id: str
    window_start: datetime
    until: datetime | None  # None: for as long as the event is there
    amount_kw: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Allocation:
    """One panel's part of a window of an event, and why it is so.

    ``delivered_kw`` is set if the panel said it does less, ``given_back_kw`` if it was seen to have undone so much of
    its shed. ``shed_kwh`` is what it had shed in the season when the window was first split.
    """

    ven_id: str
    requested_kw: Decimal
    capability_kw: Decimal
    delivered_kw: Decimal | None = None
    excluded: str | None = None
    recoveries: int = 0
    reason: str | None = None
    shed_kwh: float | None = None
    given_back_kw: Decimal | None = None
    given_back_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class WindowPlan:
    """The request of one window of an event in kW, and its split over panels. The store counts its versions."""

    event_id: str
    start: datetime
    end: datetime | None
    request: str
    request_kw: Decimal
    parts: dict[str, Allocation] = field(default_factory=dict)
    version: int = field(default=0, compare=False)
