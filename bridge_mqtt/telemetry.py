"""Metering: stored in batches, the latest sample of each panel at hand, and means over time for baselines."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.metering.meter import MeterReading
from bridge_mqtt.metering.meters import Meters, TakenReading
from bridge_mqtt.model import PanelRecord
from bridge_mqtt.panels import Registry
from bridge_mqtt.pauses import with_pauses
from bridge_mqtt.store import panels, quarantine, readings, telemetry
from bridge_mqtt.store.events import Baseline
from bridge_mqtt.store.telemetry import PanelSample
from openadr_client import Received
from openadr_profiles.panel import Telemetry, Unreadable, read_telemetry
from openadr_profiles.panel.reading import unreadable

_log = structlog.get_logger(__name__)

_WATT = Decimal("0.001")
_SAVED_EVERY = timedelta(seconds=30)


class TelemetryDesk:
    """Takes samples in: stored as they are, counted by the panels' meters, and the latest of each panel remembered."""

    def __init__(self, registry: Registry, meters: Meters, *, quarantine_per_hour: int) -> None:
        self._registry = registry
        self._meters = meters
        self._quarantine_per_hour = quarantine_per_hour
        self._unstored: list[TakenReading] = []
        self._saved: dict[str, PanelRecord] = {}
        self._to_save: dict[str, PanelRecord] = {}
        self.stored = 0

    async def take(self, connection: AsyncConnection, messages: Sequence[Received]) -> set[str]:
        """Store samples, remember the latest of each panel, and return the panels that have measured.

        `committed` is to be called once it is certain. Meters go on when samples come, so that a batch that is tried
        again counts once. The row of a panel is written when something decisive is new, else now and then: its samples
        say the same.
        """
        samples: list[Telemetry] = []
        lists: list[Telemetry] = []
        aside: list[tuple[Unreadable, datetime]] = []
        async for message in with_pauses(messages):
            sample = read_telemetry(message.topic, message.payload, message.received_at)
            if isinstance(sample, Telemetry) and self._registry.admit(sample.ven_id) is not None:
                if message.topic.startswith("ven/loads/"):
                    self._to_save[sample.ven_id] = self._registry.listed(sample)
                    lists.append(sample)
                    continue
                samples.append(sample)
                panel = self._registry.measured(sample)
                if _is_news(self._saved.get(sample.ven_id), panel):
                    self._to_save[sample.ven_id] = panel
            else:
                aside.append((_put_aside(message, sample), message.received_at))
        await quarantine.add_all(connection, aside, self._quarantine_per_hour)
        async for sample in with_pauses(samples):
            self._unstored += self._meters.take([sample])
        await readings.add(connection, self._unstored)
        shown: dict[str, MeterReading] = {}
        async for ven_id in with_pauses({sample.ven_id for sample in samples}):
            shown |= self._meters.shown([ven_id])
        await telemetry.add(connection, samples, shown)
        await telemetry.add(connection, lists)
        await panels.save_samples(connection, list(self._to_save.values()))
        self.stored += len(samples) + len(lists)
        return {sample.ven_id for sample in (*samples, *lists)}

    def committed(self) -> None:
        """Forget what was to be stored: it is."""
        self._unstored = []
        self._saved |= self._to_save
        self._to_save = {}


def _is_news(saved: PanelRecord | None, panel: PanelRecord) -> bool:
    """Return True if a panel's row must be written anew: what it shows has changed, or the row is old."""
    if saved is None or saved.sample_received_at is None or panel.sample_received_at is None:
        return True
    decisive = ("event_id", "tells_event", "dialect", "restarted_at", "free_since", "error", "answered_at")
    if any(getattr(saved, name) != getattr(panel, name) for name in decisive):
        return True
    return panel.sample_received_at - saved.sample_received_at >= _SAVED_EVERY


def _put_aside(message: Received, sample: Telemetry | Unreadable) -> Unreadable:
    if isinstance(sample, Unreadable):
        return sample
    return unreadable(message.topic, sample.ven_id, "panel is not registered", message.payload)


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
