"""Read and switch the circuits through the driver; know the last reading, the limits, and when one was lifted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from openadr_client import Clock
from ven.drivers import Driver
from ven.errors import DriverFailed
from ven.panel.circuits import BranchCircuit
from ven.panel.meter import PowerReading, RollingBaseline

_log = structlog.get_logger(__name__)

_RESTORE_WITHIN_S: Final = 2.0
"""Real seconds that a device has for each answer when the agent ends; a service manager waits for ten or more."""


class Switchgear:
    """Read and switch. A circuit that fails is logged and tried again next time; the others are not affected."""

    def __init__(
        self, circuits: Sequence[BranchCircuit], driver: Driver, clock: Clock, *, baseline_s: float, hold: timedelta
    ) -> None:
        self.circuits = tuple(circuits)
        self.ids = tuple(circuit.id for circuit in circuits)
        self.last: PowerReading | None = None
        self.limits: dict[str, Decimal] = {}
        self.lifted_at: dict[str, datetime] = {}
        self._driver = driver
        self._clock = clock
        self._baseline = RollingBaseline(span=timedelta(seconds=baseline_s), hold=hold)

    async def read(self) -> PowerReading | None:
        """Read the power of the circuits and the limits in force now; return None if the device does not answer."""
        try:
            self.limits = dict(await self._driver.limits())
            kw = await self._driver.read()
        except DriverFailed as error:
            _log.error("circuits cannot be read", problem=str(error))
            return None
        self.last = PowerReading(self._clock.now(), {id_: kw[id_] for id_ in self.ids if id_ in kw})
        if not self.limits:
            self._baseline.add(self.last)
        return self.last

    def undisturbed_kw(self, now: datetime) -> dict[str, Decimal]:
        """Return the mean uncurtailed power in kW before now, by circuit id."""
        return self._baseline.at(now, self.ids)

    async def lift(self, wanted: Mapping[str, Decimal]) -> bool:
        """Let circuits draw more where the wanted limits say so; True if any was switched."""
        switched = False
        for circuit_id, limit_kw in list(self.limits.items()):
            more = wanted.get(circuit_id)
            if more is None or more > limit_kw:
                switched = await self._set(circuit_id, more) or switched
        return switched

    async def lower(self, wanted: Mapping[str, Decimal]) -> bool:
        """Let circuits draw less where the wanted limits say so; True if any was switched."""
        switched = False
        for circuit_id, limit_kw in wanted.items():
            current = self.limits.get(circuit_id)
            if current is None or limit_kw < current:
                switched = await self._set(circuit_id, limit_kw) or switched
        return switched

    async def restore(self) -> None:
        """Lift every limit in force, whatever fails: each circuit for itself, none for longer than a few seconds."""
        try:
            async with asyncio.timeout(_RESTORE_WITHIN_S):
                self.limits = dict(await self._driver.limits())
        except Exception:  # whatever it is: those that we know of are lifted
            _log.exception("limits cannot be read")
        for circuit_id in list(self.limits):
            try:
                async with asyncio.timeout(_RESTORE_WITHIN_S):
                    await self._set(circuit_id, None)
            except Exception:  # whatever it is: the next circuit has its turn
                _log.exception("circuit cannot be returned", circuit=circuit_id)

    async def _set(self, circuit_id: str, limit_kw: Decimal | None) -> bool:
        try:
            await self._driver.set_limit(circuit_id, limit_kw)
        except DriverFailed as error:
            _log.error("circuit cannot be switched", circuit=circuit_id, problem=str(error))
            return False
        if limit_kw is None:
            self.limits.pop(circuit_id, None)
            self.lifted_at[circuit_id] = self._clock.now()
            _log.info("circuit returned", circuit=circuit_id)
        else:
            self.limits[circuit_id] = limit_kw
            _log.info("circuit limited", circuit=circuit_id, limit_kw=str(limit_kw))
        return True
