"""Waiting for facts."""

import pytest

from tests.support.waiting import wait_until, wait_until_sync


async def test_waiting_gives_the_first_true_value() -> None:
    """Falsy values are waited out, also from an async function."""
    values = iter([None, [], ["ack"]])

    async def latest() -> list[str] | None:
        return next(values)

    assert await wait_until(latest) == ["ack"]
    assert wait_until_sync(iter([0, 3]).__next__) == 3


async def test_waiting_in_vain_names_the_fact_and_its_last_value() -> None:
    """The message is what a reader of a failed run sees first."""
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: two acks stored \(last value: 0\)"):
        await wait_until(lambda: 0, timeout_s=0.05, what="two acks stored")
    with pytest.raises(AssertionError, match=r"not within 0\.05 s: two acks stored \(last value: 0\)"):
        wait_until_sync(lambda: 0, timeout_s=0.05, what="two acks stored")
