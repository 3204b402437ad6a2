"""The health of the bridge: a problem for each part that does not work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from bridge_mqtt.stall import StallMeter

_MOST_ASIDE: Final = 100


@dataclass
class Health:
    """The problems of the bridge now: a text for each part that does not work, None for those that do."""

    running: bool = False
    broker: str | None = None
    store: str | None = None
    vtn: str | None = None
    loops: dict[str, str] = field(default_factory=dict)
    """By name, the loops that have ended unexpectedly and wait to be started again, and why."""

    aside: dict[str, str] = field(default_factory=dict)
    """By name, as ``event 4711``, what is set aside while all else goes on, and why; the last 100."""
    times_set_aside: int = 0
    """The number of times something was set aside so far."""

    def set_aside(self, name: str, reason: str) -> bool:
        """Note that something is set aside; return True if that is new, so that it is logged once."""
        if self.aside.get(name) == reason:
            return False
        self.times_set_aside += 1
        self.aside.pop(name, None)
        self.aside[name] = reason
        while len(self.aside) > _MOST_ASIDE:
            del self.aside[next(iter(self.aside))]
        return True

    def put_back(self, name: str) -> None:
        """Note that something set aside is as good as anything else again."""
        self.aside.pop(name, None)

    stalls: StallMeter = field(default_factory=StallMeter)
    """The longest times for which the event loop was held up."""

    @property
    def ready(self) -> bool:
        """Return True if events can be carried out: an unreachable VTN is shown, but does not stop that."""
        return self.running and self.broker is None and self.store is None and not self.loops

    def in_short(self) -> dict[str, Any]:
        """Return ``ok`` or ``failed`` of each part, and how many things are set aside: for whoever may not read."""
        parts = {"broker": self.broker, "database": self.store, "vtn": self.vtn, "loops": self.loops}
        said = {name: "failed" if problem else "ok" for name, problem in parts.items()}
        return {"status": "ready" if self.ready else "not ready"} | said | {"setAside": len(self.aside)}

    def as_json(self) -> dict[str, Any]:
        """Return ``ok`` or the problem of each part."""
        return {
            "status": "ready" if self.ready else "not ready",
            "broker": self.broker or "ok",
            "database": self.store or "ok",
            "vtn": self.vtn or "ok",
            "loops": self.loops or "ok",
            "setAside": dict(self.aside),
        }
