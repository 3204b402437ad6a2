"""The meters of all panels: counted as samples come, read in memory where that is possible, else from the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.metering.meter import MINUTE, PANEL, QUARTER, MeterReading, PanelMeter, interpolated, used
from bridge_mqtt.metering.panel_clock import PanelClock
from bridge_mqtt.pauses import with_pauses
from bridge_mqtt.store import readings, telemetry
from bridge_mqtt.store.events import Baseline
from openadr_profiles.panel import Telemetry

_HOLD_SHARE = 1.5
_LEAST_HOLD_S = 15.0

TakenReading = tuple[str, int, MeterReading]


class Meters:
    """One meter a panel. A sample holds for one and a half times ``offline_after_s`` at most."""

    def __init__(self, *, offline_after_s: float, baseline_s: float) -> None:
        self._hold_s = max(offline_after_s * _HOLD_SHARE, _LEAST_HOLD_S)
        self._baseline = timedelta(seconds=baseline_s)
        self._meters: dict[str, PanelMeter] = {}
        self._clocks: dict[str, PanelClock] = {}

    async def resume(self, connection: AsyncConnection) -> None:
        """Go on from what an earlier process has counted."""
        for ven_id, last in (await telemetry.last_counts(connection)).items():
            self._meter(ven_id).resume(last.reading)
            if last.offset_s is not None:
                clock = self._clocks[ven_id] = PanelClock()
                clock.resume(panel_s=last.timestamp.timestamp(), offset_s=last.offset_s, number=last.message_num)

    def take(self, samples: Iterable[Telemetry]) -> list[TakenReading]:
        """Count samples; return the readings that are to be kept."""
        taken: list[TakenReading] = []
        for sample in samples:
            kw = {load.id: load.current_power_kw for load in sample.loads if load.current_power_kw is not None}
            if sample.used_power_kw is not None:
                kw = {PANEL: sample.used_power_kw, **kw}
            clock = self._clocks.setdefault(sample.ven_id, PanelClock())
            at_s = clock.measured_at_s(sample)
            taken += [(sample.ven_id, kind, each) for kind, each in self._meter(sample.ven_id).take(at_s, kw)]
        return taken

    def shown(self, ven_ids: Iterable[str]) -> dict[str, MeterReading]:
        """Return what the meters of these panels show at their last samples."""
        found = {}
        for ven_id in ven_ids:
            meter = self._meters.get(ven_id)
            if meter is not None and meter.at_s is not None:
                reading = meter.reading(meter.at_s)
                if reading is not None:
                    found[ven_id] = reading
        return found

    def want(self, moments: Collection[datetime], ven_ids: Iterable[str]) -> None:
        """Take a reading of these panels at each of these moments, from now on."""
        moments_s = [moment.timestamp() for moment in moments]
        for ven_id in ven_ids:
            self._meter(ven_id).want(moments_s)

    async def at(
        self, connection: AsyncConnection, ven_ids: Iterable[str], moment: datetime
    ) -> dict[str, MeterReading]:
        """Return what each meter showed, or will show if nothing changes, at a moment.

        A reading that was asked for in time is exact. Others are worked out from those before and after, to the minute,
        and are marked ``estimated``.
        """
        moment_s = moment.timestamp()
        found: dict[str, MeterReading] = {}
        past = []
        async for ven_id in with_pauses(ven_ids):
            meter = self._meters.get(ven_id)
            if meter is not None and meter.at_s is not None and moment_s >= meter.at_s:
                found[ven_id] = _known(meter.reading(moment_s), moment_s)
            else:
                past.append(ven_id)
        if past:
            found |= await readings.at(connection, past, moment)
        missing = [ven_id for ven_id in past if ven_id not in found]
        for ven_id in missing:
            meter = self._meters.get(ven_id)
            if meter is not None and (reading := meter.reading(moment_s)) is not None:
                found[ven_id] = reading
        missing = [ven_id for ven_id in missing if ven_id not in found]
        for kind in (MINUTE, QUARTER):
            if missing:
                found |= await self._between(connection, missing, moment, kind)
                missing = [ven_id for ven_id in missing if ven_id not in found]
        return found

    async def _between(
        self, connection: AsyncConnection, ven_ids: Collection[str], moment: datetime, kind: int
    ) -> dict[str, MeterReading]:
        """Return readings that are worked out from those of minutes or quarters around the moment."""
        before = await readings.next_to(connection, ven_ids, moment, kind=kind, before=True)
        after = await readings.next_to(connection, ven_ids, moment, kind=kind, before=False)
        after = self.shown(before.keys() - after.keys()) | after
        moment_s = moment.timestamp()
        found = {}
        for ven_id, reading in before.items():
            later = after.get(ven_id)
            found[ven_id] = (
                reading if later is None or reading.at_s == moment_s else interpolated(reading, later, moment_s)
            )
        return found

    async def baselines(
        self, connection: AsyncConnection, free_since: Mapping[str, datetime | None], start: datetime
    ) -> list[Baseline]:
        """Return the mean power of panels and circuits before an event, of those that were heard for long enough.

        ``free_since`` has each panel and since when it follows no event: what it drew in one does not count (no. 34).
        A panel of which nothing but one sample is known has no baseline. What meters no longer have in memory is read
        for all panels that became free in the same minute at once, from the end of that minute on.
        """
        begin = start - self._baseline
        since = {ven_id: begin if free is None else max(begin, min(free, start)) for ven_id, free in free_since.items()}
        first = await self._remembered(since)
        by_begin: dict[datetime, list[str]] = {}
        for ven_id, moment in since.items():
            if ven_id not in first:
                by_begin.setdefault(moment if moment == begin else min(_next_minute(moment), start), []).append(ven_id)
        for moment, ven_ids in by_begin.items():
            first |= await self.at(connection, ven_ids, moment)
        last = await self._remembered(dict.fromkeys(since, start))
        last |= await self.at(connection, [ven_id for ven_id in since if ven_id not in last], start)
        found = [_baseline(ven_id, first, last, start) async for ven_id in with_pauses(since)]
        return [each for each in found if each is not None]

    async def _remembered(self, moments: Mapping[str, datetime]) -> dict[str, MeterReading]:
        """Return what each of these meters showed at a moment of its own, of those that still know it."""
        found = {}
        async for ven_id, moment in with_pauses(moments.items()):
            meter = self._meters.get(ven_id)
            reading = None if meter is None else meter.reading(moment.timestamp())
            if reading is not None:
                found[ven_id] = reading
        return found

    def _meter(self, ven_id: str) -> PanelMeter:
        meter = self._meters.get(ven_id)
        if meter is None:
            meter = self._meters[ven_id] = PanelMeter(hold_s=self._hold_s)
        return meter


def _known(reading: MeterReading | None, at_s: float) -> MeterReading:
    return MeterReading(at_s, {}) if reading is None else reading


def _next_minute(moment: datetime) -> datetime:
    """Return the end of the minute that a moment lies in; a whole minute itself."""
    return datetime.fromtimestamp(-(-moment.timestamp() // MINUTE) * MINUTE, UTC)


def _baseline(
    ven_id: str, first: Mapping[str, MeterReading], last: Mapping[str, MeterReading], frozen_at: datetime
) -> Baseline | None:
    start, end = first.get(ven_id), last.get(ven_id)
    if end is None:
        return None
    start = MeterReading(end.at_s, {}) if start is None else start
    means = {name: each.mean_kw for name in end.counts if (each := used(start, end, name)) is not None}
    known = {name: round(kw, 3) for name, kw in means.items() if kw is not None}
    if not known:
        return None
    return Baseline(
        ven_id=ven_id,
        frozen_at=frozen_at,
        power_kw=known.get(PANEL),
        circuits_kw={name: kw for name, kw in known.items() if name != PANEL},
        samples=max(1, end.samples - start.samples),
    )


def moment_of(at_s: float) -> datetime:
    """Return a moment as an aware instant in UTC."""
    return datetime.fromtimestamp(at_s, UTC)


def each_piece(ven_ids: Collection[str], size: int) -> Iterator[list[str]]:
    """Yield the panels in pieces, so that others have their turn between two."""
    ordered = sorted(ven_ids)
    for begin in range(0, len(ordered), size):
        yield ordered[begin : begin + size]
