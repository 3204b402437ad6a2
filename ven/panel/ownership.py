"""Tell our own hand from the owner's: what a circuit's state says of a limit of ours, and who has moved its switch.

What the owner switches wins. A circuit that is off without a limit of ours is not touched. One whose switch or limit
moves against ours is the owner's from then on, until every event that is under way meanwhile is over. A limit that has
expired, or that the device was never seen to keep, was not taken away by anybody. One that the device shows and that
was never ours is the owner's. No I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from ven.panel.circuits import CircuitState

_NOTHING: Final = Decimal(0)
_ROUNDED_KW: Final = Decimal("0.05")
_ROUNDED_SHARE: Final = Decimal("0.05")
"""A device may round a limit by so many kW and so great a part of it, and it is still ours."""

_EARLY: Final = timedelta(seconds=2)
_EARLY_SHARE: Final = 50
"""A device may end a limit so early, or by one part in so many of the longest time, and it has expired all the same."""

IS_OFF: Final = "it was switched off before"
IS_LIMITED: Final = "a limit was set at the device"
TAKEN_AT_DEVICE: Final = "somebody took over at the device"
SWITCHED_ON: Final = "switched on by hand during the event"
SWITCHED_OFF: Final = "switched off by hand during the event"
PUT_IT_BACK: Final = "put it back into the settings for one start, so that it is returned, and then remove it"
LIMIT_CHANGED: Final = "the limit was changed at the device"


@dataclass(frozen=True, slots=True)
class CircuitLimit:
    """Hold what a circuit may draw now, and when the last event that wants it is over (None: open)."""

    limit_kw: Decimal
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class OwnLimit:
    """Hold a limit of ours on a circuit: in force, or about to be.

    ``expires_at`` is what the device was told last; None: not told yet, or told by an earlier process, which has left
    ``expires_earlier`` if it knew. ``seen`` is True once the device was seen to keep it. ``taken`` is True when the
    owner has moved the switch: it is ended without switching anything on.
    """

    circuit_id: str
    limit_kw: Decimal
    since: datetime
    expires_at: datetime | None = None
    expires_earlier: datetime | None = None
    seen: bool = False
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Override:
    """Hold that a circuit is the owner's, since when and why, until all of the events ``event_ids`` are over."""

    circuit_id: str
    since: datetime
    reason: str
    event_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class LimitVerdict:
    """Hold what a state says of our limit. ``missing``: to be given again. ``taken``: why it is the owner's now."""

    seen: bool = False
    missing: bool = False
    taken: str | None = None


def judge_own(own: OwnLimit, state: CircuitState, now: datetime, *, expiry: timedelta) -> LimitVerdict:
    """Return what a state says of a limit of ours.

    ``expiry`` is the time after which a limit that is not renewed ends by itself; a limit of an earlier process that
    did not say when it was renewed counts as expired when it is older than that.
    """
    if state.overridden:
        return LimitVerdict(taken=TAKEN_AT_DEVICE)
    kept = _is_kept(own, state)
    if kept is None or kept:
        return LimitVerdict(seen=bool(kept))
    ends = own.expires_at or own.expires_earlier or own.since + expiry
    if not own.seen or now >= ends - max(_EARLY, expiry / _EARLY_SHARE):
        return LimitVerdict(missing=True)
    if own.limit_kw == _NOTHING:
        return LimitVerdict(taken=SWITCHED_ON)
    return LimitVerdict(taken=SWITCHED_OFF if state.is_on is False else LIMIT_CHANGED)


def judge_free(before: CircuitState | None, state: CircuitState, *, under_way: bool) -> str | None:
    """Return why a circuit without a limit of ours is the owner's now; None if nobody has touched it during an event.

    A switch that goes from off to on while an event is under way is the owner's hand.
    """
    if not under_way:
        return None
    if state.overridden:
        return TAKEN_AT_DEVICE
    if before is not None and before.is_on is False and state.is_on is True:
        return SWITCHED_ON
    return None


def is_untouched(state: CircuitState | None) -> bool:
    """Return True if a circuit without a limit of ours may be limited: not off, not limited, and nobody took over."""
    return state is None or (state.is_on is not False and state.limit_kw is None and not state.overridden)


def is_back(ended_kw: Decimal, state: CircuitState) -> bool:
    """Return True if a device does not keep a limit of ours any more that it has ended."""
    if state.is_on is False:
        return False
    return state.limit_kw is None or not _is_about(state.limit_kw, ended_kw)


def still_held(override: Override, under_way: frozenset[str]) -> Override | None:
    """Return an override, which covers all events that are under way now; None when those it covered are over."""
    if not override.event_ids & under_way:
        return None
    return override if override.event_ids == under_way else replace(override, event_ids=under_way)


def both(one: CircuitLimit, other: CircuitLimit) -> CircuitLimit:
    """Return the limit that serves two: the lower one, until the later end."""
    until = None if one.until is None or other.until is None else max(one.until, other.until)
    return CircuitLimit(min(one.limit_kw, other.limit_kw), until)


def expires_at(limit: CircuitLimit, now: datetime, *, expiry: timedelta, spread: timedelta) -> datetime:
    """Return when a limit that is given now ends by itself: not after its events and the spread of returns."""
    latest = now + expiry
    if limit.until is None or limit.until >= latest:  # no sum with it: it may be the last moment of the calendar
        return latest
    return min(latest, limit.until + spread)


def _is_kept(own: OwnLimit, state: CircuitState) -> bool | None:
    """Return whether a device keeps our limit; None if its state does not tell."""
    if own.limit_kw == _NOTHING:
        if state.is_on is not None:
            return not state.is_on
        return True if state.limit_kw == _NOTHING else None if state.limit_kw is None else False
    if state.is_on is False:
        return False
    if state.limit_kw is None:
        return False if own.seen else None
    return _is_about(state.limit_kw, own.limit_kw)


def _is_about(kw: Decimal, limit_kw: Decimal) -> bool:
    return abs(kw - limit_kw) <= max(_ROUNDED_KW, _ROUNDED_SHARE * limit_kw)
