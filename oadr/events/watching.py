"""Follow the events of a VTN: what has been created, modified and deleted, as soon as that can be known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from openadr_profiles.v31 import Event

if TYPE_CHECKING:
    from openadr_client import VtnClient

_SINGLY: Final = 20
"""Told of more events than this at once, we read all of them instead of one after the other."""
_LONGEST_WAIT_S: Final = 60.0


@dataclass(frozen=True)
class EventChange:
    """Tell what happened to an event: CREATE, UPDATE, or DELETE with its last known version."""

    operation: str
    event: Event


class EventFollower:
    """Compare what a VTN shows with what it showed before; what a notification says is asked for, never believed."""

    def __init__(self, client: VtnClient) -> None:
        self._client = client
        self._known: dict[str, Event] = {}

    async def read_all(self) -> list[EventChange]:
        """Ask for all events and return what has changed; at first every event is a change. Raises VtnError."""
        from openadr_client import NOT_MODIFIED, compare_events

        found = await self._client.events.poll()
        if found is NOT_MODIFIED:
            return []
        try:
            changes = compare_events(found, {id_: event.modification_date_time for id_, event in self._known.items()})
            news = [EventChange("CREATE", event) for event in reversed(changes.added)]
            news += [EventChange("UPDATE", event) for event in reversed(changes.changed)]
            for id_ in changes.missing:
                news += await self._read_one(id_)
        except BaseException:
            self._client.events.forget_polls()
            raise
        return self._noted(news)

    async def _read_one(self, event_id: str) -> list[EventChange]:
        """Ask for one event and return what has become of it, if anything. Raises VtnError."""
        known, event = self._known.get(event_id), await self._client.events.find(event_id)
        if event is None:
            change = None if known is None else EventChange("DELETE", known)
        elif known is None:
            change = EventChange("CREATE", event)
        elif event.modification_date_time > known.modification_date_time:
            change = EventChange("UPDATE", event)
        else:
            change = None
        return [] if change is None else [change]

    async def read(self, event_ids: Sequence[str] | None) -> list[EventChange]:
        """Ask for these events, or for all of them if they are None or many. Raises VtnError."""
        if event_ids is None or len(event_ids) > _SINGLY:
            return await self.read_all()
        return self._noted([change for id_ in event_ids for change in await self._read_one(id_)])

    def _noted(self, news: list[EventChange]) -> list[EventChange]:
        """Take note of changes that are given: only once all are there, since a failure midway gives none."""
        for change in news:
            if change.operation == "DELETE":
                self._known.pop(change.event.id, None)
            else:
                self._known[change.event.id] = change.event
        return news


async def follow_events(
    client: VtnClient, *, every_s: float, say: Callable[[str], None]
) -> AsyncGenerator[EventChange, None]:
    """Give every change of an event from now on, at once where the VTN tells of changes, else by asking.

    All events are asked for every ``every_s`` seconds in any case. A VTN that cannot answer is waited for; ``say`` gets
    a sentence for the person who watches.

    Raises:
        VtnError: the VTN does not answer at first.
    """
    from openadr_client import Backoff, ClientError, TemporarilyUnavailable, Unreachable, listen

    follower = EventFollower(client)
    await follower.read_all()
    say(f"watching the events of {client.base_url}; Ctrl-C ends it")
    backoff = Backoff(longest_s=_LONGEST_WAIT_S)
    async with listen(client, objects=("EVENT",)) as told:
        hints = _Heard()
        hearing = asyncio.create_task(hints.hear(told, say))
        try:
            while True:
                try:
                    news = await follower.read(await hints.next(within_s=every_s))
                except (Unreachable, TemporarilyUnavailable) as error:
                    wait_s = backoff.failed(error)
                    say(f"{error}; asking again in {wait_s:.0f} s")
                    await asyncio.sleep(wait_s)
                    hints.everything()
                    continue
                backoff.succeeded()
                for change in news:
                    yield change
        finally:
            hearing.cancel()
            with suppress(asyncio.CancelledError, ClientError):
                await hearing


class _Heard:
    """Hold which events were told of since they were last asked for."""

    def __init__(self) -> None:
        self._ids: dict[str, None] = {}
        self._everything = False
        self._there = asyncio.Event()
        self._way: str | None = None

    async def hear(self, told: AsyncIterator[object], say: Callable[[str], None]) -> None:
        """Take hints until cancelled."""
        from openadr_client import ReadAgain, ReceivedNotification

        async for each in told:
            if isinstance(each, ReceivedNotification) and each.object_id is not None:
                self._ids[each.object_id] = None
                self._there.set()
            elif isinstance(each, ReadAgain):
                if self._way != each.way:
                    say(f"the VTN tells of changes by {each.way}")
                self._way = each.way
                self.everything()

    def everything(self) -> None:
        """Have all events asked for."""
        self._everything = True
        self._there.set()

    async def next(self, *, within_s: float) -> list[str] | None:
        """Return the ids that were told of, or None for all events: when that was told, or the time is over."""
        try:
            async with asyncio.timeout(within_s):
                await self._there.wait()
        except TimeoutError:
            self._everything = True
        ids, everything = list(self._ids), self._everything
        self._ids.clear()
        self._everything = False
        self._there.clear()
        return None if everything else ids
