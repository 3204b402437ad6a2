"""The lead among several bridges on one database: taken, renewed, lost, and asked for by each transaction that decides.

A bridge that was stopped for a while and goes on may believe that it still leads. Three things keep it from sending:
its transactions ask the database (``guard``), what it has already marked as sent it publishes only while its lease is
valid by its own clock (``may_send``), and whoever took over has ended its connection to the broker (`adoption`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Final

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.errors import NameTaken, NotLeading, StoreUnavailable
from bridge_mqtt.last_run import LastRun
from bridge_mqtt.settings import LeaseSettings
from bridge_mqtt.store import Store, leases

_log = structlog.get_logger(__name__)

_ASKED_IN_VAIN: Final = -1
_GIVE_UP_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.2


class Leadership:
    """Hold what one bridge knows of the lead. ``holder`` is its client id at the broker. Seconds are real ones."""

    def __init__(
        self,
        store: Store,
        holder: str,
        settings: LeaseSettings,
        *,
        last_run: LastRun,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.holder = holder
        self.leader: str | None = None
        """The client id of the bridge that leads, or led last."""
        self.others: list[str] = []
        """The client ids of the other bridges on this database."""
        self.absent: list[str] = []
        """Those of them that have not shown for a while that they are alive."""
        self.problem: str | None = None
        """Why the database could not be asked last time."""
        self._store = store
        self._settings = settings
        self._last_run = last_run
        self._sleep = sleep
        self._monotonic_s = monotonic_s
        self._epoch: int | None = None
        self._is_leading = False
        self._valid_until_s = float("-inf")
        self._ended = asyncio.Event()
        self._has_name = False

    @property
    def is_leading(self) -> bool:
        """Return True from taking the lead until it is known to be lost."""
        return self._is_leading

    @property
    def is_shown(self) -> bool:
        """Return True while the other bridges see that this one is alive."""
        return self._monotonic_s() < self._valid_until_s

    def may_send(self) -> bool:
        """Return True while nobody else can lead, however long this process was stopped meanwhile."""
        return self._is_leading and self.is_shown

    async def take_name(self) -> None:
        """Wait until no process works under our name.

        After a kill on this host that is at once, as its lease is known to be left; elsewhere when that is over, at
        most ``valid_s``.

        Raises:
            NameTaken: the process with our name goes on renewing its lease.
            StoreUnavailable: the database cannot be used.
        """
        seen = None
        self._last_run.begin()
        while True:
            async with self._store.transaction() as connection:
                until = await leases.held_until(connection, self.holder)
                if until is not None and self._last_run.left(until):
                    _log.info("the process that ran under our name is gone", client_id=self.holder)
                    await leases.end_all(connection, self.holder)
                    until = None
                if until is None:
                    valid = timedelta(seconds=self._settings.valid_s)
                    await leases.renew(connection, self.holder, epoch=None, wants_lead=False, valid=valid)
                    self._has_name = True
                    return
            if seen is None:
                seen = until
                _log.info("waiting for the lease of an earlier run to end", client_id=self.holder, until=str(until))
            elif until != seen:
                raise NameTaken(self._name_taken())
            await self._sleep(_LOOK_EVERY_S)

    def _name_taken(self) -> str:
        return (
            f"another bridge runs with client id {self.holder!r} on this database: stop it, or give this one a "
            "broker.client_id of its own"
        )

    async def ask(self) -> bool:
        """Show that this bridge is alive, take or renew the lead if nobody else has it, and return whether it leads.

        A database that cannot be used changes nothing, but ``problem``. Raises NameTaken if another process leads under
        our name, since this one was stopped for longer than its lease.
        """
        began_s = self._monotonic_s()
        try:
            async with self._store.transaction() as connection:
                lease = await leases.renew(
                    connection,
                    self.holder,
                    epoch=self._epoch,
                    wants_lead=True,
                    valid=timedelta(seconds=self._settings.valid_s),
                )
                found = await leases.leader(connection)
                until = await leases.shown_until(connection, self.holder)
                others = await leases.others(connection, self.holder)
                absent = await leases.absent(connection, self.holder)
        except StoreUnavailable as error:
            if self.problem is None:
                _log.warning("cannot renew the lease", problem=str(error))
            self.problem = str(error)
            return self._is_leading
        self.problem = None
        self._last_run.note(until)
        self.leader = found.holder if found is not None else None
        self.others, self.absent = others, absent
        self._valid_until_s = began_s + self._settings.valid_s
        if lease is None:
            self._lose()
            self._epoch = _ASKED_IN_VAIN
            if found is not None and found.holder == self.holder:
                self._has_name = False
                raise NameTaken(self._name_taken())
        elif not self._is_leading or lease.epoch != self._epoch:
            self._epoch, self._is_leading = lease.epoch, True
            self._ended.clear()
            _log.info("this bridge leads", client_id=self.holder, epoch=lease.epoch, others=others)
        return self._is_leading

    async def keep(self) -> None:
        """Renew the lead until it is lost, or cannot be renewed while there are others who could lead."""
        while self._is_leading:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), self._settings.renew_s)
            if self._is_leading:
                await self.ask()
            if self._is_leading and self.others and not self.is_shown:
                _log.warning("the lease could not be renewed; another bridge may lead", problem=self.problem)
                self._lose()

    async def guard(self, connection: AsyncConnection) -> None:
        """Raise NotLeading if another bridge leads; if not, none can take over before the transaction ends."""
        epoch = self._epoch
        if not self._is_leading or epoch is None or not await leases.leads(connection, self.holder, epoch):
            self._lose()
            raise NotLeading("another bridge leads now")

    async def forget(self, client_ids: list[str]) -> None:
        """Forget bridges that are gone; a database that is away is asked again later."""
        with suppress(StoreUnavailable):
            async with self._store.transaction() as connection:
                await leases.forget(connection, client_ids)
        self.absent = [each for each in self.absent if each not in client_ids]

    async def give_up(self) -> None:
        """End the lead and show that this bridge is gone, so that another one need not wait; takes 5 s at most."""
        epoch, was_leading = self._epoch, self._is_leading
        self._lose()
        self._valid_until_s = float("-inf")
        try:
            if self._has_name:
                async with asyncio.timeout(_GIVE_UP_WITHIN_S), self._store.transaction() as connection:
                    await leases.give_up(connection, self.holder, epoch=epoch if was_leading else None)
        except (StoreUnavailable, TimeoutError) as error:
            problem = str(error) or f"the database did not answer within {_GIVE_UP_WITHIN_S:g} s"
            _log.warning("the lease is left to run out: other bridges wait for its end", problem=problem)
        finally:
            self._last_run.end()

    def _lose(self) -> None:
        if self._is_leading:
            _log.warning("this bridge does not lead any more", client_id=self.holder, leader=self.leader)
        self._is_leading = False
        self._ended.set()
