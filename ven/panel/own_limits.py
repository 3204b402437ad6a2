"""Remember our limits and what the owner has taken over, as each reading tells; written behind through the journal.

`ven.panel.ownership` has the rules. Memory is the truth while the process runs: the store is read once, at the start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from ven.panel.circuits import CircuitState
from ven.panel.ownership import (
    IS_LIMITED,
    IS_OFF,
    TAKEN_AT_DEVICE,
    CircuitLimit,
    Override,
    OwnLimit,
    is_back,
    is_untouched,
    judge_free,
    judge_own,
    still_held,
)
from ven.store.own_limits import OwnLimitRecords

_log = structlog.get_logger(__name__)

_RETURN_TRIES: Final = 3
"""So often a circuit is returned again that its device does not show as on, or without our limit, after its return."""
_KEPT_EVERY: Final = timedelta(minutes=1)
"""The expiries of limits are kept in the store at most so often."""


class OwnLimits:
    """Hold the limits of ours on circuits, those on their way back, and the circuits that the owner has taken over.

    ``missing`` are limits that have to be given to the device again. ``stranded`` are limits on circuits that are not
    among ours any more: no driver can end them.
    """

    def __init__(self, circuit_ids: Sequence[str], records: OwnLimitRecords, *, expiry: timedelta) -> None:
        self._ids = frozenset(circuit_ids)
        self._records = records
        self._expiry = expiry
        self._is_loaded = False
        self._known: dict[str, CircuitState] = {}
        self._news: set[str] = set()
        self._returning: dict[str, int] = {}
        self._ended_kw: dict[str, Decimal] = {}
        self._kept_at: datetime | None = None
        self._disobeying: set[str] = set()
        self.own: dict[str, OwnLimit] = {}
        self.overrides: dict[str, Override] = {}
        self.missing: set[str] = set()
        self.stranded: dict[str, OwnLimit] = {}

    async def load(self) -> None:
        """Take up what an earlier process has left; does nothing when it was called before."""
        if self._is_loaded:
            return
        expiries = await self._records.expiries()
        for own in await self._records.own():
            known = expiries.get(own.circuit_id)
            kept = self.own if own.circuit_id in self._ids else self.stranded
            kept[own.circuit_id] = replace(own, expires_earlier=known) if known and known > own.since else own
        self.overrides = {each.circuit_id: each for each in await self._records.overrides()}
        self._is_loaded = True

    @property
    def limits_kw(self) -> dict[str, Decimal]:
        """Return the limits of ours in kW that are in force, or may be, by circuit id."""
        return {id_: own.limit_kw for id_, own in self.own.items()}

    @property
    def left_alone(self) -> dict[str, str]:
        """Return the circuits that must not be limited now, each with the reason."""
        found = {id_: override.reason for id_, override in self.overrides.items()}
        for id_, state in self._known.items():
            if id_ not in found and not self._is_ours(id_) and not is_untouched(state):
                found[id_] = TAKEN_AT_DEVICE if state.overridden else IS_OFF if state.is_on is False else IS_LIMITED
        return found

    def judge(
        self,
        states: Mapping[str, CircuitState],
        now: datetime,
        under_way: frozenset[str],
        *,
        is_settled: bool = True,
    ) -> None:
        """Learn from a reading what has become of our limits and what the owner has done.

        ``under_way`` are the events that are being carried out; an override ends when those that it covers are over.
        A reading that is not settled comes right after switching: a limit that it does not show yet is not missing.
        """
        self._let_go(under_way)
        for id_ in self._ids & states.keys():
            before, self._known[id_] = self._known.get(id_), states[id_]
            self._news.add(id_)
            own = self.own.get(id_)
            if own is None:
                self._judge_free(id_, before, states[id_], now, under_way)
            elif not own.taken:
                self._judge_own(own, states[id_], now, under_way, is_settled=is_settled)

    def adopt(self, states: Mapping[str, CircuitState], now: datetime) -> None:
        """Take up the limits that a first reading shows and that nobody has recorded, and judge nothing."""
        for id_, state in states.items():
            if id_ in self._ids and id_ not in self.own and id_ not in self._known:
                self._adopt(id_, state, now)

    def intend(self, limits: Mapping[str, CircuitLimit], now: datetime) -> dict[str, CircuitLimit]:
        """Remember what is about to be limited, before it is; return the limits without circuits to be left alone."""
        left_alone = self.left_alone
        allowed = {id_: limit for id_, limit in limits.items() if id_ in self._ids and id_ not in left_alone}
        for id_, limit in allowed.items():
            own = self.own.get(id_)
            if own is None or limit.limit_kw != own.limit_kw:
                self._returning.pop(id_, None)
                self._put(OwnLimit(id_, limit.limit_kw, since=now))
        return allowed

    def given(self, circuit_id: str, expires_at: datetime, now: datetime) -> None:
        """Remember that the device has taken a limit, or has renewed it."""
        self.own[circuit_id] = replace(self.own[circuit_id], expires_at=expires_at)
        self.missing.discard(circuit_id)
        if self._kept_at is None or abs(now - self._kept_at) >= _KEPT_EVERY:
            self._kept_at = now
            known = {id_: own.expires_at or own.expires_earlier for id_, own in self.own.items()}
            self._records.put_expiries({id_: at for id_, at in known.items() if at is not None})

    def ended(self, circuit_id: str) -> None:
        """Remember that the device has ended our limit."""
        own = self.own.pop(circuit_id, None)
        self.missing.discard(circuit_id)
        self._disobeying.discard(circuit_id)
        if own is not None:
            self._records.forget(circuit_id)
            if not own.taken:
                self._returning[circuit_id] = _RETURN_TRIES
                self._news.discard(circuit_id)
                self._ended_kw[circuit_id] = own.limit_kw

    def not_back(self) -> list[str]:
        """Return circuits that are not back although their device said that they are; each a few times.

        A reading counts once: only a new one can tell whether the last try has helped.
        """
        found = []
        news, self._news = self._news, set()
        for id_ in [id_ for id_ in self._returning if id_ in news and not self._is_back(id_, self._known[id_])]:
            self._returning[id_] -= 1
            if self._returning[id_] >= 0:
                found.append(id_)
            else:
                del self._returning[id_]
                how = "off" if self._known[id_].is_on is False else "limited"
                _log.error(f"circuit stays {how} although its device says that it is back", circuit=id_)
        return found

    def _is_back(self, circuit_id: str, state: CircuitState) -> bool:
        return is_back(self._ended_kw[circuit_id], state)

    def give_back(self, circuit_id: str) -> None:
        """End an override: the owner lets us limit the circuit again. A limit that is stranded is forgotten."""
        if self.stranded.pop(circuit_id, None) is not None:
            self._records.forget(circuit_id)
        if self.overrides.pop(circuit_id, None) is not None:
            self._records.forget_override(circuit_id)
            _log.info("circuit is given back", circuit=circuit_id)

    def _is_ours(self, circuit_id: str) -> bool:
        return circuit_id in self.own or circuit_id in self._returning

    def _judge_own(
        self, own: OwnLimit, state: CircuitState, now: datetime, under_way: frozenset[str], *, is_settled: bool
    ) -> None:
        verdict = judge_own(own, state, now, expiry=self._expiry)
        if verdict.taken:
            self._put(replace(own, taken=True))
            self.missing.discard(own.circuit_id)
            self._take_over(own.circuit_id, verdict.taken, now, under_way)
        elif verdict.missing:
            if not is_settled:
                return
            self.missing.add(own.circuit_id)
            if own.expires_at is not None and not own.seen and own.circuit_id not in self._disobeying:
                self._disobeying.add(own.circuit_id)
                _log.warning("circuit does not keep the limit that its device has taken", circuit=own.circuit_id)
        elif verdict.seen and not own.seen:
            self._disobeying.discard(own.circuit_id)
            self._put(replace(own, seen=True))

    def _judge_free(
        self, id_: str, before: CircuitState | None, state: CircuitState, now: datetime, under_way: frozenset[str]
    ) -> None:
        if id_ in self._returning:
            if self._is_back(id_, state):
                del self._returning[id_]
        elif before is None and state.limit_kw is not None:  # of an earlier process that has left no record
            self._adopt(id_, state, now)
        elif id_ not in self.overrides and (reason := judge_free(before, state, under_way=bool(under_way))):
            self._take_over(id_, reason, now, under_way)

    def _adopt(self, id_: str, state: CircuitState, now: datetime) -> None:
        if state.limit_kw is not None:
            self._put(OwnLimit(id_, state.limit_kw, since=now, seen=True, taken=id_ in self.overrides))

    def _take_over(self, circuit_id: str, reason: str, now: datetime, under_way: frozenset[str]) -> None:
        _log.warning("circuit is left to its owner", circuit=circuit_id, reason=reason)
        if under_way:
            self._put_override(Override(circuit_id, now, reason, under_way))

    def _let_go(self, under_way: frozenset[str]) -> None:
        for id_, override in list(self.overrides.items()):
            held = still_held(override, under_way)
            if held is None:
                del self.overrides[id_]
                self._records.forget_override(id_)
                _log.info("circuit takes part again", circuit=id_)
            elif held is not override:
                self._put_override(held)

    def _put(self, own: OwnLimit) -> None:
        self.own[own.circuit_id] = own
        self._records.put(own)

    def _put_override(self, override: Override) -> None:
        self.overrides[override.circuit_id] = override
        self._records.put_override(override)
