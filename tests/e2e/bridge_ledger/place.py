"""Everything that an event passes through on its way to panels: what can be killed is a process of its own."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy import NullPool, func, make_url, select
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from bench.support.net import accepts_connections, free_port
from bench.support.postgres import PostgresServer
from bench.support.processes import ServerProcess
from bridge_mqtt.settings import Settings
from bridge_mqtt.store import reports
from bridge_mqtt.store.schema import commands, events, holdings, ven_acks
from oadr.process.running import cancel
from openadr_client import ScaledClock, VtnClient
from openadr_profiles.v31 import BlVenRequest, ProgramRequest
from tests.e2e.bridge_ledger.panels import BookKeepingPanel
from tests.support.mosquitto import Mosquitto
from vtn.access import Role
from vtn.app import build
from vtn.settings import Settings as VtnSettings

SPEED: Final = 60.0
"""A day passes in 24 minutes."""
_BUSY_S: Final = 120.0
_SECRET: Final = "correct horse battery"
_ROOT: Final = Path(__file__).parents[3]
_POSTGRES: Final = ("fsync=off", "full_page_writes=off", "max_connections=60", "unix_socket_directories=")


@dataclass
class Books:
    """Hold what a bridge's database says at one moment."""

    acks: Counter[str]
    """Rows by correlation id."""
    doubles: list[str]
    """Commands whose panel answered twice with different words."""
    outstanding: int
    holdings: int
    unreported: int
    unsent_reports: int


@dataclass
class Place:
    """A VTN, a bridge on a database, a broker and panels. ``faults`` counts what went wrong on purpose."""

    clock: ScaledClock
    operator: VtnClient
    program_id: str
    broker: Mosquitto
    bridge: ServerProcess
    panels: list[BookKeepingPanel]
    database_url: str
    postgres: PostgresServer | None
    faults: Counter[str] = field(default_factory=Counter)
    excused: set[str] = field(default_factory=set)
    """Answers that were in a broker that was killed."""

    @property
    def kills(self) -> int:
        """Return how many processes were killed."""
        return sum(count for what, count in self.faults.items() if what.startswith("kill"))

    async def go_wrong(self, chance: random.Random) -> None:
        """Let one thing happen, and return when all works again."""
        choices: dict[Callable[[], Any], int] = {self._kill_bridge: 6, self._restart_broker: 1, self._kill_broker: 1}
        if self.postgres is not None:
            choices |= {self._kill_database: 1}
        fault = chance.choices(list(choices), list(choices.values()))[0]
        self.faults[fault.__name__.strip("_").replace("_", " ")] += 1
        await fault()

    async def _kill_bridge(self) -> None:
        await asyncio.to_thread(self.bridge.stop, signal.SIGKILL)
        await asyncio.to_thread(self.bridge.start)

    async def _restart_broker(self) -> None:
        await asyncio.to_thread(self.broker.restart)

    async def _kill_broker(self) -> None:
        """Kill it: answers that it has confirmed and not handed on yet are lost with its memory."""
        await asyncio.to_thread(self.broker.kill)
        stored = (await self.books()).acks
        self.excused |= {id_ for panel in self.panels for id_ in panel.confirmed if id_ not in stored}
        await asyncio.to_thread(self.broker.start)

    async def _kill_database(self) -> None:
        assert self.postgres is not None
        await asyncio.to_thread(self.postgres.crash)
        await asyncio.to_thread(self.postgres.start)

    async def books(self) -> Books:
        """Read the bridge's database."""
        async with _reading(self.database_url) as connection:

            async def count(table: Any, *where: Any) -> int:
                statement = select(func.count()).select_from(table).where(*where)
                return int((await connection.execute(statement)).scalar_one())

            acks = await connection.execute(select(ven_acks.c.correlation_id))
            doubles = select(commands.c.correlation_id).where(commands.c.double_shed.is_(True))
            return Books(
                acks=Counter(each for (each,) in acks),
                doubles=[each for (each,) in await connection.execute(doubles)],
                outstanding=await count(commands, commands.c.state.in_(("queued", "sent"))),
                holdings=await count(holdings),
                unreported=await count(events, events.c.reported.is_(False)),
                unsent_reports=await reports.count_unsent(connection),
            )


@asynccontextmanager
async def _reading(database_url: str) -> AsyncIterator[AsyncConnection]:
    """Yield a connection that only reads, all of it as at one moment, and waits however busy the bridge is."""
    is_file = make_url(database_url).get_backend_name() == "sqlite"
    options: dict[str, Any] = {"connect_args": {"timeout": _BUSY_S}} if is_file else {}
    engine = create_async_engine(database_url, poolclass=NullPool, **options)
    try:
        async with engine.connect() as connection:
            if is_file:
                await connection.exec_driver_sql("BEGIN")  # the driver would begin none to read
            else:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def a_place(kind: str, folder: Path, prepared: Path, broker: Mosquitto, panels: int) -> AsyncIterator[Place]:
    """Yield all of it, running; the bridge keeps its books in ``sqlite`` or a ``postgresql`` of its own."""
    async with AsyncExitStack() as stack:
        clock = ScaledClock(SPEED)
        postgres, url = None, f"sqlite:///{folder / 'bridge.sqlite3'}"
        if kind == "postgresql":
            # Where another account may go: started by root, PostgreSQL runs as one.
            own = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oadr-postgres-")))
            postgres = PostgresServer(own, settings=_POSTGRES, prepared=prepared)
            stack.callback(postgres.stop)
            postgres.start()
            url = postgres.url(postgres.create_database()).replace("+asyncpg", "")
        operator, program_id, base_url = await _a_vtn(stack, folder, clock)
        plain = _settings(base_url, broker, url, panels)
        made = [
            BookKeepingPanel(each["id"], broker.host, broker.port, seed=number, clock=clock)
            for number, each in enumerate(plain["panels"])
        ]
        for panel in made:
            task = asyncio.create_task(panel.run())
            stack.push_async_callback(_ended, task)
        bridge = _a_bridge(plain, clock, folder)
        stack.callback(bridge.stop, signal.SIGKILL)
        await asyncio.to_thread(bridge.start)
        database_url = Settings.model_validate(plain).database.url.get_secret_value()
        yield Place(clock, operator, program_id, broker, bridge, made, database_url, postgres)


async def _a_vtn(stack: AsyncExitStack, folder: Path, clock: ScaledClock) -> tuple[VtnClient, str, str]:
    settings = VtnSettings.model_validate(
        {
            "port": 0,
            "database": {"url": f"sqlite:///{folder / 'vtn.sqlite3'}"},
            "auth": {"argon2": {"time_cost": 1, "memory_kib": 8, "parallelism": 1}},
        }
    )
    vtn = build(settings, now=clock.now)
    await vtn.start()
    stack.push_async_callback(vtn.stop)
    await vtn.clients.add("operator", Role.BL, secret=_SECRET)
    await vtn.clients.add("bridge", Role.VEN, secret=_SECRET)
    operator = await stack.enter_async_context(
        VtnClient(base_url=vtn.base_url, client_id="operator", client_secret=_SECRET, clock=clock)
    )
    await operator.vens.create(BlVenRequest(client_id="bridge", ven_name="mqtt-bridge", targets=("group:all",)))
    program = await operator.programs.create(ProgramRequest(program_name="relief"))
    return operator, program.id, vtn.base_url


def _settings(base_url: str, broker: Mosquitto, database_url: str, panels: int) -> dict[str, Any]:
    return {
        "vtn": {"url": base_url, "client_id": "bridge", "client_secret": _SECRET, "poll_interval_s": 30},
        "broker": {"url": broker.url, "reconnect_least_s": 0.05, "reconnect_most_s": 0.5},
        "database": {"url": database_url},
        "panels": [{"id": f"panel-{number}", "groups": ["group:all"]} for number in range(panels)],
        "dispatch": {"first_contact_s": 30, "ack_timeout_s": 1.0, "most_recoveries": 1000},
        "reporting": {"retry_least_s": 5, "retry_most_s": 60},
        "api": {"port": free_port()},
    }


def _a_bridge(settings: dict[str, Any], clock: ScaledClock, folder: Path) -> ServerProcess:
    file, port = folder / "bridge.json", settings["api"]["port"]
    file.touch(mode=0o600)
    file.write_text(json.dumps(settings))
    now, monotonic_s = clock.now().isoformat(), time.monotonic()
    module = [
        sys.executable,
        "-m",
        "tests.e2e.bridge_ledger.running",
        str(file),
        now,
        str(monotonic_s),
        str(clock.speed),
    ]
    return ServerProcess(
        ["env", f"PYTHONPATH={_ROOT}", *module],
        log=folder / "bridge.log",
        ready=lambda: accepts_connections("127.0.0.1", port),
    )


async def _ended(task: asyncio.Task[None]) -> None:
    await cancel([task])
    await asyncio.gather(task, return_exceptions=True)
