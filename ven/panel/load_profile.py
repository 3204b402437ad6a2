"""Sum up what the circuits draw between the edges of the windows that reports are about. No I/O.

As a meter does, the load profile keeps one set of sums for each piece of time between two edges, however many readings
there were, and none for time that no report is about. The energy of a window is the sum of its pieces. A reading holds
until the next one, but no longer than ``hold``; other time is not covered. Where a circuit has a counter of its own,
its energy is the counter's, also over a time in which nobody was there to read it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import msgspec

from ven.panel.meter import Measurement, PowerReading

MOST_SUMS: Final = 50_000
"""So many sums (pieces of time by circuits) are kept, some megabytes; older pieces are dropped."""

_US: Final = timedelta.resolution
_NOTHING: Final = Decimal(0)
_BETWEEN: Final = "\n"


class Sums(msgspec.Struct, array_like=True):
    """Hold the sums of one circuit, or of several together, in one piece of time.

    ``kw_us`` is energy in kW times microseconds over the ``covered_us`` that are known; ``shared_us`` of these are
    known by a counter only, over a gap in which it was not read. ``peak_kw`` and ``last_kw`` are of single readings.
    """

    kw_us: Decimal = _NOTHING
    covered_us: int = 0
    shared_us: int = 0
    peak_kw: Decimal | None = None
    last_kw: Decimal | None = None

    def add(self, mean_kw: Decimal, length_us: int, *, read_kw: Decimal | None, shared: bool) -> None:
        """Add a time with this mean power; ``read_kw`` is the reading that holds in it, if one does."""
        self.kw_us += mean_kw * length_us
        self.covered_us += length_us
        self.shared_us += length_us if shared else 0
        if read_kw is not None:
            self.peak_kw = read_kw if self.peak_kw is None else max(self.peak_kw, read_kw)
            self.last_kw = read_kw


class EnergyStore(msgspec.Struct, array_like=True):
    """Hold the last that was known of a circuit in a piece of time, in kWh: its counter, its charge and capacity."""

    counter_kwh: Decimal | None = None
    charge_kwh: Decimal | None = None
    capacity_kwh: Decimal | None = None


class Piece(msgspec.Struct):
    """Hold one piece of time: sums by circuit and by the groups that reports add up, and what else was seen in it."""

    start: datetime
    end: datetime
    sums: dict[str, Sums] = {}
    stores: dict[str, EnergyStore] = {}
    limited: set[str] = set()
    level: int = 0


class LoadProfile:
    """Hold the pieces of time that reports are still to be made of, the last one growing.

    ``hold`` is how long a reading holds at most. Closed pieces are kept as text: they are read once.
    """

    def __init__(self, circuit_ids: Sequence[str], *, hold: timedelta) -> None:
        self._groups: dict[str, tuple[str, ...]] = {id_: (id_,) for id_ in circuit_ids}
        self._hold = hold
        self._starts: list[datetime] = []
        self._closed: list[tuple[datetime, bytes]] = []
        self._open: Piece | None = None
        self._last: PowerReading | None = None
        self._known_to: datetime | None = None
        self._opened: tuple[int, Piece] | None = None
        self.follow(tuple(circuit_ids))

    def follow(self, circuit_ids: tuple[str, ...]) -> None:
        """Add up these circuits together as well, from now on."""
        if circuit_ids and len(self._groups) < 128:
            self._groups.setdefault(_BETWEEN.join(circuit_ids), circuit_ids)

    @property
    def known_to(self) -> datetime | None:
        """Return the instant up to which time is summed up; None if none is."""
        return self._known_to if self._open is not None else None

    @property
    def open(self) -> Piece | None:
        """Return the piece that is growing."""
        return self._open

    def load(self, pieces: Iterable[bytes]) -> None:
        """Take up what an earlier process kept, in order of time; the last piece goes on growing."""
        for text in pieces:
            self._append(msgspec.json.decode(text, type=Piece), text)
        if self._closed:
            _, text = self._closed.pop()
            self._starts.pop()
            piece = self._open = msgspec.json.decode(text, type=Piece)
            self._known_to = piece.end
            counters = {id_: each.counter_kwh for id_, each in piece.stores.items() if each.counter_kwh is not None}
            self._last = PowerReading(piece.end, {}, counter_kwh=counters)

    def take(
        self,
        reading: PowerReading | None,
        now: datetime,
        *,
        needed_from: datetime | None,
        edges: Sequence[datetime],
        kept_from: datetime | None = None,
        limited: Iterable[str] = (),
        level: int = 0,
    ) -> list[Piece]:
        """Go on to a reading, or to ``now`` if the panel could not be read; return the pieces that are closed by it.

        ``needed_from`` is the start of the first window that a report is still to be made of, None if there is none;
        earlier pieces are dropped, but none from ``kept_from`` on, which may be asked for once more. ``edges`` are the
        starts and ends of windows since the last call, in order. ``limited`` are the circuits that are limited, and
        ``level`` is the SIMPLE level followed, since then. A piece that begins at an edge and grows to a reading a
        moment after it is not given them: that edge may have ended them, and the next call tells what holds from it on.
        """
        at = now if reading is None else reading.at
        since = self._known_to
        kept = [each for each in (needed_from, kept_from) if each is not None]
        self._drop_before(min(kept, default=None))
        closed: list[Piece] = []
        if needed_from is None or needed_from > at:
            piece, self._open = self._open, None
            if piece is not None and piece.sums and kept_from is not None and piece.end > kept_from:
                self._append(piece, encoded(piece))
        else:
            self._begin(at if self._last is None else max(needed_from, self._known_to or needed_from))
            for edge in edges:
                piece = self._open
                if piece is not None and piece.start < edge <= at:
                    self._advance(edge, reading, limited, level)
                    closed.append(self._cut(piece, edge))
            is_new = since is None or (self._open is not None and self._open.start > since)
            self._advance(at, reading, () if is_new else limited, 0 if is_new else level)
        if reading is not None:
            self._last = reading
            self._note(reading)
        self._known_to = at
        return [piece for piece in closed if piece.sums]

    def measured(self, circuit_ids: Sequence[str], start: datetime, end: datetime) -> Measurement | None:
        """Return what circuits drew together in [start, end); None if nothing is known of it."""
        key, length_us = _BETWEEN.join(circuit_ids), (end - start) // _US
        total, stores = Sums(), {id_: EnergyStore() for id_ in circuit_ids}
        for piece in self._pieces(start, end):
            inside = Decimal((min(piece.end, end) - max(piece.start, start)) // _US)
            whole = max((piece.end - piece.start) // _US, 1)
            sums = piece.sums.get(key) if key in self._groups else _added(piece, circuit_ids)
            if sums is not None:
                share = inside / whole
                total.kw_us += sums.kw_us * share
                total.covered_us += int(sums.covered_us * share)
                total.shared_us += int(sums.shared_us * share) if share == 1 else int(sums.covered_us * share)
                peaks = [kw for kw in (total.peak_kw, sums.peak_kw) if kw is not None]
                total.peak_kw = max(peaks, default=None)
                total.last_kw = total.last_kw if sums.last_kw is None else sums.last_kw
            for id_ in circuit_ids:
                stores[id_] = _later(stores[id_], piece.stores.get(id_, EnergyStore()))
        if not total.covered_us or length_us <= 0:
            return None
        mean_kw = total.kw_us / total.covered_us
        return Measurement(
            mean_kw=mean_kw,
            peak_kw=mean_kw if total.peak_kw is None else total.peak_kw,
            last_kw=mean_kw if total.last_kw is None else total.last_kw,
            covered=min((total.covered_us - total.shared_us) / length_us, 1.0),
            hours=Decimal(length_us) / 3_600_000_000,
            counter_kwh=_total(each.counter_kwh for each in stores.values()),
            charge_kwh=_total(each.charge_kwh for each in stores.values()),
            capacity_kwh=_total(each.capacity_kwh for each in stores.values()),
        )

    def was_limited(self, circuit_id: str, start: datetime, end: datetime) -> bool:
        """Return True if a circuit was seen limited at any time of [start, end)."""
        return any(circuit_id in piece.limited for piece in self._pieces(start, end))

    def level(self, start: datetime, end: datetime) -> int:
        """Return the highest SIMPLE level that was followed in [start, end)."""
        return max((piece.level for piece in self._pieces(start, end)), default=0)

    def stores(self, start: datetime, end: datetime) -> set[str]:
        """Return the circuits whose charge or capacity was known in [start, end)."""
        return {
            id_
            for piece in self._pieces(start, end)
            for id_, each in piece.stores.items()
            if each.charge_kwh is not None or each.capacity_kwh is not None
        }

    def _begin(self, at: datetime) -> None:
        if self._open is None:
            self._open = Piece(start=at, end=at, sums={}, stores={}, limited=set())
            self._known_to = at

    def _advance(self, to: datetime, reading: PowerReading | None, limited: Iterable[str], level: int) -> None:
        """Add the time up to an instant to the open piece, by the last reading and the counters."""
        piece, since = self._open, self._known_to
        if piece is None or since is None or to <= since:
            return
        piece.end = self._known_to = to
        before = self._last
        if before is None:
            return
        piece.limited.update(limited)
        piece.level = max(piece.level, level)
        held_us = (min(to, before.at + self._hold) - since) // _US
        length_us = (to - since) // _US
        counted = _counted_kw(before, reading)
        for key, ids in self._groups.items():
            by_counter = all(id_ in counted for id_ in ids)
            known = [
                before.kw[id_] if id_ not in counted else counted[id_]
                for id_ in ids
                if id_ in before.kw or id_ in counted
            ]
            us = length_us if by_counter else held_us
            if len(known) < len(ids) or us <= 0:
                continue
            total = before.total(ids) if held_us > 0 else None
            over_an_edge = since > before.at or (reading is not None and to < reading.at)
            shared = by_counter and held_us < length_us and over_an_edge
            piece.sums.setdefault(key, Sums()).add(sum(known, _NOTHING), us, read_kw=total, shared=shared)

    def _note(self, reading: PowerReading) -> None:
        """Remember what is not summed up but was last known, in the open piece."""
        if self._open is None:
            return
        for id_ in {*reading.counter_kwh, *reading.charge_kwh, *reading.capacity_kwh}:
            self._open.stores[id_] = EnergyStore(
                reading.counter_kwh.get(id_), reading.charge_kwh.get(id_), reading.capacity_kwh.get(id_)
            )

    def _cut(self, piece: Piece, edge: datetime) -> Piece:
        self._open = Piece(start=edge, end=edge, sums={}, stores={}, limited=set())
        if piece.sums:
            self._append(piece, encoded(piece))
        return piece

    def _append(self, piece: Piece, text: bytes) -> None:
        self._starts.append(piece.start)
        self._closed.append((piece.end, text))
        most = max(1, MOST_SUMS // len(self._groups))
        if len(self._closed) > most:
            del self._starts[:-most], self._closed[:-most]
        self._opened = None

    def _drop_before(self, needed_from: datetime | None) -> None:
        ends = len(self._closed) if needed_from is None else 0
        while needed_from is not None and ends < len(self._closed) and self._closed[ends][0] <= needed_from:
            ends += 1
        if ends:
            del self._starts[:ends], self._closed[:ends]
            self._opened = None

    def _pieces(self, start: datetime, end: datetime) -> Iterable[Piece]:
        """Yield the pieces that touch [start, end)."""
        first = max(bisect_right(self._starts, start) - 1, 0)
        for place in range(first, bisect_left(self._starts, end)):
            if self._closed[place][0] <= start:
                continue
            if self._opened is None or self._opened[0] != place:
                self._opened = place, msgspec.json.decode(self._closed[place][1], type=Piece)
            yield self._opened[1]
        if self._open is not None and self._open.start < end and self._open.end > start:
            yield self._open


def encoded(piece: Piece) -> bytes:
    """Return a piece as text, for `LoadProfile.load`."""
    return msgspec.json.encode(piece)


def _counted_kw(before: PowerReading, reading: PowerReading | None) -> Mapping[str, Decimal]:
    """Return the mean power in kW between two readings of circuits with counters; one that fell was replaced."""
    if reading is None or reading.at <= before.at:
        return {}
    hours = Decimal((reading.at - before.at) // _US) / 3_600_000_000
    return {
        id_: (now_kwh - before.counter_kwh[id_]) / hours
        for id_, now_kwh in reading.counter_kwh.items()
        if id_ in before.counter_kwh and now_kwh >= before.counter_kwh[id_]
    }


def _added(piece: Piece, circuit_ids: Sequence[str]) -> Sums | None:
    """Return the sums of circuits that were not added up together reading by reading, so that the peak is not known.

    They are known for as long as the least known of them; None if one is not known at all.
    """
    each = [piece.sums.get(id_) for id_ in circuit_ids]
    known = [sums for sums in each if sums is not None and sums.covered_us]
    if not known or len(known) < len(each):
        return None
    covered_us = min(sums.covered_us for sums in known)
    last = [sums.last_kw for sums in known if sums.last_kw is not None]
    return Sums(
        kw_us=sum((sums.kw_us * covered_us / sums.covered_us for sums in known), _NOTHING),
        covered_us=covered_us,
        shared_us=min(covered_us, max(sums.shared_us for sums in known)),
        last_kw=sum(last, _NOTHING) if len(last) == len(known) else None,
    )


def _later(before: EnergyStore, now: EnergyStore) -> EnergyStore:
    """Return what was known of a circuit last, member by member."""
    return EnergyStore(
        counter_kwh=before.counter_kwh if now.counter_kwh is None else now.counter_kwh,
        charge_kwh=before.charge_kwh if now.charge_kwh is None else now.charge_kwh,
        capacity_kwh=before.capacity_kwh if now.capacity_kwh is None else now.capacity_kwh,
    )


def _total(each: Iterable[Decimal | None]) -> Decimal | None:
    """Return the sum; None unless all are known."""
    parts = list(each)
    known = [kwh for kwh in parts if kwh is not None]
    return sum(known, _NOTHING) if known and len(known) == len(parts) else None
