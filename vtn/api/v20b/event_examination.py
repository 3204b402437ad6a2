"""Find out what a VEN of OpenADR 2.0b has to be told of its events at a moment: all of them, and whether it is time.

Rules without I/O, over what the store knows of the VEN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from openadr_profiles.v20b.projection import EventStatus20b, order, status
from vtn.api.v20b.event_messages import ToldIssue
from vtn.store.stamps import stamp
from vtn.store.v20b.event_rows import (
    DeliveryRow,
    IssueRow,
    IssueState,
    Key,
    OpenDelivery,
    SeenEvent,
    SeenEvents,
)

MOST_EVENTS: Final = 500
"""Events of which a VEN is told at most, those that begin first; what it was told before stays with it beyond that."""
MOST_CANCELLATIONS: Final = 10
"""Times that a cancellation is sent without an answer (B-EVT-016)."""
MOST_UNCONFIRMED: Final = 3
"""Times that an event or a cancellation is sent which needs no answer: a message may be lost, and nobody would know."""
_LONGEST_RETRY: Final = timedelta(hours=1)

Lookup = Callable[[tuple[str, int, int]], ToldIssue]
"""Returns what an issue was told as under a number."""


class Entry(Struct, frozen=True, kw_only=True):
    """An issue in a message to a VEN. ``before`` is what the VEN was sent of it under its registration, if anything."""

    issue: IssueRow
    number: int
    shown_number: int
    cancelled_at: str | None
    before: DeliveryRow | None
    is_due: bool

    @property
    def shown(self) -> tuple[str, int, int]:
        """Return the projection that is shown."""
        return self.issue.event_id, self.issue.issue, self.shown_number

    @property
    def is_silent(self) -> bool:
        """Return True if the VEN was sent this number and has not answered in time (B-CRE-012)."""
        return self.is_due and not self.is_new

    @property
    def is_new(self) -> bool:
        """Return True if the VEN was not sent this number."""
        return self.before is None or self.before.number != self.number


class Examined(Struct, frozen=True):
    """Hold what a VEN is to be told. ``next_at`` is when that has to be found out again by the clock, None if never.

    ``over`` are issues of which it is sent no more; ``untold`` counts events that there is no room for yet.
    """

    entries: tuple[Entry, ...]
    over: tuple[Key, ...]
    next_at: str | None
    untold: int = 0

    @property
    def is_due(self) -> bool:
        """Return True if the VEN has to be told now."""
        return any(entry.is_due for entry in self.entries)


def chosen(event: SeenEvent) -> tuple[IssueRow, DeliveryRow | None] | None:
    """Return the issue of an event that a VEN has, or is to get; None if all were cancelled for it."""
    live = [(issue, sent) for issue, sent in event.issues if issue.is_live]
    having = [(issue, sent) for issue, sent in live if sent is not None and not sent.is_cancelled]
    fresh = [(issue, sent) for issue, sent in live if sent is None]
    return next(iter((*having, *fresh)), None)


def others_open(seen: SeenEvents) -> bool:
    """Return True if a VEN was sent more than it has of the events that it sees, which is then to be looked for."""
    having = (chosen(event) for event in seen.events)
    known = sum(its is not None and its[1] is not None and not its[1].is_closed for its in having)
    return seen.open_count != known


def lacks_issue(event: SeenEvent) -> bool:
    """Return True if a VEN may see an event again whose every issue was cancelled for it."""
    return chosen(event) is None and any(issue.is_live for issue, _ in event.issues)


def examined(
    seen: Iterable[SeenEvent],
    opened: Sequence[OpenDelivery],
    registration_id: str,
    at: str,
) -> Examined:
    """Return what a VEN is to be told, of events it sees and of those it was sent (B-EVT-016, B-EVT-040).

    ``seen`` are in the order in which they are told while there is room. An event that the VEN was sent and may see is
    never cancelled for want of room.
    """
    entries: list[Entry] = []
    over: list[Key] = []
    clock: list[str] = []
    having: set[Key] = set()
    known: set[str] = set()
    told = untold = 0
    for event in seen:
        known.add(event.event_id)
        its = chosen(event)
        if its is None:
            continue
        issue, sent = its
        if sent is None and told >= MOST_EVENTS:
            untold += 1
            continue
        having.add(issue.key)
        current = sent if sent is not None and sent.registration_id == registration_id else None
        entry = _live(issue, current, at, over, clock)
        if entry is not None:
            entries.append(entry)
            told += 1
    for its_own in opened:
        issue, sent = its_own.issue, its_own.sent
        if sent.key in having:
            continue
        if its_own.is_visible and issue.event_id not in known and _holds(issue, sent, at):
            continue
        entry = _taken_back(issue, sent, registration_id, at, clock)
        if entry is None:
            over.append(sent.key)
        else:
            entries.append(entry)
    return Examined(tuple(entries), tuple(over), min(clock, default=None), untold)


def _holds(issue: IssueRow, sent: DeliveryRow, at: str) -> bool:
    """Return True if a VEN goes on with what it was sent."""
    return issue.is_live and not sent.is_cancelled and (issue.over_at is None or issue.over_at > at)


def _live(issue: IssueRow, sent: DeliveryRow | None, at: str, over: list[Key], clock: list[str]) -> Entry | None:
    is_over = issue.over_at is not None and issue.over_at <= at
    is_new = sent is None or sent.number != issue.number
    if is_over and (sent is None or not is_new):
        if sent is not None and not sent.is_closed:
            over.append(issue.key)
        return None
    if issue.rolls_at is not None:
        clock.append(issue.rolls_at)
    due_at = None if sent is None or is_new else sent.due_at
    if due_at is not None and due_at > at:
        clock.append(due_at)
    return Entry(
        issue=issue,
        number=issue.number,
        shown_number=issue.number,
        cancelled_at=None,
        before=sent,
        is_due=is_new or (due_at is not None and due_at <= at),
    )


def _taken_back(issue: IssueRow, sent: DeliveryRow, registration_id: str, at: str, clock: list[str]) -> Entry | None:
    """Return the cancellation of what a VEN was sent; None if it needs none, or no more of them.

    A VEN that registers anew may have kept its events (B-EVT-004), so it is told under the new registration.
    """
    is_over = issue.state == IssueState.ENDED or (issue.over_at is not None and issue.over_at <= at)
    if is_over:
        return None
    if sent.is_cancelled and (sent.is_answered or sent.due_at is None or sent.sent_times >= MOST_CANCELLATIONS):
        return None
    is_anew = not sent.is_cancelled or sent.registration_id != registration_id
    if not is_anew and sent.due_at is not None and sent.due_at > at:
        clock.append(sent.due_at)
    everybody = issue.number if issue.state == IssueState.CANCELLED else 0
    return Entry(
        issue=issue,
        number=sent.number if sent.is_cancelled else max(everybody, sent.number + 1),
        shown_number=sent.shown_number,
        cancelled_at=sent.cancelled_at or (issue.changed_at if everybody else at),
        before=sent,
        is_due=is_anew or (sent.due_at is not None and sent.due_at <= at),
    )


def in_order(entries: Iterable[Entry], told: Lookup, now: datetime) -> list[tuple[Entry, ToldIssue, EventStatus20b]]:
    """Return entries in the order of a message, with what is told of each and its status (B-EVT-002, B-EVT-014).

    Events that were completed before the VEN was told of them are left out (B-EVT-017).
    """
    found = []
    for entry in entries:
        what = told(entry.shown)
        is_cancelled = entry.cancelled_at is not None
        its = status(what.projection, now, is_cancelled=is_cancelled)
        if its is EventStatus20b.COMPLETED and entry.before is None:
            continue
        found.append((order(what.projection, its, entry.issue.wire_id), entry, what, its))
    return [(entry, what, its) for _, entry, what, its in sorted(found, key=lambda each: each[0])]


def delivery_of(
    entry: Entry,
    told: ToldIssue,
    *,
    ven_id: str,
    registration_id: str,
    request_id: str,
    now: datetime,
    retry: timedelta,
    is_pushed: bool = False,
) -> DeliveryRow:
    """Return the row of an entry that is about to be sent, and when it is due again without an answer (B-POL-004).

    One that needs no answer is sent a few times all the same.
    What ``is_pushed`` is due again until the VEN was reached, and was sent no times before that (B-TRN-005).
    """
    before = entry.before
    if before is not None and not entry.is_due:  # it goes along with others, which delays nothing
        return replace(before, request_id=request_id, sent_at=stamp(now))
    if before is not None and entry.is_silent and (before.sent_times or not is_pushed):
        times = before.sent_times + 1
    else:
        times = 0 if is_pushed else 1
    needs_answer = told.projection.response_required == "always"
    is_answered = before is not None and before.answered_number == entry.number
    is_cancelled = entry.cancelled_at is not None
    waits = is_pushed or (not is_answered and (needs_answer or times < MOST_UNCONFIRMED))
    pause = min(retry * 2 ** min(max(times - 1, 0), 16), max(retry, _LONGEST_RETRY))
    return DeliveryRow(
        ven_id=ven_id,
        event_id=entry.issue.event_id,
        issue=entry.issue.issue,
        registration_id=registration_id,
        first_number=entry.number,
        number=entry.number,
        shown_number=entry.shown_number,
        cancelled_at=entry.cancelled_at,
        is_closed=is_cancelled and not waits,
        request_id=request_id,
        sent_at=stamp(now),
        sent_times=times,
        due_at=stamp(now + pause) if waits else None,
    )
