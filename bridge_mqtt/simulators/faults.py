"""Faults of simulated panels: what the two panel programs, their clocks and their networks have been seen to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ALWAYS: Final = 1 << 30
"""So often that a counter never runs out."""


@dataclass
class Faults:
    """Faults of a simulated panel. A counter goes down by one with each message it affects."""

    silent: bool = False
    """Neither acts nor answers."""
    lose_acks: int = 0
    """Acts, but the answer does not arrive."""
    act_twice: int = 0
    """Acts twice on one command and answers twice."""
    repeat_acks: int = 0
    """The same answer arrives twice, as QoS 1 allows."""
    garbage: int = 0
    """Sends something unreadable before the answer."""
    reject: int = 0
    """Says no (envelope only; the flat program cannot)."""
    mute_telemetry: bool = False
    """Measures nothing."""
    answer_after_s: float = 0.0
    """Acts at once, and answers after so many seconds."""
    feigns: bool = False
    """Answers as if it shed, and draws what it drew: the recorded older program does (CAP 16)."""
    bad_numbers: int = 0
    """So many samples have numbers that no panel can measure: NaN, Infinity, 1e308, or text."""
    clock_off_s: float = 0.0
    """Its clock is so many seconds ahead, as one in the wrong zone."""


NAMES: Final = (
    *("silent", "lose-acks", "act-twice", "repeat-acks", "garbage", "reject", "mute-telemetry", "late", "feigns"),
    *("bad-numbers", "wrong-zone", "restarts", "outages", "gives-back", "local-events"),
)
"""The names by which ``fault_of`` and the command line know faults; the last four happen now and then."""

_LATE_S: Final = 15.0
_ZONE_S: Final = 7200.0


def switch_on(faults: Faults, name: str) -> None:
    """Switch on the lasting fault of this name; nothing for those that happen now and then."""
    match name:
        case "silent" | "mute-telemetry" | "feigns":
            setattr(faults, name.replace("-", "_"), True)
        case "late":
            faults.answer_after_s = _LATE_S
        case "wrong-zone":
            faults.clock_off_s = _ZONE_S
        case "restarts" | "outages" | "gives-back" | "local-events":
            pass
        case _:
            setattr(faults, name.replace("-", "_"), ALWAYS)
