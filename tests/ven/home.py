"""A VTN and homes in one process, on a clock that the test moves."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from openadr_client.client import VtnClient
from openadr_client.clock import Clock, ManualClock
from openadr_profiles.fleet.reports import (
    Opt,
    ShedInterval,
    opt_report_name,
    read_opts,
    read_status,
    status_report_name,
)
from openadr_profiles.v31 import Event, EventRequest, Program, ProgramRequest, Report
from tests.ven.builders import START, a_circuit
from ven.agent import Agent, RoundLimits
from ven.drivers import CircuitState
from ven.errors import DriverFailed
from ven.settings import VenSettings
from ven.store import StateFile
from vtn.access import Role
from vtn.app import VtnServer, build
from vtn.settings import Settings as VtnSettings

CHEAP_SECRETS = {"time_cost": 1, "memory_kib": 8, "parallelism": 1}
SECRET = "correct horse battery"

CIRCUITS = (
    a_circuit("fridge", critical=True, priority=1),
    a_circuit("heater", priority=3, shed_share=Decimal("0.5")),
    a_circuit("ev", name="EV charger", priority=8),
)
POWERS = {"fridge": Decimal("0.2"), "heater": Decimal(2), "ev": Decimal(3)}


class Relay:
    """A relay board: outlives the agent, keeps a diary of what was really switched."""

    enforces_expiry = False

    def __init__(self, wants: Mapping[str, Decimal] = POWERS) -> None:
        self.wants = dict(wants)
        self.in_force: dict[str, Decimal] = {}
        self.expires_at: dict[str, datetime] = {}
        self.diary: list[tuple[str, Decimal | None]] = []
        self.broken: set[str] = set()
        self.off: set[str] = set()
        """Circuits that the owner has switched off."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def read(self) -> Mapping[str, CircuitState]:
        known = {id_: kw for id_, kw in self.wants.items() if id_ not in self.broken}
        return {id_: self._state(id_, kw) for id_, kw in known.items()}

    def by_hand(self, circuit_id: str, *, is_on: bool) -> None:
        """Move a switch as the owner does."""
        self.off.discard(circuit_id) if is_on else self.off.add(circuit_id)
        if is_on and self.in_force.get(circuit_id) == 0:
            del self.in_force[circuit_id]

    def _state(self, circuit_id: str, wanted_kw: Decimal) -> CircuitState:
        limit_kw = self.in_force.get(circuit_id)
        is_on = circuit_id not in self.off and limit_kw != 0
        power_kw = min(wanted_kw, wanted_kw if limit_kw is None else limit_kw) if is_on else Decimal(0)
        return CircuitState(power_kw=power_kw, limit_kw=limit_kw, is_on=is_on)

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        self._must_answer(circuit_id)
        self.expires_at[circuit_id] = expires_at
        if self.in_force.get(circuit_id) != limit_kw:
            self.diary.append((circuit_id, limit_kw))
            self.in_force[circuit_id] = limit_kw

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        self._must_answer(circuit_id)
        if circuit_id in self.in_force:
            self.diary.append((circuit_id, None))
            del self.in_force[circuit_id]
            self.expires_at.pop(circuit_id, None)
            if not switch_on:
                self.off.add(circuit_id)

    def _must_answer(self, circuit_id: str) -> None:
        if circuit_id in self.broken:
            raise DriverFailed(f"{circuit_id} does not answer")


class Wire:
    """The line from an agent to its relay board. A process that is killed switches nothing more: the line is cut."""

    enforces_expiry = False

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self.is_cut = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def read(self) -> Mapping[str, CircuitState]:
        self._must_not_be_cut()
        return await self._relay.read()

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        self._must_not_be_cut()
        await self._relay.limit(circuit_id, limit_kw, expires_at=expires_at)

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        self._must_not_be_cut()
        await self._relay.release(circuit_id, switch_on=switch_on)

    def _must_not_be_cut(self) -> None:
        if self.is_cut:
            raise DriverFailed("the process is dead")


class Home:
    """A VEN that can be stopped like a process that is killed, and started again on the same store and relay."""

    def __init__(self, settings: VenSettings, clock: ManualClock, relay: Relay) -> None:
        self.settings = settings
        self.relay = relay
        self.round_limits = RoundLimits()
        self._clock = clock
        self._wire = Wire(relay)
        self._stack = AsyncExitStack()
        self._task: asyncio.Task[None] | None = None
        self._agent: Agent | None = None
        self._store: StateFile | None = None

    async def start(self) -> None:
        """Start it and wait until it has done what there is to do."""
        stack = self._stack = AsyncExitStack()
        self._store = await stack.enter_async_context(StateFile(self.settings.store, now=self._clock.now()))
        client = await stack.enter_async_context(self.settings.vtn.client(self._clock))
        self._wire = self.opened(Wire(self.relay), self._store, client)
        self._agent = Agent(
            self.settings,
            clock=self._clock,
            client=client,
            store=self._store,
            driver=self._wire,
            limits=self.round_limits,
        )
        self._task = asyncio.create_task(self._agent.run())
        await self.quiet()

    def opened(self, wire: Wire, store: StateFile, client: VtnClient) -> Wire:
        """Return the wire that the agent gets; the place to put faults in the way of what it reaches."""
        return wire

    async def kill(self) -> None:
        """End it without letting it do anything more, as a process that is killed."""
        self._wire.is_cut = True
        await self.stop()

    async def stop(self) -> None:
        """End it in order, as a service manager does."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._stack.aclose()

    async def quiet(self) -> None:
        """Return when it has nothing left to do at this moment."""
        async with asyncio.timeout(120):  # a busy machine is not a failure
            while not await self._is_quiet():  # noqa: ASYNC110 # no single event says it
                await asyncio.sleep(0.001)

    async def _is_quiet(self) -> bool:
        assert self._agent is not None
        assert self._store is not None
        assert self._task is not None
        if self._task.done():
            self._task.result()
        control_works = any(task.get_name() == "control" for task in asyncio.all_tasks())  # it may wait to begin again
        if (self._agent._act.is_set() and control_works) or (self._clock.next_wake or START) <= self._clock.now():
            return False
        if self._clock.sleepers >= 3:  # the third waits to try sending again
            return True
        if self._clock.sleepers != 2 or self._agent._send.is_set():
            return False
        return not control_works or not await self._store.reports.unsent()  # the control loop has them sent

    async def pass_(self, **length: float) -> None:
        """Let time pass, step by step, with all work done at each."""
        await self.until(self._clock.now() + timedelta(**length))

    async def until(self, instant: datetime) -> None:
        """Let time pass until an instant."""
        await self.quiet()
        while (due := self._clock.next_wake) is not None and due <= instant:
            await self._clock.advance_to(due)
            await self.quiet()
        await self._clock.advance_to(instant)


class Town:
    """A real VTN, its business logic, and homes."""

    def __init__(self, folder: Path, clock: Clock, vtn: VtnServer, bl: VtnClient) -> None:
        self.folder = folder
        self.vtn = vtn
        self.bl = bl
        self._clock = clock

    @property
    def clock(self) -> ManualClock:
        """The clock, for tests that move it."""
        assert isinstance(self._clock, ManualClock)
        return self._clock

    async def close_vtn(self) -> None:
        """Take the VTN away."""
        await self.vtn.stop()

    async def reopen_vtn(self) -> None:
        """Bring it back at the same address."""
        port = int(self.vtn.origin.rpartition(":")[2])
        self.vtn = build(self.vtn.settings.model_copy(update={"port": port}), now=self._clock.now)
        await self.vtn.start()

    def settings(self, name: str = "home-1", **members: Any) -> VenSettings:
        """Settings of a home: one reading and one look at the VTN every 5 minutes."""
        given = {
            "vtn": {"url": self.vtn.base_url, "client_id": name, "client_secret": SECRET},
            "ven_name": name,
            "store": self.folder / f"{name}.sqlite3",
            "circuits": CIRCUITS,
            "poll_s": 300,
            "sample_s": 300,
            "status_s": 1800,
            "settle_s": 0,
            "push": {"mode": "off"},  # a connection of its own would answer to no clock that the test moves
            **members,
        }
        return VenSettings.model_validate(given)

    async def home(self, name: str = "home-1", *, relay: Relay | None = None, **members: Any) -> Home:
        """A home whose credentials the VTN knows; not started yet."""
        await self.vtn.clients.add(name, Role.VEN, secret=SECRET)
        return Home(self.settings(name, **members), self.clock, relay or Relay())

    async def program(self, name: str = "peak") -> Program:
        """A program for everybody."""
        return await self.bl.programs.create(ProgramRequest(program_name=name))

    async def issue(self, event: Event, program: Program | None = None) -> Event:
        """Post an event like the given one."""
        program = program or next(iter(await self.bl.programs.search()), None) or await self.program()
        return await self.bl.events.create(as_request(event, program_id=program.id))

    async def opts(self, event: Event) -> list[Opt]:
        """Return what is reported about taking part."""
        reports = await self.reports(event, opt_report_name(event.id))
        return [opt for report in reports for opt in read_opts(report.resources)]

    async def status(self, event: Event) -> Sequence[ShedInterval]:
        """Return what is reported about what was done; there is at most one such report."""
        reports = await self.reports(event, status_report_name(event.id))
        assert len(reports) <= 1
        return read_status(reports[0].resources) if reports else ()

    async def reports(self, event: Event, name: str | None = None) -> list[Report]:
        """Reports about an event: those of a name, or those that the event asked for."""
        found = await self.bl.reports.search(event_id=event.id)
        if name is not None:
            return [report for report in found if report.report_name == name]
        return [report for report in found if (report.report_name or "").startswith("report-")]


def as_request(event: Event, **members: Any) -> EventRequest:
    """The part of an event that business logic writes."""
    return EventRequest(**({name: getattr(event, name) for name in EventRequest.__struct_fields__} | members))


@asynccontextmanager
async def town(
    folder: Path, clock: Clock, *, database: Path, ca_file: Path | None = None, **vtn_settings: Any
) -> AsyncIterator[Town]:
    """A town whose VTN runs on the given clock, with a copy of an empty database in the folder."""
    shutil.copy(database, folder / "vtn.sqlite3")
    given = {
        "port": 0,
        "log_requests": False,
        "database": {"url": f"sqlite:///{folder / 'vtn.sqlite3'}", "timeout_s": 30},  # a busy machine is not a failure
        "auth": {"argon2": CHEAP_SECRETS},
        **vtn_settings,
    }
    vtn = build(VtnSettings.model_validate(given), now=clock.now)
    await vtn.start()
    async with VtnClient(
        base_url=vtn.base_url, client_id="bl", client_secret=SECRET, ca_file=ca_file, clock=clock
    ) as bl:
        there = Town(folder, clock, vtn, bl)
        try:
            await vtn.clients.add("bl", Role.BL, secret=SECRET)
            yield there
        finally:
            await there.vtn.stop()
