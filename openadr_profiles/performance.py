"""Tell what an event delivered, as business logic asks for it. An extension of OpenADR Fleet, not part of OpenADR.

{"id": "77aa", "eventID": "3f2a", "state": "FROZEN", "method": "10-of-10", "stepS": 900, "zone": "Europe/Berlin",
 "vens": 2, "vensDone": 2, "inputsSha256": "9f…", "frozenBy": "utility", "frozenAt": "2026-07-18T08:00:00Z",
 "sums": {"requestedKwh": 4.0, "deliveredKwh": 3.6, "shortfallKwh": 0.4, "performance": 0.9, …}}

Energies are in kWh to the watt-hour; null is "not known", which is never 0.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from openadr_profiles.v31.common import Instant, Int32, Name, ObjectID, Text, Wire

MethodName = Annotated[str, Meta(min_length=1, max_length=80)]
ZoneName = Annotated[str, Meta(min_length=1, max_length=80)]


class EvaluationRequest(Wire, frozen=True, kw_only=True):
    """Evaluate an event that is over; ``freeze`` keeps the result for good as soon as it is there.

    ``step_s`` is the length of a step in seconds; it divides a day. ``holidays`` count as Sundays. With ``circuits``
    each resource is a participant, also where a VEN reports a total.
    """

    event_id: ObjectID = field(name="eventID")
    method: MethodName = "10-of-10"
    step_s: Annotated[int, Meta(ge=60, le=86_400)] = field(name="stepS", default=900)
    zone: ZoneName = "UTC"
    holidays: Annotated[tuple[date, ...], Meta(max_length=400)] = ()
    circuits: bool = False
    freeze: bool = False


class PerformanceStep(Wire, frozen=True, kw_only=True):
    """Tell of one step: energies in kWh and the mean power delivered in kW. ``estimated`` if a value is no reading."""

    start: Instant
    requested_kwh: float | None = field(name="requestedKwh")
    baseline_kwh: float | None = field(name="baselineKwh")
    metered_kwh: float | None = field(name="meteredKwh")
    delivered_kwh: float | None = field(name="deliveredKwh")
    shortfall_kwh: float | None = field(name="shortfallKwh")
    delivered_kw: float | None = field(name="deliveredKw")
    estimated: bool


class FleetPerformanceStep(Wire, frozen=True, kw_only=True):
    """Tell of one step of all participants.

    ``whole`` has the sums of all: what one does not know, it does not know. ``known`` has the sums of the
    ``participants_known`` whose delivery is known.
    """

    whole: PerformanceStep
    known: PerformanceStep
    participants_known: int = field(name="participantsKnown")


class PerformanceSums(Wire, frozen=True, kw_only=True):
    """Tell the sums over participants in kWh, of what is known; ``gaps`` counts steps of which nothing is.

    ``performance`` is delivered by requested energy where both are known.
    """

    participants: int
    participants_known: int = field(name="participantsKnown")
    gaps: int
    requested_kwh: float | None = field(name="requestedKwh")
    delivered_kwh: float | None = field(name="deliveredKwh")
    shortfall_kwh: float | None = field(name="shortfallKwh")
    performance: float | None
    curve: tuple[FleetPerformanceStep, ...] = ()


class PerformanceResult(Wire, frozen=True, kw_only=True):
    """Tell of a result: ``state`` is WAITING, EVALUATING, EVALUATED, FROZEN or FAILED.

    ``vens_done`` of the ``vens`` that the event reached are evaluated. ``inputs_sha256`` is the hash of all that it was
    made of.
    """

    id: ObjectID
    event_id: Text = field(name="eventID")
    event_name: Text | None = field(name="eventName")
    program_id: Text = field(name="programID")
    start: Instant
    end: Instant
    method: Text
    step_s: Int32 = field(name="stepS")
    zone: Text
    holidays: tuple[date, ...]
    circuits: bool
    state: Text
    vens: Int32 | None
    vens_done: Int32 = field(name="vensDone")
    trouble: Text | None
    inputs_sha256: Text | None = field(name="inputsSha256")
    made_by: Text = field(name="madeBy")
    made_at: Instant = field(name="madeAt")
    frozen_by: Text | None = field(name="frozenBy")
    frozen_at: Instant | None = field(name="frozenAt")
    sums: PerformanceSums | UnsetType | None = UNSET


class ParticipantPerformance(Wire, frozen=True, kw_only=True):
    """Tell of one participant. ``gaps`` counts steps whose delivery is not known, ``notes`` say what was not as usual.

    ``adjustment`` is what the hours before the event changed: a factor, or kWh added to each step.
    """

    position: Int32
    client_id: Text = field(name="clientID")
    resource: Text
    participant: Name
    requested_kwh: float | None = field(name="requestedKwh")
    delivered_kwh: float | None = field(name="deliveredKwh")
    shortfall_kwh: float | None = field(name="shortfallKwh")
    performance: float | None
    gaps: Int32
    notes: tuple[Text, ...]
    baseline_days: tuple[date, ...] = field(name="baselineDays")
    adjustment: float | None
    steps: tuple[PerformanceStep, ...]


class PerformanceValues(Wire, frozen=True, kw_only=True):
    """Tell the sums of one participant in one result, in kWh."""

    requested_kwh: float | None = field(name="requestedKwh")
    delivered_kwh: float | None = field(name="deliveredKwh")
    shortfall_kwh: float | None = field(name="shortfallKwh")
    gaps: Int32


class PerformanceDifference(Wire, frozen=True, kw_only=True):
    """Tell what a result says of a participant, and what another one says now; null for who is not in it."""

    client_id: Text = field(name="clientID")
    resource: Text
    participant: Text
    was: PerformanceValues | None
    now: PerformanceValues | None
