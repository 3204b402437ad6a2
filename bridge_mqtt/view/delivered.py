"""What an event has delivered: each panel's frozen baseline minus its mean power while the event went on (no. 15)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store import commands, events, history, metered_history
from bridge_mqtt.store.history import MeanPower

_WATT = Decimal("0.001")
_HOUR_S = Decimal(3600)


@dataclass(frozen=True, kw_only=True)
class DeliveredByPanel:
    """One panel's part: powers in kW, energy in kWh, None where it was not measured."""

    ven_id: str
    baseline_kw: float | None
    mean_kw: float | None
    delivered_kw: Decimal | None
    delivered_kwh: Decimal | None
    samples: int


@dataclass(frozen=True, kw_only=True)
class Delivered:
    """The panels that said yes to an event, and what they delivered from its start until its end or now."""

    start: datetime | None
    until: datetime | None
    panels: tuple[DeliveredByPanel, ...] = ()

    @property
    def total_kw(self) -> float | None:
        """Return the sum in kW, 0 if no panel took part, None if none of them was measured."""
        return _sum([each.delivered_kw for each in self.panels])

    @property
    def total_kwh(self) -> float | None:
        """Return the same as energy in kWh."""
        return _sum([each.delivered_kwh for each in self.panels])


async def delivered(
    connection: AsyncConnection, event_id: str, start: datetime | None, end: datetime | None, now: datetime
) -> Delivered:
    """Return what an event has delivered so far: the database works out the means, no sample is read."""
    until = now if end is None else min(end, now)
    if start is None or until <= start:
        return Delivered(start=start, until=None)
    acted = sorted(await commands.panels_that_shed(connection, event_id))
    baselines = (await events.frozen(connection, [event_id])).get(event_id, {})
    means = await history.mean_of_each(connection, acted, start, until)
    unknown = [ven_id for ven_id in acted if ven_id not in means]  # their samples are not kept any more
    means |= await metered_history.mean_of_each(connection, unknown, start, until)
    hours = Decimal(str((until - start).total_seconds())) / _HOUR_S
    panels = []
    for ven_id in acted:
        baseline = baselines.get(ven_id)
        panels.append(_of_panel(ven_id, None if baseline is None else baseline.power_kw, means.get(ven_id), hours))
    return Delivered(start=start, until=until, panels=tuple(panels))


def _of_panel(ven_id: str, baseline_kw: float | None, mean: MeanPower | None, hours: Decimal) -> DeliveredByPanel:
    used_kw = None if mean is None else mean.used_kw
    kw = None
    if baseline_kw is not None and used_kw is not None:
        kw = (Decimal(str(baseline_kw)) - Decimal(str(used_kw))).quantize(_WATT)
    return DeliveredByPanel(
        ven_id=ven_id,
        baseline_kw=baseline_kw,
        mean_kw=used_kw,
        delivered_kw=kw,
        delivered_kwh=None if kw is None else (kw * hours).quantize(_WATT),
        samples=0 if mean is None else mean.samples,
    )


def _sum(values: Sequence[Decimal | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(sum(known, Decimal(0))) if known or not values else None


def whole_ms(times: Sequence[int]) -> int | None:
    """Return the mean of response times in ms; None without any, and never a constant (no. 16)."""
    return round(sum(times) / len(times)) if times else None
