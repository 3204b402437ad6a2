"""A bridge as a program: it leads, or stands by until the one that leads is gone.

To lead is to start: what panels hold and wait for is read from the database, as after a crash. Nothing that an earlier
lead had in memory is used.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from bridge_mqtt.adoption import adopt
from bridge_mqtt.collector import collect_when_quiet, spare_the_collector
from bridge_mqtt.errors import BridgeError, NameTaken, NotLeading
from bridge_mqtt.last_run import LastRun
from bridge_mqtt.leadership import Leadership
from bridge_mqtt.service import Bridge
from bridge_mqtt.settings import Settings
from bridge_mqtt.standby import Answers, Standby, keep
from bridge_mqtt.store import Store
from openadr_client import BrokerError, ClientError, Clock, SystemClock

_log = structlog.get_logger(__name__)

_ADOPT_WITHIN_S: Final = 3.0
_AGAIN_S: Final = 2.0


async def run_bridge(settings: Settings, *, clock: Clock | None = None, started: asyncio.Event | None = None) -> None:
    """Start a bridge and let it work until cancelled; ``started`` is set once it leads or stands by.

    Raises BridgeError, BrokerError or ClientError if it cannot start. What goes wrong later is logged and tried again.
    """
    store = await Store.open(settings.database.url.get_secret_value())
    server = _Server(settings, store, clock or SystemClock(), started or asyncio.Event())
    try:
        await server.run()
    finally:
        await server.leadership.give_up()
        await store.close()


class _Server:
    """The turns of one bridge between leading and standing by."""

    def __init__(self, settings: Settings, store: Store, clock: Clock, started: asyncio.Event) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._started = started
        client_id = settings.broker.client_id
        last_run = LastRun(settings.database.url.get_secret_value(), client_id)
        self.leadership = Leadership(store, client_id, settings.lease, last_run=last_run)

    async def run(self) -> None:
        """Lead and stand by in turn, until cancelled.

        The address of the API comes first: a second process with the same settings ends there, and changes nothing.
        """
        async with Answers(self._settings.api, lambda: {"status": "starting"}):
            await self.leadership.take_name()
        await self.leadership.ask()
        while True:
            try:
                if not self.leadership.is_leading:
                    standby = Standby(self._settings, self._store, self.leadership, now=self._clock.now)
                    await standby.until_leading(self._started.set)
                await self._until_lost()
            except NotLeading:
                continue
            except NameTaken:
                raise
            except (BridgeError, BrokerError, ClientError) as error:
                if not self._started.is_set():
                    raise
                _log.error("this bridge cannot work; it tries again", problem=str(error), again_in_s=_AGAIN_S)
                await self.leadership.give_up()
                await asyncio.sleep(_AGAIN_S)

    async def _until_lost(self) -> None:
        """Lead until the lead is lost or the work ends; raises what it raises."""
        keeping = asyncio.create_task(self.leadership.keep(), name="keep the lead")
        working = asyncio.create_task(self._lead(), name="lead")
        try:
            await asyncio.wait((keeping, working), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (working, keeping):
                task.cancel()
            await asyncio.gather(keeping, working, return_exceptions=True)
        for task in (working, keeping):
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def _lead(self) -> None:
        """Take over from bridges that are gone, then work as the one that leads."""
        adopting = asyncio.create_task(self._adopt(), name="take over sessions")
        await asyncio.wait([adopting], timeout=_ADOPT_WITHIN_S)
        caring = asyncio.create_task(self._care(adopting), name="care for sessions")
        try:
            async with Bridge(self._settings, clock=self._clock, leadership=self.leadership) as bridge:
                spare_the_collector()
                self._started.set()
                collecting = asyncio.create_task(collect_when_quiet(bridge.is_quiet, asyncio.sleep), name="garbage")
                try:
                    await bridge.run()
                finally:
                    collecting.cancel()
        finally:
            caring.cancel()
            await asyncio.gather(caring, return_exceptions=True)

    async def _care(self, adopting: asyncio.Task[None]) -> None:
        """Take over the sessions of bridges that go away later."""
        try:
            while True:
                await asyncio.wait([adopting])
                await asyncio.sleep(self._settings.lease.renew_s / 2)
                adopting = asyncio.create_task(self._adopt(), name="take over sessions")
        finally:
            adopting.cancel()
            await asyncio.gather(adopting, return_exceptions=True)

    async def _adopt(self) -> None:
        gone = list(self.leadership.absent)
        if not gone:
            return
        done = await asyncio.gather(
            *(
                adopt(
                    each,
                    self._settings,
                    take=lambda batch: keep(self._store, batch, asyncio.sleep),
                    now=self._clock.now,
                )
                for each in gone
            )
        )
        await self.leadership.forget([each for each, is_done in zip(gone, done, strict=True) if is_done])
