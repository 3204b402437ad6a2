"""A turn of one endpoint: what waits for it is sent in order, until nothing waits, it fails, or its time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import structlog

from vtn.errors import Unavailable
from vtn.notify.channel import Channel, NotDelivered
from vtn.notify.recorder import DeliveryRecorder
from vtn.notify.retries import Retries
from vtn.store.outbox.queue import Ended, Outbox, Outcome, Pending, TurnEnd
from vtn.store.outbox.rows import Delivery, Endpoint, Push

_log = structlog.get_logger(__name__)

_TURN_S: Final = 10.0
"""Time after which an endpoint with much to deliver lets others go first."""


class _Window(NamedTuple):
    """Bound what is read at once: so many deliveries, whose objects have so many bytes.

    They are sent ``at_once`` before it is looked at whether the turn is up.
    """

    deliveries: int
    max_bytes: int
    at_once: int


_WINDOWS: Final[Mapping[Push, _Window]] = {
    Push.WEBHOOK: _Window(64, 128 * 1024, at_once=4),
    Push.MQTT: _Window(1000, 4 * 1024 * 1024, at_once=1000),
}


class Turn:
    """Send the deliveries of an endpoint that this process has leased. ``leased_at`` is a time of the event loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        channel: Channel,
        outbox: Outbox,
        recorder: DeliveryRecorder,
        retries: Retries,
        *,
        large: asyncio.Semaphore,
        leased_at: float,
    ) -> None:
        self.endpoint = endpoint
        self.leased_at = leased_at
        self.ends_soon = False
        """Set it to end the turn after what has been read."""
        self.gives_back = False
        """Set it to have the lease given back when the turn is cancelled."""
        self.is_over = False
        """True while nothing is sent any more, and the end is not recorded yet."""
        self._channel = channel
        self._outbox = outbox
        self._recorder = recorder
        self._retries = retries
        self._large = large
        self._failures = endpoint.failures
        self._succeeded = False
        self._error: str | None = None

    async def run(self) -> None:
        """Send until the turn is over, and return once its end is recorded."""
        try:
            end = await self._deliver()
        except asyncio.CancelledError:
            if self.gives_back:
                self._recorder.leave(self._end())
            raise
        except Unavailable:
            end = self._end()
        except Exception as error:  # whatever it is, the endpoint is left alone for a while, and the others go on
            _log.exception("the deliveries of an endpoint failed", endpoint=self.endpoint.id)
            end = self._failed(_ours(None, error)) or self._end()
        self.is_over = True
        await self._recorder.leave(end)

    async def _deliver(self) -> TurnEnd:
        if self.endpoint.problem is not None:
            return self._failed(NotDelivered(None, self.endpoint.problem)) or self._end()
        window = _WINDOWS[self.endpoint.push]
        until = asyncio.get_running_loop().time() + _TURN_S
        after = 0
        while True:
            pending = await self._pending(window, after)
            if pending.is_large:
                async with self._large:  # so that few large objects are in memory
                    pending = await self._pending(window, after, even_large=True)
                    end = await self._send(pending.deliveries)
            else:
                end = await self._send_in_parts(pending.deliveries, window.at_once, until)
            if end is not None:
                return end
            if pending.is_all or self._is_up(until):
                return self._end()
            after = pending.deliveries[-1].id

    async def _pending(self, window: _Window, after: int, *, even_large: bool = False) -> Pending:
        return await self._outbox.pending(
            self.endpoint.id,
            limit=window.deliveries,
            max_bytes=window.max_bytes,
            after=after,
            even_large=even_large,
        )

    def _is_up(self, until: float) -> bool:
        return self.ends_soon or asyncio.get_running_loop().time() >= until

    async def _send_in_parts(self, deliveries: Sequence[Delivery], at_once: int, until: float) -> TurnEnd | None:
        """Send deliveries, looking now and then whether the turn is up; return how it ends if it must."""
        for place in range(0, len(deliveries), at_once):
            end = await self._send(deliveries[place : place + at_once])
            if end is not None:
                return end
            if self._is_up(until):
                return self._end()
        return None

    async def _send(self, deliveries: Sequence[Delivery]) -> TurnEnd | None:
        """Send deliveries in order, passing over those that are given up; return how the turn ends if it must."""
        rest = list(deliveries)
        while rest:
            sent = 0

            def done(delivery: Delivery) -> None:
                nonlocal sent
                sent += 1
                self._succeeded, self._failures = True, 0
                self._recorder.end(Ended(delivery.id, Outcome.DELIVERED))

            try:
                await self._channel.send(self.endpoint, rest, done)
                return None
            except NotDelivered as error:
                failure = error
            except Exception as error:  # whatever it is, the others go on, and this one is a dead letter in the end
                _log.exception("a notification cannot be sent", endpoint=self.endpoint.id)
                failure = _ours(rest[min(sent, len(rest) - 1)], error)
            end = self._failed(failure)
            if end is not None:
                return end
            rest = [one for one in rest if failure.delivery is not None and one.id > failure.delivery.id]
        return None

    def _failed(self, failure: NotDelivered) -> TurnEnd | None:
        """Record a failure; return how the turn ends, None if the next delivery is sent at once."""
        self._failures += 1
        self._error = failure.reason
        follows = self._retries.consequence(failure, self._failures)
        delivery = failure.delivery
        if self._failures == 1 and self.endpoint.push is Push.MQTT:  # everybody waits, not one subscriber
            self._tell("notifications wait for the MQTT broker", failure)
        if follows.is_dead and delivery is not None:
            self._recorder.end(Ended(delivery.id, Outcome.DEAD, failure.reason))
            self._tell("a notification is given up", failure, attempts=delivery.attempts + 1)
        if follows.goes_on and not follows.is_broken:
            return None
        if follows.is_broken and (self.endpoint.broken_at is None or self._succeeded):
            self._tell("an endpoint is broken: it is only probed", failure, failures=self._failures)
        tried = None if delivery is None or follows.is_dead else delivery.id
        again = not follows.is_dead
        return self._end(follows.retry_in_s, is_broken=follows.is_broken, failed=again, tried=tried)

    def _end(
        self,
        retry_in_s: float | None = 0.0,
        *,
        is_broken: bool | None = None,
        failed: bool = False,
        tried: int | None = None,
    ) -> TurnEnd:
        if is_broken is None:
            is_broken = self.endpoint.broken_at is not None and not self._succeeded
        return TurnEnd(
            self.endpoint.id,
            failures=self._failures,
            retry_in_s=retry_in_s,
            broken=is_broken,
            succeeded=self._succeeded,
            error=self._error,
            failed=failed,
            tried=tried,
            as_of=self.endpoint.as_of,
        )

    def _tell(self, event: str, failure: NotDelivered, **more: object) -> None:
        """Warn the operator, naming the subscriber (WEBHOOK-019); of the URL no more than the host, for keys in it."""
        endpoint = self.endpoint
        _log.warning(
            event,
            client_id=endpoint.client_id,
            subscription_id=endpoint.subscription_id,
            host=None if endpoint.url is None else urlsplit(endpoint.url).hostname,
            push=str(endpoint.push),
            reason=failure.reason,
            **more,
        )


def _ours(delivery: Delivery | None, error: Exception) -> NotDelivered:
    return NotDelivered(delivery, f"an error of ours: {type(error).__name__}")
