"""Write the interval of a status report that tells of one stretch, circuit by circuit and all together. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from openadr_profiles.fleet.reports import Shed, ShedInterval
from openadr_profiles.v31 import AGGREGATED_REPORT, OperatingState
from ven.panel.circuits import operating_state
from ven.panel.curtailment import CircuitPlan
from ven.panel.stretches import CurtailmentRun

_NOTHING: Final = Decimal(0)


def shed_interval(run: CurtailmentRun, power_kw: Mapping[str, Decimal | None]) -> ShedInterval:
    """Return what to report of a stretch; `power_kw` is the mean power during it by circuit, None if not known."""
    stretch = run.stretch
    sheds = [
        _shed(each, power_kw[each.circuit_id], run.outcomes[each.circuit_id].final_kw, is_open=run.is_open)
        for each in stretch.plan
    ]
    return ShedInterval(
        id=stretch.interval_id,
        start=stretch.start,
        end=stretch.ended_at or stretch.end,
        sheds=(*sheds, _all_together(sheds, stretch.requested_kw, is_open=run.is_open)),
    )


def _shed(planned: CircuitPlan, power_kw: Decimal | None, final_kw: Decimal | None, *, is_open: bool) -> Shed:
    """Return a circuit's entry in the status report; one without a request delivers 0 kW, however its load moves."""
    asked = planned.shed_kw > 0
    delivered_kw = _NOTHING if not asked else None if power_kw is None else planned.original_kw - power_kw
    return Shed(
        resource_name=planned.circuit_id,
        requested_kw=planned.shed_kw,
        original_kw=planned.original_kw,
        curtailed_kw=power_kw,
        delivered_kw=delivered_kw,
        final_kw=final_kw,
        state=_state(power_kw, final_kw, curtailed=asked and is_open),
    )


def _all_together(sheds: Iterable[Shed], requested_kw: Decimal, *, is_open: bool) -> Shed:
    sheds = tuple(sheds)
    curtailed_kw = _sum(shed.curtailed_kw for shed in sheds)
    final_kw = _sum(shed.final_kw for shed in sheds)
    return Shed(
        resource_name=AGGREGATED_REPORT,
        requested_kw=requested_kw,
        original_kw=_sum(shed.original_kw for shed in sheds),
        curtailed_kw=curtailed_kw,
        delivered_kw=_sum(shed.delivered_kw for shed in sheds),
        final_kw=final_kw,
        state=_state(curtailed_kw, final_kw, curtailed=is_open),
    )


def _state(power_kw: Decimal | None, final_kw: Decimal | None, *, curtailed: bool) -> OperatingState:
    return operating_state(power_kw if curtailed or final_kw is None else final_kw, curtailed=curtailed)


def _sum(each: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum, or None if any part is unknown."""
    parts = tuple(each)
    known = [kw for kw in parts if kw is not None]
    return sum(known, _NOTHING) if len(known) == len(parts) else None
