"""Times of a scenario, all from how often the VEN asks for events."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from oadr_conformance.errors import Misused

_LONGEST_POLL_S: Final = 3600.0


@dataclass(frozen=True)
class ScenarioPace:
    """Say how often the VEN polls, and how long it is waited for; all in seconds.

    ``poll_s`` is the interval that the VEN is configured with, ``wait_s`` how long it may take to appear, and
    ``patience_s`` how much later than expected each thing may happen: a poll after an error, a report after its time.
    """

    poll_s: float = 5.0
    wait_s: float = 120.0
    patience_s: float = 30.0
    interval_s: int = 5
    """Shortest interval of an event."""

    def __post_init__(self) -> None:
        """
        Raises:
            Misused: a time is not one to wait for.
        """
        limits = {"--poll": self.poll_s, "--wait": self.wait_s, "--patience": self.patience_s}
        for name, given_s in limits.items():
            if not 0 < given_s <= _LONGEST_POLL_S:
                raise Misused(f"{name} is {given_s:g}; expected more than 0 and at most {_LONGEST_POLL_S:g} seconds")

    @property
    def token_s(self) -> int:
        """Return for how long a token counts, in seconds."""
        return max(3, math.ceil(4 * self.poll_s))

    @property
    def pause_s(self) -> int:
        """Return the value of Retry-After, in seconds: longer than the VEN would wait by itself."""
        return math.ceil(2 * self.poll_s)

    @property
    def lead_s(self) -> int:
        """Return for how long an event is there before it starts, in seconds: two polls, one of them late."""
        return math.ceil(2.5 * self.poll_s) + 1

    @property
    def part_s(self) -> int:
        """Return the duration of one interval of an event, in seconds: the VEN polls in the meantime."""
        return max(self.interval_s, math.ceil(1.5 * self.poll_s))

    @property
    def recovery_s(self) -> float:
        """Return how long the VEN may take to ask again after trouble, in seconds."""
        return 4 * self.poll_s + self.patience_s
