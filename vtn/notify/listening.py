"""Those who listen through a websocket, and how much waits for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import structlog

from vtn.errors import Overloaded, TooManyRequests
from vtn.http.websocket import TOKEN_OVER, TOO_SLOW
from vtn.notification_settings import Websocket
from vtn.notify.interest import Interest

_log = structlog.get_logger(__name__)

_RETRY_AFTER_S: Final = 30


class Sink(Protocol):
    """The connection of one client."""

    @property
    def waiting_bytes(self) -> int: ...
    def put(self, frame: bytes) -> None: ...
    async def taken(self) -> None: ...
    def end(self, code: int, reason: str) -> None: ...
    def cut(self, code: int, reason: str) -> None: ...


class Listening:
    """One client that listens. ``holds`` says whether its token still does.

    While it ``catches_up`` it reads for itself; ``late`` are the numbers of changes that appeared behind its place.
    """

    __slots__ = ("catches_up", "client_id", "holds", "interest", "late", "sees_everything", "sink")

    def __init__(
        self, sink: Sink, interest: Interest, *, client_id: str, sees_everything: bool, holds: Callable[[], bool]
    ) -> None:
        self.sink = sink
        self.interest = interest
        self.client_id = client_id
        self.sees_everything = sees_everything
        self.holds = holds
        self.catches_up = True
        self.late: list[int] = []


class Listeners:
    """Hold all who listen to this process. ``sent`` and ``dropped`` count messages, and clients that were too slow."""

    def __init__(self, settings: Websocket) -> None:
        self._settings = settings
        self._all: dict[Listening, None] = {}
        self._by_client: dict[str, dict[Listening, None]] = {}
        self._business_logic: dict[Listening, None] = {}
        self._waiting: dict[Listening, int] = {}
        self._waiting_bytes = 0
        self.sent = 0
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many listen."""
        return len(self._all)

    def __iter__(self) -> Iterator[Listening]:
        """Return those who listen now."""
        return iter(tuple(self._all))

    def check_room(self, client_id: str) -> None:
        """Raise TooManyRequests or Overloaded if there is no room for another websocket of this client."""
        most = self._settings.max_per_client
        if len(self._by_client.get(client_id, ())) >= most:
            raise TooManyRequests(
                f"a client has {most} websockets at most; close one of them", retry_after_s=_RETRY_AFTER_S
            )
        if len(self._all) >= self._settings.max_clients:
            raise Overloaded("this server has as many websockets as it takes; try again later")

    def vens(self) -> set[str]:
        """Return the ids of the clients that are VENs."""
        return {listening.client_id for listening in self._all if not listening.sees_everything}

    def who_may_see(self, owner: str | None) -> Mapping[Listening, None]:
        """Return business logic and the owner of an object."""
        return self._business_logic | self._by_client.get(owner or "", {})

    def add(self, listening: Listening) -> None:
        """Add one."""
        self._all[listening] = None
        self._by_client.setdefault(listening.client_id, {})[listening] = None
        if listening.sees_everything:
            self._business_logic[listening] = None

    def remove(self, listening: Listening) -> None:
        """Remove one, if it is there."""
        if listening not in self._all:
            return
        del self._all[listening]
        self._business_logic.pop(listening, None)
        self._waiting_bytes -= self._waiting.pop(listening, 0)
        its = self._by_client[listening.client_id]
        del its[listening]
        if not its:
            del self._by_client[listening.client_id]

    def check(self, listening: Listening) -> bool:
        """Return True if one still listens and may; end the connection of one whose token is over."""
        if listening not in self._all:
            return False
        if not listening.holds():
            self.remove(listening)
            listening.sink.end(TOKEN_OVER, "the token is over: come back with another one")
            return False
        return True

    def put(self, listening: Listening, frame: bytes) -> None:
        """Send a frame to one who still listens and may; cut off one for whom too much waits already."""
        if not self.check(listening):
            return
        sink = listening.sink
        if sink.waiting_bytes > self._settings.waiting_bytes:
            self.drop(listening)
            return
        sink.put(frame)
        self.sent += 1
        waiting = sink.waiting_bytes
        if waiting or listening in self._waiting:
            self._note(listening, waiting)
            if self._waiting_bytes > self._settings.all_waiting_bytes:
                self._drop_the_slowest()

    def look_at_the_slow(self) -> None:
        """Learn how much waits by now."""
        for listening in tuple(self._waiting):
            self._note(listening, listening.sink.waiting_bytes)

    def drop(self, listening: Listening) -> None:
        """Cut off one that does not read; it has to come back and read again."""
        if listening in self._all:
            self.dropped += 1
            _log.info("a websocket was closed: its client does not read", client_id=listening.client_id)
        self.remove(listening)
        listening.sink.cut(TOO_SLOW, "too slow: come back and read again")

    def _note(self, listening: Listening, waiting: int) -> None:
        self._waiting_bytes += waiting - self._waiting.pop(listening, 0)
        if waiting:
            self._waiting[listening] = waiting

    def _drop_the_slowest(self) -> None:
        self.look_at_the_slow()
        while self._waiting_bytes > self._settings.all_waiting_bytes:
            self.drop(max(self._waiting, key=self._waiting.__getitem__))
