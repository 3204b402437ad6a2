"""Integrate what was asked of a circuit and what it did, reading by reading, into sums that do not grow. No I/O.

A reading holds until the next one, but no longer than `hold`; time that no reading holds for is not covered, and the
mean of the rest stands in for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

_US: Final = timedelta.resolution
_NOTHING: Final = Decimal(0)
_MICROWATT: Final = Decimal("0.000000001")


@dataclass(frozen=True, slots=True)
class Flow:
    """Hold powers in kW at one time: asked for, without any event, drawn, and delivered (of what was asked for)."""

    requested_kw: Decimal
    original_kw: Decimal
    drawn_kw: Decimal
    delivered_kw: Decimal


@dataclass(frozen=True, slots=True)
class Tally:
    """Hold integrals over the ``covered_us`` microseconds that are known about, in kW times microseconds."""

    covered_us: int = 0
    requested: Decimal = _NOTHING
    original: Decimal = _NOTHING
    drawn: Decimal = _NOTHING
    delivered: Decimal = _NOTHING

    def plus(self, flow: Flow, length: timedelta) -> Tally:
        """Return the tally with these powers added over a length of time."""
        us = length // _US
        if us <= 0:
            return self
        return Tally(
            self.covered_us + us,
            self.requested + flow.requested_kw * us,
            self.original + flow.original_kw * us,
            self.drawn + flow.drawn_kw * us,
            self.delivered + flow.delivered_kw * us,
        )

    def since(self, earlier: Tally) -> Tally:
        """Return what was added after an earlier state of this tally."""
        return Tally(
            self.covered_us - earlier.covered_us,
            self.requested - earlier.requested,
            self.original - earlier.original,
            self.drawn - earlier.drawn,
            self.delivered - earlier.delivered,
        )

    @property
    def mean(self) -> Flow | None:
        """Return the mean powers; None if nothing is known."""
        us = self.covered_us
        if not us:
            return None
        return Flow(*(_to_microwatt(each / us) for each in (self.requested, self.original, self.drawn, self.delivered)))

    def over(self, length: timedelta) -> Tally:
        """Return the tally of a whole length of time, for which the mean stands in; empty if nothing is known."""
        us = length // _US
        if not self.covered_us or us <= 0:
            return Tally()
        sums = (self.requested, self.original, self.drawn, self.delivered)
        return Tally(us, *(each * us / self.covered_us for each in sums))

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.covered_us + other.covered_us,
            self.requested + other.requested,
            self.original + other.original,
            self.drawn + other.drawn,
            self.delivered + other.delivered,
        )


NO_TALLY: Final = Tally()


def held(since: datetime, until: datetime, *, read_at: datetime, hold: timedelta) -> timedelta:
    """Return for how much of [since, until) a reading holds."""
    return max(min(until, read_at + hold) - max(since, read_at), timedelta(0))


def _to_microwatt(kw: Decimal) -> Decimal:
    return kw.quantize(_MICROWATT, ROUND_HALF_EVEN)
