"""Make the reports that events ask for, each once and each for itself, from sums of what the circuits draw."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from openadr_profiles.fleet.power import SIMPLE
from openadr_profiles.v31 import Resource, asks_about, encode, format_instant
from ven.events.agenda import Agenda
from ven.panel.curtailer import Curtailer
from ven.panel.load_profile import LoadProfile
from ven.panel.meter import PowerReading
from ven.panel.switchgear import Switchgear
from ven.reports.queue import Due, ReportQueue
from ven.reports.requested import build, computed
from ven.reports.values import Facts
from ven.settings import VenSettings
from ven.store import StateFile
from ven.store.reports import MOST_UNSENT
from ven.troubles import Troubles

_log = structlog.get_logger(__name__)

_LOST_SHARE: Final = 30
"""A process that is killed loses this part of a window at most: less than what makes a value an estimate."""
_A_STEP: Final = 20
_A_UNIT: Final = 500
"""A step makes so many reports, or fewer: each of so many values counts as one more."""
_NEXT_PART: Final = timedelta(seconds=1)
_MOST_TRIES: Final = 5
_MOST_TRIED: Final = 1000
_WRITTEN_EVERY: Final = (timedelta(minutes=1), timedelta(minutes=15))


class RequestedReporter:
    """Measure what coming reports are about, and make them when they are due. Nothing here raises or waits for a disk.

    The control calls `take` with each reading, before anything is switched, and `step` at the end of its step.
    """

    def __init__(
        self,
        settings: VenSettings,
        store: StateFile,
        panel: Switchgear,
        agenda: Agenda,
        curtailer: Curtailer,
        *,
        hold: timedelta,
    ) -> None:
        self._settings = settings
        self._store = store
        self._panel = panel
        self._agenda = agenda
        self._curtailer = curtailer
        self._hold = hold
        self._own = timedelta(seconds=settings.reports.own_interval_s)
        self._troubles = Troubles()
        self._targets: dict[str, Sequence[str]] = {}
        self._queue = ReportQueue(own=self._own, most=MOST_UNSENT)
        self._profile = LoadProfile(panel.ids, hold=hold)
        self._limited: tuple[str, ...] = ()
        self._level = 0
        self._needed_from: datetime | None = None
        self._taken: PowerReading | None = None
        self._loaded = False
        self._stepped_at: datetime | None = None
        self._is_behind = False
        self._turn = 0
        self._tries: dict[tuple[str, ...], int] = {}
        self._written_at: datetime | None = None

    async def load(self, now: datetime) -> None:
        """Take up what an earlier process kept; after that, what is in memory counts."""
        if self._loaded:
            return
        self._loaded = True
        self._targets = dict(await self._store.reports.targets())
        cursors = await self._store.reports.cursors()
        covered = await self._store.reports.covered()
        self._queue = ReportQueue(own=self._own, cursors=cursors, covered=covered, most=MOST_UNSENT)
        self._profile = LoadProfile(self._panel.ids, hold=self._hold)
        with self._troubles.alone("the load profile"):
            self._profile.load(await self._store.load_profile.all())
        self._written_at = now

    def take_resources(self, resources: Iterable[Resource]) -> None:
        """Learn which targets our resources have, for reports that ask for some of them only (RDESC-017)."""
        found = {each.resource_name: tuple(each.targets or ()) for each in resources}
        if found != self._targets:
            self._targets = dict(found)
            self._store.reports.put_targets(found)

    def take(self, reading: PowerReading | None, now: datetime) -> None:
        """Add up the time since the last reading; None: the panel could not be read."""
        self._taken = reading
        with self._troubles.alone("measuring for reports"):
            self._follow()
            at = now if reading is None else reading.at
            since = self._profile.known_to
            needed_from, kept_from = self._queue.needed_from, self._queue.kept_from
            edges = self._queue.edges(since or at - self._hold, at) if needed_from is not None else []
            closed = self._profile.take(
                reading,
                now,
                needed_from=needed_from,
                kept_from=kept_from,
                edges=edges,
                limited=self._limited,
                level=self._level,
            )
            needed = [each for each in (needed_from, kept_from) if each is not None]
            self._write(closed=bool(closed), needed_from=min(needed, default=None), now=at)
            for piece in closed:
                self._store.load_profile.put(piece)

    async def step(self, now: datetime) -> None:
        """Make the reports that are due; one that cannot be made is logged and keeps no other from being made."""
        self._follow()
        self._limited = tuple(self._panel.limits)
        with self._troubles.alone("the SIMPLE level"):
            self._level = self._level_at(now) if self._queue.needed_from is not None else 0
        last = self._panel.last
        if last is not None and last is not self._taken and last.at >= now:  # it was read again after switching
            self.take(last, now)
        await self._make_what_is_due(now)

    @property
    def next_due(self) -> datetime | None:
        """Return when the next report is to be made; None if none is known. What has failed waits for any step."""
        if self._stepped_at is not None and self._is_behind:
            return self._stepped_at + _NEXT_PART
        return self._queue.next_due(self._stepped_at)

    def is_done(self, event_id: str) -> bool:
        """Return True if an event asks for no more reports."""
        return self._queue.is_done(event_id)

    def _follow(self) -> None:
        timelines = self._agenda.timelines
        self._queue.keep_only(timelines)
        for event_id, timeline in timelines.items():
            with self._troubles.alone(f"the report schedule of event {event_id}"):
                received = self._agenda.received(event_id)
                self._queue.set(event_id, timeline, received.first_received, received.anchor)
        for asked in self._queue.groups():
            self._profile.follow(tuple(id_ for id_ in self._panel.ids if asks_about(asked, self._targets.get(id_, ()))))

    def _write(self, *, closed: bool, needed_from: datetime | None, now: datetime) -> None:
        """Keep the piece that is growing from time to time, and drop what no report needs any more."""
        if needed_from != self._needed_from:
            self._needed_from = needed_from
            self._store.load_profile.drop_before(needed_from)
        piece = self._profile.open
        if piece is None:
            return
        shortest, longest = _WRITTEN_EVERY
        every = min(max((now - piece.start) / _LOST_SHARE, shortest), longest)
        if closed or self._written_at is None or now - self._written_at >= every:
            self._written_at = now
            self._store.load_profile.put(piece)

    async def _make_what_is_due(self, now: datetime) -> None:
        """Make as many reports as a step has time for, each event's in turn; the rest stays due."""
        self._stepped_at, self._is_behind = now, False
        ids = list(self._agenda.timelines)
        turn = self._turn % max(len(ids), 1)
        left = _A_STEP
        for event_id in ids[turn:] + ids[:turn]:
            failed: set[str] = set()
            with self._troubles.alone(f"the reports of event {event_id}"):
                for due in self._queue.take(event_id, now, but=failed):
                    if left <= 0:
                        self._is_behind = True
                        self._turn += 1
                        return
                    left -= 1 + len(due.group[0].numbers) * len(due.group) * (len(self._panel.ids) + 1) // _A_UNIT
                    if not await self._made(due, now):
                        failed.update(due.cursors)

    async def _made(self, due: Due, now: datetime) -> bool:
        """Make a report; False if that failed and is to be tried again. It is given up after a few times."""
        key = (due.event_id, *sorted(due.cursors), format_instant(due.group[0].intended))
        tries = self._tries.pop(key, 0) + 1
        self._tries[key] = tries  # counted first: building it may be what is cancelled
        if len(self._tries) > _MOST_TRIED:
            del self._tries[next(iter(self._tries))]
        with self._troubles.alone(f"a report of event {due.event_id}"):
            if tries > _MOST_TRIES:
                _log.error("a report cannot be made and is given up", event_id=due.event_id, tries=_MOST_TRIES)
                self._agenda.add_reports({}, due.event_id, due.cursors, due.covered)
            else:
                await self._make(due, now)
            del self._tries[key]
        return key not in self._tries

    async def _make(self, due: Due, now: datetime) -> None:
        built = await build(due.group, self._facts(due, now))
        texts = {
            name: await computed(partial(encode, request), size=sum(len(each.intervals) for each in request.resources))
            for name, request in built
        }
        self._agenda.add_reports(texts, due.event_id, due.cursors, due.covered)

    def _facts(self, due: Due, now: datetime) -> Facts:
        event_id = due.event_id

        def curtailed(circuit_id: str, start: datetime, end: datetime | None) -> bool:
            seen = end is not None and self._profile.was_limited(circuit_id, start, end)
            return seen or self._curtailer.was_curtailed(event_id, circuit_id, start, end)

        def level(start: datetime, end: datetime | None) -> int:
            return self._level_at(start) if end is None or start >= now else self._profile.level(start, end)

        return Facts(
            event_id=event_id,
            client_name=self._settings.reported_as,
            circuits=self._settings.circuits,
            targets=self._targets,
            baseline_kw=self._curtailer.baseline_kw(event_id),
            expected_kw=self._curtailer.undisturbed_kw(now),
            opted_out=not self._agenda.decision(event_id).opted_in,
            measured=self._profile.measured,
            curtailed=curtailed,
            level=level,
            storages=self._storages(due),
        )

    def _storages(self, due: Due) -> frozenset[str]:
        """Return the circuits that store energy: those whose charge the device tells now, or told in the windows."""
        last = self._panel.last
        known = {*last.charge_kwh, *last.capacity_kwh} if last else set()
        windows = due.group[0].windows
        if windows and windows[-1].end is not None:
            known |= self._profile.stores(windows[0].start, windows[-1].end)
        return frozenset(known)

    def _level_at(self, moment: datetime) -> int:
        """Return the SIMPLE level that is followed at a moment: that of the event which wins, whoever asks."""
        winner = self._agenda.schedule.in_force(moment, self._agenda.opted_in).get(SIMPLE)
        value = winner.held.values[0] if winner is not None and winner.held.values else 0
        return int(value) if isinstance(value, int | float) else 0
