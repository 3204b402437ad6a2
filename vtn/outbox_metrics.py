"""The outbox in the format of Prometheus, read from the database: the same numbers from whichever process tells them.

They count what all servers and ``oadr vtn dispatch`` do. No label names a client (``GET /subscription_health`` does).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import structlog

from openadr_profiles.subscription_health import EndpointState
from vtn.errors import Unavailable
from vtn.store.outbox.listing import ChannelFigures, OutboxListing
from vtn.store.outbox.rows import Push
from vtn.store.stamps import Stamps

if TYPE_CHECKING:
    from prometheus_client import Metric

_log = structlog.get_logger(__name__)

_FRESH_S: Final = 5.0
"""For so long numbers are told again: anybody may ask for them, and the database has other things to do."""
_PATIENCE_S: Final = 2.0
_CHANNELS: Final = (Push.WEBHOOK, Push.MQTT)


class OutboxMetrics:
    """Numbers of notifications that have to be delivered, by channel."""

    def __init__(self, listing: OutboxListing, stamps: Stamps) -> None:
        self._listing = listing
        self._stamps = stamps
        self._reading = asyncio.Lock()
        self._text = b""
        self._fresh_until = float("-inf")

    async def text(self) -> bytes:
        """Return the metrics in the text format; nothing while the database does not answer in time."""
        async with self._reading:
            if time.monotonic() >= self._fresh_until:
                self._text = await self._read()
                self._fresh_until = time.monotonic() + _FRESH_S
            return self._text

    async def _read(self) -> bytes:
        from prometheus_client import generate_latest  # noqa: PLC0415 (a start need not wait for it)

        try:
            async with asyncio.timeout(_PATIENCE_S):
                figures = await self._listing.figures()
        except (Unavailable, TimeoutError):
            _log.warning("the database does not answer; /metrics leaves out notifications")
            return b""
        return generate_latest(_Families(figures, datetime.fromisoformat(self._stamps.now)))


class _Families:
    """Figures of channels, as the library collects them."""

    def __init__(self, figures: Sequence[ChannelFigures], now: datetime) -> None:
        self._figures = [one for one in figures if one.push in _CHANNELS]
        self._now = now

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        from prometheus_client.metrics_core import (  # noqa: PLC0415 (a start need not wait for it)
            CounterMetricFamily,
            GaugeMetricFamily,
        )

        labels = ["channel"]
        pending = GaugeMetricFamily(
            "oadr_vtn_notifications_pending", "Notifications still to be delivered.", labels=labels
        )
        oldest = GaugeMetricFamily(
            "oadr_vtn_notifications_oldest_pending_seconds",
            "Age of the oldest change that somebody still has to hear of; 0 if there is none.",
            labels=labels,
        )
        attempts = CounterMetricFamily(
            "oadr_vtn_notification_attempts", "Attempts at deliveries, good and bad.", labels=labels
        )
        delivered = CounterMetricFamily("oadr_vtn_notifications_delivered", "Notifications delivered.", labels=labels)
        dead = CounterMetricFamily("oadr_vtn_notifications_dead", "Notifications given up.", labels=labels)
        states = GaugeMetricFamily(
            "oadr_vtn_notification_endpoints",
            "Callback URLs, or the broker, by state: broken ones are only probed.",
            labels=["channel", "state"],
        )
        for one in self._figures:
            channel = [one.push.value]
            pending.add_metric(channel, one.pending)
            oldest.add_metric(channel, self._age_s(one.oldest_pending_at))
            attempts.add_metric(channel, one.attempts)
            delivered.add_metric(channel, one.delivered)
            dead.add_metric(channel, one.dead)
            for state in EndpointState:
                states.add_metric([*channel, state.value], one.endpoints.get(state, 0))
        yield from (pending, oldest, attempts, delivered, dead, states)

    def _age_s(self, since: str | None) -> float:
        return 0.0 if since is None else max(0.0, (self._now - datetime.fromisoformat(since)).total_seconds())
