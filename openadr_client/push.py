"""Being told of changes: choose a way that the VTN offers, keep it going, and hand on what comes (VENCLIENT-013)."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Final

import structlog

from openadr_client.backoff import Backoff
from openadr_client.errors import ClientError, LibraryMissing, NoWay
from openadr_client.notifications import ReadAgain, ReceivedNotification, Receiver, Tell, Told, Way
from openadr_client.settings import PushSettings
from openadr_client.topic_choice import OBJECT_KINDS

if TYPE_CHECKING:
    from openadr_client.client import VtnClient
    from openadr_client.mqtt_receiver import MqttReceiver
    from openadr_profiles.v31 import Notifiers

_log = structlog.get_logger(__name__)

VEN_OBJECTS: Final = ("EVENT", "PROGRAM", "VEN", "RESOURCE")
"""Objects that a VEN wants to hear of: a change of its ven or resources may show it other events (VENCLIENT-010)."""
_LASTING_S: Final = 120.0
"""Real seconds after which a connection counts as one that works."""
_SHORTEST_S: Final = 5.0
"""Real seconds after which a connection that ended in order, as with its token, is made again at once."""
_COME_BACK_S: Final = 15.0
"""Seconds within which clients come back, at random, that have lost a connection which held: often a whole fleet."""
_ASK_AGAIN_S: Final = 900.0
"""Seconds after which a VTN that has no way for us is asked again, a fifth more or less: it may have got one."""
_JITTER: Final = 0.2
_WAITING_BYTES: Final = 32 * 1024 * 1024
"""Bytes of notifications that wait for who reads them."""


class PushReceiver:
    """Receives by one way after the other until one works, and comes back to it whenever it ends.

    ``name`` is the client name of a subscription for webhooks. Waits between attempts double from 1 s to 15 minutes,
    with jitter, on the client's clock.

    Raises:
        LibraryMissing: the settings ask for a way that needs a library which is not installed.
    """

    def __init__(
        self,
        vtn: VtnClient,
        settings: PushSettings,
        *,
        name: str,
        objects: Collection[str] = OBJECT_KINDS,
    ) -> None:
        self._vtn = vtn
        self._settings = settings
        self._name = name
        self._ven_id: str | None = None
        self._objects = tuple(objects)
        self._chance = Random()  # noqa: S311 # spreads a fleet in time, keeps no secret
        self._backoff = Backoff(self._chance)
        self._receivers: dict[Way, Receiver] = {}
        self._failed = 0
        self._choices = 0
        self._problems: dict[Way | None, str] = {}
        """The last problem of each way, and under None that of choosing one."""
        self._left_out: set[Way] = set()
        if settings.mode == "mqtt":
            _mqtt_receiver()

    async def run(self, tell: Tell, *, ven_id: str | None = None) -> None:
        """Receive until cancelled; ``tell`` gets what comes. ``ven_id`` is the ven we are; business logic has none."""
        self._receivers.clear()
        self._ven_id = ven_id
        while True:
            began = time.monotonic()
            connected, problem = await self._receive_once(tell)
            lasted_s = time.monotonic() - began
            if problem is None and lasted_s > _SHORTEST_S:
                self._backoff.succeeded()
                continue
            if lasted_s > _LASTING_S:  # also one that went on where it was, and had nothing to say
                self._backoff.succeeded()
                await self._vtn.clock.sleep(_COME_BACK_S * self._chance.random())
                continue
            if not connected:
                self._failed += 1
            await self._vtn.clock.sleep(self._pause_s(problem))

    def _pause_s(self, problem: Exception | None) -> float:
        """Return the wait before the next attempt; a long one once no way is possible."""
        wait_s = self._backoff.failed(problem)
        were_all_tried = self._failed % max(self._choices, 1) == 0
        if isinstance(problem, NoWay) and were_all_tried:
            return _ASK_AGAIN_S * (1 + _JITTER * (2 * self._chance.random() - 1))
        return wait_s

    async def _receive_once(self, tell: Tell) -> tuple[bool, Exception | None]:
        """Receive on one connection; return whether there was one, and why it ended if not in order."""
        connected = False
        way: Way | None = None

        def tell_on(told: Told) -> None:
            nonlocal connected
            if not connected:
                connected = True
                self._problems.pop(way, None)
            tell(told)

        try:
            self._choices = 0
            notifiers = await self._vtn.notifiers()
            ways = self._ways(notifiers)
            self._choices = len(ways)
            way = ways[self._failed % len(ways)]
            await self._receiver(way).receive(tell_on, notifiers)
        except ClientError as error:
            if self._is_new(way, error) and (not isinstance(error, NoWay) or self._settings.mode != "auto"):
                _log.warning(
                    "connection for notifications lost" if connected else "no notifications", problem=str(error)
                )
            return connected, error
        except Exception as error:
            # What others send may hit a mistake of ours or of a library: that ends this connection, not the listening.
            if self._is_new(way, error):
                _log.exception("connection for notifications failed")
            return False, error
        return True, None  # in order, and perhaps without anything to tell

    def _is_new(self, way: Way | None, error: Exception) -> bool:
        """Return True for another problem than the last: a VEN that only polls shall not say so every 15 minutes."""
        problem = f"{type(error).__name__}: {error}"
        before, self._problems[way] = self._problems.get(way), problem
        return problem != before

    def _ways(self, notifiers: Notifiers | None) -> list[Way]:
        """Return the ways to try, in order; raises NoWay if there is none."""
        mode = self._settings.mode
        ways = [way for way in _offered(notifiers, self._settings) if mode in {"auto", way} and self._is_possible(way)]
        if not ways:
            wanted = "notifications in a way that we can use" if mode == "auto" else f"notifications by {mode}"
            raise NoWay(f"the VTN does not offer {wanted}")
        return ways

    def _is_possible(self, way: Way) -> bool:
        try:
            self._receiver(way)
        except LibraryMissing as error:
            if way not in self._left_out:
                _log.info("a way of notifications is left out", way=way, problem=str(error))
            self._left_out.add(way)
            return False
        return True

    def _receiver(self, way: Way) -> Receiver:
        if way not in self._receivers:
            self._receivers[way] = _MAKERS[way](self._vtn, self._settings, self._name, self._ven_id, self._objects)
        return self._receivers[way]


def _offered(notifiers: Notifiers | None, settings: PushSettings) -> list[Way]:
    """Return the ways that a VTN offers, best first. One without ``/notifiers`` has webhooks all the same (R-44)."""
    found: list[Way] = []
    if notifiers is not None and notifiers.mqtt is not None:
        found.append("mqtt")
    if settings.callback_url is not None:
        found.append("webhook")
    if notifiers is not None and notifiers.websocket_uris:
        found.append("websocket")
    return found


def _mqtt(vtn: VtnClient, settings: PushSettings, _: str, ven_id: str | None, objects: Sequence[str]) -> Receiver:
    return _mqtt_receiver()(vtn, ven_id=ven_id, objects=objects, settings=settings)


def _mqtt_receiver() -> type[MqttReceiver]:
    from openadr_client.mqtt_receiver import MqttReceiver  # noqa: PLC0415 # needs a library that may be missing

    return MqttReceiver


def _webhook(vtn: VtnClient, settings: PushSettings, name: str, _: str | None, objects: Sequence[str]) -> Receiver:
    from openadr_client.webhook_receiver import WebhookReceiver  # noqa: PLC0415 # few have an address for it

    return WebhookReceiver(vtn, settings=settings, name=name, objects=objects)


def _websocket(vtn: VtnClient, _: PushSettings, __: str, ___: str | None, objects: Sequence[str]) -> Receiver:
    from openadr_client.websocket_receiver import WebsocketReceiver  # noqa: PLC0415 # with it aiohttp

    return WebsocketReceiver(vtn, objects=objects)


_Maker = Callable[["VtnClient", PushSettings, str, str | None, Sequence[str]], Receiver]
_MAKERS: Final[dict[Way, _Maker]] = {"mqtt": _mqtt, "websocket": _websocket, "webhook": _webhook}


@asynccontextmanager
async def listen(
    vtn: VtnClient,
    *,
    settings: PushSettings | None = None,
    name: str = "notifications",
    ven_id: str | None = None,
    objects: Collection[str] = OBJECT_KINDS,
    buffer: int = 1000,
) -> AsyncIterator[AsyncIterator[Told]]:
    """Give what a VTN tells of some kinds of objects, whatever the way, as an iterator without end.

        async with listen(vtn, objects=("EVENT",)) as told:
            async for each in told:
                ...

    Connections that end are made again; each begins with `ReadAgain`. Who reads so slowly that ``buffer`` notifications
    or 32 MiB of them are waiting gets `ReadAgain` in their place. ``name`` is the client name of a subscription for
    webhooks.

    Raises:
        LibraryMissing: ``settings`` ask for a way that needs a library which is not installed.
    """
    if settings is not None and settings.mode == "off":
        raise ValueError("settings.mode is off: expected a way of notifications")
    receiver = PushReceiver(vtn, settings or PushSettings(), name=name, objects=objects)
    waiting = _Waiting(buffer, objects)
    task = asyncio.create_task(receiver.run(waiting.put, ven_id=ven_id), name="notifications")
    task.add_done_callback(waiting.end)
    try:
        yield waiting
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class _Waiting(AsyncIterator[Told]):
    """Hold what was told and not yet read, up to a limit."""

    def __init__(self, limit: int, objects: Collection[str]) -> None:
        self._limit = limit
        self._objects = frozenset(objects)
        self._told: deque[Told] = deque()
        self._bytes = 0
        self._there = asyncio.Event()
        self._ended: asyncio.Future[None] | None = None

    def put(self, told: Told) -> None:
        """Keep what was told, if it is about the wanted kinds of objects."""
        if not isinstance(told, ReadAgain) and told.object_type and told.object_type not in self._objects:
            return
        if len(self._told) >= self._limit or self._bytes + _size(told) > _WAITING_BYTES:
            self._told.clear()
            self._bytes = 0
            told = ReadAgain("more notifications than were read", told.way)
        self._told.append(told)
        self._bytes += _size(told)
        self._there.set()

    def end(self, task: asyncio.Future[None]) -> None:
        """Have the reader end as the receiver did."""
        self._ended = task
        self._there.set()

    async def __anext__(self) -> Told:
        while not self._told:
            if self._ended is not None:
                if not self._ended.cancelled():
                    self._ended.result()
                raise StopAsyncIteration
            self._there.clear()
            await self._there.wait()
        told = self._told.popleft()
        self._bytes -= _size(told)
        return told


def _size(told: Told) -> int:
    return told.size if isinstance(told, ReceivedNotification) else 0
