"""Large events: their intervals are kept as text and read when somebody asks for them (V16)."""

from __future__ import annotations

import json
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from openadr_profiles.v31 import Event, Invalid, PackedIntervals, Timeline, decode, decode_event, encode
from openadr_profiles.v31.packed import PACKED_FROM
from tests.profiles.v31.build import WRITTEN, placed

MANY = 6_000


def document(count: int = MANY, **members: Any) -> bytes:
    """An event of minutes, each with a PRICE of its own; every tenth interval says its start."""
    intervals: list[dict[str, Any]] = [
        {"id": i, "payloads": [{"type": "PRICE", "values": [i / 1000]}]} for i in range(count)
    ]
    for number in range(0, count, 10):
        start = WRITTEN + timedelta(minutes=number)
        intervals[number]["intervalPeriod"] = {"start": start.isoformat(), "duration": "PT1M"}
    given = {
        "id": "event-1",
        "createdDateTime": "2024-12-31T00:00:00Z",
        "modificationDateTime": "2025-01-01T00:00:00Z",
        "programID": "program-1",
        "intervalPeriod": {"start": "2025-01-01T00:00:00Z", "duration": "PT1M"},
        "intervals": intervals,
        **members,
    }
    return json.dumps(given).encode()


def test_large_event_is_the_same_event() -> None:
    text = document()
    packed, plain = decode_event(text), decode(text, Event)

    assert type(packed.intervals).__name__ == PackedIntervals.__name__
    assert plain.intervals is not None
    assert packed.intervals == plain.intervals
    assert tuple(packed.intervals) == plain.intervals
    assert (packed.intervals[-1], packed.intervals[5:8]) == (plain.intervals[-1], plain.intervals[5:8])
    assert replace(packed, intervals=None) == replace(plain, intervals=None)
    assert decode(encode(packed), Event) == plain
    assert placed(packed)._runs == placed(plain)._runs
    assert list(placed(packed).windows()) == list(placed(plain).windows())


def test_small_event_is_read_as_ever() -> None:
    text = document(3)
    assert decode_event(text) == decode(text, Event)
    assert type(decode_event(text).intervals) is tuple


@pytest.mark.parametrize("place", [-MANY - 1, MANY])
def test_interval_that_does_not_exist_is_an_index_error(place: int) -> None:
    intervals = decode_event(document()).intervals
    assert intervals is not None
    with pytest.raises(IndexError):
        intervals[place]


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"id": "x", "payloads": []}, r"intervals\[6000\]\.id: expected"),
        ({"id": 1, "payloads": [{"type": "PRICE"}]}, r"intervals\[6000\]\.payloads\[0\]\.values: required"),
        (5, r"intervals\[6000\]: expected"),
    ],
)
def test_wrong_interval_of_a_large_event_is_named(broken: Any, message: str) -> None:
    whole = json.loads(document())
    whole["intervals"].append(broken)
    with pytest.raises(Invalid, match=message):
        decode_event(json.dumps(whole).encode())


def test_document_that_is_no_event_is_refused() -> None:
    with pytest.raises(Invalid, match="programID: required"):
        decode_event(b'{"id": "e", "eventName": "' + b"x" * 4000 + b'"}' + b" " * PACKED_FROM)
    with pytest.raises(Invalid, match="ends too early"):
        decode_event(document()[:-1])


def test_event_of_100_000_intervals_and_its_timeline_take_less_than_40_mb() -> None:
    """V16: with all that is held while it is read, besides the text it is read from."""
    text = document(100_000)
    tracemalloc.start()
    try:
        event = decode_event(text)
        timeline = Timeline.of(event, anchor=WRITTEN)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert timeline.count == 100_000
    assert timeline.values_at(WRITTEN + timedelta(minutes=54_321))["PRICE"].values == (54.321,)
    assert peak < 40_000_000
