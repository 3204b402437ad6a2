"""Say what a participant delivered in an event: baseline less meter, beside what was asked, step by step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, TypeAlias

import msgspec

from vtn.performance.baselines import EvaluatedTime, EventBaseline
from vtn.performance.profile import EnergySeries, steps_of

_NOTHING: Final = Decimal(0)
_HOUR: Final = timedelta(hours=1)
_US: Final = timedelta(microseconds=1)
_WATT_HOUR: Final = Decimal("0.001")


@dataclass(frozen=True, slots=True)
class RequestedPower:
    """Hold a reduction that was asked for over a time, in kW; without ``end`` until the next, or the event's end."""

    start: datetime
    end: datetime | None
    kw: Decimal


@dataclass(frozen=True, slots=True)
class StepResult:
    """Hold one step of an event in kWh; None is "not known", which is never 0."""

    start: datetime
    requested_kwh: Decimal | None
    baseline_kwh: Decimal | None
    metered_kwh: Decimal | None
    estimated: bool = False

    @property
    def delivered_kwh(self) -> Decimal | None:
        """Return the reduction; below 0 if more was drawn than the baseline says."""
        if self.baseline_kwh is None or self.metered_kwh is None:
            return None
        return self.baseline_kwh - self.metered_kwh

    @property
    def shortfall_kwh(self) -> Decimal | None:
        """Return what was asked for and not delivered; None unless both are known."""
        delivered = self.delivered_kwh
        if self.requested_kwh is None or delivered is None:
            return None
        return max(_NOTHING, self.requested_kwh - delivered)


@dataclass(frozen=True, slots=True)
class ParticipantResult:
    """Hold the steps of one participant, and how its baseline came about."""

    name: str
    steps: tuple[StepResult, ...]
    days: tuple[date, ...]
    change: Decimal | None
    notes: tuple[str, ...]

    @property
    def known(self) -> tuple[StepResult, ...]:
        """Return the steps whose delivery is known."""
        return tuple(step for step in self.steps if step.delivered_kwh is not None)

    @property
    def gaps(self) -> int:
        """Return the number of steps whose delivery is not known."""
        return len(self.steps) - len(self.known)

    @property
    def delivered_kwh(self) -> Decimal | None:
        """Return the energy of the steps that are known; None if none is."""
        return _sum(step.delivered_kwh for step in self.steps)

    @property
    def requested_kwh(self) -> Decimal | None:
        """Return the energy that was asked for; None if it is not known."""
        return _sum(step.requested_kwh for step in self.steps)

    @property
    def shortfall_kwh(self) -> Decimal | None:
        """Return what was asked for and not delivered, by steps: more in one step makes up for no other."""
        return _sum(step.shortfall_kwh for step in self.steps)

    @property
    def performance(self) -> Decimal | None:
        """Return delivered by requested energy over the steps in which both are known; None if nothing was asked."""
        both = [step for step in self.known if step.requested_kwh is not None]
        requested = _sum(step.requested_kwh for step in both)
        delivered = _sum(step.delivered_kwh for step in both)
        return delivered / requested if requested and delivered is not None else None


def result(
    name: str,
    event: EvaluatedTime,
    profile: EnergySeries,
    baseline: EventBaseline,
    asked: Sequence[RequestedPower] = (),
) -> ParticipantResult:
    """Return the result of one participant. A step that the event covers in part has that part of what was asked."""
    steps = []
    spans = tuple(_spans(asked, event.end))
    for start in steps_of(event.start, event.end, profile.step):
        metered = profile.at(start)
        steps.append(
            StepResult(
                start,
                _asked_kwh(spans, start, start + profile.step),
                baseline.kwh.get(start),
                None if metered is None else metered.kwh,
                baseline.estimated or (metered is not None and metered.estimated),
            )
        )
    return ParticipantResult(name, tuple(steps), baseline.days, baseline.change, baseline.notes)


def in_kw(kwh: Decimal | None, step: timedelta) -> Decimal | None:
    """Return the mean power of a step's energy."""
    return None if kwh is None else kwh * (_HOUR // _US) / (step // _US)


def rounded(value: Decimal | None) -> Decimal | None:
    """Return a quantity to the watt or watt-hour."""
    return None if value is None else value.quantize(_WATT_HOUR, ROUND_HALF_EVEN)


class Fingerprint:
    """The SHA-256 of what a result was made of, part by part: equal parts in the same order give equal digits."""

    def __init__(self, *parts: Any) -> None:
        self._sha256 = hashlib.sha256()
        self.add(*parts)

    def add(self, *parts: Any) -> None:
        """Add parts, of JSON, or of what has a text that says it all."""
        self._sha256.update(_ENCODER.encode(parts))
        self._sha256.update(b"\n")

    @property
    def digits(self) -> str:
        """Return the sum so far, as hexadecimal digits."""
        return self._sha256.hexdigest()


_ENCODER: Final = msgspec.json.Encoder(enc_hook=str, order="deterministic")


_Span: TypeAlias = tuple[datetime, datetime, Decimal]
"""Start, end and kW."""


def _spans(asked: Sequence[RequestedPower], over: datetime) -> Iterator[_Span]:
    """Yield what was asked with an end each: of an open one where the next begins, or the event is over."""
    for one in asked:
        end = one.end or min((other.start for other in asked if other.start > one.start), default=over)
        yield one.start, end, one.kw


def _asked_kwh(asked: Iterable[_Span], start: datetime, end: datetime) -> Decimal | None:
    parts = [
        kw * ((min(end, until) - max(start, since)) // _US) / (_HOUR // _US)
        for since, until, kw in asked
        if since < end and until > start
    ]
    return sum(parts, _NOTHING) if parts else None


def _sum(values: Iterable[Decimal | None]) -> Decimal | None:
    known = [value for value in values if value is not None]
    return sum(known, _NOTHING) if known else None
