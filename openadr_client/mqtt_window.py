"""Messages on their way to a broker with QoS 1: so many at a time, and their confirmations taken as they come.

Nobody waits for one message after the other: what a confirmation frees is used at once for the next. Of each message it
is known in the end whether the broker has it, may have it, or has certainly never been told it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum

from openadr_client.errors import NotSent, Unconfirmed


class Fate(Enum):
    """Hold what has become of a message."""

    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"  # it may have arrived
    REFUSED = "refused"  # the broker has it and gives it to nobody (MQTT 5)
    NOT_SENT = "not sent"  # it has not left this process


class _Batch:
    """Messages that somebody waits for together."""

    def __init__(self, count: int) -> None:
        self.fates = [Fate.NOT_SENT] * count
        self.left = count
        self.is_over = asyncio.get_running_loop().create_future()

    def settle(self, place: int, fate: Fate) -> None:
        self.fates[place] = fate
        self.left -= 1
        if not self.left and not self.is_over.done():
            self.is_over.set_result(None)


class PublishWindow:
    """The messages of one connection that are not confirmed yet, at most ``most`` at a time.

    ``hand_over`` gives a message to the connection and returns its number there; raises NotSent or Unconfirmed.
    ``on_answer`` is told the topic of each message that the broker has answered, and why it refuses it, if it does.
    """

    def __init__(
        self,
        hand_over: Callable[[str, bytes], int],
        *,
        most: int,
        timeout_s: float,
        on_answer: Callable[[str, str | None], None] = lambda topic, refusal: None,
    ) -> None:
        self.most = most
        self._hand_over = hand_over
        self._on_answer = on_answer
        self._timeout_s = timeout_s
        self._waiting: deque[tuple[_Batch, int, str, bytes]] = deque()
        self._flying: dict[int, tuple[_Batch, int, str]] = {}
        self._confirmed = 0
        self._is_over = False

    async def publish(self, messages: Sequence[tuple[str, bytes]]) -> list[Fate]:
        """Publish messages, each a topic and its bytes, and return what has become of them.

        If the broker confirms nothing at all for ``timeout_s``, nothing more is sent and nothing more is waited for.
        """
        if not messages or self._is_over:
            return [Fate.NOT_SENT] * len(messages)
        batch = _Batch(len(messages))
        self._waiting.extend((batch, place, topic, payload) for place, (topic, payload) in enumerate(messages))
        try:
            self._fill()
            confirmed = -1
            while batch.left and confirmed != self._confirmed:
                confirmed = self._confirmed
                await asyncio.wait({batch.is_over}, timeout=self._timeout_s)
        finally:
            if batch.left:
                self._drop(batch)
        return batch.fates

    def confirm(self, number: int, *, refusal: str | None = None) -> bool:
        """Note that the broker has answered a message, and send the next; return False if it is none of ours.

        ``refusal`` is why the broker does not take it.
        """
        found = self._flying.pop(number, None)
        if found is None:
            return False
        self._confirmed += 1
        batch, place, topic = found
        batch.settle(place, Fate.CONFIRMED if refusal is None else Fate.REFUSED)
        self._on_answer(topic, refusal)
        self._fill()
        return True

    def end(self) -> None:
        """Give up what is not confirmed, since the connection is gone."""
        self._is_over = True
        flying, self._flying = self._flying, {}
        waiting, self._waiting = self._waiting, deque()
        for batch, place, _ in flying.values():
            batch.settle(place, Fate.UNCONFIRMED)
        for batch, place, _, _ in waiting:
            batch.settle(place, Fate.NOT_SENT)

    def _fill(self) -> None:
        while self._waiting and len(self._flying) < self.most:
            batch, place, topic, payload = self._waiting.popleft()
            try:
                number = self._hand_over(topic, payload)
            except NotSent:
                batch.settle(place, Fate.NOT_SENT)
            except Unconfirmed:
                batch.settle(place, Fate.UNCONFIRMED)
            else:
                self._flying[number] = (batch, place, topic)

    def _drop(self, batch: _Batch) -> None:
        """Forget a batch; what of it is on its way stays unconfirmed."""
        self._waiting = deque(each for each in self._waiting if each[0] is not batch)
        for number, (owner, place, _) in list(self._flying.items()):
            if owner is batch:
                del self._flying[number]
                batch.settle(place, Fate.UNCONFIRMED)
