"""Views of the demo as they are at each phase of a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from oadr.demo.homes import KINDS
from oadr.demo.view import PARTS, CircuitLine, DemoView, Doing, Plan, Power, Row, Step, Verdict

START = datetime(2026, 1, 1, 18, tzinfo=UTC)
PLAN = Plan(
    issued=START - timedelta(minutes=6),
    steps=(
        Step(START, START + timedelta(minutes=15), 3.0),
        Step(START + timedelta(minutes=15), START + timedelta(minutes=30), 5.0),
    ),
    latest_end=START + timedelta(minutes=50),
)
PASSED = Verdict(findings=(), asked_kwh=6.0, delivered_kwh=5.9, acks=13, ack_ms=(4.0, 30.0), reports=11)


def at(minutes: float) -> datetime:
    """A moment, in minutes after the start of the event."""
    return START + timedelta(minutes=minutes)


def power(until: float) -> list[Power]:
    """A fleet that draws 128 kW and follows the event at once, seen every fifteen seconds."""
    found = []
    minutes = -6.0
    while minutes <= until:
        asked = PLAN.asked_kw(at(minutes)) * 3
        found.append(Power(at(minutes), 128.0, asked, asked))
        minutes += 0.25
    return found


def view(minutes: float, **changes: Any) -> DemoView:
    """The view of a run that goes well, ``minutes`` after the start of the event."""
    asked = PLAN.asked_kw(at(minutes)) or None
    rows = [
        Row("home-3", kind, Doing.OUT, reason="5 kW asked for, at most 1 kW accepted")
        if name == "home-3"
        else Row(name, kind, Doing.SHEDDING, asked, asked, 1.5, 1.5)
        for name, kind in KINDS.items()
    ]
    members: dict[str, Any] = {
        "now": at(minutes),
        "speed": 60.0,
        "elapsed_s": 12.0,
        "running": frozenset(PARTS),
        "rows": rows,
        "plan": PLAN,
        "power": power(minutes),
        "circuits": [CircuitLine("home-1", "ev", 5.4, 3.0, 3.0, "running curtailed")] * 12,
        "news": [f"18:{number:02d}  something happened" for number in range(40)],
        "hint": "Look inside from another terminal:  . /tmp/oadr-demo-abcdefgh/env",
        "vens_in": 3,
        "panels_kw": (2.0, 2.16, 0.84),
    }
    return DemoView(**members | changes)


def starting(*running: str) -> DemoView:
    """The view before everything runs."""
    return DemoView(
        now=at(-10),
        speed=60.0,
        elapsed_s=1.0,
        running=frozenset(running),
        rows=[Row(name, kind, Doing.STARTING) for name, kind in KINDS.items()],
    )
