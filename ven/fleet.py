"""Run many VENs in one process, each with its own credentials and state file, and count what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec
import structlog

from openadr_client import Clock
from ven.agent import Agent, run_ven
from ven.control import Control
from ven.settings import VenSettings

_log = structlog.get_logger(__name__)

_STALL_LOOKED_FOR_S: Final = 0.05
_MOST_NAMED: Final = 10
_NOTHING: Final = Decimal(0)


class FleetFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Count the VENs of one process, or of several added up.

    ``shed_kw`` is what limited circuits draw less than when they were limited. ``problems`` counts what goes wrong now
    with VENs that run; ``failed`` counts those that have ended, ``named`` says why for the first of them.
    ``longest_stall_s`` is the longest time for which a loop was late since the last figures, ``rss_mb`` the memory.
    """

    vens: int
    registered: int = 0
    in_events: int = 0
    limited: int = 0
    drawn_kw: float = 0.0
    shed_kw: float = 0.0
    problems: int = 0
    failed: int = 0
    named: dict[str, str] = {}
    longest_stall_s: float = 0.0
    rss_mb: float = 0.0

    def __add__(self, other: FleetFigures) -> FleetFigures:
        named = dict([*self.named.items(), *other.named.items()][:_MOST_NAMED])
        return FleetFigures(
            vens=self.vens + other.vens,
            registered=self.registered + other.registered,
            in_events=self.in_events + other.in_events,
            limited=self.limited + other.limited,
            drawn_kw=round(self.drawn_kw + other.drawn_kw, 3),
            shed_kw=round(self.shed_kw + other.shed_kw, 3),
            problems=self.problems + other.problems,
            failed=self.failed + other.failed,
            named=named,
            longest_stall_s=max(self.longest_stall_s, other.longest_stall_s),
            rss_mb=round(self.rss_mb + other.rss_mb, 1),
        )


class VenFleet:
    """Run VENs until cancelled, each begun after its ``delays_s``. One that fails stops no other."""

    def __init__(self, homes: Sequence[VenSettings], *, delays_s: Sequence[float], clock: Clock) -> None:
        self._homes = list(zip(homes, delays_s, strict=True))
        self._clock = clock
        self._agents: dict[str, Agent] = {}
        self._ready: dict[str, asyncio.Event] = {}
        self._failed: dict[str, str] = {}
        self._stall_s = 0.0

    async def run(self) -> None:
        """Run all of them until cancelled; circuits that are limited then return first."""
        watch = asyncio.create_task(self._watch_loop())
        tasks = [asyncio.create_task(self._run(home, delay_s), name=home.ven_name) for home, delay_s in self._homes]
        try:
            await asyncio.Event().wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            watch.cancel()

    def figures(self) -> FleetFigures:
        """Return what they do now."""
        now = self._clock.now()
        drawn_kw = shed_kw = _NOTHING
        in_events = limited = problems = 0
        for agent in self._agents.values():
            control = agent.control
            reading = control.panel.last
            drawn_kw += _NOTHING if reading is None else sum(reading.kw.values(), _NOTHING)
            shed_kw += _shed_kw(control)
            limited += bool(control.panel.limits)
            problems += len(agent.problems)
            in_events += any(
                decision.opted_in and timeline.start <= now and not timeline.transpired(now)
                for _, timeline, decision in control.agenda.events()
            )
        stall_s, self._stall_s = self._stall_s, 0.0
        return FleetFigures(
            vens=len(self._homes),
            registered=sum(self._ready[name].is_set() for name in self._agents),
            in_events=in_events,
            limited=limited,
            drawn_kw=round(float(drawn_kw), 3),
            shed_kw=round(float(shed_kw), 3),
            problems=problems,
            failed=len(self._failed),
            named=dict(list(self._failed.items())[:_MOST_NAMED]),
            longest_stall_s=round(stall_s, 3),
            rss_mb=_rss_mb(),
        )

    async def _run(self, home: VenSettings, delay_s: float) -> None:
        name = home.ven_name
        structlog.contextvars.bind_contextvars(ven=name)  # of this task alone
        ready = self._ready[name] = asyncio.Event()
        try:
            await self._clock.sleep(delay_s)
            await run_ven(
                home, clock=self._clock, ready=ready, watch=lambda agent: self._agents.__setitem__(name, agent)
            )
        except Exception as error:  # whatever it is, the others go on
            self._failed[name] = f"{type(error).__name__}: {error}"
            _log.error("a VEN of the fleet has ended", problem=self._failed[name])
        finally:
            self._agents.pop(name, None)

    async def _watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_STALL_LOOKED_FOR_S)
            self._stall_s = max(self._stall_s, loop.time() - before - _STALL_LOOKED_FOR_S)


def _shed_kw(control: Control) -> Decimal:
    """Return how much less the circuits draw that are limited for events, each counted once."""
    reading = control.panel.last
    if reading is None:
        return _NOTHING
    before = {
        each.circuit_id: each.original_kw
        for plan in control.curtailer.plans().values()
        for each in plan.circuits
        if each.shed_kw > 0
    }
    return sum((max(kw - reading.kw.get(id_, kw), _NOTHING) for id_, kw in before.items()), _NOTHING)


def _rss_mb() -> float:
    """Return the memory of this process in MB, 0 where the system does not tell it in /proc."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    words = next((line.split() for line in status.splitlines() if line.startswith("VmRSS:")), ())
    return round(int(words[1]) / 1024, 1) if len(words) > 1 else 0.0
