"""Remember what the device of one circuit has told, and what of that may be believed. No I/O."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from ven.drivers.interface import CircuitState
from ven.drivers.mqtt_devices import Heard, RelayDevice
from ven.panel.circuits import BranchCircuit

_NOTHING = Decimal(0)


class HeardCounts(NamedTuple):
    """Count what a device had told at some moment, to know what it tells after that."""

    switch: int
    answers: int
    power: int
    orders: int
    timer: int


class Relay:
    """Hold one circuit: its device, what was told last and when, and whether the limit in it is ours.

    ``stale`` is how long something told is believed. A device that draws, or feeds in, more than ``off_below_kw``
    later than ``settle`` after it said that it is off does not tell the truth.
    """

    def __init__(
        self,
        circuit: BranchCircuit,
        device: RelayDevice,
        *,
        meter: bool,
        stale: timedelta,
        settle: timedelta,
        off_below_kw: Decimal,
    ) -> None:
        self.id = circuit.id
        self.device = device
        self.answers = True
        """False if it did not answer the last question, so that nobody waits for it the next time."""
        self.is_on: bool | None = None
        self.is_there: bool | None = None
        self.refusal: str | None = None
        self.problem: str | None = None
        """Say what is wrong with what it measures; None if nothing is."""
        self.left_s = _NOTHING
        self.heard_at: datetime | None = None
        self._meter = meter
        self._stale = stale
        self._settle = settle
        self._off_below_kw = off_below_kw
        self._counts = HeardCounts(0, 0, 0, 0, 0)
        self._power_kw: Decimal | None = None
        self._power_at: datetime | None = None
        self._energy_kwh: Decimal | None = None
        self._ordered_off = False
        self._off_since: datetime | None = None
        self._taken_over = False
        self._moved_by_hand = False

    def note(self, told: Heard, now: datetime) -> None:
        """Take in what a message tells."""
        if told.is_there is not None:
            self.is_there = told.is_there
        if told.is_on is not None or told.power_kw is not None:
            self.heard_at = now
            self.is_there = True
        switch, answers, power, orders, timer = self._counts
        self._counts = HeardCounts(
            switch + (told.is_on is not None),
            answers + told.answers,
            power + (told.power_kw is not None or told.problem is not None),
            orders + (told.done or told.refusal is not None),
            timer + (told.left_s is not None),
        )
        self.refusal = told.refusal if told.refusal is not None or told.done else self.refusal
        self.left_s = self.left_s if told.left_s is None else told.left_s
        self._note_measured(told, now)
        if told.is_on is not None:
            self._note_switch(told.is_on, by_hand=bool(told.taken_over), now=now)

    def mark(self) -> HeardCounts:
        """Return how much was told so far."""
        return self._counts

    def told_switch_since(self, mark: HeardCounts, *, on: bool) -> bool:
        """Return True if the device has told since that its switch is in this position."""
        return self._counts.switch > mark.switch and self.is_on is on

    def has_answered_since(self, mark: HeardCounts) -> bool:
        """Return True if the device has said since, when it was asked, how its switch is."""
        return self._counts.answers > mark.answers

    def took_order_since(self, mark: HeardCounts) -> bool:
        """Return True if the device has said since that it took an order, or why not."""
        return self._counts.orders > mark.orders

    def has_timer_since(self, mark: HeardCounts) -> bool:
        """Return True if the device has said since that it will switch on again by itself."""
        return self._counts.timer > mark.timer and self.left_s > 0

    def told_all_since(self, mark: HeardCounts) -> bool:
        """Return True if the device has told all that it can since."""
        switch = not self.device.can_switch or self._counts.answers > mark.answers
        return switch and (not self._meter or self._counts.power > mark.power)

    def is_due(self, now: datetime, refresh: timedelta) -> bool:
        """Return True if the device should be asked."""
        return self.heard_at is None or now - self.heard_at >= refresh

    def is_known(self, now: datetime) -> bool:
        """Return True if what was told last may still be believed."""
        return self.is_there is not False and self.heard_at is not None and now - self.heard_at <= self._stale

    @property
    def is_limited(self) -> bool:
        """Return True if the switch is off because of us."""
        waits = self.device.ends_limits and self.left_s > 0 and not self._moved_by_hand
        return self.is_on is False and (self._off_since is not None or waits)

    def ordered_off(self) -> None:
        """Know from now on that a switch that goes off does so because of us."""
        self._ordered_off = True
        self._taken_over = False

    def forget_limit(self) -> None:
        """Know from now on that no limit is ours."""
        self._ordered_off = self._taken_over = False
        self._off_since = None
        self.left_s = _NOTHING

    def lie(self, now: datetime) -> str | None:
        """Return what a device that says it is off draws all the same, None if it does not lie."""
        if self.is_on is not False or self._off_since is None or self._power_kw is None or self._power_at is None:
            return None
        if abs(self._power_kw) <= self._off_below_kw or self._power_at < self._off_since + self._settle:
            return None
        return f"it says that it is off and draws {self._power_kw} kW"

    def state(self, now: datetime) -> CircuitState | None:
        """Return the state of the circuit, None if it is not known."""
        if not self.is_known(now):
            return None
        is_fresh = self._power_at is not None and now - self._power_at <= self._stale
        power_kw = self._power_kw if is_fresh else None
        if self.lie(now) is not None:
            return CircuitState(power_kw=power_kw, energy_kwh=self._energy_kwh)
        return CircuitState(
            power_kw=power_kw,
            limit_kw=_NOTHING if self.is_limited else None,
            is_on=self.is_on,
            overridden=self._taken_over,
            energy_kwh=self._energy_kwh,
        )

    def _note_measured(self, told: Heard, now: datetime) -> None:
        if told.problem is not None:
            self.problem, self._power_kw = told.problem, None
        elif told.power_kw is not None:
            self.problem, self._power_kw, self._power_at = None, told.power_kw, now
        if told.energy_kwh is not None:
            self._energy_kwh = told.energy_kwh

    def _note_switch(self, is_on: bool, *, by_hand: bool, now: datetime) -> None:
        if is_on and self.is_limited:  # somebody ended it, or its time is over
            self.forget_limit()
            self._taken_over = by_hand
        self.is_on, self._moved_by_hand = is_on, by_hand
        if not is_on and self._ordered_off and self._off_since is None:
            self._off_since = now
