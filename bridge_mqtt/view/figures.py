"""Figures for settlement and planning: the performance of an event, and baselines of a panel."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bridge_mqtt.model import Allocation, Command
from bridge_mqtt.store import allocations, commands, events, telemetry
from bridge_mqtt.telemetry import baseline
from bridge_mqtt.view.delivered import DeliveredByPanel, delivered, whole_ms
from bridge_mqtt.view.events import EventView
from bridge_mqtt.view.shapes import BaselineAnswer, PerformanceAnswer, PerformanceOfVen
from bridge_mqtt.view.sources import Sources, leisurely
from openadr_profiles.panel import CommandState, Op


class FigureView:
    """Works out figures from what is stored."""

    def __init__(self, sources: Sources, event_view: EventView, *, baseline_s: float) -> None:
        self._sources = sources
        self._events = event_view
        self._baseline_s = baseline_s

    async def performance(self, event_id: str) -> PerformanceAnswer | None:
        """Return what an event asked of each panel and what that delivered; None if there is no such event."""
        async with self._sources.store.showing() as connection:
            stored = await events.get(connection, event_id)
            if stored is None:
                return None
            start, end = self._events.span(stored)
            found = await delivered(connection, event_id, start, end, self._sources.now())
            plans = sorted((await allocations.plans(connection, [event_id])).items())
            sent = await commands.of_event(connection, event_id)
        parts: dict[str, Allocation] = {}
        for _, plan in plans:
            parts |= plan.parts
        answered = {each.ven_id: each for each in sent if each.op is Op.SHED_PANEL and each.state is CommandState.ACKED}
        by_panel = {each.ven_id: each for each in found.panels}
        vens = [_of_ven(part, by_panel.get(id_), answered) async for id_, part in leisurely(sorted(parts.items()))]
        times = [each.response_ms for each in answered.values() if each.response_ms is not None]
        requested = float(max((plan.request_kw for _, plan in plans), default=0)) if plans else None
        return PerformanceAnswer(
            event_id=event_id,
            status=stored.state,
            start=found.start,
            until=found.until,
            requested_kw=requested,
            delivered_kw=found.total_kw,
            delivered_kwh=found.total_kwh,
            percent=_percent(found.total_kw, requested),
            avg_response_ms=whole_ms(times),
            longest_response_ms=max(times, default=None),
            vens=tuple(vens),
        )

    async def baseline(self, ven_id: str, event_id: str | None) -> BaselineAnswer | None:
        """Return the baseline that was frozen for an event, or what it would be now; None if there is none.

        A baseline of now leaves out samples that were taken during an event (no. 34).
        """
        now = self._sources.now()
        async with self._sources.store.showing() as connection:
            if event_id is not None:
                known = (await events.frozen(connection, [event_id])).get(event_id, {}).get(ven_id)
                if known is None:
                    return None
            else:
                since = now - timedelta(seconds=self._baseline_s)
                samples = (await telemetry.between(connection, [ven_id], since, now)).get(ven_id, [])
                known = baseline(ven_id, [sample for sample in samples if sample.event_id is None], now)
        return BaselineAnswer(
            ven_id=ven_id,
            event_id=event_id,
            baseline_kw=known.power_kw,
            circuits_kw=known.circuits_kw,
            samples=known.samples,
            frozen_at=known.frozen_at if event_id is not None else None,
            seconds=self._baseline_s,
        )


def _of_ven(part: Allocation, found: DeliveredByPanel | None, answered: Mapping[str, Command]) -> PerformanceOfVen:
    kw = None if found is None or found.delivered_kw is None else float(found.delivered_kw)
    answer = answered.get(part.ven_id)
    return PerformanceOfVen(
        ven_id=part.ven_id,
        requested_kw=float(part.requested_kw),
        baseline_kw=None if found is None else found.baseline_kw,
        mean_power_kw=None if found is None or found.mean_kw is None else round(found.mean_kw, 3),
        delivered_kw=kw,
        delivered_kwh=None if found is None or found.delivered_kwh is None else float(found.delivered_kwh),
        percent=_percent(kw, float(part.requested_kw)),
        samples=0 if found is None else found.samples,
        answered=answer is not None,
        response_ms=None if answer is None else answer.response_ms,
    )


def _percent(delivered_kw: float | None, requested_kw: float | None) -> float | None:
    if delivered_kw is None or not requested_kw:
        return None
    return round(delivered_kw / requested_kw * 100, 1)
