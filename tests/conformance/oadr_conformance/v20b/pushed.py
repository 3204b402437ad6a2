"""The first VEN while it is registered for pushes: what the VTN pushed to it, and how it answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from oadr_conformance.errors import Mismatch
from oadr_conformance.told import QUIET_S
from oadr_conformance.v20b.answers import PARTY
from oadr_conformance.v20b.push_listener import Answering, PushListener, ToldPush, as_it_should
from oadr_conformance.v20b.reply import VtnReply
from oadr_conformance.v20b.views import ToldEvent, events_in

if TYPE_CHECKING:
    from oadr_conformance.v20b.probe import StrangerVen

DISTRIBUTION = "oadrDistributeEvent"


class ListeningVen:
    """A VEN that listens; ``ven`` is the same as a client of the VTN."""

    def __init__(self, ven: StrangerVen, listener: PushListener, patience_s: float) -> None:
        self.ven = ven
        self._listener = listener
        self._patience_s = patience_s

    async def register(self, request_id: str = "push") -> VtnReply:
        """Register for pushes, under the current registrationID if there is one."""
        registration = self.ven.registration
        reply = await self.ven.ask(
            PARTY,
            self.ven.party(
                request_id,
                registration_id=registration.id or None,
                ven_id=registration.ven_id or None,
                address=self._listener.url,
                pull=False,
            ),
        )
        self.ven.note(reply)
        registration.usual = False
        return reply

    def told(self, name: str, holds: Callable[[ToldPush], bool] = lambda _told: True) -> list[ToldPush]:
        """Return the messages of a name, or all without one, that were pushed so far."""
        return [one for one in self._listener.told if name in {"", one.name_if_any} and holds(one)]

    async def got(
        self, name: str, holds: Callable[[ToldPush], bool] = lambda _told: True, *, count: int = 1
    ) -> ToldPush:
        """Return so many-th message of a name, as soon as it was pushed.

        Raises:
            Mismatch: not within the patience of the run.
        """
        await self._until(lambda: len(self.told(name, holds)) >= count, f"{name or 'a message'}, pushed", name)
        return self.told(name, holds)[count - 1]

    async def got_event(
        self, view: ToldEvent, holds: Callable[[ToldEvent], bool] = lambda _view: True
    ) -> tuple[ToldPush, ToldEvent]:
        """Return the first distribution that was pushed with this event, and the event in it.

        Raises:
            Mismatch: not within the patience of the run.
        """

        def found(told: ToldPush) -> ToldEvent | None:
            return next((one for one in events_in(told.message) if one.id == view.id and holds(one)), None)

        told = await self.got(DISTRIBUTION, lambda told: found(told) is not None)
        one = found(told)
        assert one is not None
        return told, one

    async def called(self, calls: int) -> None:
        """Return once the VTN has made more connections than these.

        Raises:
            Mismatch: not within the patience of the run.
        """
        await self._until(lambda: self._listener.calls > calls, "a connection for a push", "")

    async def quiet(self) -> None:
        """Wait for what should not come."""
        await asyncio.sleep(QUIET_S)

    @property
    def calls(self) -> int:
        """Return how many connections the VTN has made so far."""
        return self._listener.calls

    @property
    def everything(self) -> list[ToldPush]:
        """Return all that was pushed so far."""
        return self._listener.told

    @contextmanager
    def answering(self, how: Answering) -> Iterator[None]:
        """Answer pushes in another way for a while."""
        self._listener.answering = how
        try:
            yield
        finally:
            self._listener.answering = as_it_should

    @contextmanager
    def as_impostor(self) -> Iterator[None]:
        """Show a certificate of nobody for a while."""
        self._listener.as_impostor = True
        try:
            yield
        finally:
            self._listener.as_impostor = False

    async def _until(self, holds: Callable[[], bool], what: str, name: str) -> None:
        until = time.monotonic() + self._patience_s
        while not holds():
            left_s = until - time.monotonic()
            if left_s <= 0:
                raise self._missed(what, name)
            self._listener.news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, 0.2 if not name else left_s)):
                    await self._listener.news.wait()

    def _missed(self, what: str, name: str) -> Mismatch:
        came = [one.name_if_any or one.text[:100] or "an empty body" for one in self.everything]
        expected = f"{what} to {self._listener.url} within {self._patience_s:g} s"
        if came:
            exchange = next((one.exchange for one in reversed(self.everything) if one.name_if_any == name), None)
            return Mismatch(expected, f"only {', '.join(came)}", exchange)
        if self.calls:
            why = "it does not trust the certificate here, or shows one that is not of --ca, or of servers only"
            return Mismatch(expected, f"{self.calls} connections so far, and no request: {why}")
        return Mismatch(expected, "no connection")
