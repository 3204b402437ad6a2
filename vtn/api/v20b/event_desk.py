"""Tell VENs of OpenADR 2.0b of their events: what is due, in the words of 2.0b, and noted before it is sent.

Nothing is computed for a VEN before it asks. An empty poll asks the database nothing while no event, program, ven or
resource has changed; then it is two statements that find little.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from openadr_profiles.v20b.codes import Code
from openadr_profiles.v20b.messages import DistributeEvent, EiResponse, WrittenEvent
from openadr_profiles.v20b.projection import EventStatus20b, decoded
from vtn.api.v20b.event_examination import Entry, Examined, delivery_of, examined, in_order, lacks_issue, others_open
from vtn.api.v20b.event_issues import cancelled, changes_of, reissued
from vtn.api.v20b.event_losses import LossLog
from vtn.api.v20b.event_messages import ToldIssue, ToldIssues, event_message
from vtn.api.v20b.refusals import RefusedMessage
from vtn.lru import LruCache
from vtn.store.failures import ConstraintViolated
from vtn.store.ids import new_id
from vtn.store.stamps import stamp
from vtn.store.v20b.event_rows import DeliveryRow, IssueRow, IssueState, Key, SeenEvent, SeenEvents
from vtn.store.v20b.events import EventStore20b, IssueChange
from vtn.store.v20b.vens import Ven20b

_ALWAYS: Final = "always"
_ROUNDS: Final = 4
_AT_ONCE: Final = 8
_AT_MOST: Final = 500
_REMEMBERED: Final = 50_000


class _Quiet(NamedTuple):
    """Nothing was due at a revision of the tables, and nothing is until a moment (None: until they change)."""

    revision: object
    registration_id: str
    until: str | None


class Distribution(NamedTuple):
    """A message to a VEN, None if nothing is due, and what it is made of.

    ``silent`` are entries that were sent before and need an answer that did not come.
    ``reports_due`` are events of which an answer is not in the opt report yet; ``has_schedules`` says that the VEN has
    opted for times.
    """

    message: DistributeEvent | None
    entries: tuple[Entry, ...]
    silent: tuple[Entry, ...]
    reports_due: tuple[str, ...]
    has_schedules: bool


class EventDesk:
    """Tells VENs of their events. ``base_url`` names programs that state no market context."""

    def __init__(
        self, store: EventStore20b, losses: LossLog, *, vtn_id: str, base_url: str, retry_polls: int = 3
    ) -> None:
        self._store = store
        self._losses = losses
        self._vtn_id = vtn_id
        self._base_url = base_url
        self._retry_polls = retry_polls
        self._told = ToldIssues()
        self._quiet: LruCache[str, _Quiet] = LruCache(_REMEMBERED)

    def is_quiet(self, ven: Ven20b, now: datetime) -> bool:
        """Return True if nothing can be due: nothing was, and nothing has changed since, nor has the clock."""
        quiet = self._quiet.get(ven.id)
        if quiet is None or quiet.registration_id != ven.registration_id:
            return False
        return quiet.revision == self._store.revision() and (quiet.until is None or stamp(now) < quiet.until)

    async def distribute(self, ven: Ven20b, now: datetime, *, is_pushed: bool = False) -> Distribution:
        """Return what a VEN that polls or is pushed to is sent, noted as sent (B-EVT-006)."""
        at, revision = stamp(now), self._store.revision()
        found, seen = await self._examine(ven, now)
        ordered = await self._ordered(found.entries, now) if found.is_due else []
        if not any(entry.is_due for entry, _, _ in ordered):
            if revision is not None:
                self._quiet.put(ven.id, _Quiet(revision, ven.registration_id, _soonest(found, at)))
            return Distribution(None, (), (), seen.reports_due, seen.has_schedules)
        message = await self._sent(ven, ordered, now, None, is_pushed=is_pushed)
        return Distribution(message, _entries(ordered), _silent(ordered), seen.reports_due, seen.has_schedules)

    async def requested(
        self, ven: Ven20b, now: datetime, response: EiResponse, reply_limit: int | None
    ) -> Distribution:
        """Return all events of a VEN that asks for them, the first ones if it sets a limit (B-EVT-003, B-EVT-005)."""
        found, seen = await self._examine(ven, now)
        ordered = (await self._ordered(found.entries, now))[:reply_limit]
        message = await self._sent(ven, ordered, now, response)
        return Distribution(message, _entries(ordered), _silent(ordered), seen.reports_due, seen.has_schedules)

    async def unasked(self, sent: Iterable[tuple[IssueRow, DeliveryRow]]) -> frozenset[Key]:
        """Return the issues of which no answer was asked for, nor came before (B-CRE-010)."""
        first = {(*issue.key, row.shown_number): issue.key for issue, row in sent if row.answered_number is None}
        told = await self._lookup(list(first))
        return frozenset(first[shown] for shown, what in told.items() if what.projection.response_required != _ALWAYS)

    async def _examine(self, ven: Ven20b, now: datetime) -> tuple[Examined, SeenEvents]:
        """Find out what a VEN is to be told, once its events are projected as they are now."""
        at = stamp(now)
        for _ in range(_ROUNDS):
            seen = await self._store.seen_by(ven.caller, ven.id, at)
            opened = await self._store.open_deliveries(ven.caller, ven.id) if others_open(seen) else []
            changes = [
                IssueChange(before=its.issue, after=cancelled(its.issue, at))
                for its in opened
                if its.issue.is_live and not its.is_there and (its.issue.over_at is None or its.issue.over_at > at)
            ]
            stale = [event.event_id for event in seen.events if event.is_stale(at)][:_AT_MOST]
            for first in range(0, len(stale), _AT_ONCE):
                for source in await self._store.sources(stale[first : first + _AT_ONCE]):
                    changes += changes_of(source, now, base_url=self._base_url)
            changes += await self._reissues(ven, seen.events, at)
            if not changes:
                break
            await self._store.record(changes)
            self._tell(changes, at)
        found = examined(seen.events, opened, ven.registration_id, at)
        if changes:  # other events are still to be projected: the next poll goes on
            found = replace(found, next_at=at)
        self._losses.untold(ven, found.untold)
        await self._store.close(ven.id, found.over)
        return found, seen

    async def _reissues(self, ven: Ven20b, seen: Sequence[SeenEvent], at: str) -> list[IssueChange]:
        """Return new issues of events that a VEN sees again after it was told that they are cancelled (B-EVT-015)."""
        lacking = [event for event in seen if not event.is_stale(at) and lacks_issue(event)]
        if not lacking:
            return []
        changes = []
        for source in await self._store.sources([event.event_id for event in lacking]):
            live = [issue for issue in source.issues if issue.state == IssueState.LIVE]
            if live:
                like = live[-1]
                told = await self._lookup([(like.event_id, like.issue, like.number)])
                for what in told.values():
                    new = reissued(list(source.issues), like, what.projection, at)
                    if new is None:
                        self._losses.not_reissued(ven, like.event_id)
                    else:
                        changes.append(new)
        return changes

    def _tell(self, changes: Sequence[IssueChange], at: str) -> None:
        for change in changes:
            after = change.after
            if after.state == IssueState.NO_FORM or (after.state == IssueState.CANCELLED and after.reason):
                self._losses.refused(after, after.over_at is not None and after.over_at <= at)

    async def _ordered(self, entries: Sequence[Entry], now: datetime) -> list[tuple[Entry, ToldIssue, EventStatus20b]]:
        told = await self._lookup([entry.shown for entry in entries])
        known = [entry for entry in entries if entry.shown in told]  # one that was purged meanwhile is over
        return in_order(known, told.__getitem__, now)

    async def _lookup(self, wanted: Sequence[tuple[str, int, int]]) -> dict[tuple[str, int, int], ToldIssue]:
        """Return what was told under these numbers, from memory as far as it is there."""
        found = {key: told for key in wanted if (told := self._told.get(key)) is not None}
        missing = [key for key in wanted if key not in found]
        for key, (content, made_at) in (await self._store.projections(missing)).items():
            told = ToldIssue.of(decoded(content), datetime.fromisoformat(made_at))
            found[key] = told
            self._told.put(key, told)
        return found

    async def _sent(
        self,
        ven: Ven20b,
        ordered: Sequence[tuple[Entry, ToldIssue, EventStatus20b]],
        now: datetime,
        response: EiResponse | None,
        *,
        is_pushed: bool = False,
    ) -> DistributeEvent:
        """Return the message, after what it says is stored as sent."""
        request_id = new_id()
        held = await self._store.held_targets(ven.caller) if ordered else frozenset()
        retry = timedelta(seconds=ven.poll_s * self._retry_polls)
        events: list[WrittenEvent] = []
        deliveries = []
        is_due = any(entry.is_due for entry, _, _ in ordered)
        for entry, told, status in ordered:
            cancelled_at = entry.cancelled_at
            modified_at = told.made_at if cancelled_at is None else datetime.fromisoformat(cancelled_at)
            events.append(
                event_message(
                    entry.issue,
                    told,
                    number=entry.number,
                    modified_at=modified_at,
                    status=status,
                    now=now,
                    held=held,
                    ven=ven,
                )
            )
            if is_due and not entry.is_due:
                continue  # it goes along with others, which leaves what is known of it as it is
            deliveries.append(
                delivery_of(
                    entry,
                    told,
                    ven_id=ven.id,
                    registration_id=ven.registration_id,
                    request_id=request_id,
                    now=now,
                    retry=retry,
                    is_pushed=is_pushed,
                )
            )
        try:
            await self._store.sent(deliveries)
        except ConstraintViolated:  # its ven was removed meanwhile
            raise RefusedMessage(Code.NOT_REGISTERED_OR_AUTHORIZED, "the VEN is not enrolled any more") from None
        self._note(ven, ordered)
        return DistributeEvent(response=response, request_id=request_id, vtn_id=self._vtn_id, events=tuple(events))

    def _note(self, ven: Ven20b, ordered: Sequence[tuple[Entry, ToldIssue, EventStatus20b]]) -> None:
        new = [(entry, told) for entry, told, _ in ordered if entry.is_new and entry.cancelled_at is None]
        for entry, told in new:
            self._losses.told(ven, entry.issue, entry.number, told.projection)
            self._losses.late(entry.issue, told.projection)
        if new:
            self._losses.overlapping(ven, ((entry.issue, told.projection, status) for entry, told, status in ordered))


def _entries(ordered: Sequence[tuple[Entry, ToldIssue, EventStatus20b]]) -> tuple[Entry, ...]:
    return tuple(entry for entry, _, _ in ordered)


def _silent(ordered: Sequence[tuple[Entry, ToldIssue, EventStatus20b]]) -> tuple[Entry, ...]:
    return tuple(
        entry for entry, told, _ in ordered if entry.is_silent and told.projection.response_required == _ALWAYS
    )


def _soonest(found: Examined, at: str) -> str | None:
    """Return the moment at which a VEN that nothing is due for has to be looked at again."""
    ends = [entry.issue.over_at for entry in found.entries if entry.issue.over_at and entry.issue.over_at > at]
    return min((*ends, *([found.next_at] if found.next_at else [])), default=None)
