"""Write the interval of a status report that tells of one stretch, circuit by circuit and all together. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from openadr_profiles.fleet.reports import Opt, Shed, ShedInterval
from openadr_profiles.v31 import AGGREGATED_REPORT, OperatingState
from ven.panel.circuits import operating_state
from ven.panel.curtailment import CircuitPlan
from ven.panel.ownership import Override
from ven.panel.stretches import CurtailmentRun, delivered_kw
from ven.panel.tally import Tally

_NOTHING: Final = Decimal(0)
_MOST_ROWS: Final = 1000
_MOST_INTERVALS: Final = 96
_FEWEST_INTERVALS: Final = 4


def shed_interval(run: CurtailmentRun, drawn_kw: Mapping[str, Decimal]) -> ShedInterval:
    """Return what to report of a stretch; `drawn_kw` is the power now by circuit, for what was not measured in it."""
    stretch = run.stretch
    sheds = [_shed(run, each, drawn_kw if run.is_open else {}) for each in stretch.plan]
    return ShedInterval(
        id=stretch.interval_id,
        start=stretch.start,
        end=stretch.ended_at or stretch.end,
        sheds=(*sheds, _all_together(run, sheds)),
    )


def circuit_opts(overrides: Iterable[Override], event_id: str, power_kw: Mapping[str, Decimal]) -> tuple[Opt, ...]:
    """Return the opt-outs of the circuits that their owner has taken over during an event, by name."""
    return tuple(
        Opt(
            each.circuit_id,
            opted_in=False,
            reason=each.reason,
            state=operating_state(power_kw.get(each.circuit_id), opted_out=True),
            decided_at=each.since,
        )
        for each in sorted(overrides, key=lambda override: override.circuit_id)
        if event_id in each.event_ids
    )


def most_intervals(circuits: int) -> int:
    """Return how many intervals a status report has at most; those before are reported together, as one."""
    return max(_FEWEST_INTERVALS, min(_MOST_INTERVALS, _MOST_ROWS // (circuits + 1)))


def _shed(run: CurtailmentRun, planned: CircuitPlan, drawn_kw: Mapping[str, Decimal]) -> Shed:
    """Return a circuit's entry in the status report; one without a request delivers 0 kW, however its load moves."""
    asked = planned.shed_kw > 0
    mean = run.circuits.get(planned.circuit_id, Tally()).mean
    power_kw = mean.drawn_kw if mean else drawn_kw.get(planned.circuit_id)
    less_kw = mean.delivered_kw if mean else None
    if mean is None and power_kw is not None:
        less_kw = delivered_kw(run.stretch.payload_type, planned.original_kw, power_kw)
    final_kw = run.final_kw.get(planned.circuit_id)
    return Shed(
        resource_name=planned.circuit_id,
        requested_kw=mean.requested_kw if mean else planned.shed_kw,
        original_kw=mean.original_kw if mean else planned.original_kw,
        curtailed_kw=power_kw,
        delivered_kw=less_kw if asked or mean else _NOTHING,
        final_kw=final_kw,
        state=_state(power_kw, final_kw, curtailed=asked and run.is_open),
    )


def _all_together(run: CurtailmentRun, sheds: Iterable[Shed]) -> Shed:
    sheds = tuple(sheds)
    mean = run.asked.mean
    gross_kw = _sum(shed.delivered_kw for shed in sheds)
    curtailed_kw = _sum(shed.curtailed_kw for shed in sheds)
    final_kw = _sum(shed.final_kw for shed in sheds)
    net_kw = mean.delivered_kw if mean else gross_kw
    return Shed(
        resource_name=AGGREGATED_REPORT,
        requested_kw=mean.requested_kw if mean else run.stretch.requested_kw,
        original_kw=_sum(shed.original_kw for shed in sheds),
        curtailed_kw=curtailed_kw,
        delivered_kw=None if gross_kw is None else net_kw,
        final_kw=final_kw,
        state=_state(curtailed_kw, final_kw, curtailed=run.is_open),
        gross_kw=gross_kw,
    )


def _state(power_kw: Decimal | None, final_kw: Decimal | None, *, curtailed: bool) -> OperatingState:
    return operating_state(power_kw if curtailed or final_kw is None else final_kw, curtailed=curtailed)


def _sum(each: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum, or None if any part is unknown."""
    parts = tuple(each)
    known = [kw for kw in parts if kw is not None]
    return sum(known, _NOTHING) if len(known) == len(parts) else None
