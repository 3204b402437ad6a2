"""The figures by which an operator sees how the bridge fares: for ``/metrics``, and for a warning when one is bad."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from bridge_mqtt.book import Book
from bridge_mqtt.decisions import Policy, is_online
from bridge_mqtt.health import Health
from bridge_mqtt.intake import Intake
from bridge_mqtt.model import HoldingState
from bridge_mqtt.panels import Registry
from openadr_client import MqttLink
from openadr_profiles.panel import CommandState

_log = structlog.get_logger(__name__)

_LOOK_EVERY_S: Final = 10.0
_TIMEOUTS: Final = 3.0
_STALL_S: Final = 0.5


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure: ``name`` without the prefix, ``help_`` in words, a value for each state (or one for ``""``)."""

    name: str
    kind: str
    """gauge, or counter: counts since the start of this process."""
    help_: str
    values: dict[str, float]


class BridgeFigures:
    """Reads the figures from memory: asking for them costs no statement. Times are seconds of the event clock."""

    def __init__(
        self,
        *,
        book: Book,
        registry: Registry,
        intake: Intake,
        health: Health,
        policy: Policy,
        now: Callable[[], datetime],
        link: MqttLink,
    ) -> None:
        self._link = link
        self._book = book
        self._registry = registry
        self._intake = intake
        self._health = health
        self._policy = policy
        self._now = now
        self._last = (now(), 0)
        self._acks_per_s = 0.0
        self._told: set[str] = set()

    async def watch(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Look every ten seconds until cancelled, and log a line when a problem begins and when it is over."""
        while True:
            self.look()
            await sleep(_LOOK_EVERY_S)

    def look(self) -> None:
        """Measure the rate of acknowledgments since the last look, and log what has become a problem or is none now."""
        now, stored = self._now(), self._intake.answers.stored
        passed_s = (now - self._last[0]).total_seconds()
        if passed_s > 0:
            self._acks_per_s = (stored - self._last[1]) / passed_s
            self._last = now, stored
        problems = dict(self._problems(now))
        for name in problems.keys() - self._told:
            _log.warning(problems[name], problem=name)
        for name in self._told - problems.keys():
            _log.info("no longer a problem", problem=name)
        self._told = set(problems)

    def all(self) -> Iterator[Figure]:
        """Yield every figure as it is now."""
        now, answers = self._now(), self._intake.answers
        commands = Counter(command.state for command in self._book.outstanding.values())
        holdings = Counter(holding.state for holding in self._book.holdings.values())
        panels = Counter(self._presence(now))
        waiting = {each.value: float(commands[each]) for each in (CommandState.QUEUED, CommandState.SENT)}
        yield Figure(
            name="ready", kind="gauge", help_="1 if events can be carried out", values=_one(self._health.ready)
        )
        yield Figure(name="commands", kind="gauge", help_="commands on their way, by state", values=waiting)
        yield Figure(
            name="oldest_unacked_seconds",
            kind="gauge",
            help_="age of the oldest command that waits for its answer",
            values=_one(self._oldest_unacked_s(now)),
        )
        yield Figure(
            name="holdings",
            kind="gauge",
            help_="panels that hold a shed, by what is known of it",
            values={state.value: float(holdings[state]) for state in HoldingState},
        )
        yield Figure(
            name="panels",
            kind="gauge",
            help_="registered panels, by whether they are heard",
            values={each: float(panels[each]) for each in ("online", "offline", "disabled")},
        )
        yield Figure(
            name="set_aside", kind="gauge", help_="events and panels set aside", values=_one(len(self._health.aside))
        )
        yield Figure(
            name="acks_per_second", kind="gauge", help_="acknowledgments stored lately", values=_one(self._acks_per_s)
        )
        stalls = {"minute": self._health.stalls.recent_s, "start": self._health.stalls.longest_s}
        yield Figure(
            name="loop_stall_seconds",
            kind="gauge",
            help_="longest stall of the event loop, by since when",
            values=stalls,
        )
        if (ends := self._link.certificate_expires_at) is not None:
            yield Figure(
                name="broker_certificate_ends_in_seconds",
                kind="gauge",
                help_="time until our certificate for the broker ends; negative afterwards",
                values=_one((ends - now).total_seconds()),
            )
        counted = {
            "acks": (answers.stored, "acknowledgments stored, without repetitions"),
            "double_shed": (answers.double_sheds, "commands on which a panel acted twice"),
            "acks_unmatched": (answers.unmatched, "acknowledgments that nobody asked for"),
            "acks_unmatched_dropped": (
                answers.unmatched_dropped,
                "acknowledgments that nobody asked for, beyond telemetry.unmatched_per_hour",
            ),
            "acks_unreadable": (answers.unreadable, "acknowledgments that could not be read"),
            "acks_unregistered": (answers.unregistered, "acknowledgments of panels that are not registered"),
            "samples": (self._intake.samples.stored, "metering messages stored"),
            "messages_refused": (self._intake.refused, "messages that could be read, but not stored"),
            "publishes_refused": (self._link.refusals, "messages to panels that the broker refused (MQTT 5)"),
            "times_set_aside": (self._health.times_set_aside, "times that an event or panel was set aside"),
        }
        for name, (value, help_) in counted.items():
            yield Figure(name=f"{name}_total", kind="counter", help_=help_, values=_one(value))

    def _presence(self, now: datetime) -> Iterator[str]:
        for panel in self._registry:
            if not panel.enabled:
                yield "disabled"
            else:
                yield "online" if is_online(panel, now, self._policy) else "offline"

    def _oldest_unacked_s(self, now: datetime) -> float:
        sent = [each.sent_at for each in self._book.outstanding.values() if each.sent_at is not None]
        return max(0.0, (now - min(sent)).total_seconds()) if sent else 0.0

    def _problems(self, now: datetime) -> Iterator[tuple[str, str]]:
        """Yield what is bad enough for a line in the log; what broker, database and VTN lack has lines of its own."""
        oldest_s = self._oldest_unacked_s(now)
        if oldest_s > _TIMEOUTS * self._policy.ack_timeout.total_seconds():
            yield "unacked", f"a command has waited {oldest_s:.0f} s for its answer, and nothing was done about it"
        offline = sum(each == "offline" for each in self._presence(now))
        if offline:
            yield "offline", f"{offline} of {len(self._registry.ven_ids)} panels are not heard"
        if self._health.stalls.recent_s > _STALL_S:
            yield "stall", f"the event loop was held up for {self._health.stalls.recent_s:.1f} s"


def exposition(figures: Iterator[Figure]) -> str:
    """Return the figures in the text format of Prometheus, version 0.0.4."""
    lines = []
    for each in figures:
        name = f"openadr_bridge_{each.name}"
        lines += [f"# HELP {name} {each.help_}", f"# TYPE {name} {each.kind}"]
        for label, value in each.values.items():
            lines.append(f'{name}{{state="{label}"}} {value:g}' if label else f"{name} {value:g}")
    return "\n".join(lines) + "\n"


def _one(value: float) -> dict[str, float]:
    return {"": float(value)}
