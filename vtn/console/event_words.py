"""Put into words the steps of the funnel, why a participant delivers nothing, and cells of files. No I/O."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from openadr_pages.filters import shown
from openadr_profiles.fleet.asking import outline
from openadr_profiles.fleet.power import asked_kw
from openadr_profiles.fleet.wording import ago
from vtn.store.console.events import EventPhase, ListedEvent
from vtn.store.facts.results import CircuitFacts, Funnel, FunnelStep, NoShedReason, ParticipantFacts

STATE_KINDS: Final = {
    EventPhase.SCHEDULED: "busy",
    EventPhase.ACTIVE: "good",
    EventPhase.COMPLETED: "plain",
    EventPhase.CANCELLED: "bad",
}
"""The kind of badge for each state of an event."""

_REASONS: Final = {
    NoShedReason.NEVER_HEARD: "never heard of; was it started with its credential?",
    NoShedReason.NOT_ANSWERED: "heard, but has not said whether it takes part",
    NoShedReason.NOT_REPORTING: "takes part, but has not reported what it does",
    NoShedReason.NOT_BEGUN: "has reported for a time that has not begun",
    NoShedReason.ENDED: "has ended what it did, before the end of the event",
    NoShedReason.DELIVERS_NOTHING: "reports no reduction",
}
_STEPS: Final = (
    ("Targeted", FunnelStep.TARGETED, None),
    ("Heard of it", FunnelStep.HEARD, FunnelStep.NOT_HEARD),
    ("Answered", FunnelStep.ANSWERED, FunnelStep.NOT_ANSWERED),
    ("Opted in", FunnelStep.OPTED_IN, FunnelStep.OPTED_OUT),
    ("Reporting", FunnelStep.REPORTING, FunnelStep.NOT_REPORTING),
    ("Delivering", FunnelStep.DELIVERING, FunnelStep.NOT_DELIVERING),
)
STEP_WORDS: Final = {
    FunnelStep.TARGETED: "all participants",
    FunnelStep.HEARD: "heard of it since it was last changed",
    FunnelStep.NOT_HEARD: "not heard of since it was last changed",
    FunnelStep.ANSWERED: "answered",
    FunnelStep.NOT_ANSWERED: "not answered",
    FunnelStep.OPTED_IN: "opted in",
    FunnelStep.OPTED_OUT: "opted out",
    FunnelStep.REPORTING: "reporting what they do",
    FunnelStep.NOT_REPORTING: "not reporting",
    FunnelStep.DELIVERING: "delivering",
    FunnelStep.NOT_DELIVERING: "not delivering",
}
"""The words for those who took a step, or did not."""


@dataclass(frozen=True, slots=True)
class StepShown:
    """A step of the funnel: how many took it, and how many of those before did not."""

    label: str
    number: int
    url: str
    share_of: int
    without: int
    without_label: str
    without_url: str | None
    unit: str
    """Hold what is counted, where VENs and participants are not the same: ``VEN`` or ``participant``; else empty."""


def steps_of(funnel: Funnel, url: Callable[[FunnelStep], str]) -> list[StepShown]:
    """Return the steps of an event's funnel. ``url`` is the address of the list of those who took a step.

    Targeted and heard count VENs, the steps behind them participants: each panel behind a bridge is one.
    """
    numbers = {
        FunnelStep.TARGETED: funnel.targeted,
        FunnelStep.HEARD: funnel.heard,
        FunnelStep.ANSWERED: funnel.answered,
        FunnelStep.OPTED_IN: funnel.opted_in,
        FunnelStep.REPORTING: funnel.reporting,
        FunnelStep.DELIVERING: funnel.delivering,
    }
    found = []
    for label, step, other in _STEPS:
        is_of_vens = step in {FunnelStep.TARGETED, FunnelStep.HEARD}
        whole = funnel.targeted if is_of_vens else funnel.participants
        unit = "VEN" if is_of_vens else "participant"
        without = funnel.opted_out if step is FunnelStep.OPTED_IN else whole - numbers[step]
        found.append(
            StepShown(
                label,
                numbers[step],
                url(step),
                whole,
                0 if other is None else without,
                "" if other is None else STEP_WORDS[other],
                None if other is None else url(other),
                "" if funnel.participants == funnel.targeted else unit,
            )
        )
    return found


def due_s(events: Iterable[ListedEvent], now: datetime) -> float | None:
    """Return the seconds until the first of these events begins or ends; None if none will."""
    edges = (edge for event in events if event.cancelled_at is None for edge in (event.starts_at, event.ends_at))
    return min(((edge - now).total_seconds() for edge in edges if edge is not None and edge > now), default=None)


def why_not(participant: ParticipantFacts, now: datetime) -> str | None:
    """Return why a participant delivers nothing, in words; None if it delivers.

    Who opted out after it had delivered does so no more, whatever its last report says.
    """
    why, said = participant.why, participant.reason
    if why is NoShedReason.OPTED_OUT or participant.opted_in is False:
        return f"opted out: {said}" if said else "opted out without a reason"
    if why is None:
        return None
    if why is NoShedReason.NOT_HEARD:
        heard = participant.heard_at
        return "not heard of since the event changed" + (
            "" if heard is None else f"; last contact {ago(heard, now=now)}"
        )
    words = _REASONS[why]
    return f"{words}: {said}" if said else words


def circuit_state(circuit: CircuitFacts) -> str:
    """Return what a circuit does, in words."""
    if circuit.opted_out is not None:
        return "spared"
    return (circuit.state or "").removeprefix("x-").lower().replace("_", " ") or "no state reported"


def spared(circuit: CircuitFacts, *, is_critical: bool) -> str | None:
    """Return why nothing was taken from a circuit; None if something was asked of it or taken."""
    if circuit.opted_out is not None:
        return circuit.opted_out or "it does not take part"
    if (circuit.requested_kw or 0) > 0 or (circuit.delivered_kw or 0) > 0:
        return None
    if is_critical:
        return "critical: never switched"
    return None if circuit.requested_kw is None else "nothing was asked of it"


def participants_csv(people: Iterable[ParticipantFacts], now: datetime, *, head: bool = True) -> str:
    """Return participants as CSV, a row each; an empty cell is what is not known. Texts are safe in spreadsheets."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    if head:
        writer.writerow(_COLUMNS)
    for one in people:
        writer.writerow([cell(value) for value in _row(one, now)])
    return file.getvalue()


_COLUMNS: Final = (
    *("participant", "panel", "ven", "client_id", "heard", "last_contact_utc", "answered", "opt", "reason"),
    *("why_not_delivering", "requested_kw", "baseline_kw", "demand_kw", "delivered_kw", "requested_kwh"),
    *("delivered_kwh", "planned_kwh", "shortfall_kwh", "reports", "last_report_utc"),
)


def _row(one: ParticipantFacts, now: datetime) -> Sequence[Any]:
    opt = None if one.opted_in is None else "in" if one.opted_in else "out"
    people = (one.name, one.panel, one.ven_name, one.client_id)
    powers = (one.requested_kw, one.baseline_kw, one.demand_kw, one.delivered_kw)
    energies = (one.requested_kwh, one.delivered_kwh, one.planned_kwh, one.shortfall_kwh)
    answered = (one.is_heard, one.heard_at, one.answered, opt, one.reason, why_not(one, now))
    return (*people, *answered, *powers, *energies, one.reports, one.last_report)


def cell(value: object) -> object:
    """Return a cell of a file: empty for None, control characters shown, and no text that a spreadsheet would run."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, str):
        text = shown(value)
        return f"'{text}" if text[:1] in {"=", "+", "-", "@"} else text
    return value


def asked_in_short(event: ListedEvent) -> str:
    """Return what an event asks for in one line."""
    if event.event is None:
        return "too long to be shown here"
    return outline(event.event, event.modified_at, program=event.program).summary


def per_ven_kw(event: ListedEvent) -> Decimal | None:
    """Return the largest change of power that an event asks of each VEN, in kW; None if it does not ask in kW."""
    return None if event.event is None else asked_kw(event.event)
