"""Plans of a panel with 64 circuits: relays and adjustable ones, of a home and of a large site."""

from __future__ import annotations

import time
from decimal import Decimal
from random import Random
from typing import Final

from bench.results import Goal
from bench.workloads.context import WorkloadContext
from bench.workloads.ven import keep, series_of
from ven.panel.circuits import BranchCircuit
from ven.panel.curtailment import plan_shedding

CIRCUITS: Final = 64
_PLANS: Final = 20
_PLAN_MS: Final = 10.0
_SHARE: Final = Decimal("0.5")
_TOLERANCE: Final = Decimal("0.1")


async def of_a_panel(context: WorkloadContext) -> None:
    """Measure: a plan takes at most 10 ms, also the slowest of each kind."""
    if context.vtn.meter is None:
        context.skip("ven-plan", "it is about our own VEN")
        return
    for name, on_off_of, most_kw in (
        ("relays of a home", 1, 7),
        ("half relays of a home", 2, 7),
        ("relays of a site", 1, 300),
        ("half relays of a site", 2, 300),
    ):
        for tolerance in (Decimal(0), _TOLERANCE, None):
            ms = [_plan_ms(Random(number), on_off_of, most_kw, tolerance) for number in range(_PLANS)]
            series = series_of(ms, cpu_us=[1000 * each for each in ms])
            within = "a limit" if tolerance is None else f"within {tolerance:.0%}"
            goal = Goal("{}: slowest in ms", max(ms), _PLAN_MS, at_most=True)
            keep(context, "ven-plan", f"{CIRCUITS} circuits, {name}, {within}", series, goal)


def _plan_ms(chance: Random, on_off_of: int, most_kw: float, tolerance: Decimal | None) -> float:
    """Return the processor time of a plan in ms."""
    circuits = [
        BranchCircuit(
            id=f"c{place}",
            breaker_amps=20,
            rated_kw=Decimal(100_000),
            priority=place + 1,
            shed_share=Decimal(1),
            on_off=place % on_off_of == 0,
        )
        for place in range(CIRCUITS)
    ]
    drawn_kw = {each.id: Decimal(str(round(chance.uniform(0.05, most_kw), 3))) for each in circuits}
    requested_kw = sum(drawn_kw.values(), Decimal(0)) * _SHARE
    began = time.process_time()
    plan_shedding(
        circuits, drawn_kw, requested_kw, tolerance_kw=None if tolerance is None else requested_kw * tolerance
    )
    return 1000 * (time.process_time() - began)
