"""Find what Home Assistant is shown, from what the VEN knows: after every control step, so it costs little.

What prices hold now and next is looked up again when one of them ends, or when the events are others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import is_
from typing import Final

from openadr_profiles.fleet.power import PayloadNotUnderstood
from openadr_profiles.fleet.thresholds import GHG, PRICE
from openadr_profiles.v31 import Timeline, in_force
from ven.control import Control
from ven.decision import OptChoice, OptScope, ScopeKind
from ven.home_assistant.overview import Overview, ShownEvent, ShownLimit, ShownPrice, VenState
from ven.troubles import Troubles

EVERYTHING: Final = OptScope(ScopeKind.ALL)
_MOST_EVENTS: Final = 10
_MOST_PROBLEMS: Final = 10
_MOST_LIMITS: Final = 64
_MOST_LOOKS: Final = 10
"""So many changes ahead the next price is looked for: gaps without any price lie between."""
_LEVELS_ALL_DAY: Final = frozenset({PRICE, GHG})
"""Payloads that hold all day, and ask for something in a part of it only."""


class Survey:
    """Look at a VEN. ``troubles`` is told what cannot be found out."""

    def __init__(self, control: Control, troubles: Troubles) -> None:
        self._control = control
        self._troubles = troubles
        self._priced: list[Timeline] = []
        self._prices: tuple[ShownPrice | None, ShownPrice | None] = (None, None)
        self._prices_from: datetime | None = None
        self._prices_until: datetime | None = None

    @property
    def participates(self) -> bool:
        """Return False if the owner has opted out of everything."""
        return self._choice is None or self._choice.opted_in

    @property
    def is_out_for_good(self) -> bool:
        """Return True if the owner has opted out of everything, and not only until some time."""
        choice = self._choice
        return choice is not None and not choice.opted_in and choice.until is None

    @property
    def _choice(self) -> OptChoice | None:
        return next((each for each in self._control.agenda.choices if each.scope == EVERYTHING), None)

    def overview(self, problems: Sequence[str], now: datetime) -> Overview:
        """Return what is so now; ``problems`` are for people."""
        agenda, link = self._control.agenda, self._control.curtailer.link
        relevant: list[ShownEvent] = []
        priced: list[Timeline] = []
        under_way = set()
        plans = self._control.curtailer.plans()
        for received, timeline, decision in agenda.events():
            if timeline.transpired(now):
                continue
            event, context = received.event, agenda.context(received.event)
            acted_on = {type_ for type_ in context.payload_types if context.acts_on(type_)}
            if PRICE in context.payload_types:
                priced.append(timeline)
            if not acted_on:
                continue
            if timeline.start <= now and (acted_on - _LEVELS_ALL_DAY or event.id in plans):
                under_way.add(decision.opted_in)
            relevant.append(
                ShownEvent(
                    event.id,
                    event.event_name or f"Event {event.id}",
                    context.program_name,
                    timeline.start,
                    timeline.end,
                    decision.opted_in,
                    decision.reason,
                )
            )
        participates = self.participates
        with self._troubles.alone("prices for Home Assistant"):
            self._look_up_prices(priced, now)
        price, next_price = self._prices
        return Overview(
            state=_state(link_lost=link.is_lost, under_way=under_way, participates=participates),
            participates=participates,
            power_kw=self._power_kw(),
            shed_kw=self._shed_kw(now),
            limit_kw=self._limit_kw(),
            limits=self._limits(),
            price=price,
            next_price=next_price,
            next_start=next((each.start for each in relevant if each.start > now), None),
            events=tuple(relevant[:_MOST_EVENTS]),
            problems=tuple(problems[:_MOST_PROBLEMS]),
        )

    @property
    def _read_kw(self) -> Mapping[str, Decimal]:
        """Return the power of the circuits by the last reading; empty if the device could not be read after it."""
        panel = self._control.panel
        return panel.last.kw if panel.last is not None and "reading" not in panel.problems else {}

    def _power_kw(self) -> Decimal | None:
        kw, ids = self._read_kw, self._control.panel.ids
        return sum((kw[id_] for id_ in ids), Decimal(0)) if kw and kw.keys() >= set(ids) else None

    def _shed_kw(self, now: datetime) -> Decimal | None:
        """Return by how much less the limited circuits draw than before; None if that is not known of one of them."""
        limits_kw = self._draw_limits_kw()
        if not limits_kw:
            return Decimal(0)
        before_kw = self._control.curtailer.undisturbed_kw(now)
        now_kw = self._read_kw
        if not limits_kw.keys() <= before_kw.keys() & now_kw.keys():
            return None
        return sum((max(before_kw[id_] - now_kw[id_], Decimal(0)) for id_ in limits_kw), Decimal(0))

    def _limit_kw(self) -> Decimal | None:
        limits_kw = self._draw_limits_kw()
        return sum(limits_kw.values(), Decimal(0)) if limits_kw else None

    def _draw_limits_kw(self) -> dict[str, Decimal]:
        """Return what circuits may draw, in kW by id, without those that are limited in what they feed in."""
        panel = self._control.panel
        feeding = {each.id for each in panel.circuits if each.limits_feed_in}
        return {id_: kw for id_, kw in panel.limits.items() if id_ not in feeding}

    def _limits(self) -> tuple[ShownLimit, ...]:
        panel = self._control.panel
        circuits = sorted((each for each in panel.circuits if each.id in panel.limits), key=lambda each: each.id)
        return tuple(
            ShownLimit(each.label, panel.limits[each.id], each.limits_feed_in) for each in circuits[:_MOST_LIMITS]
        )

    def _look_up_prices(self, priced: list[Timeline], now: datetime) -> None:
        are_known = (
            self._prices_from is not None
            and self._prices_from <= now
            and (self._prices_until is None or now < self._prices_until)
        )
        if are_known and len(priced) == len(self._priced) and all(map(is_, priced, self._priced)):
            return
        self._prices, self._prices_from = (None, None), None
        until = _next_change(priced, now)
        price = self._price_at(priced, now)
        self._prices = price, self._next_price(priced, price, until)
        self._priced, self._prices_from, self._prices_until = priced, now, until

    def _next_price(
        self, priced: list[Timeline], price: ShownPrice | None, change: datetime | None
    ) -> ShownPrice | None:
        """Return the first price from the next change on that is not the one that holds now."""
        for _ in range(_MOST_LOOKS):
            if change is None:
                return None
            found = self._price_at(priced, change)
            if found is not None and found != price:
                return found
            change = _next_change(priced, change)
        return None

    def _price_at(self, priced: list[Timeline], at: datetime) -> ShownPrice | None:
        found = in_force(priced, at).get(PRICE)
        if found is None:
            return None
        event, held = found
        try:
            per_kwh, currency = self._control.agenda.context(event).price(held.values)
        except PayloadNotUnderstood:
            return None
        return ShownPrice(event.id, per_kwh, currency, held.start, held.end)


def _state(*, link_lost: bool, under_way: set[bool], participates: bool) -> VenState:
    """Return the state; ``under_way`` has True if we take part in an event now, and False if we do not in one."""
    if link_lost:
        return VenState.LINK_LOST
    if True in under_way:
        return VenState.IN_EVENT
    return VenState.OPTED_OUT if under_way or not participates else VenState.NORMAL


def _next_change(timelines: list[Timeline], after: datetime) -> datetime | None:
    changes = (timeline.next_change(after) for timeline in timelines)
    return min((at for at in changes if at is not None), default=None)
