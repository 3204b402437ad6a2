"""Hold what is known of events, their participants and the fleet, as pages show it.

Powers are kW and energies kWh; None is "not known" and never 0. Instants are aware.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class FunnelStep(StrEnum):
    """Name a step of the funnel, or those who did not take it; the values stand in addresses of pages."""

    TARGETED = "targeted"
    HEARD = "heard"
    NOT_HEARD = "not_heard"
    ANSWERED = "answered"
    NOT_ANSWERED = "not_answered"
    OPTED_IN = "opted_in"
    OPTED_OUT = "opted_out"
    REPORTING = "reporting"
    NOT_REPORTING = "not_reporting"
    DELIVERING = "delivering"
    NOT_DELIVERING = "not_delivering"


class ParticipantOrder(StrEnum):
    """Name an order of participants; of equals the name decides. Numbers come largest first, unknown ones last."""

    NAME = "name"
    REQUESTED = "requested_kw"
    DELIVERED = "delivered_kw"
    DELIVERED_ENERGY = "delivered_kwh"
    LAST_REPORT = "last_report"
    LAST_CONTACT = "heard_at"


class NoShedReason(StrEnum):
    """Name why a participant did not take a step of the funnel: the first step that it did not take."""

    NOT_HEARD = "not_heard"
    """Nothing was heard of its client since the event was changed."""
    NEVER_HEARD = "never_heard"
    """Nothing was ever heard of its client."""
    NOT_ANSWERED = "not_answered"
    """It was heard, and has not said whether it takes part."""
    OPTED_OUT = "opted_out"
    """It does not take part, for the reason it gave."""
    NOT_REPORTING = "not_reporting"
    """It takes part, and has not reported what it did."""
    NOT_BEGUN = "not_begun"
    """It has reported, for a time that has not begun."""
    ENDED = "ended"
    """The time of which it reported last is over, and the event is not."""
    DELIVERS_NOTHING = "delivers_nothing"
    """It reports that it delivers no reduction, or does not say."""


@dataclass(frozen=True, slots=True)
class FactsPage(Generic[T]):
    """Hold a part of a list; ``more`` says that there are others behind it."""

    items: Sequence[T]
    more: bool


@dataclass(frozen=True, slots=True)
class Funnel:
    """Hold how far an event got. ``targeted`` and ``heard`` count vens, the steps below count participants.

    A participant is a ven, or each panel behind a bridge. ``heard`` are those with a contact since the event was last
    changed, or an answer to it. Sums are over the participants that are known to have a value.
    """

    event_id: str
    event_name: str | None
    program_id: str
    state: str
    """Hold ``scheduled``, ``active``, ``completed`` or ``cancelled``."""
    starts_at: datetime
    ends_at: datetime | None
    """Hold the end as issued; None if it is open."""
    changed_at: datetime
    at: datetime
    """Hold the moment for which all this is true."""
    targeted: int
    heard: int
    participants: int
    answered: int
    opted_in: int
    opted_out: int
    reporting: int
    delivering: int
    requested_kw: float | None
    baseline_kw: float | None
    delivered_kw: float | None
    planned_kwh: float | None
    """Hold the energy that the event as issued asks of all targeted vens until now; None if it does not ask in kW."""
    requested_kwh: float | None
    delivered_kwh: float | None
    shortfall_kwh: float | None
    """Hold what was planned and not delivered; None if nothing was planned."""
    last_report: datetime | None
    """Hold when the last report about the event came; None if there was none."""


@dataclass(frozen=True, slots=True)
class ParticipantFacts:
    """Hold what is known of a ven, or of one panel behind a bridge, in an event."""

    name: str
    panel: str | None
    """Hold the name of the panel; None for a ven that speaks for itself."""
    ven_id: str
    ven_name: str
    client_id: str
    heard_at: datetime | None
    is_heard: bool
    answered: bool
    opted_in: bool | None
    reason: str | None
    """Hold what it said with its opt: always something for an opt-out; with an opt-in, what is not acted on."""
    decided_at: datetime | None
    reporting: bool
    requested_kw: float | None
    baseline_kw: float | None
    demand_kw: float | None
    delivered_kw: float | None
    requested_kwh: float | None
    delivered_kwh: float | None
    planned_kwh: float | None
    shortfall_kwh: float | None
    operating_state: str | None
    reports: int
    last_report: datetime | None
    why: NoShedReason | None
    """Hold why it delivers nothing; None if it delivers."""


@dataclass(frozen=True, slots=True)
class CircuitFacts:
    """Hold one circuit (or whatever a ven calls a resource) in the interval that is shown."""

    name: str
    resource: str
    """Hold the name in reports: for a panel behind a bridge it begins with the panel's."""
    starts_at: datetime
    ends_at: datetime | None
    requested_kw: float | None
    baseline_kw: float | None
    demand_kw: float | None
    delivered_kw: float | None
    final_kw: float | None
    state: str | None
    opted_out: str | None
    """Hold why this circuit alone does not take part, as when its owner has switched it by hand; None if it does."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """Hold the sums over an event's participants at a moment."""

    at: datetime
    requested_kw: float | None
    baseline_kw: float | None
    delivered_kw: float | None
    reporting: int
    taking_part: int


@dataclass(frozen=True, slots=True)
class EventSummary:
    """Hold the numbers of an event for a list: those of its reports, without those who said nothing."""

    event_id: str
    targeted: int
    answered: int
    opted_in: int
    opted_out: int
    reporting: int
    delivering: int
    requested_kw: float | None
    delivered_kw: float | None
    last_report: datetime | None


@dataclass(frozen=True, slots=True)
class FleetNow:
    """Hold what is known of all vens at a moment."""

    at: datetime
    vens: int
    online: int
    """Count the vens heard of lately."""
    power_kw: float | None
    """Hold the sum of the last readings that are recent enough; None if there are none."""
    metered: int
    """Count the vens in that sum."""
    read_at: datetime | None
    """Hold the end of the oldest reading in that sum."""
    sheddable_kw: float | None
    """Hold what vens say they can shed in all; None if none has said."""
    saying: int
    """Count the vens that have said what they can shed."""


def rounded(value: float | None) -> float | None:
    """Return a quantity to the watt or watt-hour; None if it is not known."""
    return None if value is None else round(value, 3)


def instant(text: str | None) -> datetime | None:
    """Return the instant of a stamp; None if it is not known."""
    return None if text is None else datetime.fromisoformat(text)
