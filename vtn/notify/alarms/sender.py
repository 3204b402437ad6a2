"""Send the messages of alarms to one channel: in order, again after failures, and given up after so many."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from vtn.alarm_settings import AlarmSettings
from vtn.errors import Unavailable
from vtn.notify.alarms.channel import AlarmChannel, NotTold
from vtn.services import Pauses
from vtn.store.console.alarms import AlarmStore
from vtn.store.lease import Lease

_log = structlog.get_logger(__name__)

_LOOK_S: Final = 2.0
_AT_ONCE: Final = 50
_PATIENCE_S: Final = 120.0


class AlarmSender:
    """The service of one channel. Of all processes one sends; another goes on when it is gone."""

    def __init__(self, settings: AlarmSettings, store: AlarmStore, channel: AlarmChannel, lease: Lease) -> None:
        self._settings = settings
        self._store = store
        self._channel = channel
        self._lease = lease
        self._pauses = Pauses(settings.first_retry_s, settings.longest_retry_s)

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        try:
            while True:
                try:
                    while await self._is_asked() and await self._lease.take() and await self.send_due():
                        pass
                except Unavailable:
                    _log.warning("the database does not answer; alarms are told later", channel=self._channel.name)
                await asyncio.sleep(_LOOK_S)
        finally:
            await self._channel.close()

    async def _is_asked(self) -> bool:
        """Look, before a lease is written, whether there is anything to send."""
        return bool(await self._store.due(self._channel.name, limit=1))

    async def send_due(self) -> int:
        """Send the messages that are due, at most fifty in one go; returns how many were sent."""
        messages = await self._store.due(self._channel.name, limit=_AT_ONCE)
        if not messages:
            return 0
        ids = [each.id for each in messages]
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._channel.tell(messages)
        except (NotTold, TimeoutError) as error:
            await self._failed(ids, str(error) or "it took too long", max(each.attempts for each in messages) + 1)
            return 0
        except Exception as error:  # whatever it is: it is an attempt, or it would be made for ever
            _log.exception("a channel of alarms failed", channel=self._channel.name)
            await self._failed(ids, type(error).__name__, max(each.attempts for each in messages) + 1)
            return 0
        await self._store.record_sent(ids)
        return len(messages)

    async def _failed(self, ids: list[int], error: str, attempts: int) -> None:
        pause_s = self._pauses.after(attempts)
        left = await self._store.record_failed(ids, error, retry_in_s=pause_s, max_attempts=self._settings.max_attempts)
        if left:
            _log.warning(
                "alarms could not be told; they are tried again",
                channel=self._channel.name,
                error=error,
                pause_s=round(pause_s, 1),
            )
        if left < len(ids):
            _log.error("alarms could not be told and are given up", channel=self._channel.name, count=len(ids) - left)
