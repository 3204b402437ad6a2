"""Count and log what VENs of OpenADR 2.0b are not told of an event, and events that they are not told of at all (4.7).

Lines name the event, the VEN and each loss. Of each number of an event so many VENs are named, then one line says that
there are more: what is lost is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import structlog

from openadr_profiles.v20b.projection import EventStatus20b, NoFormKind, Projection
from vtn.api.v20b.counts import Counts20b
from vtn.lru import LruCache
from vtn.store.v20b.event_rows import IssueRow
from vtn.store.v20b.vens import Ven20b

_log = structlog.get_logger(__name__)

_NAMED: Final = 20
_REMEMBERED: Final = 1000
_EXPECTED: Final = frozenset({NoFormKind.CANCELLED.value, NoFormKind.NOTHING_ASKED.value})


class LossLog:
    """The log and the counters of losses of one process."""

    def __init__(self, counts: Counts20b) -> None:
        self._counts = counts
        self._named: LruCache[tuple[str, int], int] = LruCache(_REMEMBERED)
        self._not_reissued: LruCache[tuple[str, str], bool] = LruCache(_REMEMBERED)
        self._untold: LruCache[str, int] = LruCache(_REMEMBERED)
        self._overlapping: LruCache[tuple[str, str], bool] = LruCache(_REMEMBERED)

    def told(self, ven: Ven20b, issue: IssueRow, number: int, projection: Projection) -> None:
        """Note that a VEN is told of a number of an event for the first time."""
        if not projection.losses:
            return
        self._counts.losses(loss.kind for loss in projection.losses)
        key = issue.wire_id, number
        named = self._named.get(key) or 0
        if named > _NAMED:
            return
        self._named.put(key, named + 1)
        if named == _NAMED:
            _log.info("more VENs of 2.0b are told of this event with the same losses", event_id=issue.event_id)
            return
        _log.info(
            "a VEN of 2.0b is told of an event with losses",
            event_id=issue.event_id,
            ven=ven.name,
            losses=[str(loss) for loss in projection.losses],
        )

    def refused(self, issue: IssueRow, is_over: bool) -> None:
        """Note that an event has no form in 2.0b, which its reason tells."""
        reason = issue.reason or ""
        kind = reason.partition(":")[0]
        if is_over or kind in _EXPECTED:
            return
        self._counts.event_refused(kind)
        _log.warning("an event is not told to VENs of 2.0b", event_id=issue.event_id, reason=reason)

    def untold(self, ven: Ven20b, count: int) -> None:
        """Warn of events that a VEN is not told of yet, since it has as many as a VEN may have; once per count."""
        if count == (self._untold.get(ven.id) or 0):
            return
        self._untold.put(ven.id, count)
        if count:
            _log.warning("a VEN of 2.0b is not told yet of the events that begin last", ven=ven.name, untold=count)

    def not_reissued(self, ven: Ven20b, event_id: str) -> None:
        """Warn of an event that a VEN may see again and is not told of: it was taken away too often; once."""
        key = ven.id, event_id
        if self._not_reissued.get(key) is None:
            self._not_reissued.put(key, True)
            _log.warning("an event is not told again: it was taken away too often", event_id=event_id, ven=ven.name)

    def late(self, issue: IssueRow, projection: Projection) -> None:
        """Warn of an event that was made later than its program promises (B-EVT-037)."""
        notification_s = projection.notification_s
        if notification_s is None or issue.number:
            return
        latest = projection.start - timedelta(seconds=notification_s)
        if datetime.fromisoformat(issue.created_at) > latest:
            _log.warning(
                "an event is told later than its notification time", event_id=issue.event_id, latest=str(latest)
            )

    def overlapping(self, ven: Ven20b, told: Iterable[tuple[IssueRow, Projection, EventStatus20b]]) -> None:
        """Warn of events of one market context that a VEN is to follow at the same time (B-EVT-023).

        Of two events once, with the first VEN that is told of them.
        """
        latest: dict[str, tuple[datetime | None, str]] = {}
        known = sorted(told, key=lambda each: each[1].start)
        for issue, projection, status in known:
            if status in {EventStatus20b.CANCELLED, EventStatus20b.COMPLETED}:
                continue
            before = latest.get(projection.market_context)
            if before is not None and (before[0] is None or before[0] > projection.start):
                self._overlap(ven, issue.event_id, before[1])
            over_at = projection.over_at
            if before is None or (before[0] is not None and (over_at is None or over_at > before[0])):
                latest[projection.market_context] = over_at, issue.event_id

    def _overlap(self, ven: Ven20b, event_id: str, other_event_id: str) -> None:
        pair = event_id, other_event_id
        if self._overlapping.get(pair) is None:
            self._overlapping.put(pair, True)
            _log.warning(
                "two events of one market context overlap, which 2.0b does not allow",
                event_id=event_id,
                other_event_id=other_event_id,
                ven=ven.name,
            )
