"""A simulated panel without its network: what every panel program does with commands and samples."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any


class PanelModel(ABC):
    """A panel without its network: commands in, answers and samples out."""

    def __init__(self, ven_id: str, *, seed: int) -> None:
        self.ven_id = ven_id
        self.sheds = 0
        """The number of sheds since it was made."""
        self.stacked = 0
        """Sheds that it holds now, one on top of the other."""
        self.most_stacked = 0
        """The most it ever held at once; more than one is a double shed."""
        self._chance = random.Random(seed)  # noqa: S311 - wandering loads, not secrets

    def _stack(self) -> None:
        self.sheds += 1
        self.stacked += 1
        self.most_stacked = max(self.most_stacked, self.stacked)

    @abstractmethod
    def command(self, payload: bytes, now: datetime) -> dict[str, Any] | None:
        """Act on a command; the answer, or None for silence."""

    @abstractmethod
    def sample(self, now: datetime) -> dict[str, Any]:
        """Return one metering message."""

    @abstractmethod
    def restart(self) -> None:
        """Forget everything that a real panel forgets when it restarts."""

    @property
    def event_id(self) -> Any:
        """Return the event it says it follows; the older program never says."""
        return None

    @property
    @abstractmethod
    def power_kw(self) -> float:
        """Return the panel's power now, in kW."""

    @abstractmethod
    def circuits_kw(self) -> dict[str, float]:
        """Return the power of each circuit now, in kW."""

    @abstractmethod
    def taken_kw(self) -> dict[str, float]:
        """Return the reduction of each circuit now, in kW; circuits that are not curtailed are left out."""
