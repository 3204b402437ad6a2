"""Bridges: ``oadr bridge run`` as a process of its own, with a fleet of panels, at the VTN that is measured."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.documents import SPARE, WATCHED
from bench.errors import NotReady
from bench.homes import NAME, as_toml
from bench.mqtt import broker
from bench.panel_fleet import CIRCUITS, MeasuredPanels, plug_in
from bench.processes import MeasuredProcess, Meter, python
from bench.support.net import free_port
from bench.wire import Address
from bench.workloads.context import WorkloadContext
from bridge_mqtt.settings import Database
from bridge_mqtt.store.engine import open_engine

GROUPS: Final = SPARE[:20]
"""Targets of a part of the panels each, in turn."""

_POLL_S: Final = 0.02
_HEARD_S: Final = 600.0
_REGISTERED_S: Final = 1_200.0
_SEEDED_FROM: Final = 500
_IDLE_FOR_S: Final = 2.0
_IDLE_SHARE: Final = 0.1


@dataclass(frozen=True, slots=True)
class BridgeProcess:
    """A bridge that runs, has heard all its panels, and has made them known to the VTN."""

    process: MeasuredProcess
    meter: Meter
    fleet: MeasuredPanels
    broker_port: int
    api: Address
    engine: AsyncEngine

    async def scalar(self, sql: str, **values: Any) -> Any:
        """Return the one value that a statement finds in the bridge's database."""
        async with self.engine.connect() as connection:
            return (await connection.execute(text(sql), values)).scalar()

    async def acks_of(self, event_id: str, op: str) -> int:
        """Return how many answers to one operation of an event are stored."""
        sql = "SELECT count(*) FROM ven_acks WHERE event_id = :event_id AND op = :op"
        return int(await self.scalar(sql, event_id=event_id, op=op))

    async def until(self, fact: Callable[[], Awaitable[bool]], what: str, *, within_s: float) -> float:
        """Wait for a fact and return the Unix time at which it was seen; raises NotReady with the bridge's log."""
        deadline = time.monotonic() + within_s
        while not await fact():
            if time.monotonic() > deadline:
                raise NotReady(f"{what}: not within {within_s:g} s\n{self.process.log_end()}")
            await asyncio.sleep(_POLL_S)
        return time.time()


@asynccontextmanager
async def bridge(context: WorkloadContext, panels: int, *, every_s: float) -> AsyncIterator[BridgeProcess]:
    """Yield a bridge whose panels measure every so many seconds, for the time of the block.

    The VTN keeps the resources, which are those of the next bridge too. Those of very many panels are put into its
    database before, as copies of what a bridge has registered: it would take several minutes.

    Raises:
        NotReady: it has not heard all panels, or the VTN does not know all circuits, in time.
    """
    if panels > _SEEDED_FROM:
        await _seed(context, panels)
    folder = context.folder / f"bridge-{free_port()}"
    folder.mkdir()
    with broker(folder, context.cores.others) as made:
        fleet = await plug_in(made.port, panels)
        measuring = asyncio.create_task(fleet.measure(every_s=every_s))
        url, port = context.databases.create(), free_port()
        config = folder / "bridge.toml"
        config.write_text(as_toml(_settings(context, fleet, url, made.url, port)))
        credentials = context.vtn.credentials
        assert credentials is not None
        process = MeasuredProcess(
            python("oadr", "bridge", "run", "--config", str(config)),
            cores=context.cores.server,
            log=folder / "bridge.log",
            environment={"OADR_BRIDGE_VTN__CLIENT_SECRET": credentials.secret},
        )
        engine = open_engine(Database.model_validate({"url": url}).url.get_secret_value())
        try:
            await process.start("127.0.0.1", port)
            meter = Meter(process.pid)
            running = BridgeProcess(process, meter, fleet, made.port, Address("127.0.0.1", port), engine)
            await running.until(lambda: _heard(running, panels), f"{panels} panels heard", within_s=_HEARD_S)
            await running.until(
                lambda: _registered(context, panels), f"{panels} panels registered", within_s=_REGISTERED_S
            )
            await running.until(lambda: _is_idle(context), "the VTN is idle", within_s=_REGISTERED_S)
            yield running
        finally:
            process.stop()
            measuring.cancel()
            await asyncio.gather(measuring, return_exceptions=True)
            fleet.close()
            await engine.dispose()


async def _seed(context: WorkloadContext, panels: int) -> None:
    """Have the VTN know the resources of all panels; those that it knows already are kept."""
    async with bridge(context, 1, every_s=1.0):
        pass
    await context.vtn.hold_resources("panel-0", [f"panel-{number}" for number in range(panels)])


async def bare_s(context: WorkloadContext, there: BridgeProcess) -> float:
    """Return the seconds that the bare loop takes to command all panels and to hear their answers."""
    panels = len(there.fleet.ven_ids)
    process = await asyncio.create_subprocess_exec(
        *python("bench.bare_backend", str(there.broker_port), str(panels)), stdout=subprocess.PIPE
    )
    os.sched_setaffinity(process.pid, context.cores.server)
    out, _ = await process.communicate()
    if process.returncode:
        raise NotReady("the bare loop has ended, see above")
    return float(out)


def shed_event(
    program_id: str, start: datetime, *, length_s: int, shed_kw: float, target: str = WATCHED, name: str = "shed"
) -> dict[str, Any]:
    """Return an event that asks for less power from panels of a group, and for the reports that are usual."""
    return {
        "programID": program_id,
        "eventName": name,
        "targets": [target],
        "payloadDescriptors": [
            {
                "objectType": "EVENT_PAYLOAD_DESCRIPTOR",
                "payloadType": "DISPATCH_SETPOINT_RELATIVE",
                "units": "KW",
            }
        ],
        "reportDescriptors": [{"payloadType": kind} for kind in ("USAGE", "DEMAND", "BASELINE")],
        "intervalPeriod": {"start": start.isoformat(), "duration": f"PT{length_s}S"},
        "intervals": [{"id": 0, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-shed_kw]}]}],
    }


def _settings(context: WorkloadContext, fleet: MeasuredPanels, url: str, broker_url: str, port: int) -> dict[str, Any]:
    credentials = context.vtn.credentials
    assert credentials is not None
    return {
        "vtn": {"url": context.vtn.address.url, "client_id": credentials.client_id, "ven_name": NAME},
        "broker": {"url": broker_url},
        "database": {"url": url},
        "api": {"port": port},
        "panels": [
            {"id": ven_id, "groups": [WATCHED, GROUPS[place % len(GROUPS)]]}
            for place, ven_id in enumerate(fleet.ven_ids)
        ],
    }


async def _heard(there: BridgeProcess, panels: int) -> bool:
    sql = "SELECT count(*) FROM bridge_panels WHERE dialect IS NOT NULL"
    return bool(await there.scalar(sql) == panels)


async def _is_idle(context: WorkloadContext) -> bool:
    """Return True if the VTN is asked next to nothing: the bridge has looked through all that is there."""
    assert context.vtn.meter is not None
    before = context.vtn.meter.cpu_s()
    await asyncio.sleep(_IDLE_FOR_S)
    return context.vtn.meter.cpu_s() - before < _IDLE_SHARE * _IDLE_FOR_S


async def _registered(context: WorkloadContext, panels: int) -> bool:
    last = panels * (1 + CIRCUITS) - 1
    await asyncio.sleep(0.2)
    return bool(msgspec.json.decode((await context.vtn.ven.read(f"/resources?limit=1&skip={last}")).body))
