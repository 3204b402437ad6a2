"""End limits with a driver of our own, for the watchdog: imported only when it has to act."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog

from openadr_client.clock import SystemClock
from ven.drivers import find_driver
from ven.errors import DriverFailed
from ven.panel.calls import DriverCalls, opened
from ven.panel.circuits import BranchCircuit

_log = structlog.get_logger(__name__)

_WHOLE_S = 30.0


async def release(job: Mapping[str, Any], circuits: Mapping[str, bool]) -> set[str]:
    """Return the circuits whose limits are ended; `circuits` says of each whether it is to be switched on.

    Raises:
        Exception: the driver cannot be made or does not reach its device, or all took longer than half a minute.
    """
    described = [BranchCircuit.model_validate(each) for each in job["circuits"]]
    driver = find_driver(job["kind"])(described, job["options"], SystemClock())
    calls = DriverCalls(deadline_s=job["deadline_s"])

    async def end(circuit_id: str, *, switch_on: bool) -> str | None:
        try:
            await calls.make(circuit_id, lambda: driver.release(circuit_id, switch_on=switch_on))
        except DriverFailed as error:
            _log.error("circuit cannot be returned", circuit=circuit_id, problem=str(error))
            return None
        return circuit_id

    async with asyncio.timeout(_WHOLE_S), opened(driver):
        ended = await asyncio.gather(*(end(id_, switch_on=switch_on) for id_, switch_on in circuits.items()))
    return {id_ for id_ in ended if id_ is not None}
