"""The health of the bridge: a problem for each part that does not work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Health:
    """The problems of the bridge now: a text for each part that does not work, None for those that do."""

    running: bool = False
    broker: str | None = None
    store: str | None = None
    vtn: str | None = None
    loops: dict[str, str] = field(default_factory=dict)
    """By name, the loops that have ended unexpectedly and wait to be started again, and why."""

    @property
    def ready(self) -> bool:
        """Return True if events can be carried out: an unreachable VTN is shown, but does not stop that."""
        return self.running and self.broker is None and self.store is None and not self.loops

    def as_json(self) -> dict[str, Any]:
        """Return ``ok`` or the problem of each part."""
        return {
            "status": "ready" if self.ready else "not ready",
            "broker": self.broker or "ok",
            "database": self.store or "ok",
            "vtn": self.vtn or "ok",
            "loops": self.loops or "ok",
        }
