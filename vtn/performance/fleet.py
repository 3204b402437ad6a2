"""Add up what the participants of an event delivered, one after the other, and say of how many it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from vtn.performance.result import ParticipantResult, StepResult

_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class FleetStep:
    """Hold one step of all participants.

    ``whole`` has the sums of all of them: what one of them does not know, it does not know. ``known`` has the sums of
    the ``participants_known`` whose delivery is known.
    """

    whole: StepResult
    known: StepResult
    participants_known: int


@dataclass(frozen=True, slots=True)
class FleetResult:
    """Hold the sums of an event in kWh: of what is known, and None where nothing is.

    ``participants_known`` counts those of whom a step is known, ``gaps`` the steps of participants that are not.
    ``performance`` is delivered by requested energy where both are known. ``shortfall_kwh`` is that of the
    participants: who delivers more makes up for nobody.
    """

    curve: tuple[FleetStep, ...]
    participants: int
    participants_known: int
    gaps: int
    requested_kwh: Decimal | None
    delivered_kwh: Decimal | None
    shortfall_kwh: Decimal | None
    performance: Decimal | None


class FleetSums:
    """Adds up participants as they come; its size does not depend on their number."""

    def __init__(self, starts: Sequence[datetime]) -> None:
        self._steps = [_StepSums(start) for start in starts]
        self._participants = self._known = self._gaps = 0
        self._requested, self._delivered, self._short = _Sum(), _Sum(), _Sum()
        self._both_requested, self._both_delivered = _NOTHING, _NOTHING

    def add(self, one: ParticipantResult) -> None:
        """Add a participant, whose steps are those of the event."""
        self._participants += 1
        self._known += one.gaps < len(one.steps)
        self._gaps += one.gaps
        self._requested.add(one.requested_kwh)
        self._delivered.add(one.delivered_kwh)
        self._short.add(one.shortfall_kwh)
        for sums, step in zip(self._steps, one.steps, strict=True):
            delivered = sums.add(step)
            if delivered is not None and step.requested_kwh is not None:
                self._both_requested += step.requested_kwh
                self._both_delivered += delivered

    def result(self) -> FleetResult:
        """Return the sums of those that were added."""
        return FleetResult(
            tuple(step.result(self._participants) for step in self._steps),
            self._participants,
            self._known,
            self._gaps,
            self._requested.of_the_known,
            self._delivered.of_the_known,
            self._short.of_the_known,
            self._both_delivered / self._both_requested if self._both_requested else None,
        )


class _Sum:
    __slots__ = ("count", "value")

    def __init__(self) -> None:
        self.value, self.count = _NOTHING, 0

    def add(self, value: Decimal | None) -> None:
        if value is not None:
            self.value += value
            self.count += 1

    @property
    def of_the_known(self) -> Decimal | None:
        return self.value if self.count else None

    def whole(self, participants: int) -> Decimal | None:
        return self.value if participants and self.count == participants else None


class _StepSums:
    def __init__(self, start: datetime) -> None:
        self._start = start
        self._requested, self._baseline, self._metered = _Sum(), _Sum(), _Sum()
        self._known_requested, self._known_baseline, self._known_metered = _Sum(), _Sum(), _Sum()
        self._estimated = self._known_estimated = False

    def add(self, step: StepResult) -> Decimal | None:
        """Add one participant's step; return what it delivered."""
        delivered = step.delivered_kwh
        self._requested.add(step.requested_kwh)
        self._baseline.add(step.baseline_kwh)
        self._metered.add(step.metered_kwh)
        self._estimated |= step.estimated
        if delivered is not None:
            self._known_requested.add(step.requested_kwh)
            self._known_baseline.add(step.baseline_kwh)
            self._known_metered.add(step.metered_kwh)
            self._known_estimated |= step.estimated
        return delivered

    def result(self, participants: int) -> FleetStep:
        whole = StepResult(
            self._start,
            self._requested.whole(participants),
            self._baseline.whole(participants),
            self._metered.whole(participants),
            self._estimated,
        )
        known = StepResult(
            self._start,
            self._known_requested.of_the_known,
            self._known_baseline.of_the_known,
            self._known_metered.of_the_known,
            self._known_estimated,
        )
        return FleetStep(whole, known, self._known_metered.count)
