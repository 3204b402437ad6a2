"""Issue the events of repeats: once for each time, before it, by one process; what was missed is said, not issued."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog
from msgspec.structs import replace

from vtn.console.console import CALLER
from vtn.console.issuing.check import Checker, EventCheck
from vtn.console.issuing.names import look_up
from vtn.console.issuing.plan import EventPlan, FormProblem, read_plan
from vtn.console.issuing.typed import TypedEvent
from vtn.errors import Unavailable
from vtn.settings import Settings
from vtn.store.console.choices import ChoiceStore
from vtn.store.console.preview import AudienceStore
from vtn.store.console.repeats import OccurrenceState, RepeatRow, RepeatStore
from vtn.store.database import Database
from vtn.store.event import EventStore
from vtn.store.lease import Lease
from vtn.store.stamps import Stamps

_log = structlog.get_logger(__name__)

LEASE: Final = "event_repeats"
_MOST_AT_ONCE: Final = 100
"""Times of one repeat that are settled in one look; after a long downtime the rest follows in the next."""


class RepeatIssuer:
    """Looks for times that are due, and settles each."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        stamps: Stamps,
        events: EventStore,
        lease: Lease,
        now: Callable[[], datetime],
    ) -> None:
        self._settings = settings
        self._events = events
        self._lease = lease
        self._now = now
        self._away = False
        self._repeats = RepeatStore(database, stamps)
        self._choices = ChoiceStore(database, stamps)
        audience = AudienceStore(database, stamps, settings.privacy, names=settings.v301.name_targets)
        self._checker = Checker(audience, settings.safety.safety)

    async def run(self) -> None:
        """Look again and again, while this process holds the lease."""
        while True:
            try:
                if await self._lease.take():
                    await self.issue_due()
            except Unavailable:
                if not self._away:
                    _log.warning("the database does not answer; events of repeats are issued later")
                self._away = True
            else:
                self._away = False
            await asyncio.sleep(self._settings.safety.repeat_check_s)

    async def issue_due(self) -> int:
        """Settle every time that is due; return how many were. Raises Unavailable if the database does not answer."""
        count = 0
        for repeat in await self._repeats.all():
            try:
                count += await self._settle(repeat)
            except Unavailable:  # of no repeat: all of them wait
                raise
            except Exception:  # one repeat that cannot be issued stops no other
                _log.exception("a repeat could not be issued", repeat=repeat.id, template=repeat.name)
        return count

    async def _settle(self, repeat: RepeatRow) -> int:
        count = 0
        while not repeat.is_paused and repeat.starts_at is not None and count < _MOST_AT_ONCE:
            starts_at, now = repeat.starts_at, self._now()
            if starts_at - timedelta(seconds=repeat.lead_s) > now:
                break
            if starts_at <= now:
                reason = "no server issued it before its start; it is not issued late"
                done = await self._repeats.settle(repeat, OccurrenceState.MISSED, reason=reason)
            else:
                done = await self._issue(repeat, starts_at, now)
            if not done:
                break
            count += 1
            following = repeat.recurrence.after(starts_at)
            next_at = None if following is None else following.isoformat(timespec="microseconds").replace("+00:00", "Z")
            repeat = replace(repeat, next_at=next_at)
        return count

    async def _issue(self, repeat: RepeatRow, starts_at: datetime, now: datetime) -> bool:
        found = await planned(repeat.typed, repeat, starts_at, now, self._choices, self._checker)
        if isinstance(found, str):
            _log.warning("an event of a repeat is refused", template=repeat.name, reason=found)
            return await self._repeats.settle(repeat, OccurrenceState.REFUSED, reason=found)
        return await self._repeats.settle(
            repeat, OccurrenceState.ISSUED, events=self._events, requests=found.requests, by=CALLER
        )


async def planned(
    text: str, repeat: RepeatRow, starts_at: datetime, now: datetime, choices: ChoiceStore, checker: Checker
) -> EventCheck | str:
    """Return what a template will do at a time; the reason why it cannot be issued then, if it cannot."""
    typed = TypedEvent.stored(text)
    if typed.shape == "csv":
        return "csv: a pasted CSV says when it starts, so it cannot repeat; expected the table of intervals"
    typed = replace(typed, start=starts_at.isoformat())
    known, program = await look_up(typed, choices)
    if program is None:
        return f"program: there is no program {typed.program!r}; expected one that exists"
    zone = repeat.recurrence.zone
    plan = read_plan(typed, known, now=starts_at, zone=zone)
    if not isinstance(plan, EventPlan):
        return "; ".join(f"{each.field}: {each.text}" for each in plan)
    check = await checker.check(plan, program, now=now, zone=zone, size=0)
    if isinstance(check, FormProblem):
        return f"{check.field}: {check.text}"
    if check.preview.refused:
        return "; ".join(check.preview.refused)
    return check if check.totals.told else "nobody would get it"
