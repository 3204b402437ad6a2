"""Read large events without holding their intervals as objects: 100,000 of them are kept as the text they came in.

An interval as objects takes five times the memory of its text. A large event gets a `PackedIntervals` in the place of
its tuple, which reads an interval when somebody asks for it.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Collection, Iterator, Sequence
from typing import Final, cast, overload

import msgspec

from openadr_profiles.v31.codec import JsonText, decode, decoder
from openadr_profiles.v31.common import Interval
from openadr_profiles.v31.errors import Invalid
from openadr_profiles.v31.event import Event

PACKED_FROM: Final = 262_144
"""Events whose document has so many bytes or more are packed: about 3,000 intervals."""

_INTERVAL: Final = decoder(Interval)


class PackedIntervals(JsonText, Sequence[Interval]):
    """Hold intervals as JSON text. Acts as the tuple that it stands for; equal to any sequence of equal intervals."""

    __slots__ = ("_edges", "_text")

    def __init__(self, members: Collection[msgspec.Raw]) -> None:
        self._edges = array("q", (0,))
        self._edges.extend(itertools.accumulate(len(memoryview(member)) + 1 for member in members))
        self._text = b",".join(members)

    @property
    def text(self) -> bytes:
        """Return the JSON array of all intervals."""
        return b"".join((b"[", self._text, b"]"))

    def __len__(self) -> int:
        return len(self._edges) - 1

    @overload
    def __getitem__(self, index: int) -> Interval: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Interval, ...]: ...
    def __getitem__(self, index: int | slice) -> Interval | tuple[Interval, ...]:
        if isinstance(index, slice):
            return tuple(map(self._read, range(*index.indices(len(self)))))
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(index)
        return self._read(place)

    def __iter__(self) -> Iterator[Interval]:
        return map(self._read, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedIntervals) and self._text == other._text:
            return True
        if not isinstance(other, PackedIntervals | tuple) or len(self) != len(other):
            return False
        return all(map(Interval.__eq__, self, other))

    def __hash__(self) -> int:
        return hash((len(self), self[0]))

    def _read(self, place: int) -> Interval:
        return _INTERVAL.decode(self._text[self._edges[place] : self._edges[place + 1] - 1])


class _Outline(Event, frozen=True, kw_only=True):
    """An event whose intervals are not read yet."""

    intervals: tuple[msgspec.Raw, ...] | None = None  # type: ignore[assignment] # another type of the same member


def decode_event(data: bytes | memoryview) -> Event:
    """Read an event like `decode`; a large one gets packed intervals, each read once to see that it is right.

    Takes about a second for 100,000 intervals. Nothing in it holds the interpreter for long, so that a thread may do it
    beside an event loop. Raises Invalid, naming the member.
    """
    if len(data) < PACKED_FROM:
        return decode(bytes(data), Event)
    outline = decode(data, _Outline)
    members = {name: getattr(outline, name) for name in Event.__struct_fields__}
    raws = outline.intervals or ()
    if raws:
        for index, member in enumerate(raws):
            try:
                _INTERVAL.decode(member)
            except (msgspec.MsgspecError, ValueError):
                raise _named(index, member) from None
        members["intervals"] = cast("tuple[Interval, ...]", PackedIntervals(raws))
    return Event(**members)


def _named(index: int, member: msgspec.Raw) -> Invalid:
    """Return what is wrong with an interval, with its place in the event."""
    path = f"intervals[{index}]"
    try:
        decode(member, Interval)
    except Invalid as error:
        return Invalid(f"{path}.{error.member}" if error.member else path, error.problem)
    return Invalid(path, "not readable")
