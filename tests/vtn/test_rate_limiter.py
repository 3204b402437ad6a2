"""Limits on how often somebody may ask, kept by one process or by several together (GEN-008, AUTH-035)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vtn.harness import Moment
from vtn.auth.rate_limiter import RateLimiter
from vtn.errors import TooManyRequests
from vtn.processes.shared_memory import SharedMemory, made
from vtn.processes.timestamps import SharedTimestamps

WORKERS = 3
ONE_WINDOW = 8 * 32


def may(limiter: RateLimiter, key: str = "home") -> bool:
    """Ask once."""
    try:
        limiter.take(key)
    except TooManyRequests:
        return False
    return True


@contextmanager
def workers(now: Moment, *, burst: int, per_s: float) -> Iterator[list[RateLimiter]]:
    """The limit of several workers."""
    fd = made(WORKERS)
    try:
        yield [
            RateLimiter(
                burst=burst,
                per_s=per_s,
                now=now,
                timestamps=SharedTimestamps(
                    SharedMemory(slots=WORKERS, slot=seat, fd=fd).part("requests per client"), seat
                ),
            )
            for seat in range(WORKERS)
        ]
    finally:
        os.close(fd)


def small(now: Moment, seats: Sequence[bytearray], *, burst: int = 1, per_s: float = 0.01) -> list[RateLimiter]:
    """Workers with hardly any room for what they have in common."""
    views = [memoryview(seat) for seat in seats]
    return [
        RateLimiter(burst=burst, per_s=per_s, now=now, timestamps=SharedTimestamps(views, seat))
        for seat in range(len(seats))
    ]


STEPS = st.lists(
    st.tuples(st.integers(0, WORKERS - 1), st.sampled_from("abc"), st.sampled_from([0, 0, 0, 0.25, 1, 7.5, 1000])),
    max_size=80,
)


@given(STEPS, st.integers(1, 5), st.sampled_from([0.5, 1, 4]))
def test_several_workers_decide_as_a_bucket_would(
    steps: list[tuple[int, str, float]], burst: int, per_s: float
) -> None:
    """Room comes back at the rate of the setting, up to what may come at once, wherever a client asks."""
    now = Moment()
    rooms: dict[str, tuple[Fraction, Fraction]] = {}
    passed = Fraction(0)
    with workers(now, burst=burst, per_s=per_s) as limiters:
        for worker, key, wait_s in steps:
            now.pass_(seconds=wait_s)
            passed += Fraction(wait_s)
            room, since = rooms.get(key, (Fraction(burst), passed))
            room = min(Fraction(burst), room + (passed - since) * Fraction(per_s))
            assert may(limiters[worker], key) == (room >= 1)
            rooms[key] = (room - 1 if room >= 1 else room, passed)


def test_who_is_refused_is_told_when_there_is_room_again() -> None:
    """Retry-After: in whole seconds, and not too early."""
    now = Moment()
    limiter = RateLimiter(burst=3, per_s=0.4, now=now)
    for _ in range(3):
        limiter.take("home")
    with pytest.raises(TooManyRequests) as caught:
        limiter.take("home")
    assert caught.value.retry_after_s == 3
    now.pass_(seconds=2)
    assert not may(limiter)
    now.pass_(seconds=1)
    assert may(limiter)


def test_a_clock_that_is_set_back_refuses_nobody() -> None:
    """And the limit holds from there on."""
    now = Moment()
    with workers(now, burst=2, per_s=1) as (one, other, _):
        assert [may(one), may(one), may(one)] == [True, True, False]
        now.pass_(hours=-1)
        assert [may(other), may(one), may(other), may(one)] == [True, True, False, False]


def test_who_takes_the_seat_of_a_worker_that_died_knows_what_it_knew() -> None:
    """Being killed does not give a client more room."""
    now, seats = Moment(), [bytearray(32 * 64) for _ in range(2)]
    (_, other) = small(now, seats)
    assert may(other)

    assert not any(may(successor) for successor in small(now, seats))


def test_nobody_is_refused_for_what_somebody_else_did() -> None:
    """However many there are, and although all of them fall into the same few rows."""
    now, seats = Moment(), [bytearray(ONE_WINDOW) for _ in range(2)]
    limiters = small(now, seats)
    keys = [f"home-{number}" for number in range(500)]

    assert all(may(limiters[number % 2], key) for number, key in enumerate(keys))
    # Each process alone still refuses those for whom there was no room.
    assert not any(may(limiters[number % 2], key) for number, key in enumerate(keys))
    refused_elsewhere = [not may(limiters[1 - number % 2], key) for number, key in enumerate(keys)]
    assert sum(refused_elsewhere) == 2 * 8


def test_rows_are_given_away_when_they_say_nothing_any_more() -> None:
    """So there is room for others, for ever."""
    now, seats = Moment(), [bytearray(ONE_WINDOW) for _ in range(2)]
    one, other = small(now, seats, per_s=1)
    for number in range(100):
        assert may(one, f"home-{number}")
        assert not may(other, f"home-{number}")
        now.pass_(seconds=1)


def test_a_row_that_is_given_away_while_it_is_read_counts_for_nobody() -> None:
    """A time that another worker notes for another key at that instant is not taken for this key's."""

    class Changing:
        """A seat in which the row belongs to somebody else right after it was read."""

        def __init__(self) -> None:
            self.slot = bytearray(ONE_WINDOW)
            SharedTimestamps([memoryview(self.slot)], 0).note("home", 5.0, now=0.0, until=10.0)

        def __len__(self) -> int:
            return len(self.slot)

        def __getitem__(self, place: slice) -> bytes:
            found = bytes(self.slot[place])
            self.slot[0:16] = b"somebody else..."
            return found

    seat = Changing()
    moments = SharedTimestamps([cast(memoryview, seat), memoryview(bytearray(ONE_WINDOW))], 1)

    assert moments.newest("home", until=10.0) == 0.0
    assert SharedTimestamps([memoryview(Changing().slot)], 0).newest("home", until=10.0) == 5.0
