"""Keep a driver's connection to the MQTT broker of a home, and wait for what devices say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Self

import structlog

from openadr_client import (
    BadCertificateFile,
    BrokerError,
    BrokerUnreachable,
    Clock,
    MqttLink,
    Received,
    stop_if_cancelled,
)
from ven.drivers.mqtt_devices import Order
from ven.errors import DriverFailed
from ven.home_broker import HomeBroker

_log = structlog.get_logger(__name__)


class HomeLink:
    """Connect to the broker for as long as the driver is used, and hand every message to ``take``.

    A broker that is away at the start or later is tried again and again; one that refuses us at the start is an error.
    """

    def __init__(
        self, broker: HomeBroker, clock: Clock, *, filters: Iterable[str], take: Callable[[Received], None]
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._filters = sorted(set(filters))
        self._take_one = take
        self._link: MqttLink | None = None
        self._task: asyncio.Task[None] | None = None
        self._waiters: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Self:
        try:
            self._link = MqttLink(
                self._broker, filters=self._filters, take=self._take, now=self._clock.now, lasting=False
            )
            await self._link.__aenter__()
        except BrokerUnreachable as error:
            _log.warning("the broker is not there yet", problem=str(error))
        except (BrokerError, BadCertificateFile) as error:
            raise DriverFailed(str(error)) from error
        self._task = asyncio.create_task(self._run(), name="the driver's link to its broker")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._link is not None:
            await self._link.disconnect()

    @property
    def url(self) -> str:
        """Return the address of the broker."""
        return self._broker.url

    @property
    def is_connected(self) -> bool:
        """Return True if there is a connection now."""
        return self._link is not None and self._link.connected_since is not None

    async def send(self, orders: Sequence[Order]) -> None:
        """Publish one after the other, each received by the broker; raises DriverFailed."""
        for order in orders:
            if self._link is None or not self.is_connected:
                raise DriverFailed(f"there is no connection to the broker {self.url}")
            try:
                await self._link.publish(order.topic, order.payload.encode())
                stop_if_cancelled()  # a deadline that ends while the broker confirms would be lost
            except BrokerError as error:
                raise DriverFailed(f"the broker {self.url} did not take a message: {error}") from error

    async def until(self, fact: Callable[[], bool], *, within_s: float) -> bool:
        """Wait until something that was said makes ``fact`` true; False after so many real seconds without it."""
        try:
            async with asyncio.timeout(within_s):
                while not fact():
                    waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiters.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiters.discard(waiter)
        except TimeoutError:
            return fact()
        return True

    async def _run(self) -> None:
        while self._link is not None:
            try:
                await self._link.run()
            except Exception:  # whatever it is: a driver without ears is of no use to anybody
                _log.exception("the link to the broker broke", broker=self.url)
                await asyncio.sleep(1)

    async def _take(self, batch: Sequence[Received]) -> None:
        for message in batch:
            self._take_one(message)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
