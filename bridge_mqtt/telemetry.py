"""Metering: stored in batches, the latest sample of each panel at hand, and means over time for baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import PanelRecord
from bridge_mqtt.panels import Registry
from bridge_mqtt.store import panels, quarantine, telemetry
from bridge_mqtt.store.events import Baseline
from bridge_mqtt.store.telemetry import PanelSample
from openadr_client import Received
from openadr_profiles.panel import Telemetry, Unreadable, read_telemetry
from ven.panel.meter import PowerReading

_log = structlog.get_logger(__name__)

_WATT = Decimal("0.001")


class TelemetryDesk:
    """Takes samples in."""

    def __init__(self, registry: Registry, *, quarantine_per_hour: int) -> None:
        self._registry = registry
        self._quarantine_per_hour = quarantine_per_hour
        self.stored = 0

    async def take(self, connection: AsyncConnection, messages: Sequence[Received]) -> set[str]:
        """Store samples, remember the latest of each panel, and return the panels that have measured."""
        samples: list[Telemetry] = []
        latest: dict[str, PanelRecord] = {}
        for message in messages:
            sample = read_telemetry(message.topic, message.payload, message.received_at)
            if isinstance(sample, Telemetry) and self._registry.admit(sample.ven_id) is not None:
                samples.append(sample)
                note = self._registry.listed if message.topic.startswith("ven/loads/") else self._registry.measured
                latest[sample.ven_id] = note(sample)
            else:
                await quarantine.add(
                    connection, _put_aside(message, sample), message.received_at, self._quarantine_per_hour
                )
        await telemetry.add(connection, samples)
        await panels.save_samples(connection, list(latest.values()))
        self.stored += len(samples)
        return set(latest)


def _put_aside(message: Received, sample: Telemetry | Unreadable) -> Unreadable:
    if isinstance(sample, Unreadable):
        return sample
    return Unreadable(
        topic=message.topic,
        ven_id=sample.ven_id,
        reason="panel is not registered",
        size=len(message.payload),
        head=message.payload[:1024].decode("utf-8", "backslashreplace").replace("\x00", "\\x00"),
    )


def baseline(ven_id: str, samples: Sequence[PanelSample], frozen_at: datetime) -> Baseline:
    """Return the mean power in kW of a panel and of each of its circuits over the samples before an event."""
    used = [sample.used_power_kw for sample in samples if sample.used_power_kw is not None]
    circuits: dict[str, list[float]] = {}
    for sample in samples:
        for load in sample.loads:
            if load.current_power_kw is not None:
                circuits.setdefault(load.id, []).append(load.current_power_kw)
    return Baseline(
        ven_id=ven_id,
        frozen_at=frozen_at,
        power_kw=None if not used else float(mean_kw(used)),
        circuits_kw={name: float(mean_kw(values)) for name, values in circuits.items()},
        samples=len(used),
    )


def mean_kw(values: Sequence[float]) -> Decimal:
    """Return the mean of powers, exact to the watt."""
    return (sum((Decimal(str(value)) for value in values), Decimal(0)) / len(values)).quantize(_WATT)


def merged_samples(by_panel: Mapping[str, Sequence[PanelSample]]) -> list[PowerReading]:
    """Return the samples of several panels as one series: at each moment the last reading of every circuit.

    Circuits are named ``<panel>/<circuit>``, as in reports.
    """
    kw: dict[str, Decimal] = {}
    series = []
    for sample in sorted((each for some in by_panel.values() for each in some), key=lambda each: each.received_at):
        for load in sample.loads:
            if load.current_power_kw is not None:
                kw[f"{sample.ven_id}/{load.id}"] = Decimal(str(load.current_power_kw))
        series.append(PowerReading(at=sample.received_at, kw=dict(kw)))
    return series
