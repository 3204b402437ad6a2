"""The ways out, as the dispatcher knows them: something that sends the deliveries of one endpoint in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from vtn.store.outbox.rows import Delivery, Endpoint, Push


class NotDelivered(Exception):
    """A delivery that was not accepted, and none after it was; the text says why, without any secret.

    ``delivery`` None: the endpoint itself cannot be reached, whatever would be sent. ``final``: another attempt would
    fail as well (WEBHOOK-020), so this one is given up, and the next one follows. ``retry_after_s`` is how long the
    recipient asks to be left alone, in seconds; ``retry_within_s`` is the longest pause that makes sense, also when the
    endpoint counts as broken. ``gone``: it says that it does not want to be called any more.
    """

    def __init__(
        self,
        delivery: Delivery | None,
        reason: str,
        *,
        final: bool = False,
        retry_after_s: float | None = None,
        retry_within_s: float | None = None,
        gone: bool = False,
    ) -> None:
        super().__init__(reason)
        self.delivery = delivery
        self.reason = reason
        self.final = final
        self.retry_after_s = retry_after_s
        self.retry_within_s = retry_within_s
        self.gone = gone


class Channel(Protocol):
    """Send deliveries in one way. One channel serves all of its endpoints, several of them at the same time."""

    push: Push

    async def send(self, endpoint: Endpoint, deliveries: Sequence[Delivery], done: Callable[[Delivery], None]) -> None:
        """Send deliveries in order and call ``done`` for each that was accepted, in order.

        Raises NotDelivered for the first one that was not accepted. When it is cancelled, what was not ``done`` counts
        as not delivered, and is sent again later.
        """

    async def close(self) -> None:
        """Close all connections. What is being sent is cancelled before."""
