"""Messages on their way to a broker: not more at a time than allowed, and of each it is known what became of it."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_client.errors import NotSent, Unconfirmed
from openadr_client.mqtt_window import Fate, PublishWindow


class Connection:
    """Takes messages, confirms them when it is told to, and fails for some."""

    def __init__(
        self, most: int, *, lost: frozenset[str] = frozenset(), doubtful: frozenset[str] = frozenset()
    ) -> None:
        self.taken: list[str] = []
        self.most_at_once = 0
        self.unconfirmed: set[int] = set()
        self._lost, self._doubtful = lost, doubtful
        self.window = PublishWindow(self.hand_over, most=most, timeout_s=30.0)

    def hand_over(self, topic: str, _: bytes) -> int:
        if topic in self._lost:
            raise NotSent("no")
        if topic in self._doubtful:
            raise Unconfirmed("perhaps")
        self.taken.append(topic)
        self.unconfirmed.add(len(self.taken))
        self.most_at_once = max(self.most_at_once, len(self.unconfirmed))
        return len(self.taken)

    def confirm(self, number: int) -> None:
        self.unconfirmed.discard(number)
        assert self.window.confirm(number)


def _messages(count: int, name: str = "t") -> list[tuple[str, bytes]]:
    return [(f"{name}{number}", b"x") for number in range(count)]


@settings(max_examples=50, deadline=None)
@given(
    batches=st.lists(st.integers(0, 12), max_size=4),
    most=st.integers(1, 5),
    order=st.randoms(use_true_random=False),
    ends_after=st.integers(0, 60),
)
def test_each_message_leaves_once_and_its_fate_is_true(
    batches: list[int], most: int, order: Random, ends_after: int
) -> None:
    """C2, C3: what is confirmed was taken, what was not sent was never taken, and the window is never exceeded."""

    async def run() -> None:
        connection = Connection(most)
        names = [[(f"{place}-{number}", b"x") for number in range(count)] for place, count in enumerate(batches)]
        waiting = [asyncio.create_task(connection.window.publish(each)) for each in names]
        await asyncio.sleep(0)
        for _ in range(ends_after):
            if not connection.unconfirmed:
                break
            connection.confirm(order.choice(sorted(connection.unconfirmed)))
        connection.window.end()
        fates = [fate for each in await asyncio.gather(*waiting) for fate in each]
        topics = [topic for each in names for topic, _ in each]
        taken = set(connection.taken)
        assert len(connection.taken) == len(taken)
        assert connection.most_at_once <= most
        assert {topic for topic, fate in zip(topics, fates, strict=True) if fate is not Fate.NOT_SENT} == taken
        assert fates.count(Fate.UNCONFIRMED) == len(connection.unconfirmed)
        assert connection.taken == [topic for topic in topics if topic in taken], "in their order"

    asyncio.run(run())


async def test_a_message_that_fails_does_not_hold_up_the_others() -> None:
    """C3: what has not left may be sent again, what may have left may not."""
    connection = Connection(1, lost=frozenset({"t0"}), doubtful=frozenset({"t1"}))
    waiting = asyncio.create_task(connection.window.publish(_messages(3)))
    await asyncio.sleep(0)
    connection.confirm(1)
    assert await waiting == [Fate.NOT_SENT, Fate.UNCONFIRMED, Fate.CONFIRMED]


async def test_a_broker_that_confirms_nothing_is_not_waited_for_for_ever() -> None:
    """The first may have arrived; the second was never told, and is not sent later either."""
    connection = Connection(1)
    connection.window = PublishWindow(connection.hand_over, most=1, timeout_s=0.05)
    assert await connection.window.publish(_messages(2)) == [Fate.UNCONFIRMED, Fate.NOT_SENT]
    assert not connection.window.confirm(1), "it comes too late"
    assert connection.taken == ["t0"]


async def test_who_gives_up_waiting_sends_nothing_more() -> None:
    """A task that is cancelled takes what has not left with it."""
    connection = Connection(1)
    waiting = asyncio.create_task(connection.window.publish(_messages(3)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    others = asyncio.create_task(connection.window.publish(_messages(1, "other")))
    await asyncio.sleep(0)
    connection.confirm(2)
    assert await others == [Fate.CONFIRMED]
    assert connection.taken == ["t0", "other0"]


async def test_a_connection_that_is_gone_takes_nothing() -> None:
    """C3: all of it may be sent again."""
    connection = Connection(5)
    connection.window.end()
    assert await connection.window.publish(_messages(2)) == [Fate.NOT_SENT] * 2
    assert connection.taken == []


async def test_what_the_broker_refuses_is_no_more_on_its_way_and_not_delivered() -> None:
    """The next message leaves, and whoever watches is told of both answers."""
    connection, told = Connection(1), []
    connection.window = PublishWindow(
        connection.hand_over, most=1, timeout_s=30.0, on_answer=lambda topic, refusal: told.append((topic, refusal))
    )
    waiting = asyncio.create_task(connection.window.publish(_messages(2)))
    await asyncio.sleep(0)
    assert connection.window.confirm(1, refusal="Not authorized")
    connection.confirm(2)
    assert await waiting == [Fate.REFUSED, Fate.CONFIRMED]
    assert told == [("t0", "Not authorized"), ("t1", None)]
