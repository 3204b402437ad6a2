"""Watch panels that hold a shed: what each measures is compared with what it said it would do (no. 36).

A panel gives a shed back if somebody switches a load at it, a shadow document overrides it, it restarts or follows an
event of its own. It goes on saying that it sheds; only its circuits tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Holding, HoldingState, OnGiveback, PanelRecord
from bridge_mqtt.reasons import kilowatts
from bridge_mqtt.splitting import GAVE_BACK
from bridge_mqtt.store import acks, allocations, explanations
from bridge_mqtt.store.allocations import Part
from bridge_mqtt.store.explanations import Explanation
from openadr_profiles.panel import wire_event_id

_log = structlog.get_logger(__name__)

_LEAST_KW: Final = 0.1
_LEAST_SHARE: Final = 0.25
"""Less than this, or than this share of the shed, is within what circuits differ from one sample to the next."""
_THEN: Final = {
    OnGiveback.AGAIN: "sheds again",
    OnGiveback.SHARE_OUT: "others take over",
    OnGiveback.IGNORE: "left as it is",
}
_TELLING_SHARE: Final = 0.2
"""A shed that is a smaller share of a panel's power than this cannot be seen in its power as a whole."""
_SAMPLES: Final = 2
"""So many samples in a row without any reduction are needed from a panel whose answer names no circuits."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Hold what a panel that holds a shed should measure: powers in kW, of the circuits that its answer names."""

    correlation_id: str
    shed_kw: float
    circuits_kw: Mapping[str, float]
    is_known: bool = False
    """True if this shed was seen to be given back already."""


@dataclass(frozen=True, kw_only=True)
class GivenBack:
    """Hold how much of a shed is undone, in kW, and where or why."""

    kw: float
    of_kw: float
    where: str
    is_certain: bool = True


def given_back(panel: PanelRecord, expected: Expected, baseline_kw: float | None) -> GivenBack | None:
    """Return what the latest sample shows to be undone of a shed, None if nothing that matters.

    By circuit: all that is above the final power of the panel's answer. Of a panel whose answer names none, or that
    does not measure them: if it draws no less than its baseline, and the shed is large enough to be told from what a
    panel's power changes by itself; that is not certain with one sample.
    """
    measured = {load.id: load.current_power_kw for load in panel.loads if load.current_power_kw is not None}
    above = {
        circuit_id: measured[circuit_id] - final_kw
        for circuit_id, final_kw in expected.circuits_kw.items()
        if circuit_id in measured and measured[circuit_id] > final_kw
    }
    least_kw = max(_LEAST_KW, _LEAST_SHARE * expected.shed_kw)
    if expected.circuits_kw.keys() & measured.keys():
        kw = sum(above.values())
        found = GivenBack(kw=min(kw, expected.shed_kw), of_kw=expected.shed_kw, where=", ".join(sorted(above)))
        return found if kw >= least_kw else None
    if baseline_kw is None or panel.used_power_kw is None or panel.used_power_kw < baseline_kw:
        return None
    if expected.shed_kw < _TELLING_SHARE * baseline_kw:
        return None
    return GivenBack(kw=expected.shed_kw, of_kw=expected.shed_kw, where="the panel as a whole", is_certain=False)


@dataclass
class Noticed:
    """Hold what was found in samples: for the panels that gave a shed back, what is to be done and stored."""

    again: set[str] = field(default_factory=set)
    """Panels that are to be restored and to shed again."""
    parts: dict[Part, dict[str, Any]] = field(default_factory=dict)
    recoveries: Counter[Part] = field(default_factory=Counter)
    """Sheds lost by panels that cannot restore: they shed again with their next piece."""
    sheds: list[tuple[Holding, GivenBack]] = field(default_factory=list)


class Watcher:
    """Looks at samples of panels that hold a shed. ``baseline_kw`` gives a panel's power before an event, if known."""

    def __init__(
        self,
        *,
        then: OnGiveback,
        least_remaining: timedelta,
        baseline_kw: Callable[[str, str], float | None],
    ) -> None:
        self._then = then
        self._least_remaining = least_remaining
        self._baseline_kw = baseline_kw
        self._expected: dict[str, Expected] = {}
        self._doubtful: dict[str, tuple[str, datetime, int]] = {}
        self.seen = 0
        """The number of sheds that panels have given back since the start."""

    def matters(self, panel: PanelRecord, holding: Holding | None, now: datetime) -> bool:
        """Return True if the latest sample of a panel has to be looked at: its shed may be given back."""
        if holding is None or not self._is_to_be_watched(panel, holding, now):
            return False
        expected = self._expected.get(panel.ven_id)
        if expected is None or expected.correlation_id != holding.correlation_id:
            return True
        return not expected.is_known and self._judge(panel, holding, expected) is not None

    async def look(
        self,
        connection: AsyncConnection,
        panels: Collection[PanelRecord],
        holdings: Mapping[str, Holding],
        now: datetime,
    ) -> Noticed:
        """Return what is to be done about sheds that these panels have given back.

        Call ``keep`` with it once the transaction is committed; until then it is found again.
        """
        watched = [
            (panel, holding)
            for panel in panels
            if (holding := holdings.get(panel.ven_id)) is not None and self.matters(panel, holding, now)
        ]
        await self._learn(connection, [holding for _, holding in watched])
        noticed, rows = Noticed(), []
        for panel, holding in watched:
            expected = self._expected[panel.ven_id]
            found = None if expected.is_known else self._judge(panel, holding, expected)
            if found is None or self._is_doubtful(panel, expected, found):
                continue
            self._note(panel, holding, found, noticed, now)
            rows.append(self._explanation(holding, found, now))
        await explanations.add(connection, rows)
        return noticed

    def keep(self, noticed: Noticed) -> None:
        """Remember what was found, so that each shed that is given back is logged and followed up once."""
        for holding, found in noticed.sheds:
            expected = self._expected.get(holding.ven_id)
            if expected is not None and expected.correlation_id == holding.correlation_id:
                self._expected[holding.ven_id] = replace(expected, is_known=True)
            self.seen += 1
            _log.warning(
                "panel gave its shed back",
                ven_id=holding.ven_id,
                event_id=holding.event_id,
                correlation_id=holding.correlation_id,
                given_back_kw=round(found.kw, 3),
                of_kw=round(found.of_kw, 3),
                where=found.where,
                then=self._then.value,
            )

    def _note(self, panel: PanelRecord, holding: Holding, found: GivenBack, noticed: Noticed, now: datetime) -> None:
        noticed.sheds.append((holding, found))
        key = (holding.event_id, holding.window_start, panel.ven_id)
        noticed.parts[key] = {"given_back_kw": round(found.kw, 3), "given_back_at": now}
        if self._then is OnGiveback.SHARE_OUT:
            noticed.parts[key]["excluded"] = GAVE_BACK
        elif self._then is OnGiveback.AGAIN and panel.dialect is not None and panel.dialect.can_restore:
            noticed.again.add(panel.ven_id)
        elif self._then is OnGiveback.AGAIN:
            noticed.recoveries[key] += 1

    def _explanation(self, holding: Holding, found: GivenBack, now: datetime) -> Explanation:
        kw, of_kw = kilowatts(round(found.kw, 3)), kilowatts(round(found.of_kw, 3))
        return Explanation(
            event_id=holding.event_id,
            window_start=holding.window_start,
            at=now,
            ven_id=holding.ven_id,
            before_kw=float(holding.amount_kw),
            asked_kw=0.0 if self._then is OnGiveback.SHARE_OUT else float(holding.amount_kw),
            reason=f"gave {kw} of {of_kw} back ({found.where}): {_THEN[self._then]}",
        )

    def forget(self, holdings: Container[str]) -> None:
        """Forget panels that hold nothing any more."""
        self._expected = {ven_id: each for ven_id, each in self._expected.items() if ven_id in holdings}
        self._doubtful = {ven_id: each for ven_id, each in self._doubtful.items() if ven_id in holdings}

    def _is_to_be_watched(self, panel: PanelRecord, holding: Holding, now: datetime) -> bool:
        if holding.state is not HoldingState.HELD or not panel.sample_is_newer_than_answer:
            return False
        return holding.until is None or holding.until - now >= self._least_remaining

    def _judge(self, panel: PanelRecord, holding: Holding, expected: Expected) -> GivenBack | None:
        if panel.tells_event and panel.event_id != wire_event_id(holding.event_id):
            where = "it follows another event" if panel.event_id is not None else "it has lost the event"
            return GivenBack(kw=expected.shed_kw, of_kw=expected.shed_kw, where=where)
        return given_back(panel, expected, self._baseline_kw(holding.event_id, panel.ven_id))

    def _is_doubtful(self, panel: PanelRecord, expected: Expected, found: GivenBack) -> bool:
        """Return True if one more sample is needed: a panel as a whole may draw more for a moment for other reasons."""
        if found.is_certain or panel.sample_at is None:
            return False
        correlation_id, at, count = self._doubtful.get(panel.ven_id, ("", panel.sample_at, 0))
        if correlation_id != expected.correlation_id:
            at, count = panel.sample_at, 1
        elif panel.sample_at > at:
            at, count = panel.sample_at, count + 1
        self._doubtful[panel.ven_id] = (expected.correlation_id, at, count)
        return count < _SAMPLES

    async def _learn(self, connection: AsyncConnection, holdings: Collection[Holding]) -> None:
        """Read what panels have answered to the sheds that are not known yet."""
        new = [
            holding
            for holding in holdings
            if (known := self._expected.get(holding.ven_id)) is None or known.correlation_id != holding.correlation_id
        ]
        if not new:
            return
        answers = await acks.answers_to(connection, [holding.correlation_id for holding in new])
        known_at = await allocations.given_back_at(
            connection, [(each.event_id, each.window_start, each.ven_id) for each in new]
        )
        for holding in new:
            answer = answers.get(holding.correlation_id)
            circuits = answer.circuits_curtailed if answer is not None else None
            shed_kw = answer.actual_shed_kw if answer is not None else None
            at = known_at.get((holding.event_id, holding.window_start, holding.ven_id))
            self._expected[holding.ven_id] = Expected(
                correlation_id=holding.correlation_id,
                shed_kw=float(holding.amount_kw) if shed_kw is None else shed_kw,
                circuits_kw={each.id: each.final_kw for each in circuits or () if each.final_kw is not None},
                is_known=at is not None and at > holding.since,
            )
