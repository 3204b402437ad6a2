"""Messages from a broker: which are waited for together, and that none waits longer than it may (rule R19)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import aiomqtt
import pytest

from openadr_client.mqtt_arrivals import ArrivedMessages

SAMPLE, ACK = "volttron/metering", "ven/ack/p1"


def message(topic: str) -> aiomqtt.Message:
    return aiomqtt.Message(topic, b"{}", 1, False, 1, None)


class Arriving:
    """A queue into which messages come while others are waited for: at each look the next of ``coming``."""

    def __init__(self, coming: Sequence[Sequence[str]]) -> None:
        self._coming = list(coming)
        self.looks = 0
        self.queue = ArrivedMessages(
            lambda: datetime.now(UTC),
            unconfirmed=1_000,
            longest=None,
            may_wait=lambda each: str(each.topic) == SAMPLE,
            sleep=self._sleep,
        )

    async def _sleep(self, _: float) -> None:
        for topic in self._coming[self.looks] if self.looks < len(self._coming) else ():
            self.queue.put_nowait(message(topic))
        self.looks += 1


@pytest.mark.parametrize(
    ("first", "coming", "looks"),
    [
        pytest.param(ACK, [[SAMPLE]] * 20, 1, id="an answer does not wait"),
        pytest.param(SAMPLE, [[SAMPLE]] * 20, 12, id="samples are collected"),
        pytest.param(SAMPLE, [], 12, id="one sample alone"),
        pytest.param(SAMPLE, [[], [SAMPLE], [SAMPLE, ACK], [SAMPLE]], 3, id="until an answer comes"),
        pytest.param(SAMPLE, [[SAMPLE] * 19], 2, id="until the broker sends nothing more, with its window full"),
        pytest.param(SAMPLE, [[SAMPLE] * 200] * 9, 2, id="until there are many"),
    ],
)
async def test_only_messages_that_may_wait_are_waited_for(first: str, coming: list[list[str]], looks: int) -> None:
    arriving = Arriving(coming)
    await arriving.queue.gather(message(first))
    assert arriving.looks == looks


async def test_an_answer_that_was_taken_keeps_nobody_from_waiting() -> None:
    arriving = Arriving([[SAMPLE]] * 20)
    arriving.queue.put_nowait(message(ACK))
    assert str(arriving.queue.get_nowait().topic) == ACK
    await arriving.queue.gather(message(SAMPLE))
    assert arriving.looks == 12
