"""Remember what one charger has said and what we have set it to. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from ven.drivers.ev_chargers import ChargerNews, ChargerOptions
from ven.drivers.interface import CircuitState
from ven.drivers.quantities import number
from ven.panel.circuits import BranchCircuit

_TOLERANCE_KW: Final = Decimal("0.3")
_TOLERANCE_SHARE: Final = Decimal("1.1")


class Setting(NamedTuple):
    """Hold what a charger shall be set to; None is "as it is"."""

    current_a: int | None = None
    word: str | None = None


class Charger:
    """Hold one charger: what it said last and when, the limit that is ours, and how it was before."""

    def __init__(self, circuit: BranchCircuit, options: ChargerOptions, *, stale: timedelta, settle: timedelta) -> None:
        self.circuit = circuit
        self.options = options
        self.heard_at: datetime | None = None
        self.current_a: Decimal | None = None
        self.word: str | None = None
        self.asked_kw: Decimal | None = None
        self._stale = stale
        self._settle = settle
        self._asked_at: datetime | None = None
        self._before = Setting()
        self._power_kw: Decimal | None = None
        self._power_at: datetime | None = None
        self._energy_kwh: Decimal | None = None
        self._soc: Decimal | None = None
        self._was_held = False

    def note(self, news: ChargerNews, now: datetime) -> None:
        """Take in what the charger says."""
        self.current_a = self.current_a if news.current_a is None else news.current_a
        self.word = self.word if news.word is None else news.word
        self._energy_kwh = self._energy_kwh if news.energy_kwh is None else news.energy_kwh
        self._soc = self._soc if news.soc_percent is None else news.soc_percent
        if news.power_kw is not None or news.problem is not None:
            self._power_kw, self._power_at = news.power_kw, now
        if self.asked_kw is not None and self.allowed_kw is not None and self.allowed_kw <= self.asked_kw:
            self._was_held = True

    def is_known(self, now: datetime) -> bool:
        """Return True if what it said last may still be believed."""
        complete = self.current_a is not None and self.word is not None
        return complete and self.heard_at is not None and now - self.heard_at <= self._stale

    @property
    def allowed_kw(self) -> Decimal | None:
        """Return the most that it lets the car draw now, in kW."""
        if self.current_a is None or self.word is None:
            return None
        return Decimal(0) if self._is_paused else self.options.kw(self.current_a)

    def has(self, setting: Setting) -> bool:
        """Return True if it says that it is set so."""
        return setting.current_a in {None, self.current_a} and setting.word in {None, self.word}

    def for_limit(self, kw: Decimal) -> Setting:
        """Return what to set it to for a limit; a charger that somebody else has paused stays so."""
        charge, pause = self.options.words
        current_a = self.options.amperes(kw)
        if not current_a:
            return Setting(word=pause)
        is_ours = self.asked_kw is not None and not self.options.amperes(self.asked_kw)
        return Setting(current_a, (self._before.word or charge) if self._is_paused and is_ours else None)

    def before_limit(self, kw: Decimal) -> None:
        """Remember how it is, before our first limit; one that is there already may be ours from before a restart."""
        if self.asked_kw is not None:
            return
        is_ours = self.current_a == self.options.amperes(kw)
        current_a = None if is_ours or self.current_a is None else int(self.current_a)
        self._before = Setting(current_a, None if self._is_paused else self.word)

    def limited(self, kw: Decimal, now: datetime) -> bool:
        """Know from now on that this limit is ours; True if it was another before."""
        is_new = self.asked_kw != kw
        if is_new or self._asked_at is None:
            self._asked_at = now
        self._was_held = self._was_held and not is_new
        self.asked_kw = kw
        return is_new

    def for_release(self, *, switch_on: bool) -> Setting:
        """Return what to set it to without our limit."""
        charge, _ = self.options.words
        current_a = self._before.current_a or self.options.normal_a
        is_lower = self.current_a is None or self.current_a < current_a
        word = self._before.word or charge
        return Setting(current_a if is_lower else None, word if switch_on and self._is_paused else None)

    def released(self) -> bool:
        """Know from now on that no limit is ours; True if one was."""
        was_ours = self.asked_kw is not None
        self.asked_kw = self._asked_at = None
        self._was_held = False
        self._before = Setting()
        return was_ours

    def lie(self, now: datetime) -> str | None:
        """Return what it draws beyond its limit although it says otherwise, None if it does not lie."""
        if self.asked_kw is None or self._asked_at is None or self._power_kw is None or self._power_at is None:
            return None
        most_kw = self.asked_kw * _TOLERANCE_SHARE + _TOLERANCE_KW
        is_held = self.allowed_kw is not None and self.allowed_kw <= self.asked_kw
        if not is_held or self._power_kw <= most_kw or self._power_at < self._asked_at + self._settle:
            return None
        return f"it says that it keeps to {self.asked_kw} kW and draws {self._power_kw} kW"

    def state(self, now: datetime) -> CircuitState | None:
        """Return the state of the circuit, None if it is not known; a pause for more than 0 kW switches nothing off."""
        if not self.is_known(now) or self.allowed_kw is None:
            return None
        capacity = self.options.capacity_kwh
        charge = None if capacity is None or self._soc is None else capacity * self._soc / 100
        held = self.asked_kw is not None and self.allowed_kw <= self.asked_kw
        lies = self.lie(now) is not None
        is_on = None if lies or (self._is_paused and held and self.asked_kw) else not self._is_paused
        return CircuitState(
            power_kw=self._power_kw,
            limit_kw=self.asked_kw if held and not lies else None,
            is_on=is_on,
            overridden=self._was_held and not held,
            charge_kwh=charge,
            capacity_kwh=capacity,
            energy_kwh=self._energy_kwh,
        )

    def kept(self) -> dict[str, str | int] | None:
        """Return what the next process has to know of our limit, None if there is none."""
        if self.asked_kw is None:
            return None
        before = {"current_a": self._before.current_a, "word": self._before.word}
        return {"asked_kw": str(self.asked_kw), **{name: value for name, value in before.items() if value is not None}}

    def take_up(self, kept: Mapping[str, Any]) -> None:
        """Know again what an earlier process has kept; raises ValueError, TypeError or KeyError if it is none."""
        asked_kw = number(kept["asked_kw"])
        current_a, word = kept.get("current_a"), kept.get("word")
        self._before = Setting(None if current_a is None else int(current_a), None if word is None else str(word)[:50])
        self.asked_kw = max(asked_kw, Decimal(0))

    @property
    def _is_paused(self) -> bool:
        return self.word == self.options.words[1]
