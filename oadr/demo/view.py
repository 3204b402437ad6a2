"""The content of the demo's screen as plain values: ``summary`` makes them, ``layout`` reads them. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Final


class Phase(Enum):
    """The phases of a run, in their order."""

    START = "start"
    ANSWERS = "answers"
    STEP_1 = "step 1"
    STEP_2 = "step 2"
    RETURN = "return"
    VERDICT = "verdict"


PARTS: Final = ("VTN", "MQTT broker", "bridge", "panels", "homes")
"""The parts that the demo starts, in this order."""

PANEL_KIND: Final = "MQTT"
"""The language of the panels behind the bridge."""

STEPS: Final = (Phase.STEP_1, Phase.STEP_2)


@dataclass(frozen=True)
class Step:
    """One interval of the event: ``kw`` less is asked of every VEN from ``start`` to ``end``."""

    start: datetime
    end: datetime
    kw: float


@dataclass(frozen=True)
class Plan:
    """The event as the demo issued it: when, its steps, and when the watching ends at the latest."""

    issued: datetime
    steps: tuple[Step, ...]
    latest_end: datetime

    @property
    def start(self) -> datetime:
        """Return when the first step begins."""
        return self.steps[0].start

    @property
    def end(self) -> datetime:
        """Return when the last step ends."""
        return self.steps[-1].end

    def asked_kw(self, at: datetime) -> float:
        """Give what is asked of every VEN at a moment; 0 outside the event."""
        return next((step.kw for step in self.steps if step.start <= at < step.end), 0.0)

    def phase(self, at: datetime) -> Phase:
        """Give the phase at a moment of a run that is not over."""
        if at < self.start:
            return Phase.ANSWERS
        return next((name for name, step in zip(STEPS, self.steps, strict=True) if at < step.end), Phase.RETURN)

    def phase_end(self, at: datetime) -> datetime:
        """Give the moment at which the phase of ``at`` ends; for the return, when it ends at the latest."""
        borders = (self.start, *(step.end for step in self.steps), self.latest_end)
        return next((border for border in borders if at < border), self.latest_end)


@dataclass(frozen=True)
class Power:
    """The power of the whole fleet at a moment, in kW, as the devices' own meters show it.

    ``baseline_kw`` is the uncurtailed power of all circuits, ``asked_kw`` what is asked of those who take
    part, ``delivered_kw`` the reduction of the circuits.
    """

    at: datetime
    baseline_kw: float
    asked_kw: float
    delivered_kw: float

    @property
    def used_kw(self) -> float:
        """Return the present power of the fleet, in kW."""
        return self.baseline_kw - self.delivered_kw


class Doing(Enum):
    """Activities of a participant."""

    STARTING = "starting"
    WAITING = "waiting for the event"
    READY = "takes part"
    SHEDDING = "shedding"
    RETURNED = "back to normal"
    OUT = "opted out"
    SILENT = "has not answered"
    GONE = "has stopped"


@dataclass(frozen=True)
class Row:
    """One participant: a home, or a panel behind the bridge. Powers in kW and energies in kWh as the VTN was told."""

    name: str
    kind: str
    doing: Doing
    asked_kw: float | None = None
    delivered_kw: float | None = None
    asked_kwh: float = 0.0
    delivered_kwh: float = 0.0
    reason: str | None = None
    no_data: bool = False
    """Whether its delivery would be known from telemetry, and there is none."""


@dataclass(frozen=True)
class CircuitLine:
    """One curtailed circuit, in kW."""

    participant: str
    name: str
    before_kw: float | None
    asked_kw: float | None
    delivered_kw: float | None
    state: str


@dataclass(frozen=True)
class Verdict:
    """The end of a run: all that is wrong (nothing, if it passed), and the figures that count."""

    findings: tuple[str, ...]
    asked_kwh: float
    delivered_kwh: float
    acks: int
    ack_ms: tuple[float, float] | None
    reports: int

    @property
    def passed(self) -> bool:
        """Return True if there are no findings."""
        return not self.findings


@dataclass(frozen=True)
class DemoView:
    """Everything on the screen at one moment.

    ``now`` is the demo's clock, which runs ``speed`` times as fast as the watcher's. ``running`` are the parts that
    have started (of ``PARTS``). ``news`` lists what happened, oldest first. ``vens_in`` counts the VENs that have not
    opted out, ``panels_kw`` is what the bridge asks of each of its panels now, ``hint`` how to look inside,
    ``lacking`` what is not shown and why, and ``pages`` what can be opened in a browser meanwhile.
    """

    now: datetime
    speed: float
    elapsed_s: float
    running: frozenset[str] = frozenset()
    rows: Sequence[Row] = ()
    plan: Plan | None = None
    power: Sequence[Power] = ()
    circuits: Sequence[CircuitLine] = ()
    news: Sequence[str] = ()
    hint: str | None = None
    verdict: Verdict | None = None
    vens_in: int = 0
    panels_kw: Sequence[float] = ()
    lacking: str | None = None
    pages: Sequence[str] = ()

    @property
    def phase(self) -> Phase:
        """Return the phase of the run."""
        if self.verdict is not None:
            return Phase.VERDICT
        return Phase.START if self.plan is None else self.plan.phase(self.now)

    @property
    def countdown_s(self) -> float | None:
        """Real seconds until the next phase; None while starting and at the end."""
        if self.plan is None or self.verdict is not None:
            return None
        left: timedelta = self.plan.phase_end(self.now) - self.now
        return max(0.0, left.total_seconds() / self.speed)
