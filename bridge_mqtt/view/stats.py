"""The fleet as a whole: sums over the latest sample of each panel (no. 15: never over all samples)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

from bridge_mqtt.panels import shed_capability_kw
from bridge_mqtt.store import commands, events
from bridge_mqtt.view.panels import load_answer
from bridge_mqtt.view.shapes import LoadTypeAnswer, NetworkStatsAnswer
from bridge_mqtt.view.sources import Sources, leisurely


@dataclass
class _Sums:
    capacity_kw: float = 0.0
    sheddable_kw: float = 0.0
    used_kw: float = 0.0


class StatsView:
    """Sums up what the panels measured last."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def network(self) -> NetworkStatsAnswer:
        """Return the fleet now; what is not known of it is null."""
        async with self._sources.store.showing() as connection:
            held = await commands.held(connection)
            baselines = await events.frozen(connection, {each.event_id for each in held.values()})
        controllable = potential = used = reduced = Decimal(0)
        count = online = 0
        async for panel in leisurely(list(self._sources.registry)):
            count += 1
            power = Decimal(str(panel.used_power_kw or 0))
            capability = shed_capability_kw(panel)
            controllable += capability
            holding = held.get(panel.ven_id)
            if self._sources.is_online(panel):
                online += 1
                used += power
                potential += capability if holding is None else Decimal(0)
            frozen = None if holding is None else baselines.get(holding.event_id, {}).get(panel.ven_id)
            if frozen is not None and frozen.power_kw is not None and panel.used_power_kw is not None:
                reduced += Decimal(str(frozen.power_kw)) - power
        return NetworkStatsAnswer(
            ven_count=count,
            controllable_power_kw=float(controllable),
            potential_load_reduction_kw=float(potential),
            household_usage_kw=float(used),
            online_vens=online,
            current_load_reduction_kw=float(reduced),
            network_efficiency=None,
            average_house_power=float((used / online).quantize(Decimal("0.001"))) if online else None,
            total_house_power_today=None,
        )

    async def loads(self) -> list[LoadTypeAnswer]:
        """Return the sums of all circuits of each type, by its name."""
        sums: defaultdict[str, _Sums] = defaultdict(_Sums)
        async for panel in leisurely(list(self._sources.registry)):
            for load in panel.loads:
                answer = load_answer(panel, load)
                one = sums[answer.type]
                one.capacity_kw += answer.capacity_kw or 0.0
                one.sheddable_kw += answer.shed_capability_kw
                one.used_kw += answer.current_power_kw or 0.0
        return [
            LoadTypeAnswer(
                type=type_,
                total_capacity_kw=round(one.capacity_kw, 3),
                total_shed_capability_kw=round(one.sheddable_kw, 3),
                current_usage_kw=round(one.used_kw, 3),
            )
            for type_, one in sorted(sums.items())
        ]
