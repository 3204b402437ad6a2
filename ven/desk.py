"""Answer what an owner asks of a running VEN, and do what they say, through whichever door. No HTTP or MQTT here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from openadr_client import Clock
from ven.control import Control
from ven.decision import OptScope, ScopeKind
from ven.desk_rows import MOST_EVENTS, choice_row, event_row, instant_text, number, past_rows

_RESTORED: Final = "restored by hand"


class OwnerDesk:
    """Show and change what `Control` does. ``lock`` is the one around its steps; ``act`` has a step done at once."""

    def __init__(
        self,
        control: Control,
        *,
        name: str,
        clock: Clock,
        lock: asyncio.Lock,
        act: Callable[[], None],
        more_problems: Callable[[], dict[str, str]],
    ) -> None:
        self._control = control
        self._name = name
        self._clock = clock
        self._lock = lock
        self._act = act
        self._more_problems = more_problems

    def status(self) -> dict[str, Any]:
        """Return the circuits, the events, what the owner said, and what is wrong now."""
        control = self._control
        panel = control.panel
        power_kw = panel.last.kw if panel.last else {}
        overrides = panel.overrides
        return {
            "ven_name": self._name,
            "read_at": instant_text(panel.last.at if panel.last else None),
            "circuits": [
                {
                    "id": each.id,
                    "name": each.label,
                    "power_kw": number(power_kw.get(each.id)),
                    "limit_kw": number(panel.limits.get(each.id)),
                    "left_alone": overrides[each.id].reason if each.id in overrides else panel.left_alone.get(each.id),
                }
                for each in panel.circuits
            ],
            "events": self.events(),
            "choices": [choice_row(each) for each in control.agenda.choices],
            "link_lost": control.curtailer.link.is_lost,
            "pending_writes": len(control.journal.pending),
            "problems": [{"what": what, "problem": problem} for what, problem in self.problems.items()],
        }

    @property
    def problems(self) -> dict[str, str]:
        """Return what is wrong now, by its name."""
        return self._control.problems | self._more_problems()

    def events(self) -> list[dict[str, Any]]:
        """Return the events that are not over, by start, with decisions and what circuits are limited to for them."""
        agenda = self._control.agenda
        plans = self._control.curtailer.plans()
        return [
            {
                **event_row(
                    received.event,
                    timeline,
                    decision,
                    program_name=agenda.context(received.event).program_name,
                    decided_at=agenda.decided_at(received.event.id),
                ),
                "requested_kw": number(plans[received.event.id].requested_kw) if received.event.id in plans else None,
                "circuits": {
                    each.circuit_id: number(each.limit_kw)
                    for each in (plans[received.event.id].circuits if received.event.id in plans else ())
                    if each.shed_kw > 0
                },
            }
            for received, timeline, decision in agenda.events()[:MOST_EVENTS]
        ]

    def history(self, most: int) -> list[dict[str, Any]]:
        """Return the last decisions, newest first, ``most`` of them at most."""
        return past_rows(self._control.agenda.history, most)

    async def opt(
        self, scope: OptScope, *, opted_in: bool, reason: str | None = None, until: datetime | None = None
    ) -> None:
        """Take the owner's word; it counts at once.

        Raises:
            ValueError: there is no such event, or `Agenda.opt` does not take it.
        """
        async with self._lock:
            agenda = self._control.agenda
            if scope.kind is ScopeKind.EVENT and scope.name not in agenda:
                raise ValueError(f"there is no event {scope.name[:80]!r} that is not over")
            agenda.opt(scope, opted_in=opted_in, reason=reason, until=until, now=self._clock.now())
        self._act()

    async def withdraw(self, scope: OptScope) -> bool:
        """Forget the owner's word, so that the rules decide again; False if there is none."""
        async with self._lock:
            found = self._control.agenda.withdraw_opt(scope, now=self._clock.now())
        self._act()
        return found

    async def give_back(self, circuit_id: str) -> bool:
        """Let a circuit be limited again that its owner has taken over; False if it is no such circuit."""
        async with self._lock:
            panel = self._control.panel
            found = circuit_id in panel.overrides or circuit_id in panel.stranded
            panel.give_back(circuit_id)
        self._act()
        return found

    async def restore(self, reason: str | None = None) -> dict[str, Any]:
        """Opt out of all events that are under way, so that their circuits return.

        Returns the ids of the events, and what does not return for it: circuits that have to stay off for a while, and
        all within the limit for a lost link.
        """
        async with self._lock:
            now = self._clock.now()
            agenda = self._control.agenda
            found = [
                received.event.id
                for received, timeline, decision in agenda.events()
                if decision.opted_in and timeline.start <= now and not timeline.transpired(now)
            ]
            for event_id in found:
                scope = OptScope(ScopeKind.EVENT, event_id)
                agenda.opt(scope, opted_in=False, reason=reason or _RESTORED, until=None, now=now)
            curtailer = self._control.curtailer
            held_until = {id_: instant_text(until) for id_, until in curtailer.held_until(now).items()}
        self._act()
        return {"events": found, "held_until": held_until, "link_lost": curtailer.link.is_lost}
