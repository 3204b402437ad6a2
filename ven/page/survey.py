"""Collect what the page shows from what the VEN knows; lists are cut to what a page holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Final

from openadr_profiles.v31 import Timeline
from ven.control import Control
from ven.decision import Decision, OptChoice, ScopeKind
from ven.desk import OwnerDesk
from ven.desk_rows import number
from ven.page.shown import CircuitCard, EventCard, HomeSituation, MessageCard, WordCard
from ven.panel.curtailment import CircuitPlan, SheddingPlan
from ven.panel.sparing import STAYS_OFF, why_spared
from ven.records import ReceivedEvent

MOST_EVENTS: Final = 50
"""So many events are on one page."""
_MOST_CIRCUITS: Final = 200
_MOST_MESSAGES: Final = 50
_MOST_WORDS: Final = 50
_LONGEST_TEXT: Final = 500
_ALERT: Final = "ALERT_"
_VTN: Final = "vtn"
_READING: Final = "reading"


class PageSurvey:
    """Look at a running VEN. Reads memory only and changes nothing."""

    def __init__(self, control: Control, desk: OwnerDesk, *, ven_name: str) -> None:
        self._control = control
        self._desk = desk
        self._ven_name = ven_name

    def situation(self, now: datetime, *, skip: int = 0, most_events: int = MOST_EVENTS) -> HomeSituation:
        """Return what is so now, with ``most_events`` of the events after the first ``skip``, by start."""
        control, panel = self._control, self._control.panel
        problems = self._desk.problems
        is_read = panel.last is not None and _READING not in panel.problems
        drawn_kw: Mapping[str, Decimal] = panel.last.kw if panel.last is not None and is_read else {}
        plans = control.curtailer.plans()
        events = [each for each in control.agenda.events() if not each[1].transpired(now)]
        chosen = {each.scope.name: each for each in control.agenda.choices if each.scope.kind is ScopeKind.EVENT}
        shown = [
            self._event(received, timeline, decision, plans.get(received.event.id), chosen, drawn_kw, now)
            for received, timeline, decision in islice(events, skip, skip + most_events)
        ]
        limit_kw = control.curtailer.link_limit_kw
        return HomeSituation(
            now=now,
            ven_name=self._ven_name,
            read_at=panel.last.at if panel.last is not None else None,
            power_kw=_total(drawn_kw, panel.ids),
            target_kw=number(control.curtailer.target_kw()),
            link_limit_kw=number(limit_kw),
            reading_problem=panel.problems.get(_READING),
            vtn_problem=problems.get(_VTN),
            circuits=self._circuits(list(plans.values()), drawn_kw, now),
            events=shown,
            event_count=len(events),
            words=[_word(each) for each in control.agenda.choices[:_MOST_WORDS]],
            messages=self._messages(events, problems, now),
        )

    def _circuits(
        self, plans: Sequence[SheddingPlan], drawn_kw: Mapping[str, Decimal], now: datetime
    ) -> list[CircuitCard]:
        panel, curtailer = self._control.panel, self._control.curtailer
        overrides, stranded = panel.overrides, panel.stranded
        left_alone = dict(panel.left_alone) | {id_: each.reason for id_, each in overrides.items()}
        restrictions, held = curtailer.restrictions(now), curtailer.held_until(now)
        by_circuit: dict[str, CircuitPlan] = {}
        for plan in plans:
            for each in plan.circuits:
                known = by_circuit.get(each.circuit_id)
                if known is None or each.shed_kw > known.shed_kw:
                    by_circuit[each.circuit_id] = each
        is_asked = any(plan.requested_kw > 0 for plan in plans)
        cards = []
        for circuit in panel.circuits[:_MOST_CIRCUITS]:
            id_, mine = circuit.id, by_circuit.get(circuit.id)
            gives = mine is not None and mine.shed_kw > 0
            why = ""
            if id_ in held:
                why = STAYS_OFF
            elif id_ in left_alone:
                why = left_alone[id_]
            elif is_asked and not gives:
                why = why_spared(circuit, plans, drawn_kw=drawn_kw.get(id_), restrictions=restrictions)
            cards.append(
                CircuitCard(
                    id=id_,
                    name=circuit.label,
                    power_kw=number(drawn_kw.get(id_)),
                    limit_kw=number(panel.limits.get(id_)),
                    shed_kw=number(mine.shed_kw) if mine is not None and gives else None,
                    before_kw=number(mine.original_kw) if mine is not None and gives else None,
                    rated_kw=float(circuit.rated_kw),
                    why=panel.problems.get(id_, why),
                    is_taken=id_ in overrides or id_ in stranded,
                    critical=circuit.critical,
                    priority=circuit.priority,
                    shed_share=float(circuit.shed_share),
                    on_off=circuit.on_off,
                    limits_feed_in=circuit.limits_feed_in,
                    min_on_s=circuit.rest_s,
                    min_off_s=circuit.min_off_s,
                    max_shed_s=circuit.max_shed_s,
                    held_until=held.get(id_),
                )
            )
        return cards

    def _event(
        self,
        received: ReceivedEvent,
        timeline: Timeline,
        decision: Decision,
        plan: SheddingPlan | None,
        chosen: Mapping[str, OptChoice],
        drawn_kw: Mapping[str, Decimal],
        now: datetime,
    ) -> EventCard:
        agenda, event = self._control.agenda, received.event
        names = {each.id: each.label for each in self._control.panel.circuits}
        choice = chosen.get(event.id)
        limited = () if plan is None else tuple(each.circuit_id for each in plan.circuits if each.shed_kw > 0)
        return EventCard(
            id=event.id,
            name=event.event_name or f"Event {event.id[:8]}",
            program=agenda.context(event).program_name,
            start=timeline.start,
            end=timeline.end,
            is_under_way=timeline.start <= now,
            opted_in=decision.opted_in,
            reason=decision.reason,
            decided_at=agenda.decided_at(event.id),
            requested_kw=None if plan is None else number(plan.requested_kw),
            delivered_kw=self._delivered_kw(event.id, plan, drawn_kw),
            limited=tuple(names[id_] for id_ in limited if id_ in names),
            said=choice is not None,
            said_until=None if choice is None else choice.until,
        )

    def _delivered_kw(self, event_id: str, plan: SheddingPlan | None, drawn_kw: Mapping[str, Decimal]) -> float | None:
        """Return by how much less the whole panel draws than its baseline; None if either is not known."""
        baseline_kw, ids = self._control.curtailer.baseline_kw(event_id), self._control.panel.ids
        if plan is None or any(each.is_fed_in for each in plan.circuits):
            return None
        before, now = _total(baseline_kw, ids), _total(drawn_kw, ids)
        return None if before is None or now is None else round(before - now, 3)

    def _messages(
        self,
        events: Sequence[tuple[ReceivedEvent, Timeline, Decision]],
        problems: Mapping[str, str],
        now: datetime,
    ) -> list[MessageCard]:
        found = [MessageCard(kind="problem", about=what, text=text[:_LONGEST_TEXT]) for what, text in problems.items()]
        for received, timeline, _ in islice(events, MOST_EVENTS):
            if timeline.start > now:
                break
            name = received.event.event_name or f"Event {received.event.id[:8]}"
            for payload_type, held in timeline.values_at(now).items():
                if payload_type.startswith(_ALERT):
                    texts = [str(value) for value in held.values if isinstance(value, str) and value.strip()]
                    told = "; ".join(texts) or payload_type.removeprefix(_ALERT).replace("_", " ").lower()
                    found.append(MessageCard(kind="alert", about=name, text=told[:_LONGEST_TEXT]))
        if waiting := len(self._control.journal.pending):
            text = f"{waiting} {'change is' if waiting == 1 else 'changes are'} not yet on disk"
            found.append(MessageCard(kind="note", about="state file", text=text))
        return found[:_MOST_MESSAGES]


def _word(choice: OptChoice) -> WordCard:
    return WordCard(
        scope=str(choice.scope),
        opted_in=choice.opted_in,
        reason=choice.reason,
        until=choice.until,
        made_at=choice.made_at,
    )


def _total(kw: Mapping[str, Decimal], ids: Sequence[str]) -> float | None:
    if any(id_ not in kw for id_ in ids):
        return None
    return float(sum((kw[id_] for id_ in ids), Decimal(0)))
