from random import Random

import pytest

from openadr_client.backoff import Backoff
from openadr_client.errors import TemporarilyUnavailable, Unreachable


def test_waits_grow_to_a_quarter_of_an_hour_with_jitter() -> None:
    """VENCLIENT-025."""
    backoff = Backoff(Random(1))
    waits = [backoff.failed(Unreachable("x")) for _ in range(30)]
    for number, wait_s in enumerate(waits):
        full_s = min(2.0**number, 900)
        assert full_s / 2 <= wait_s <= full_s
    assert len({round(wait_s, 6) for wait_s in waits}) == len(waits)


def test_success_begins_anew() -> None:
    backoff = Backoff(Random(1))
    for _ in range(10):
        backoff.failed(Unreachable("x"))
    backoff.succeeded()
    assert backoff.failed(Unreachable("x")) <= 1


def test_vtn_may_say_how_long() -> None:
    """VENCLIENT-025: Retry-After."""
    backoff = Backoff(Random(1))
    assert backoff.failed(TemporarilyUnavailable("x", status=429, retry_after_s=42)) == 42
    assert backoff.failed(TemporarilyUnavailable("x", status=503)) <= 2


@pytest.mark.parametrize("asked_s", [0.0, 0.9, float("nan")])
def test_a_wait_that_is_none_gets_the_growing_one(asked_s: float) -> None:
    """V2: a VTN that says 0 for hours is not asked more often than one that says nothing."""
    backoff = Backoff(Random(1))
    waits = [backoff.failed(TemporarilyUnavailable("x", status=503, retry_after_s=asked_s)) for _ in range(12)]
    assert all(2.0**number / 2 <= wait_s <= 900 for number, wait_s in enumerate(waits[:10]))
    assert waits[-1] >= 450


@pytest.mark.parametrize("asked_s", [3601.0, 1e308, float("inf")])
def test_no_wait_is_longer_than_an_hour(asked_s: float) -> None:
    assert Backoff(Random(1)).failed(TemporarilyUnavailable("x", status=503, retry_after_s=asked_s)) == 3600
