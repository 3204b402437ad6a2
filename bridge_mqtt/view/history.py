"""Power over time: samples and circuits in pages, newest first, and means of equal steps, oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store import allocations, history, metered_history
from bridge_mqtt.store.history import MeanPower, PastSample
from bridge_mqtt.view.shapes import (
    CircuitHistoryAnswer,
    CircuitSnapshotAnswer,
    HistoryAnswer,
    HistoryPoint,
    TelemetryAnswer,
    TelemetryPoint,
)
from bridge_mqtt.view.sources import Sources, leisurely
from openadr_profiles.panel import Load

_PAGE = 200
_MOST_SAMPLES = 20_000
_A_MICROSECOND = timedelta(microseconds=1)
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Position:
    """A place in the history of a panel: a sample, and how many of its circuits were shown already."""

    at: datetime
    id: int
    shown: int = 0

    @property
    def text(self) -> str:
        """Return the position as text for a query parameter."""
        return f"{(self.at - _BEGINNING) // _A_MICROSECOND}-{self.id}-{self.shown}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that a text names; raises ValueError."""
        parts = text.split("-")
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
            raise ValueError("expected the nextBefore of an earlier answer")
        micros, id_, shown = map(int, parts)
        try:
            return cls(_BEGINNING + timedelta(microseconds=micros), id_, shown)
        except OverflowError:
            raise ValueError("expected the nextBefore of an earlier answer") from None


@dataclass(frozen=True, kw_only=True)
class Span:
    """The part of the history that somebody asks for."""

    start: datetime | None
    end: datetime | None
    before: Position | None
    limit: int


class HistoryView:
    """Answers questions about the past."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def telemetry(self, ven_id: str, span: Span) -> TelemetryAnswer:
        """Return samples of a panel, newest first."""
        async with self._sources.store.showing() as connection:
            found = await self._samples(connection, ven_id, span, span.before, span.limit + 1)
            event_ids = {each.event_id for each in found if each.event_id is not None}
            asked = await allocations.requested_of(connection, ven_id, event_ids)
        more = Position(found[span.limit].timestamp, found[span.limit].id).text if len(found) > span.limit else None
        points = tuple(_telemetry(sample, asked) for sample in found[: span.limit])
        return TelemetryAnswer(ven_id=ven_id, telemetry=points, total_count=len(points), next_before=more)

    async def circuits(self, ven_id: str, load_id: str | None, span: Span) -> CircuitHistoryAnswer:
        """Return circuits of a panel over time, newest first, one or all of them."""
        snapshots: list[CircuitSnapshotAnswer] = []
        position, looked_at = span.before, 0
        more = None
        async with self._sources.store.showing() as connection:
            while more is None:
                found = await self._samples(connection, ven_id, span, position, _PAGE)
                async for sample in leisurely(found):
                    loads = [load for load in sample.loads if load_id is None or load.id == load_id]
                    shown = position.shown if position is not None and position.id == sample.id else 0
                    fitting = loads[shown : shown + span.limit - len(snapshots)]
                    snapshots += [_snapshot(sample, load) for load in fitting]
                    position = Position(sample.timestamp, sample.id, shown + len(fitting))
                    if len(snapshots) == span.limit:
                        more = position.text
                        break
                looked_at += len(found)
                if len(found) < _PAGE:
                    break
                if looked_at >= _MOST_SAMPLES and more is None and position is not None:
                    more = position.text  # a circuit that is seldom measured: go on in the next request
        return CircuitHistoryAnswer(
            ven_id=ven_id,
            load_id=load_id,
            snapshots=tuple(snapshots),
            total_count=len(snapshots),
            next_before=more,
        )

    async def panel(self, ven_id: str, start: datetime, end: datetime, step_s: int) -> HistoryAnswer:
        """Return the mean power of a panel in steps of ``step_s`` seconds."""
        async with self._sources.store.showing() as connection:
            if await metered_history.is_needed(connection, ven_id, start, end):
                return _metered(await metered_history.means(connection, ven_id, start, end, step_s))
            means = await history.of_panel(connection, ven_id, start=start, end=end, step_s=step_s)
            event_ids = {mean.event_id for mean in means if mean.event_id is not None}
            asked = await allocations.requested_of(connection, ven_id, event_ids)
        return HistoryAnswer(points=tuple(_point(mean, asked) for mean in means), step_s=step_s)

    async def load(self, ven_id: str, load_id: str, start: datetime, end: datetime, step_s: int) -> HistoryAnswer:
        """Return the mean power of one circuit in steps of ``step_s`` seconds."""
        steps: dict[int, list[float]] = {}
        async with self._sources.store.showing() as connection:
            if await metered_history.is_needed(connection, ven_id, start, end):
                return _metered(await metered_history.means(connection, ven_id, start, end, step_s, channel=load_id))
            before: Position | None = None
            while True:
                span = Span(start=start, end=end, before=before, limit=_PAGE)
                found = await self._samples(connection, ven_id, span, before, _PAGE)
                fresh = [sample for sample in found if before is None or sample.id != before.id]
                async for sample in leisurely(fresh):
                    for load in sample.loads:
                        if load.id == load_id and load.current_power_kw is not None:
                            steps.setdefault(int(sample.timestamp.timestamp()) // step_s, []).append(
                                load.current_power_kw
                            )
                if not fresh or len(found) < _PAGE:
                    break
                before = Position(found[-1].timestamp, found[-1].id)
        points = [
            HistoryPoint(
                timestamp=_BEGINNING + timedelta(seconds=number * step_s),
                used_power_kw=round(sum(values) / len(values), 3),
                shed_power_kw=None,
                event_id=None,
                requested_reduction_kw=None,
            )
            for number, values in sorted(steps.items())
        ]
        return HistoryAnswer(points=tuple(points), step_s=step_s)

    async def network(self, start: datetime, end: datetime, step_s: int) -> HistoryAnswer:
        """Return the power of all panels together in steps of ``step_s`` seconds."""
        async with self._sources.store.showing() as connection:
            if await metered_history.is_needed(connection, None, start, end):
                return _metered(await metered_history.means(connection, None, start, end, step_s))
            means = await history.of_all(connection, start=start, end=end, step_s=step_s)
        return HistoryAnswer(points=tuple(_point(mean, {}) for mean in means), step_s=step_s)

    async def _samples(
        self, connection: AsyncConnection, ven_id: str, span: Span, position: Position | None, limit: int
    ) -> list[PastSample]:
        before = None if position is None else (position.at, position.id)
        return await history.page(connection, ven_id, start=span.start, end=span.end, before=before, limit=limit)


def _metered(found: tuple[list[MeanPower], int]) -> HistoryAnswer:
    means, step_s = found
    return HistoryAnswer(points=tuple(_point(mean, {}) for mean in means), step_s=step_s)


def _telemetry(sample: PastSample, asked: dict[str, float]) -> TelemetryPoint:
    return TelemetryPoint(
        timestamp=sample.timestamp,
        used_power_kw=sample.used_power_kw,
        shed_power_kw=sample.shed_power_kw,
        requested_reduction_kw=asked.get(sample.event_id or ""),
        event_id=sample.event_id,
        baseline_power_kw=sample.baseline_power_kw,
        battery_soc=sample.battery_soc,
    )


def _snapshot(sample: PastSample, load: Load) -> CircuitSnapshotAnswer:
    return CircuitSnapshotAnswer(
        timestamp=sample.timestamp,
        load_id=load.id,
        name=load.name,
        type=load.type,
        capacity_kw=load.capacity_kw,
        current_power_kw=load.current_power_kw,
        shed_capability_kw=load.shed_capability_kw,
        enabled=load.enabled,
        priority=load.priority,
    )


def _point(mean: MeanPower, asked: dict[str, float]) -> HistoryPoint:
    return HistoryPoint(
        timestamp=mean.at,
        used_power_kw=None if mean.used_kw is None else round(mean.used_kw, 3),
        shed_power_kw=None if mean.shed_kw is None else round(mean.shed_kw, 3),
        event_id=mean.event_id,
        requested_reduction_kw=asked.get(mean.event_id or ""),
    )
