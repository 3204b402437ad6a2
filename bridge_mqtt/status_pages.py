"""Which pages the status and opt reports of an event have, and which of them must be written again.

The report named for the event holds everything while that is little. Of a large fleet it holds the sums only, and pages
hold the panels, so that no report is large and a change sends one page (B2). Rules without I/O.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from bridge_mqtt.model import Allocation, WindowPlan
from bridge_mqtt.outcome import EventSpan
from bridge_mqtt.store.events import StoredEvent
from openadr_profiles.fleet.reports import Shed

PANELS_IN_PAGE: Final = 200
"""Panels of one interval on a page; with eight circuits each that is less than a megabyte."""

MEASURED_EVERY: Final = timedelta(seconds=30)
"""A page of which nothing but measurements has changed is written again after so long at the earliest."""

_MEASURED_AT_ONCE: Final = 4


Stamp = tuple[object, object]
"""Tell what a page depends on: the state of event and interval, and what its panels were asked for and answered."""


@dataclass
class StatusPage:
    """A page as it was written last: its stamp tells what it depends on; ``totals`` are its panels' sums."""

    stamp: Stamp | None = None
    written_at: datetime | None = None
    totals: Shed | None = None
    is_final: bool = False


@dataclass
class ChangedPanels:
    """The panels that have answered since the pages were written last, and those with another part, by window."""

    answered: set[str] = field(default_factory=set)
    parts: dict[datetime, set[str]] = field(default_factory=dict)

    def add_parts(self, start: datetime, ven_ids: Iterable[str]) -> None:
        """Note panels that have another part in the window that was split at ``start``."""
        self.parts.setdefault(start, set()).update(ven_ids)

    @property
    def ven_ids(self) -> set[str]:
        """Return all panels of which anything has changed."""
        return self.answered.union(*self.parts.values())


@dataclass
class EventMemory:
    """Hold what the reporter remembers of an event between two rounds; all of it can be worked out again."""

    plans: dict[datetime, WindowPlan] = field(default_factory=dict)
    latest: dict[str, Allocation] = field(default_factory=dict)
    """Each panel's part in the last window that has one."""
    said: Collection[str] = ()
    changes: ChangedPanels = field(default_factory=ChangedPanels)
    begun_at: datetime | None = None
    """When the last round began."""
    ven_ids: Sequence[str] = ()
    """The panels in the order of the pages."""
    pages: dict[tuple[datetime, int], StatusPage] = field(default_factory=dict)
    sheds: dict[tuple[datetime, int], list[Shed]] = field(default_factory=dict)
    """The sheds of a small event's pages, which are one report together."""
    opts: dict[int, object] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    """The requested reports that are written, by the names that they are kept as."""
    senders: dict[str, EventMemory] = field(default_factory=dict)
    """The same of each sender, if panels report as vens of their own."""

    def of_sender(self, key: str) -> EventMemory:
        """Return what is remembered of the reports of one sender."""
        if not key:
            return self
        found = self.senders.setdefault(key, EventMemory())
        found.plans, found.latest, found.changes = self.plans, self.latest, self.changes
        return found

    def take(self, plan: WindowPlan, changed: Collection[str] | None = None) -> None:
        """Remember a window's split in which these panels have another part; None are all of them."""
        before = self.plans.get(plan.start)
        self.plans[plan.start] = plan
        if changed is None:
            gone = () if before is None else before.parts.keys() - plan.parts.keys()
            self.changes.add_parts(plan.start, plan.parts.keys() | set(gone))
            if gone:
                self.latest.clear()
        else:
            self.changes.add_parts(plan.start, changed)
            if not changed:
                return
        if self.latest and plan.start == max(self.plans):
            self.latest |= plan.parts
            return
        self.latest.clear()
        for _, each in sorted(self.plans.items()):
            self.latest |= each.parts

    def hear(self, said: Collection[str]) -> None:
        """Remember which panels have answered."""
        self.changes.answered |= set(said) ^ set(self.said)
        self.said = said

    def written(self) -> None:
        """Forget what has changed: all of it is written."""
        self.changes = ChangedPanels()


@dataclass(frozen=True)
class DueStatusPage:
    """A page that is to be written: some panels in one interval."""

    span: EventSpan
    number: int
    ven_ids: Sequence[str]
    stamp: Stamp
    is_final: bool

    @property
    def key(self) -> tuple[datetime, int]:
        """Return what the page is remembered by."""
        return self.span.start, self.number

    @property
    def name(self) -> str:
        """Return the page's part of the report's name."""
        return f"{int(self.span.start.timestamp())}-{self.number}"


def in_pages(ven_ids: Sequence[str], size: int = PANELS_IN_PAGE) -> list[Sequence[str]]:
    """Return the panels of each page."""
    return [ven_ids[begin : begin + size] for begin in range(0, len(ven_ids), size)]


def due_pages(
    memory: EventMemory,
    stored: StoredEvent,
    spans: Sequence[EventSpan],
    ven_ids: Sequence[str],
    said: Collection[str],
    now: datetime,
    *,
    all_returned: bool,
) -> list[DueStatusPage]:
    """Return the pages that are to be written now: those that changed, and a few of those that go on measuring.

    Only pages of panels that are among the changes are compared with what was written.
    """
    changed: list[DueStatusPage] = []
    measured: list[tuple[datetime, DueStatusPage]] = []
    pages = in_pages(ven_ids)
    same_panels = ven_ids == memory.ven_ids
    answered = _touched(pages, memory.changes.answered)
    for span in spans:
        over = stored.ended_at is not None or (span.end is not None and span.end <= now)
        final = over and (stored.ended_at is None or all_returned)
        state = (span.plan.start, span.end, over, stored.ended_at, all_returned)
        touched = answered | _touched(pages, memory.changes.parts.get(span.plan.start, ()))
        for number, some in enumerate(pages):
            page = memory.pages.get((span.start, number), StatusPage())
            if same_panels and number not in touched and page.stamp is not None and page.stamp[0] == state:
                stamp = page.stamp
            else:
                stamp = (state, _parts(span.plan.parts, some, said))
            if page.stamp != stamp or page.written_at is None:
                changed.append(DueStatusPage(span, number, some, stamp, final))
            elif not page.is_final and now - page.written_at >= MEASURED_EVERY:
                measured.append((page.written_at, DueStatusPage(span, number, some, stamp, final)))
    measured.sort(key=lambda each: each[0])
    return [*changed, *(due for _, due in measured[:_MEASURED_AT_ONCE])]


def _touched(pages: Sequence[Sequence[str]], ven_ids: Collection[str]) -> set[int]:
    """Return the numbers of the pages that any of these panels is on."""
    if not ven_ids:
        return set()
    wanted = set(ven_ids)
    return {number for number, some in enumerate(pages) if not wanted.isdisjoint(some)}


def _parts(parts: Mapping[str, Allocation], ven_ids: Sequence[str], said: Collection[str]) -> tuple[object, ...]:
    found = []
    for ven_id in ven_ids:
        part = parts.get(ven_id)
        if part is not None:
            found.append((ven_id, part.requested_kw, part.excluded, ven_id in said))
    return tuple(found)
