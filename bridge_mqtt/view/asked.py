"""The kW that an event asks for before it is split. Rules without I/O."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import islice

from openadr_profiles.fleet.power import RELATIVE, PayloadNotUnderstood, PayloadReader, RequestKind
from openadr_profiles.v31.timeline import Timeline

_MOST_WINDOWS = 200
_MOST_VALUES = 2_000


def most_asked_kw(timeline: Timeline, reader: PayloadReader) -> Decimal | None:
    """Return the largest shed in kW that an event names; None if it names levels or limits, or cannot be read."""
    return max(islice(_sheds_kw(timeline, reader), _MOST_VALUES), default=None)


def _sheds_kw(timeline: Timeline, reader: PayloadReader) -> Iterator[Decimal]:
    for window in islice(timeline.windows(), _MOST_WINDOWS):
        for held in window.held():
            if held.payload_type != RELATIVE:
                continue
            try:
                request = reader.request(held.payload_type, held.values)
            except PayloadNotUnderstood:
                continue
            if request.kind is RequestKind.SHED:
                yield request.value
