"""Many simulated panels in one process, with faults for some of them, and figures of what they do together."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bridge_mqtt.settings import Broker
from bridge_mqtt.simulators.faults import Faults, switch_on
from bridge_mqtt.simulators.panels import SimulatedMqttPanel, simulated_panel
from openadr_client import Clock

_STALL_LOOKED_FOR_S: Final = 0.05
_MOST_NAMED: Final = 10
_MISCHIEF_EVERY_S: Final = 1.0
_MISCHIEF_CHANCE: Final = 1 / 60
_OUTAGE_S: Final = 20.0
_LOCAL_EVENT: Final = (2.0, 60)


@dataclass(frozen=True)
class PanelPlan:
    """One panel of a fleet; ``faults`` are names of ``bridge_mqtt.simulators.faults``.

    A certificate or key of its own takes the place of the one in the broker's settings.
    """

    id: str
    program: str
    seed: int
    delay_s: float
    faults: Sequence[str] = ()
    certificate: str | None = None
    key: str | None = None


class PanelFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Count the panels of one process, or of several added up.

    ``double_sheds`` counts the panels that ever held two sheds at once. ``unconfirmed`` messages are on their way to
    the broker, ``left_out`` were not sent because it did not take what was sent before. ``problem`` says why a panel
    has no connection. ``longest_stall_s`` is the longest time for which a loop was late since the last figures.
    """

    panels: int
    connected: int = 0
    in_events: int = 0
    shedding: int = 0
    drawn_kw: float = 0.0
    shed_kw: float = 0.0
    samples: int = 0
    commands: int = 0
    sheds: int = 0
    double_sheds: int = 0
    unconfirmed: int = 0
    left_out: int = 0
    failed: int = 0
    named: dict[str, str] = {}
    problem: str | None = None
    longest_stall_s: float = 0.0
    rss_mb: float = 0.0

    def __add__(self, other: PanelFigures) -> PanelFigures:
        sums = {
            name: round(getattr(self, name) + getattr(other, name), 3)
            for name, kind in self.__annotations__.items()
            if kind in {"int", "float"}
        }
        return PanelFigures(
            **sums
            | {
                "named": dict([*self.named.items(), *other.named.items()][:_MOST_NAMED]),
                "problem": self.problem or other.problem,
                "longest_stall_s": max(self.longest_stall_s, other.longest_stall_s),
            }
        )


class PanelFleet:
    """Run panels until cancelled, each begun after its ``delay_s``. One that fails stops no other.

    With ``is_quiet`` only the figures say why panels have no connection, else each of them logs it.
    """

    def __init__(
        self,
        plans: Sequence[PanelPlan],
        broker: Broker,
        *,
        interval_s: float,
        everything: bool,
        clock: Clock,
        chance: random.Random | None = None,
        is_quiet: bool = True,
    ) -> None:
        self._plans = plans
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 # when something goes wrong, not a secret
        self._failed: dict[str, str] = {}
        self._stall_s = 0.0
        contexts: dict[tuple[str | None, str | None], ssl.SSLContext | None] = {}
        self._panels: dict[str, SimulatedMqttPanel] = {}
        for plan in plans:
            own = broker.model_copy(
                update={
                    "client_certificate": Path(plan.certificate) if plan.certificate else broker.client_certificate,
                    "client_key": Path(plan.key) if plan.key else broker.client_key,
                }
            )
            files = (plan.certificate, plan.key)
            if files not in contexts:
                contexts[files] = own.tls_context()
            faults = Faults()
            for name in plan.faults:
                switch_on(faults, name)
            self._panels[plan.id] = simulated_panel(
                plan.id,
                plan.program,
                broker,
                seed=plan.seed,
                clock=clock,
                interval_s=interval_s,
                faults=faults,
                everything=everything,
                tls=contexts[files],
            )
            self._panels[plan.id].is_quiet = is_quiet

    async def run(self) -> None:
        """Run all of them until cancelled."""
        watch = [asyncio.create_task(self._watch_loop()), asyncio.create_task(self._do_mischief())]
        tasks = [asyncio.create_task(self._run(plan), name=plan.id) for plan in self._plans]
        try:
            await asyncio.Event().wait()
        finally:
            for task in (*watch, *tasks):
                task.cancel()
            await asyncio.gather(*watch, *tasks, return_exceptions=True)

    def figures(self) -> PanelFigures:
        """Return what they do now."""
        panels = self._panels.values()
        stall_s, self._stall_s = self._stall_s, 0.0
        return PanelFigures(
            panels=len(panels),
            connected=sum(panel.connected.is_set() for panel in panels),
            in_events=sum(panel.model.event_id is not None or panel.model.stacked > 0 for panel in panels),
            shedding=sum(panel.model.stacked > 0 for panel in panels),
            drawn_kw=round(sum(panel.model.power_kw for panel in panels), 3),
            shed_kw=round(sum(sum(panel.model.taken_kw().values()) for panel in panels), 3),
            samples=sum(panel.samples for panel in panels),
            commands=sum(panel.commands for panel in panels),
            sheds=sum(panel.model.sheds for panel in panels),
            double_sheds=sum(panel.model.most_stacked > 1 for panel in panels),
            unconfirmed=sum(panel.unconfirmed for panel in panels),
            left_out=sum(panel.left_out for panel in panels),
            failed=len(self._failed),
            named=dict(list(self._failed.items())[:_MOST_NAMED]),
            problem=next((panel.problem for panel in panels if panel.problem is not None), None),
            longest_stall_s=round(stall_s, 3),
            rss_mb=_rss_mb(),
        )

    async def _run(self, plan: PanelPlan) -> None:
        try:
            await self._clock.sleep(plan.delay_s)
            await self._panels[plan.id].run()
        except Exception as error:  # whatever it is, the others go on
            self._failed[plan.id] = f"{type(error).__name__}: {error}"

    async def _do_mischief(self) -> None:
        """Have each panel do what its plan says now and then: about once a minute."""
        while True:
            await self._clock.sleep(_MISCHIEF_EVERY_S)
            for plan in self._plans:
                for name in plan.faults:
                    mischief = _NOW_AND_THEN.get(name)
                    if mischief is not None and self._chance.random() < _MISCHIEF_CHANCE:
                        mischief(self, self._panels[plan.id])

    def _restart(self, panel: SimulatedMqttPanel) -> None:
        panel.crash()

    def _unplug(self, panel: SimulatedMqttPanel) -> None:
        panel.unplug()
        asyncio.get_running_loop().call_later(_OUTAGE_S / self._clock.speed, panel.plug_in)

    def _give_back(self, panel: SimulatedMqttPanel) -> None:
        panel.model.give_back()

    def _begin_local_event(self, panel: SimulatedMqttPanel) -> None:
        panel.model.local_event(*_LOCAL_EVENT, self._clock.now())

    async def _watch_loop(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(_STALL_LOOKED_FOR_S)
            self._stall_s = max(self._stall_s, loop.time() - before - _STALL_LOOKED_FOR_S)


_NOW_AND_THEN: Final[Mapping[str, Callable[[PanelFleet, SimulatedMqttPanel], None]]] = {
    "restarts": PanelFleet._restart,  # noqa: SLF001 - of this module
    "outages": PanelFleet._unplug,  # noqa: SLF001
    "gives-back": PanelFleet._give_back,  # noqa: SLF001
    "local-events": PanelFleet._begin_local_event,  # noqa: SLF001
}


def has_fault(name: str, share: float, number: int) -> bool:
    """Return True for that share (0 to 1) of all numbers, always the same ones for a name."""
    return random.Random(f"{name}/{number}").random() < share  # noqa: S311 - spreads faults, keeps no secret


def _rss_mb() -> float:
    """Return the memory of this process in MB, 0 where the system does not tell it in /proc."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0
    words = next((line.split() for line in status.splitlines() if line.startswith("VmRSS:")), ())
    return round(int(words[1]) / 1024, 1) if len(words) > 1 else 0.0
