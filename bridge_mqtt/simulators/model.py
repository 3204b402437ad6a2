"""A simulated panel without its network: what every panel program does with commands and samples."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openadr_profiles.panel.identity import METERING_TOPIC


@dataclass(frozen=True, slots=True)
class PanelMessage:
    """A message that a panel sends without being asked: topic, the members of its payload (None: empty) and QoS."""

    topic: str
    members: dict[str, Any] | None
    qos: int = 1


class PanelModel(ABC):
    """A panel without its network: commands in, answers and samples out."""

    command_qos = 1
    """The QoS with which the program subscribes to its commands."""

    @property
    def sample_topic(self) -> str:
        """Return the topic of its metering."""
        return METERING_TOPIC

    def __init__(self, ven_id: str, *, seed: int) -> None:
        self.ven_id = ven_id
        self.feigns = False
        """True if it answers as if it shed, and draws what it drew."""
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

    def will(self, now: datetime) -> PanelMessage | None:
        """Return the last will it connects with, if the program has one."""
        del now
        return None

    def greeting(self) -> Iterator[PanelMessage]:
        """Yield what it says when it has connected."""
        yield PanelMessage(f"$aws/things/{self.ven_id}/shadow/get", None)

    def further(self, sample: dict[str, Any], now: datetime) -> Iterator[PanelMessage]:
        """Yield what it sends besides this metering message, in the cycles in which the program does."""
        del sample, now
        return iter(())

    def shadow(self, now: datetime) -> PanelMessage | None:
        """Return the shadow document it reports after a command or a switch, if the program reports one."""
        del now
        return None

    def desired(self, state: dict[str, Any]) -> bool:
        """Obey a shadow delta; True if the program reports its shadow then."""
        del state
        return False

    def local_event(self, amount_kw: float, length_s: int, now: datetime) -> None:
        """Begin an event at the panel itself, if the program can."""
        del amount_kw, length_s, now

    @abstractmethod
    def give_back(self) -> None:
        """Draw full power in the middle of an event without saying so, as after a switch at the panel."""

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
