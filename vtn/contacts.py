"""Notes when each client was last heard of, in memory, and stores it from time to time.

A request costs an assignment here; no request waits for the database. Each process keeps what it has heard since it
last stored it, one entry a client. What could not be stored is kept for the next time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from itertools import chain, islice
from typing import Final

import structlog

from openadr_profiles.contact import RefusedRequest
from vtn.errors import Unavailable
from vtn.settings import ContactSettings
from vtn.store.contact import AT_ONCE, ContactStore, LastHeard, News

_log = structlog.get_logger(__name__)

_LONGEST_SOFTWARE: Final = 200
_LONGEST_DATE: Final = 40


class ContactRecorder:
    """The last contact and the last refused request of each client since they were last stored."""

    def __init__(self, settings: ContactSettings, store: ContactStore, now: Callable[[], datetime]) -> None:
        self._settings = settings
        self._contacts = store
        self._now = now
        self._heard: dict[str, LastHeard] = {}
        self._refused: dict[str, tuple[str, RefusedRequest]] = {}
        self._storing = asyncio.Lock()
        self._away = False

    def heard(self, client_id: str, protocol: str, *, software: str | None = None, date: str | None = None) -> None:
        """Note a request of a client that is known by its credentials.

        ``software`` is what it calls itself (``User-Agent``), ``date`` the time it has (``Date``), as it was sent.
        """
        software = None if not software else software[:_LONGEST_SOFTWARE]
        date = None if date is None or len(date) > _LONGEST_DATE else date
        self._heard[client_id] = LastHeard(protocol, self._now(), software, date)

    def has_heard(self, client_id: str) -> bool:
        """Return True if this process has heard of a client since it last stored its contacts."""
        return client_id in self._heard

    def refused(self, client_id: str, protocol: str, *, status: int, title: str, request: str) -> None:
        """Note a refused request. ``request`` is the method and the path without ids."""
        self._refused[client_id] = protocol, RefusedRequest(at=self._now(), status=status, title=title, request=request)

    async def run(self) -> None:
        """Store what was heard from time to time, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.store_s)
            await self.store()

    async def store(self) -> None:
        """Store what was heard until now; while the database does not answer it is kept, which is logged once."""
        try:
            async with self._storing:
                await self._store()
        except Unavailable:
            if not self._away:
                _log.warning("the database does not answer; last contacts are stored later")
            self._away = True
        else:
            self._away = False

    async def _store(self) -> None:
        heard, self._heard = self._heard, {}
        refused, self._refused = self._refused, {}
        try:
            while ids := [*islice(chain(heard, (each for each in refused if each not in heard)), AT_ONCE)]:
                await self._contacts.merge([News(each, heard.get(each), refused.get(each)) for each in ids])
                for each in ids:
                    heard.pop(each, None)
                    refused.pop(each, None)
        except BaseException:  # what was heard meanwhile is newer
            self._heard = heard | self._heard
            self._refused = refused | self._refused
            raise
