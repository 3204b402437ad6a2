"""Every recording in its order with every fault added: what can be used is used, and nothing absurd gets in."""

import math
import random
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.panel import Ack, Telemetry, Unreadable, read_ack, read_telemetry
from openadr_profiles.panel.reading import MOST_CIRCUIT_KW, MOST_PANEL_KW
from tests.support import panel_faults
from tests.support.panel_captures import FILES, Recorded, recorded
from tests.support.panel_faults import FAULTS

Reading = Ack | Telemetry | Unreadable


def from_panels(name: str) -> list[Recorded]:
    """Return what panels sent on the topics that the bridge reads, in their order."""
    return [message for message in recorded(name) if message.from_panel and (message.is_ack or message.is_telemetry)]


def read(message: Recorded) -> Reading:
    if message.is_ack:
        return read_ack(message.topic, message.payload, message.at, lambda _: None)
    return read_telemetry(message.topic, message.payload, message.at)


def meaning(reading: Reading) -> tuple[Any, ...]:
    """Return what decisions rest on, without numbers."""
    match reading:
        case Ack():
            return ("ack", reading.ven_id, reading.op, reading.status, reading.dialect, reading.correlation_id)
        case Telemetry():
            circuits = tuple(load.id for load in reading.loads)
            return ("sample", reading.ven_id, reading.event_id, reading.tells_event, circuits)
        case _:
            return ("unreadable", reading.ven_id, reading.reason)


def absurd(reading: Reading) -> list[float]:
    """The powers of a reading that no panel and no circuit can have."""
    match reading:
        case Ack():
            panel = [reading.requested_shed_kw, reading.actual_shed_kw]
            circuit = [
                kw
                for each in reading.circuits_curtailed or ()
                for kw in (each.original_kw, each.curtailed_kw, each.final_kw)
            ]
        case Telemetry():
            panel = [
                reading.used_power_kw,
                reading.shed_power_kw,
                reading.requested_reduction_kw,
                reading.baseline_power_kw,
            ]
            circuit = [
                kw
                for each in reading.loads
                for kw in (each.current_power_kw, each.capacity_kw, each.shed_capability_kw)
            ]
        case _:
            panel, circuit = [], []
    beyond = [kw for kw in panel if kw is not None and not abs(kw) <= MOST_PANEL_KW]
    return beyond + [kw for kw in circuit if kw is not None and not abs(kw) <= MOST_CIRCUIT_KW]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", FILES)
def test_a_recording_with_a_fault_means_what_it_meant(name: str, fault: str) -> None:
    """R7 to R9, R13, R18: a message keeps its meaning, or says why it cannot be read; the warning names the number."""
    original = from_panels(name)
    altered = FAULTS[fault](original, random.Random(f"{name} {fault}"))
    before, after = [read(message) for message in original], [read(message) for message in altered]

    assert [kw for reading in after for kw in absurd(reading)] == []
    CHECKS[fault](before, after)


def check_twice(before: Sequence[Reading], after: Sequence[Reading]) -> None:
    """A repetition has the same hash, by which it is found."""
    hashes = {reading.payload_hash for reading in before if isinstance(reading, Ack)}
    assert {reading.payload_hash for reading in after if isinstance(reading, Ack)} == hashes
    assert set(map(meaning, after)) == set(map(meaning, before))
    assert len(after) > len(before)


def check_order(before: Sequence[Reading], after: Sequence[Reading]) -> None:
    """Each says the same in whatever order they come."""
    assert Counter(map(meaning, after)) == Counter(map(meaning, before))
    assert len(before) < 9 or list(map(meaning, after)) != list(map(meaning, before))


def check_cut(before: Sequence[Reading], after: Sequence[Reading]) -> None:
    """A part of a message is never taken for a message."""
    assert len(after) == len(before)
    assert {type(reading) for reading in after} == {Unreadable}
    assert {reading.reason for reading in after if isinstance(reading, Unreadable)} <= {
        "not JSON",
        "empty",
        "not UTF-8",
    }


def check_numbers(before: Sequence[Reading], after: Sequence[Reading]) -> None:
    """The message is kept without the number, which is named."""
    assert list(map(meaning, after)) == list(map(meaning, before))
    assert any(reading.warnings for reading in after if not isinstance(reading, Unreadable))


def check_zone(before: Sequence[Reading], after: Sequence[Reading]) -> None:
    """The time is the panel's own; when it came is not."""
    assert list(map(meaning, after)) == list(map(meaning, before))
    for one, other in zip(before, after, strict=True):
        if isinstance(one, Ack | Telemetry) and isinstance(other, Ack | Telemetry):
            assert other.received_at == one.received_at
            off = other.timestamp - one.timestamp
            assert off % timedelta(hours=1) == timedelta(0)
            assert timedelta(0) < abs(off) <= timedelta(hours=14)


CHECKS = {
    "twice": check_twice,
    "out of order": check_order,
    "cut short": check_cut,
    "no numbers": check_numbers,
    "huge numbers": check_numbers,
    "wrong zone": check_zone,
}


def test_every_fault_has_its_check() -> None:
    """A fault that is added without a check would prove nothing."""
    assert CHECKS.keys() == FAULTS.keys()


@given(name=st.sampled_from(FILES), seed=st.integers(0, 2**32))
def test_all_faults_together_never_raise_and_let_nothing_absurd_in(name: str, seed: int) -> None:
    """What is read can be written as JSON, and comes back with finite numbers."""
    for message in panel_faults.mixed(from_panels(name), random.Random(seed)):
        reading = read(message)
        assert absurd(reading) == []
        assert all(math.isfinite(number) for number in numbers(msgspec.json.decode(msgspec.json.encode(reading))))


def numbers(value: object) -> list[float]:
    match value:
        case dict():
            return [number for each in value.values() for number in numbers(each)]
        case list():
            return [number for each in value for number in numbers(each)]
        case bool():
            return []
        case int() | float():
            return [value]
        case _:
            return []
