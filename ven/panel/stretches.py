"""Follow a stretch of curtailment: what was asked, drawn and delivered in it so far. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from openadr_profiles.fleet.charge import CHARGE
from openadr_profiles.fleet.power import EXPORT_LIMIT, IMPORT_LIMIT, SETPOINT
from ven.panel.curtailment import CircuitPlan
from ven.panel.meter import PowerReading
from ven.panel.tally import NO_TALLY, Flow, Tally, held
from ven.records import Stretch

FOLLOWING_LOAD: Final = frozenset({IMPORT_LIMIT, EXPORT_LIMIT, SETPOINT, CHARGE})
"""Payload types that are about the power drawn now; without the event a circuit would draw what it draws."""

_NOTHING: Final = Decimal(0)
_AT_ITS_LIMIT: Final = Decimal("0.9")
"""A circuit that feeds in less than this part of its limit feeds in what it has: the sun is gone."""


def delivered_kw(payload_type: str, original_kw: Decimal, drawn_kw: Decimal) -> Decimal:
    """Return what a power is less than without the event, in kW: drawn, or fed in where that is limited."""
    return drawn_kw - original_kw if payload_type == EXPORT_LIMIT else original_kw - drawn_kw


@dataclass
class CurtailmentRun:
    """Hold a stretch and what became of it so far.

    ``asked`` is the tally of the whole: what the event asked for, and the net over all circuits. ``circuits`` are the
    tallies of the circuits and ``final_kw`` their powers after it, as far as they are known. ``looked_at`` is the tally
    of the whole when the plan was last compared with it.
    """

    stretch: Stretch
    asked: Tally = NO_TALLY
    circuits: dict[str, Tally] = field(default_factory=dict)
    final_kw: dict[str, Decimal] = field(default_factory=dict)
    looked_at: Tally = NO_TALLY

    @property
    def is_open(self) -> bool:
        """Return True while circuits are curtailed for it."""
        return self.stretch.ended_at is None

    def add(
        self, reading: PowerReading, until: datetime, *, baseline_kw: Mapping[str, Decimal], hold: timedelta
    ) -> None:
        """Add the time from a reading until a moment, at the plan that is in force."""
        stretch = self.stretch
        end = until if stretch.end is None else min(until, stretch.end)
        length = held(stretch.start, end, read_at=reading.at, hold=hold)
        if length <= timedelta(0):
            return
        if stretch.payload_type in FOLLOWING_LOAD:
            baseline_kw = {each.circuit_id: each.original_kw for each in stretch.plan if each.shed_kw > 0}
        net = _NOTHING
        for planned in stretch.plan:
            drawn_kw = reading.kw.get(planned.circuit_id)
            if drawn_kw is None:
                continue
            original_kw = baseline_kw.get(planned.circuit_id, drawn_kw)
            if stretch.payload_type == EXPORT_LIMIT and -drawn_kw < planned.limit_kw * _AT_ITS_LIMIT:
                original_kw = drawn_kw
            less_kw = delivered_kw(stretch.payload_type, original_kw, drawn_kw)
            net += less_kw
            flow = Flow(planned.shed_kw, original_kw, drawn_kw, less_kw if planned.shed_kw > 0 else _NOTHING)
            tally = self.circuits.get(planned.circuit_id, NO_TALLY)
            self.circuits[planned.circuit_id] = tally.plus(flow, length)
        self.asked = self.asked.plus(Flow(stretch.requested_kw, _NOTHING, _NOTHING, net), length)


def joined(one: CurtailmentRun, other: CurtailmentRun) -> CurtailmentRun:
    """Return two ended stretches of one event as one, with the same energies; ``other`` is the later one.

    What is shown of an event stays bounded in this way, and right from its first minute.
    """
    first, last = one.stretch, other.stretch
    ended_at = max(last.ended_at or last.start, first.ended_at or first.start)
    ids = dict.fromkeys([each.circuit_id for each in (*first.plan, *last.plan)])
    lengths = ((first.ended_at or first.start) - first.start, (last.ended_at or last.start) - last.start)
    whole = ended_at - first.start

    def together(earlier: Tally, later: Tally) -> Tally:
        total = earlier.over(lengths[0]) + later.over(lengths[1])
        return replace(total, covered_us=whole // timedelta.resolution) if total.covered_us else total

    asked = together(one.asked, other.asked)
    circuits = {id_: together(one.circuits.get(id_, NO_TALLY), other.circuits.get(id_, NO_TALLY)) for id_ in ids}
    plan = tuple(_mean_plan(id_, tally) for id_, tally in circuits.items())
    mean = asked.mean
    stretch = replace(
        first,
        end=ended_at,
        ended_at=ended_at,
        requested_kw=mean.requested_kw if mean else first.requested_kw,
        plan=plan,
    )
    return CurtailmentRun(stretch, asked, circuits, {**one.final_kw, **other.final_kw})


def _mean_plan(circuit_id: str, tally: Tally) -> CircuitPlan:
    mean = tally.mean or Flow(_NOTHING, _NOTHING, _NOTHING, _NOTHING)
    return CircuitPlan(circuit_id, mean.original_kw, mean.requested_kw)
