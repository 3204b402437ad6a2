"""Make the deliveries of the outbox: lease endpoints, send what waits for each of them in order, record the outcome.

Several dispatchers share one outbox, in one process or in many. Each endpoint has a turn of its own, so that a slow one
delays no other; endpoints that fail, and those of one client, get a part of the turns only.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import structlog

from vtn.errors import Unavailable
from vtn.notification_settings import Notify
from vtn.notify.channel import Channel
from vtn.notify.recorder import DeliveryRecorder
from vtn.notify.retries import Retries
from vtn.notify.turn import Turn
from vtn.store.outbox.queue import Outbox
from vtn.store.outbox.rows import Endpoint, Push

_log = structlog.get_logger(__name__)

_POLL_S: Final = 1.0
_IDLE_POLL_S: Final = 5.0
"""Interval of looking while nothing waits: changes are announced, but not what an operator sends again by a command."""
_WAIT_S: Final = 60.0
_MOMENT_S: Final = 0.01
_FOLLOW_S: Final = 0.1
_FINISH_S: Final = 1.0
_RECORD_S: Final = 2.0
_LARGE_AT_ONCE: Final = 4


class NotificationDispatcher:
    """Deliver through ``channels`` what is in the outbox, from ``run`` until that is cancelled."""

    def __init__(self, outbox: Outbox, channels: Sequence[Channel], settings: Notify) -> None:
        self._outbox = outbox
        self._channels: Mapping[Push, Channel] = {channel.push: channel for channel in channels}
        self._settings = settings
        self._retries = Retries(settings)
        self._by = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._recorder = DeliveryRecorder(outbox, by=self._by)
        self._turns: dict[str, Turn] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._large = asyncio.Semaphore(_LARGE_AT_ONCE)
        self._wake = asyncio.Event()
        self._has_webhooks = asyncio.Event()
        self._prolonged_at = 0.0
        self._is_told = False

    async def run(self) -> None:
        """Deliver until cancelled; then finish what is being sent, if that is quick, and give the leases back."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_leases(), name="leases")
                group.create_task(self._follow_subscriptions(), name="subscriptions")
                group.create_task(self._follow_changes(), name="changes")
                await self._claim_all()
        finally:
            await self._end()

    async def close(self) -> None:
        """Close the connections of all channels."""
        for channel in self._channels.values():
            await channel.close()

    async def _end(self) -> None:
        """Wait for turns for a moment, cancel them, and record what was delivered."""
        tasks = set(self._tasks.values())
        for turn in self._turns.values():
            turn.ends_soon = turn.gives_back = True
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_FINISH_S)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)
        await self._recorder.close(within_s=_RECORD_S)

    # Leases.

    async def _claim_all(self) -> None:
        """Claim endpoints as they become due and there is room, for ever."""
        while True:
            self._wake.clear()
            try:
                pause = await self._claim_due()
                self._is_told = False
            except Unavailable as error:
                if not self._is_told:
                    _log.warning("notifications are delivered later", reason=str(error))
                self._is_told, pause = True, 1.0
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _claim_due(self) -> float:
        """Begin turns with endpoints that are due until there are none or no room; return when to look again."""
        while True:
            due_in_s = await self._outbox.due_in_s(self._channels)
            if due_in_s is None:
                return _IDLE_POLL_S
            if due_in_s > 0:
                return min(due_in_s, _POLL_S)
            if not await self._claim_some():
                return _POLL_S

    async def _claim_some(self) -> int:
        """Begin turns with endpoints that work, then with those whose last attempt failed; return their number."""
        at_once = self._settings.endpoints_at_once
        running = list(self._turns.values())
        failing = sum(turn.endpoint.failures > 0 for turn in running)
        by_client = Counter(turn.endpoint.client_id for turn in running)
        part = at_once // 4
        busy = [client for client, count in by_client.items() if client is not None and count >= part]
        begun = 0
        for is_failing, room in ((False, at_once - part - (len(running) - failing)), (True, part - failing)):
            if room <= 0:
                continue
            leased_at = asyncio.get_running_loop().time()
            found = await self._outbox.claim(
                by=self._by,
                lease_s=self._settings.lease_s,
                limit=room,
                push=self._channels,
                failing=is_failing,
                per_client=part,
                busy_clients=busy,
            )
            for endpoint in found:
                begun += self._begin(endpoint, leased_at)
        return begun

    def _begin(self, endpoint: Endpoint, leased_at: float) -> bool:
        if endpoint.id in self._turns:  # its lease ended while the clock ran ahead of us
            return False
        turn = Turn(
            endpoint,
            self._channels[endpoint.push],
            self._outbox,
            self._recorder,
            self._retries,
            large=self._large,
            leased_at=leased_at,
        )
        self._turns[endpoint.id] = turn
        if endpoint.push is Push.WEBHOOK:
            self._has_webhooks.set()
        task = self._tasks[endpoint.id] = asyncio.create_task(turn.run(), name=f"deliveries to {endpoint.id}")
        task.add_done_callback(lambda _: self._over(endpoint.id))
        return True

    def _over(self, endpoint_id: str) -> None:
        del self._turns[endpoint_id], self._tasks[endpoint_id]
        self._wake.set()  # something may have come while nobody else could have it

    async def _keep_leases(self) -> None:
        """Prolong the leases in time. When that fails for too long, stop sending: somebody else may have them."""
        lease_s = self._settings.lease_s
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(lease_s / 4)
            if not self._turns:
                continue
            began = loop.time()
            try:
                async with asyncio.timeout(lease_s / 4):
                    await self._outbox.prolong(tuple(self._turns), by=self._by, lease_s=lease_s)
                self._prolonged_at = began
            except (Unavailable, TimeoutError):
                for endpoint_id, turn in self._turns.items():
                    if loop.time() - max(turn.leased_at, self._prolonged_at) > lease_s / 2:
                        self._cancel(endpoint_id)

    async def _follow_changes(self) -> None:
        """Look for what is due a moment after changes were recorded, by whatever process (WEBHOOK-031).

        Who made the change has its answer first, and changes that come together are looked for once.
        """
        while True:
            if await self._outbox.recorded.wait(_WAIT_S):
                await asyncio.sleep(_MOMENT_S)
                self._wake.set()

    async def _follow_subscriptions(self) -> None:
        """Drop what is under way for a subscription that was deleted or changed, at any host (SUBS-015).

        Other hosts do not announce changes of subscriptions, so what was read holds for a moment only where there may
        be others. A turn is looked at once in any case: its subscription may have changed after the endpoint was
        claimed and before the turn began.
        """
        watch = self._outbox.watch
        known = until = None
        looked_at: set[Turn] = set()
        while True:
            await self._has_webhooks.wait()
            await asyncio.sleep(_FOLLOW_S)
            webhooks = {key: turn for key, turn in self._turns.items() if turn.endpoint.push is Push.WEBHOOK}
            if not webhooks:
                self._has_webhooks.clear()
                looked_at.clear()
                continue
            revision = expires = None
            if watch is not None:
                revision, expires = watch.heard(), watch.until()
                is_known = revision is not None and revision == known and not watch.past(until)
                if is_known and looked_at.issuperset(webhooks.values()):
                    continue
            with suppress(Unavailable):
                there = await self._outbox.there(webhooks)
                known, until, looked_at = revision, expires, set(webhooks.values())
                for endpoint_id, turn in webhooks.items():
                    if there.get(endpoint_id) != turn.endpoint.as_of:  # gone, or put anew: its token may be another
                        turn.gives_back = True
                        self._cancel(endpoint_id)

    def _cancel(self, endpoint_id: str) -> None:
        """Stop sending to an endpoint; one that sends nothing any more only waits until that is recorded."""
        turn = self._turns.get(endpoint_id)
        if turn is not None and not turn.is_over:
            self._tasks[endpoint_id].cancel()
