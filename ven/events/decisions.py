"""Hold the decision on each event, the owner's word, and the history; find out when to decide again."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

import structlog

from openadr_profiles.v31 import encode
from ven.decision import (
    Candidate,
    Choices,
    Decision,
    Engagement,
    OptChoice,
    OptScope,
    Rule,
    ScopeKind,
    decide_on,
)
from ven.events.placing import PlacedEvent
from ven.records import Decided, PastDecision
from ven.settings import VenSettings
from ven.store import StateFile
from ven.store.opts import MOST_PAST

_log = structlog.get_logger(__name__)

_FAILED: Final = "it cannot be decided on"
_DELETED: Final = "it was deleted before it began"


class Decisions:
    """Decide on events and keep the decisions. Nothing in it waits, or fails because of the store."""

    def __init__(self, settings: VenSettings, store: StateFile, own: Mapping[str, Rule]) -> None:
        self._settings = settings
        self._store = store
        self._own = own
        self._rules = f"{settings.opt.model_dump_json()}\n{settings.shedding.model_dump_json()}\n{sorted(own)}"
        if settings.feeds_in:
            self._rules += "\nfeeds in"
        self._decided: dict[str, Decided] = {}
        self._bases: dict[str, tuple[PlacedEvent, OptChoice | None, str]] = {}
        self._choices = Choices()
        self._past: deque[PastDecision] = deque(maxlen=MOST_PAST)
        self._times: dict[str, tuple[datetime, datetime | None]] = {}

    async def load(self) -> None:
        """Take up what is remembered."""
        self._decided = {decided.event_id: decided for decided in await self._store.events.decisions()}
        self._choices = Choices(await self._store.opts.choices())
        self._past = deque(await self._store.opts.past(), maxlen=MOST_PAST)
        self._times = {past.event_id: (past.start, past.end) for past in self._past}

    @property
    def past(self) -> tuple[PastDecision, ...]:
        """Return the history, oldest first."""
        return tuple(self._past)

    @property
    def choices(self) -> tuple[OptChoice, ...]:
        """Return what the owner said by hand and still counts."""
        return self._choices.all

    @property
    def name_programs(self) -> bool:
        """Return True if a rule or the owner's word may depend on the name of an event's program."""
        return bool(self._own) or self._settings.opt.name_programs or self._choices.name_programs

    def get(self, event_id: str) -> Decided | None:
        """Return the decision on an event and when it was made, None if there is none yet."""
        return self._decided.get(event_id)

    def remove(self, placed: PlacedEvent, now: datetime) -> None:
        """Forget an event; the history keeps what was decided, and that it was deleted before it began or ended."""
        event_id = placed.received.event.id
        decided = self._decided.pop(event_id, None)
        self._bases.pop(event_id, None)
        self.withdraw(OptScope(ScopeKind.EVENT, event_id))
        start, end = placed.timeline.start, placed.timeline.end
        if decided is not None and start > now:
            self._remember(placed, replace(decided, decision=Decision.out(_DELETED), decided_at=now))
        elif decided is not None:
            self._renew(event_id, start, now if end is None else min(end, now))
        self._times.pop(event_id, None)

    def choose(self, choice: OptChoice) -> None:
        """Take the owner's word; raises ValueError if there is too much of it already."""
        self._choices.put(choice)
        self._store.opts.put_choice(choice)
        _log.info("the owner chose", scope=str(choice.scope), opted_in=choice.opted_in, reason=choice.reason)

    def withdraw(self, scope: OptScope) -> bool:
        """Forget the owner's word about this; False if there is none."""
        if not self._choices.withdraw(scope):
            return False
        self._store.opts.forget_choice(scope)
        return True

    def drop_ended(self, now: datetime) -> bool:
        """Forget what the owner said until now; True if there was anything."""
        ended = self._choices.drop_ended(now)
        for scope in ended:
            self._store.opts.forget_choice(scope)
        return bool(ended)

    def next_end(self) -> datetime | None:
        """Return when the owner's word ends next, None if never."""
        return self._choices.next_end()

    def review(self, placed: PlacedEvent, events: Mapping[str, PlacedEvent], now: datetime) -> bool:
        """Decide on an event unless that is done by the same rules, version and word; True if the answer is news.

        An event that is over is not decided on again.
        """
        event = placed.received.event
        if event.id in self._times:
            self._renew(event.id, placed.timeline.start, placed.timeline.end)
        before = self._decided.get(event.id)
        basis = self._basis(placed)
        modified = event.modification_date_time
        if before is not None and before.basis == basis and before.modified == modified:
            return False
        if before is not None and before.modified == modified and placed.timeline.transpired(now):
            return False
        decision = self._decide(placed, events)
        is_news = before is None or before.decision != decision
        decided = Decided(event.id, modified, decision, now, basis)
        if before is not None and not is_news:
            decided = replace(decided, decided_at=before.decided_at)
        self._decided[event.id] = decided
        self._store.events.put_decision(decided)
        if is_news:
            self._remember(placed, decided)
        return is_news

    def _decide(self, placed: PlacedEvent, events: Mapping[str, PlacedEvent]) -> Decision:
        event = placed.received.event
        candidate = Candidate(
            context=placed.context,
            timeline=placed.timeline,
            first_received=placed.received.first_received,
            others=tuple(self._engagements(event.id, events)),
        )
        choice = self._choices.of(event.id, placed.context.program_name)
        try:
            return decide_on(
                candidate, self._settings.opt, choice=choice, own=self._own, reports_only=placed.reports_only
            )
        except Exception as error:  # one event that no rule expected must not stop the others
            _log.exception("an event cannot be decided on", event_id=event.id)
            return Decision.out(f"{_FAILED}: {type(error).__name__}")

    def _engagements(self, but: str, events: Mapping[str, PlacedEvent]) -> Iterable[Engagement]:
        """Yield the other events that we take or took part in: those that are known, then those of the history."""
        for event_id, other in events.items():
            decided = self._decided.get(event_id)
            if event_id == but or decided is None or not decided.decision.opted_in:
                continue
            if not other.reports_only and not other.timeline.cancelled:
                yield Engagement(event_id, other.context.program_name, other.timeline.start, other.timeline.end)
        latest = {past.event_id: past for past in self._past}
        for event_id, past in latest.items():
            if event_id == but or event_id in events or not past.decision.opted_in:
                continue
            if not past.reports_only and past.start != past.end:  # without length: called off
                yield Engagement(event_id, past.program_name, past.start, past.end)

    def _basis(self, placed: PlacedEvent) -> str:
        """Return a digest of what a decision is made by; kept while it is asked for again with the same."""
        event_id, program = placed.received.event.id, placed.context.program
        choice = self._choices.of(event_id, placed.context.program_name)
        kept = self._bases.get(event_id)
        if kept is not None and kept[0] is placed and kept[1] is choice:
            return kept[2]
        described = b"" if program is None else encode(program.payload_descriptors)
        text = f"{self._rules}\n{placed.context.program_name}\n{choice}"
        basis = hashlib.sha256(text.encode() + described).hexdigest()[:16]
        self._bases[event_id] = placed, choice, basis
        return basis

    def _remember(self, placed: PlacedEvent, decided: Decided) -> None:
        past = PastDecision(
            number=self._past[-1].number + 1 if self._past else 1,
            event_id=decided.event_id,
            event_name=placed.received.event.event_name,
            program_name=placed.context.program_name,
            decision=decided.decision,
            decided_at=decided.decided_at,
            start=placed.timeline.start,
            end=placed.timeline.end,
            reports_only=placed.reports_only,
        )
        self._past.append(past)
        self._times[past.event_id] = past.start, past.end
        self._store.opts.add_past(past)

    def _renew(self, event_id: str, start: datetime, end: datetime | None) -> None:
        """Keep when the event really is: its last entry counts towards the owner's limits once it is forgotten."""
        if self._times.get(event_id) == (start, end):
            return
        self._times[event_id] = start, end
        for place in range(len(self._past) - 1, -1, -1):
            if self._past[place].event_id == event_id:
                past = self._past[place] = replace(self._past[place], start=start, end=end)
                self._store.opts.add_past(past)
                return
