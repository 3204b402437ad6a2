"""Fairness over a season: the energy that each panel has shed decides who is asked first when not all are needed.

It is counted once an event has ended, by what panels answered: a shed counts from its answer until it is restored,
replaced or over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import attrgetter
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.store import Store, seasons
from bridge_mqtt.store.seasons import SentCommand
from openadr_profiles.panel import CommandState, Op

_log = structlog.get_logger(__name__)

_ANSWERED_WITHIN: Final = timedelta(seconds=60)
"""So long after the end of an event the answers to its last commands may still come."""
_HOUR_S: Final = 3600.0


def season_of(at: datetime, starts: Sequence[str]) -> str:
    """Return the day on which the season of an instant began, in UTC; ``starts`` are days of a year as ``04-01``."""
    day = at.astimezone(UTC).date()
    begun = [each for year in (day.year - 1, day.year) for each in _days(year, starts) if each <= day]
    return max(begun).isoformat()


def _days(year: int, starts: Sequence[str]) -> list[date]:
    return [date(year, int(month), int(number)) for month, number in (start.split("-") for start in starts)]


def shed_kwh(commands: Iterable[SentCommand], since: datetime, until: datetime) -> dict[str, float]:
    """Return the energy in kWh that each panel shed for an event between two instants, by its answers.

    ``commands`` are in order of panels and, within a panel, of time.
    """
    found = {}
    for ven_id, some in groupby(commands, key=attrgetter("ven_id")):
        kwh, own = 0.0, list(some)
        for number, each in enumerate(own):
            if each.op == Op.SHED_PANEL and each.state == CommandState.ACKED:
                ends = (other.sent_at for other in own[number + 1 :] if other.op != Op.PING)
                end = min(moment for moment in (next(ends, None), each.window_end, until) if moment is not None)
                begin = max(each.answered_at or each.sent_at, since)
                kw = each.amount_kw if each.actual_kw is None else each.actual_kw
                kwh += max(0.0, kw) * max(0.0, (end - begin).total_seconds()) / _HOUR_S
        if kwh:
            found[ven_id] = kwh
    return found


class SeasonCount:
    """Counts what panels have shed in a season. ``on_change`` is told the kWh by panel whenever they have changed."""

    def __init__(
        self,
        *,
        store: Store,
        turn: Callable[[], AbstractAsyncContextManager[AsyncConnection]],
        starts: Sequence[str],
        now: Callable[[], datetime],
        on_change: Callable[[Mapping[str, float]], None],
    ) -> None:
        self._store = store
        self._turn = turn
        self._starts = starts
        self._now = now
        self._on_change = on_change
        self._told = ""

    async def count(self) -> None:
        """Count events that have ended, and tell of it if anything has changed or a new season has begun."""
        now = self._now()
        async with self._store.reading() as connection:
            ended = await seasons.ended(connection, now - _ANSWERED_WITHIN)
        for each in ended:
            async with self._store.reading() as connection:
                commands = [told async for told in seasons.told(connection, each.event_id)]
            found = shed_kwh(commands, each.counted_until or each.received_at, each.ended_at)
            async with self._turn() as connection:
                is_new = await seasons.add(connection, each, season_of(each.ended_at, self._starts), found)
            if is_new and found:
                kwh = round(sum(found.values()), 3)
                _log.info("shed energy counted", event_id=each.event_id, panels=len(found), kwh=kwh)
        season = season_of(now, self._starts)
        if ended or season != self._told:
            await self.tell(season)

    async def tell(self, season: str | None = None) -> None:
        """Read what was counted in this season and tell of it."""
        season = season or season_of(self._now(), self._starts)
        async with self._store.reading() as connection:
            found = await seasons.shed_kwh(connection, season)
        self._told = season
        self._on_change(found)
