"""Lives of a VEN: days, months or a year of events, on a clock that jumps, at a VTN which has the same clock.

Each day has a day of hourly prices, of which the energy used in each hour is to be reported, and two hours in which
every circuit may be shed.
"""

from __future__ import annotations

import asyncio
import json
import struct
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from bench.api import ApiClient, session, token
from bench.errors import NotReady
from bench.homes import circuits
from bench.jumping_clock import shown_in
from bench.processes import python
from bench.simulated_home import Taken
from bench.wire import Address
from vtn.access import Role
from vtn.app import VtnServer, build
from vtn.settings import Settings as VtnSettings

DAY_S: Final = 86_400.0
_ROOT: Final = Path(__file__).resolve().parent.parent
_SECRET: Final = "correct horse battery"
_BEGIN: Final = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
_PATIENCE_S: Final = 60.0
_CHEAP_SECRETS: Final = {"time_cost": 1, "memory_kib": 8, "parallelism": 1}
"""A year has thousands of tokens."""


class Life:
    """Let a VEN live on: `pass_` some time, and say what it has taken by then."""

    def __init__(self, http: aiohttp.ClientSession, vtn: VtnServer, process: asyncio.subprocess.Process) -> None:
        self._http = http
        self._vtn = vtn
        self._process = process
        self._at = _BEGIN
        self._program_id = ""

    async def day(self) -> Taken:
        """Let a day pass, whose events are announced when it begins."""
        bl = await self._business_logic()
        if not self._program_id:
            self._program_id = (await bl.create("/programs", {"programName": "life"}))["id"]
        for document in (_prices(self._program_id, self._at), _peak(self._program_id, self._at)):
            await bl.create("/events", document)
        return await self.pass_(DAY_S)

    async def pass_(self, seconds: float) -> Taken:
        """Let some time pass; raises NotReady if the VEN has ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n".encode())
        await self._process.stdin.drain()
        taken = msgspec.json.decode(await self.line(), type=Taken)
        self._at += timedelta(seconds=seconds)
        return taken

    async def line(self) -> bytes:
        """Return the next line that the VEN says; raises NotReady if it has ended."""
        assert self._process.stdout is not None
        if line := await self._process.stdout.readline():
            return line
        raise NotReady("the simulated VEN has ended, see above")

    async def _business_logic(self) -> ApiClient:
        """Return a client with a new token: the last one is a day old."""
        address = Address.of(self._vtn.base_url)
        return ApiClient(self._http, address, await token(self._http, f"{address.url}/auth/token", "bl", _SECRET))


@asynccontextmanager
async def life(folder: Path, *, circuit_count: int, **settings: Any) -> AsyncIterator[Life]:
    """Yield a VEN that lives on a clock of its own; ``settings`` are members of its configuration file."""
    clock = clock_file(folder, _BEGIN)
    given = {
        "port": 0,
        "log_requests": False,
        "database": {"url": f"sqlite:///{folder / 'vtn.sqlite3'}"},
        "auth": {"argon2": _CHEAP_SECRETS},
    }
    vtn = build(VtnSettings.model_validate(given), now=shown_in(clock))
    await vtn.start()
    try:
        await vtn.clients.add("bl", Role.BL, secret=_SECRET)
        await vtn.clients.add("home", Role.VEN, secret=_SECRET)
        config = folder / "home.json"
        home = {
            "ven_name": "home",
            "store": str(folder / "ven.sqlite3"),
            "vtn": {"url": vtn.base_url, "client_id": "home", "client_secret": _SECRET},
            "circuits": circuits(circuit_count),
            "push": {"mode": "off"},
            **settings,
        }
        config.write_text(json.dumps(home))
        process = await asyncio.create_subprocess_exec(
            *python("bench.simulated_home", str(config), str(clock)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_ROOT,
        )
        try:
            async with session() as http:
                one = Life(http, vtn, process)
                async with asyncio.timeout(_PATIENCE_S):
                    await one.line()
                yield one
        finally:
            if process.stdin is not None:
                process.stdin.close()
            await process.wait()
    finally:
        await vtn.stop()


def clock_file(folder: Path, begin: datetime) -> Path:
    """Return the file of a `JumpingClock` that begins then, in a new folder."""
    folder.mkdir()
    file = folder / "clock"
    file.write_bytes(struct.pack("<d", begin.timestamp()))
    return file


def _prices(program_id: str, day: datetime) -> dict[str, Any]:
    return {
        "programID": program_id,
        "eventName": f"prices of {day:%Y-%m-%d}",
        "reportDescriptors": [{"payloadType": "USAGE", "units": "KWH", "frequency": 1}],
        "intervalPeriod": {"start": day.isoformat(), "duration": "PT1H"},
        "intervals": [
            {"id": hour, "payloads": [{"type": "PRICE", "values": [0.2 + hour / 100]}]} for hour in range(24)
        ],
    }


def _peak(program_id: str, day: datetime) -> dict[str, Any]:
    return {
        "programID": program_id,
        "eventName": f"peak of {day:%Y-%m-%d}",
        "intervalPeriod": {"start": (day + timedelta(hours=18)).isoformat(), "duration": "PT1H"},
        "intervals": [{"id": hour, "payloads": [{"type": "SIMPLE", "values": [1 + hour]}]} for hour in range(2)],
    }
