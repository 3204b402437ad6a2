"""Decide which VENs of OpenADR 2.0b are pushed to and when; one process does it for all, under a lease (B-TRN-005).

Nothing is done for a VEN when something is written: the pusher looks at who is due when a counter of changes has moved,
and once in the interval of polls, for what is due by the clock. Each VEN has one message under way at most. VENs that
did not answer last time have turns of their own, after pauses, so that they hold up no others.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import structlog

from vtn.api.v20b.push_client import NotPushed
from vtn.api.v20b.push_delivery import PushDelivery
from vtn.api.v20b.refusals import RefusedMessage
from vtn.errors import NotFound, Unavailable
from vtn.metrics import PUSHED_20B, PUSHES_20B_FAILED, UNREACHED_20B, Metrics
from vtn.services import Pauses
from vtn.store.lease import Lease
from vtn.store.v20b.vens import Ven20b, VenStore20b
from vtn.v20b_settings import V20b, V20bPush

_log = structlog.get_logger(__name__)

_TICK_S: Final = 0.2
_PAGE: Final = 500
_END_S: Final = 2.0
_OTHERS_S: Final = 2.0
"""Time after which a process asks again for the lease that another one has."""


def lease_s(settings: V20bPush) -> float:
    """Return the length of the lease, in seconds: a message is under way for a part of it only."""
    return max(15.0, 3.0 * settings.timeout_s)


@dataclass(slots=True)
class _Failing:
    """Hold how a VEN fails, as it is registered; ``due_at_s`` is a time of the event loop."""

    registered: tuple[str, str | None]
    failures: int = 0
    due_at_s: float = 0.0
    is_told: bool = False


class Pusher:
    """Pushes what is pending to VENs, in order for each, to several VENs at a time."""

    def __init__(
        self,
        v20b: V20b,
        settings: V20bPush,
        vens: VenStore20b,
        delivery: PushDelivery,
        lease: Lease,
        *,
        metrics: Metrics | None,
    ) -> None:
        self._settings = settings
        self._poll_s = float(v20b.poll_s)
        self._vens = vens
        self._watch = vens.watch()
        self._delivery = delivery
        self._lease = lease
        self._lease_s = lease_s(settings)
        self._leased_until_s = 0.0
        self._pauses = Pauses(settings.first_retry_s, settings.longest_retry_s)
        self._turns = asyncio.Semaphore(settings.at_once)
        self._turns_again = asyncio.Semaphore(max(1, settings.at_once // 4))
        self._running: dict[str, asyncio.Task[None]] = {}
        self._changed: set[str] = set()
        self._failing: dict[str, _Failing] = {}
        self._metrics = metrics
        if metrics is not None:
            metrics.sample(UNREACHED_20B, lambda: float(sum(each.is_told for each in self._failing.values())))

    async def run(self) -> None:
        """Push until cancelled; then give the lease back. Raises Unavailable."""
        await self._delivery.client.open()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_lease(), name="lease of pushes")
                group.create_task(self._follow_changes(), name="pushes")
                group.create_task(self._try_again(), name="pushes again")
        finally:
            await self._end()

    async def _end(self) -> None:
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._delivery.client.close()
        self._leased_until_s = 0.0
        self._failing.clear()
        with suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_END_S):
                await self._lease.release()

    async def _keep_lease(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            if await self._lease.take():
                self._leased_until_s = began_s + self._lease_s
                await asyncio.sleep(self._lease_s / 3)
            else:
                self._failing.clear()  # another process counts its own
                await asyncio.sleep(_OTHERS_S)

    def _may_send(self) -> bool:
        """Return True if a message that is sent now is answered or given up while the lease lasts."""
        return asyncio.get_running_loop().time() < self._leased_until_s - self._settings.timeout_s

    async def _follow_changes(self) -> None:
        """Look at all VENs when something has changed, and at intervals; not at those that fail."""
        loop = asyncio.get_running_loop()
        seen: object = None
        next_s = 0.0
        while True:
            revision = None if self._watch is None else self._watch.heard()
            if self._may_send():
                if loop.time() >= next_s or (revision is not None and revision != seen):
                    seen, next_s = revision, loop.time() + self._poll_s
                    await self._look_at_all()
                await self._look_at_changed()
            await asyncio.sleep(_TICK_S)

    async def _look_at_all(self) -> None:
        after = ""
        while vens := await self._vens.pushed_to(after=after, limit=_PAGE):
            for ven in vens:
                failing = self._failing.get(ven.id)
                if failing is not None and failing.registered != _registered(ven):  # it is back, or elsewhere
                    del self._failing[ven.id]
                if ven.id not in self._failing:
                    await self._begin(ven, self._turns)
            after = vens[-1].id

    async def _look_at_changed(self) -> None:
        """Look again at VENs whose turn was under way when something changed."""
        ids, self._changed = self._changed, set()
        for id_ in ids:
            if id_ not in self._failing and (ven := await self._found(id_)) is not None:
                await self._begin(ven, self._turns)

    async def _try_again(self) -> None:
        """Look at VENs that fail when their pauses are over."""
        loop = asyncio.get_running_loop()
        while True:
            now_s = loop.time()
            due = [id_ for id_, each in self._failing.items() if each.due_at_s <= now_s and id_ not in self._running]
            for id_ in due:
                if not self._may_send():
                    break
                ven = await self._found(id_)
                if ven is None:
                    self._failing.pop(id_, None)
                else:
                    await self._begin(ven, self._turns_again)
            await asyncio.sleep(_TICK_S)

    async def _found(self, id_: str) -> Ven20b | None:
        """Return a VEN as it is now; None if it is not pushed to any more."""
        try:
            ven = await self._vens.get(id_)
        except NotFound:
            return None
        return ven if ven.is_pushed_to else None

    async def _begin(self, ven: Ven20b, turns: asyncio.Semaphore) -> None:
        """Begin the turn of a VEN as soon as there is room, unless it is under way."""
        if ven.id in self._running:
            self._changed.add(ven.id)
            return
        await turns.acquire()
        if ven.id in self._running:
            self._changed.add(ven.id)
            turns.release()
            return
        task = asyncio.create_task(self._turn(ven), name=f"push to {ven.name}")
        self._running[ven.id] = task

        def ended(_: asyncio.Task[None]) -> None:
            del self._running[ven.id]
            turns.release()

        task.add_done_callback(ended)

    async def _turn(self, ven: Ven20b) -> None:
        """Push to one VEN until nothing is pending; nothing that goes wrong with it touches others."""
        place: Ven20b | None = ven
        try:
            while place is not None and self._may_send():
                if not await self._delivery.one(place):
                    self._is_quiet(ven)
                    return
                self._reached(ven)
                place = await self._found(ven.id)
            if place is not None:  # the lease is about to end
                self._changed.add(ven.id)
        except NotPushed as error:
            self._failed(ven, str(error))
        except (RefusedMessage, NotFound):  # it was removed meanwhile
            self._failing.pop(ven.id, None)
        except Unavailable:
            self._changed.add(ven.id)
        except Exception:  # whatever it is: the other VENs are pushed to, and this one again later; it is counted
            _log.exception("pushing to a VEN of OpenADR 2.0b failed", ven=ven.name)
            self._failed(ven, "an error in this server")

    def _is_quiet(self, ven: Ven20b) -> None:
        """Look at a VEN that fails again later: that nothing is pending tells nothing of it."""
        failing = self._failing.get(ven.id)
        if failing is not None:
            failing.due_at_s = asyncio.get_running_loop().time() + self._pauses.after(failing.failures)

    def _reached(self, ven: Ven20b) -> None:
        if self._metrics is not None:
            self._metrics.add(PUSHED_20B, 1)
        failing = self._failing.pop(ven.id, None)
        if failing is not None and failing.is_told:
            _log.info("a VEN of OpenADR 2.0b is reached by pushes again", ven=ven.name)

    def _failed(self, ven: Ven20b, why: str) -> None:
        if self._metrics is not None:
            self._metrics.add(PUSHES_20B_FAILED, 1)
        failing = self._failing.setdefault(ven.id, _Failing(_registered(ven)))
        failing.failures += 1
        failing.due_at_s = asyncio.get_running_loop().time() + self._pauses.after(failing.failures)
        if failing.failures == 1:
            _log.info("a push to a VEN of OpenADR 2.0b failed and is tried again", ven=ven.name, why=why)
        if failing.failures >= self._settings.alarm_after and not failing.is_told:
            failing.is_told = True
            _log.error(
                "a VEN of OpenADR 2.0b cannot be reached by pushes; what is for it waits",
                ven=ven.name,
                address=ven.push_url,
                attempts=failing.failures,
                why=why,
            )


def _registered(ven: Ven20b) -> tuple[str, str | None]:
    return ven.registration_id, ven.push_url
