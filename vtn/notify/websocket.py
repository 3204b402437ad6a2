"""Tell clients of changes through their websockets, as far as each may see them; each process tells its own.

Nothing is stored for a websocket. Its client is told of what was noted since it came, or since the place it goes on
from, and comes back to that place after an interruption: for ``resume_s`` changes are noted although nobody listens.
What a client is told, and which targets it is shown, follows from the targets it holds at that moment, as for a GET.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

import structlog
from aiohttp import WSCloseCode

from vtn.errors import Unavailable
from vtn.notification_settings import Websocket
from vtn.notify.follower import Follower
from vtn.notify.frames import Frames, Shown, status
from vtn.notify.listening import Listeners, Listening
from vtn.notify.places import Place
from vtn.store.outbox.changes import NotedChanges
from vtn.store.outbox.holders import Holders
from vtn.store.outbox.rows import BY_TARGETS, Notification

_log = structlog.get_logger(__name__)

_ROUND_S: Final = 1.0
"""Time between two looks at tokens, and the longest time between two looks at the database."""
_SOON_S: Final = 0.1
_WANT_EVERY_S: Final = 60
_OPENING_S: Final = 15.0
_AT_ONCE: Final = 200
"""Clients that are told before others have their turn."""
_CATCHING_UP: Final = 16
_CATCHING_UP_EACH: Final = 2
"""Websockets of one client that catch up at the same time, so that no client has all turns."""
_CATCH_UP_S: Final = 30.0
"""Time that a client has to take what it missed; it may come back and go on from where it has come to."""
_READ_AT_ONCE: Final = 200
_READ_BYTES: Final = 256 * 1024
_ROOM_BYTES: Final = 64 * 1024
_TAKE_S: Final = 10.0
_COME_BACK: Final = "this server ends or starts again: come back"


class Websockets:
    """Tell those who listen what is noted, in the order in which it appears."""

    def __init__(
        self,
        settings: Websocket,
        changes: NotedChanges,
        holders: Holders,
        shown: Shown,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.listeners = Listeners(settings)
        self._settings = settings
        self._changes = changes
        self._holders = holders
        self._shown = shown
        self._now = now
        self._clock = clock
        self._follower = Follower(changes, clock=clock)
        self._occupied, self._ready = asyncio.Event(), asyncio.Event()
        self._turns = asyncio.Semaphore(_CATCHING_UP)
        self._turns_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._last = 0
        """The highest number that those who do not catch up were told of."""
        self._place = Place(0, 0)
        self._untold: Sequence[Notification] = ()
        self._want_at_s = 0
        self._round_at = self._beat_at = float("-inf")
        self._away = self._ended = False

    async def tell(
        self, listening: Listening, until_closed: Callable[[], Awaitable[None]], *, after: Place | None
    ) -> None:
        """Tell a client of changes until its connection is closed. It goes on ``after`` a place it was given before."""
        if self._ended:
            listening.sink.end(WSCloseCode.GOING_AWAY, _COME_BACK)
            return
        self.listeners.add(listening)
        self._occupied.set()
        if not self._ready.is_set():
            self._changes.recorded.tell()  # whoever waits for changes has to look for who came
        opening = asyncio.create_task(self._open(listening, after))
        opening.add_done_callback(partial(_opened, listening))
        try:
            await until_closed()
        finally:
            opening.cancel()
            self.listeners.remove(listening)
            self._note_emptiness()

    async def run(self) -> None:
        """Tell those who listen, until cancelled. While nobody does, the database is not asked for anything."""
        try:
            while True:
                await self._occupied.wait()
                await self._follow()
        finally:  # who listens comes back, and is told what it missed
            self._ready.clear()
            self._end_all()

    def close(self) -> None:
        """End all connections, and take no more: this process ends."""
        self._ended = True
        self._end_all()

    def _end_all(self) -> None:
        for listening in self.listeners:
            self.listeners.remove(listening)
            listening.sink.end(WSCloseCode.GOING_AWAY, _COME_BACK)

    async def _follow(self) -> None:
        self._untold = ()
        while self.listeners:
            try:
                await self._look()
            except Unavailable:
                if not self._away:
                    _log.warning("the database does not answer; websockets are told of changes later")
                self._away = True
            else:
                self._away = False
            await self._round()
            await self._changes.recorded.wait(_SOON_S if self._follower.waits or self._away else _ROUND_S)
        self._note_emptiness()

    def _note_emptiness(self) -> None:
        """Rest until somebody comes, who waits until it is known where to go on from."""
        if not self.listeners:
            self._occupied.clear()
            self._ready.clear()

    async def _look(self) -> None:
        """Read what has been noted, and tell it."""
        await self._keep_wanted()
        if not self._ready.is_set():
            read_at_s = self._now_s()
            await self._follower.start()
            self._come_to(read_at_s)
            self._ready.set()
        while True:
            if not self._untold:
                read_at_s = self._now_s()
                self._untold = await self._follower.read()
            if not self._untold:
                self._come_to(read_at_s)
                return
            await self._tell(self._untold)
            self._untold = ()

    def _come_to(self, at_s: int) -> None:
        """Note that all was told that there was at a moment."""
        self._last, self._place = self._follower.last, Place(self._follower.settled, at_s)

    async def _keep_wanted(self) -> None:
        """Have changes noted, now and for ``resume_s`` after the last client has left."""
        if self._now_s() < self._want_at_s:
            return
        resume_s = self._settings.resume_s
        were_wanted = await self._changes.want(
            for_s=1.5 * resume_s + 2 * _WANT_EVERY_S, at_least_s=resume_s + 2 * _WANT_EVERY_S
        )
        if not were_wanted:
            await self._changes.outlast_older_writes()
        self._want_at_s = self._now_s() + _WANT_EVERY_S

    async def _tell(self, batch: Sequence[Notification]) -> None:
        held = await self._held(batch)
        everyone = tuple(self.listeners)
        late = [one.seq for one in batch if one.seq <= self._last]
        for listening in everyone:
            if listening.catches_up:
                listening.late += late
        settled, self._last = self._follower.settled, self._follower.last
        count = 0
        for notification in batch:
            self._place = place = Place.of(min(settled, notification.seq), notification.noted_at)
            by_targets = notification.object_type in BY_TARGETS
            chosen = everyone if by_targets else self.listeners.who_may_see(notification.client_id)
            reading = (listening for listening in chosen if not listening.catches_up)  # others read for themselves
            for listening, frame in self._frames(notification, place, reading, held):
                if frame is not None:
                    self.listeners.put(listening, frame)
                count += 1
                if count % _AT_ONCE == 0:
                    await asyncio.sleep(0)

    def _frames(
        self,
        notification: Notification,
        place: Place,
        listeners: Iterable[Listening],
        held: Mapping[str, frozenset[str]],
    ) -> Iterator[tuple[Listening, bytes | None]]:
        """Write what each of those who may see the object is told of its change; None: nothing.

        A change that cannot be written is logged, and the next ones follow.
        """
        try:
            frames = Frames(notification, place, self._shown)
            for listening in listeners:
                yield listening, _frame_for(listening, frames, held)
        except Exception:
            _log.exception("a notification cannot be written", seq=notification.seq)

    async def _held(self, batch: Sequence[Notification]) -> Mapping[str, frozenset[str]]:
        """Return the targets of all VENs that listen, if they count for what is to be told."""
        held: dict[str, frozenset[str]] = {}
        if any(one.object_type in BY_TARGETS for one in batch):
            while missing := self.listeners.vens() - held.keys():
                held |= await self._holders.held_by(missing)
        return held

    async def _round(self) -> None:
        """Look at the tokens of all once a second, and say now and then that the server is there."""
        now = self._clock()
        if now < self._round_at:
            return
        self._round_at = now + _ROUND_S
        self.listeners.look_at_the_slow()
        beat = None
        if now >= self._beat_at:
            self._beat_at = now + self._settings.heartbeat_s
            beat = status("ALIVE", self._place)
        for number, listening in enumerate(self.listeners):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if beat is not None and not listening.catches_up:
                self.listeners.put(listening, beat)
            else:
                self.listeners.check(listening)

    async def _open(self, listening: Listening, after: Place | None) -> None:
        """Say from where a client is told, and tell it what it missed, if all of that is still there."""
        async with asyncio.timeout(_OPENING_S):
            await self._ready.wait()
        if after is not None and await self._can_go_on(after):
            self.listeners.put(listening, status("OPEN", after, missed=False))
            await self._catch_up(listening, after.number)
        else:
            listening.late.clear()
            self.listeners.put(listening, status("OPEN", self._place, missed=True))
        listening.catches_up = False

    async def _can_go_on(self, place: Place) -> bool:
        """Return True if all is still there that followed a place; another process may have come to it first."""
        now_s, resume_s = self._now_s(), self._settings.resume_s
        if not 0 <= now_s - place.at_s <= resume_s:
            return False
        if place.number > self._last and place.number > await self._changes.newest():
            return False
        noted_at = await self._changes.noted_behind(place.number)  # the time of a place is what the client says
        return noted_at is None or now_s - Place.of(place.number, noted_at).at_s <= resume_s

    async def _catch_up(self, listening: Listening, at: int) -> None:
        """Tell what followed a number, up to what the others were told; who does not take it in time is cut off."""
        own = self._turns_of.setdefault(listening.client_id, asyncio.Semaphore(_CATCHING_UP_EACH))
        async with own, self._turns:
            try:
                async with asyncio.timeout(_CATCH_UP_S):
                    await self._read_on(listening, at)
            except TimeoutError:
                self.listeners.drop(listening)
                raise ConnectionResetError("the client does not read") from None

    async def _read_on(self, listening: Listening, at: int) -> None:
        while at < self._last or listening.late:
            late, listening.late = listening.late, []
            until = max(at, self._last)
            found, are_all = await self._changes.read(
                after=at,
                gaps=[(number, number) for number in late],
                until=until,
                owner=None if listening.sees_everything else listening.client_id,
                limit=_READ_AT_ONCE,
                max_bytes=_READ_BYTES,
            )
            await self._tell_one(listening, found)
            if are_all:
                at = until
            else:
                listening.late += [number for number in late if number > found[-1].seq]
                at = max(at, found[-1].seq)

    async def _tell_one(self, listening: Listening, found: Sequence[Notification]) -> None:
        held: Mapping[str, frozenset[str]] = {}
        if found and not listening.sees_everything:
            held = await self._holders.held_by((listening.client_id,))
        for notification in found:
            place = Place.of(min(notification.seq, self._place.number), notification.noted_at)
            its_own = notification.object_type in BY_TARGETS or notification.client_id == listening.client_id
            reading = (listening,) if listening.sees_everything or its_own else ()
            for _, frame in self._frames(notification, place, reading, held):
                if frame is not None:
                    self.listeners.put(listening, frame)
                    await _until_taken(listening)

    def _now_s(self) -> int:
        return int(self._now().timestamp())


def _frame_for(listening: Listening, frames: Frames, held: Mapping[str, frozenset[str]]) -> bytes | None:
    """Return what one who may see the object is told of its change; None if nothing."""
    if listening.sees_everything:
        return frames.for_all(listening.interest)
    if not frames.by_targets:
        return frames.for_owner(listening.interest)
    its = held.get(listening.client_id)
    return None if its is None else frames.for_holder(listening.interest, its)


async def _until_taken(listening: Listening) -> None:
    """Wait until there is room for another message; raises TimeoutError, or ConnectionError when the client is gone."""
    if listening.sink.waiting_bytes > _ROOM_BYTES:
        async with asyncio.timeout(_TAKE_S):
            await listening.sink.taken()


def _opened(listening: Listening, opening: asyncio.Task[None]) -> None:
    """End the connection of a client that could not be told what it missed."""
    if opening.cancelled():
        return
    error = opening.exception()
    if isinstance(error, Unavailable | TimeoutError):
        listening.sink.end(WSCloseCode.TRY_AGAIN_LATER, "the database does not answer: come back later")
    elif error is not None and not isinstance(error, ConnectionError):
        _log.error("a websocket failed", client_id=listening.client_id, exc_info=error)
        listening.sink.end(WSCloseCode.INTERNAL_ERROR, "something went wrong here")
