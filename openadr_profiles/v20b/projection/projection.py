"""An event as 2.0b tells it, whoever receives it: plain values that are stored as JSON and compared by a digest."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from openadr_profiles.v20b.messages.common import ItemBase
from openadr_profiles.v20b.projection.losses import Loss


class SignalPart(Struct, frozen=True, kw_only=True):
    """One signal: its intervals one after the other, durations in seconds (0: open), with a value each."""

    signal_id: str
    name: str
    type: str
    item_base: ItemBase | None = None
    durations_s: tuple[int, ...]
    values: tuple[float, ...]


class Projection(Struct, frozen=True, kw_only=True):
    """An event of 2.0b without what depends on its receiver, its number and the clock. Lengths are in seconds.

    ``duration_s`` 0 is open-ended (B-EVT-025). ``targets`` are all of the core event. ``rolls_at`` is when repetitions
    have to be told further (None: never); neither it nor the losses are told to a VEN.
    """

    market_context: str
    priority: int
    test_event: bool
    comment: str | None = None
    start: datetime
    duration_s: int
    start_after_s: int = 0
    notification_s: int | None = None
    ramp_up_s: int | None = None
    recovery_s: int | None = None
    response_required: str
    signals: tuple[SignalPart, ...]
    targets: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    rolls_at: datetime | None = None

    @property
    def end(self) -> datetime | None:
        """Return the end of the active period; None if it is open."""
        return self.start + timedelta(seconds=self.duration_s) if self.duration_s else None

    @property
    def over_at(self) -> datetime | None:
        """Return when every VEN has ended it, a random start included (B-EVT-018); None if it is open."""
        end = self.end
        try:
            return None if end is None else end + timedelta(seconds=self.start_after_s)
        except OverflowError:  # past year 9999, which is never (TIME-008)
            return None

    def digest(self) -> str:
        """Return what changes with everything that a VEN is told (B-EVT-009)."""
        told = replace(self, losses=(), rolls_at=None)
        return hashlib.sha256(msgspec.json.encode(told)).hexdigest()


def encoded(projection: Projection) -> str:
    """Return a projection as JSON."""
    return msgspec.json.encode(projection).decode()


def decoded(text: str) -> Projection:
    """Return the projection that was encoded."""
    return msgspec.json.decode(text, type=Projection)
