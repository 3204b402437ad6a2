"""Keep circuits from being switched too often or shed for too long (V17). No I/O, no clock; instants are given.

A circuit that has returned rests before it is shed again. One that has been shed for as long as its owner allows
returns, and others take its place; it rests for as long as it may be shed. Pauses shorter than its rest do not make a
circuit fresh again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from ven.panel.circuits import BranchCircuit


@dataclass(frozen=True, slots=True)
class Restrictions:
    """Hold which circuits may not be switched now, by id.

    ``held`` have to stay off for a while; ``resting`` have returned just now, and are shed only if a limit cannot be
    kept without them; ``exhausted`` have been shed for as long as they may and are never shed; ``settling`` were shed
    just now, and return early only if what they are shed for is over.
    """

    held: frozenset[str] = frozenset()
    resting: frozenset[str] = frozenset()
    exhausted: frozenset[str] = frozenset()
    settling: frozenset[str] = frozenset()


UNRESTRICTED: Final = Restrictions()


@dataclass(slots=True)
class _Times:
    """Hold when a circuit was shed last (None: it is not), began to tire, and returned last."""

    shed_at: datetime | None = None
    tires_since: datetime | None = None
    returned_at: datetime | None = None
    was_exhausted: bool = False

    def bound(self, now: datetime) -> None:
        """Let none of these be later than now."""
        self.shed_at, self.tires_since, self.returned_at = (
            None if at is None else min(at, now) for at in (self.shed_at, self.tires_since, self.returned_at)
        )


class SwitchingTimes:
    """Hold when each circuit was shed and returned last, and tell what follows from it."""

    def __init__(self, circuits: Iterable[BranchCircuit]) -> None:
        self._circuits: Mapping[str, BranchCircuit] = {each.id: each for each in circuits}
        self._times = {id_: _Times() for id_ in self._circuits}

    def note(self, shed: Collection[str], now: datetime) -> None:
        """Take in which circuits are limited at a moment.

        Moments come in order, unless the clock was set back: what is remembered of later ones then counts from now.
        """
        for id_, times in self._times.items():
            times.bound(now)
            self._note(id_, now, shed=id_ in shed)

    def remember(self, spans: Iterable[tuple[str, datetime, datetime | None]]) -> None:
        """Take in from when to when circuits were shed before (None: they still are), in any order."""
        ends: dict[str, datetime | None] = {}
        for id_, start, end in sorted((span for span in spans if span[0] in self._times), key=lambda span: span[1]):
            known = ends.get(id_, start)
            if known is not None and start > known:
                self._note(id_, known, shed=False)
            if known is not None:
                self._note(id_, start, shed=True)
                ends[id_] = None if end is None else max(known, end)
        for id_, until in ends.items():
            if until is not None:
                self._note(id_, until, shed=False)

    def restrictions(self, now: datetime) -> Restrictions:
        """Return which circuits may not be switched now."""
        found: tuple[set[str], ...] = (set(), set(), set(), set())
        held, resting, exhausted, settling = found
        for id_, times in self._times.items():
            circuit = self._circuits[id_]
            if self._is_exhausted(id_, times, now):
                exhausted.add(id_)
            elif times.shed_at is not None:
                if now - times.shed_at < _seconds(circuit.min_off_s):
                    held.add(id_)
                if now - times.shed_at < _seconds(circuit.rest_s):
                    settling.add(id_)
            elif times.returned_at is not None and now - times.returned_at < self._rest(id_, times):
                (exhausted if times.was_exhausted else resting).add(id_)
        return Restrictions(*(frozenset(each) for each in found))

    def held_until(self, circuit_id: str) -> datetime | None:
        """Return until when a circuit has to stay off; None if it is not shed."""
        shed_at = self._times[circuit_id].shed_at
        return None if shed_at is None else shed_at + _seconds(self._circuits[circuit_id].min_off_s)

    def next_change(self, after: datetime) -> datetime | None:
        """Return the next moment at which the restrictions may change if nothing is switched; None if there is none."""
        moments = []
        for id_, times in self._times.items():
            circuit = self._circuits[id_]
            if times.shed_at is not None:
                moments += [times.shed_at + _seconds(circuit.min_off_s), times.shed_at + _seconds(circuit.rest_s)]
                if circuit.max_shed_s is not None and times.tires_since is not None:
                    moments.append(times.tires_since + _seconds(circuit.max_shed_s))
            elif times.returned_at is not None:
                moments.append(times.returned_at + self._rest(id_, times))
        return min((moment for moment in moments if moment > after), default=None)

    def _note(self, circuit_id: str, now: datetime, *, shed: bool) -> None:
        times = self._times[circuit_id]
        if shed and times.shed_at is None:
            if times.returned_at is None or now - times.returned_at >= self._rest(circuit_id, times):
                times.tires_since = now
            times.shed_at = now
        elif not shed and times.shed_at is not None:
            times.was_exhausted = self._is_exhausted(circuit_id, times, now)
            times.shed_at, times.returned_at = None, now

    def _is_exhausted(self, circuit_id: str, times: _Times, now: datetime) -> bool:
        longest_s = self._circuits[circuit_id].max_shed_s
        if longest_s is None or times.shed_at is None or times.tires_since is None:
            return False
        return now - times.tires_since >= _seconds(longest_s)

    def _rest(self, circuit_id: str, times: _Times) -> timedelta:
        """Return for how long a circuit rests after its last return, and needs to be fresh again."""
        circuit = self._circuits[circuit_id]
        longest_s = circuit.max_shed_s or 0 if times.was_exhausted else 0
        return _seconds(max(circuit.rest_s, longest_s))


def _seconds(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)
