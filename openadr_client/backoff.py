"""Waiting times before another attempt (VENCLIENT-025)."""

from __future__ import annotations

from random import Random
from typing import Final

from openadr_client.errors import TemporarilyUnavailable, VtnError

_FIRST_S: Final = 1.0
_LONGEST_S: Final = 900.0


class Backoff:
    """Doubles from 1 s up to 15 min, with jitter down to a half, unless the VTN says how long."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._failures = 0

    def succeeded(self) -> None:
        """Begin anew."""
        self._failures = 0

    def failed(self, error: VtnError) -> float:
        """The seconds to wait after this failure."""
        wait_s = min(_FIRST_S * 2.0**self._failures, _LONGEST_S)
        self._failures = min(self._failures + 1, 16)
        asked_s = error.retry_after_s if isinstance(error, TemporarilyUnavailable) else None
        return asked_s if asked_s is not None else wait_s * (1 - 0.5 * self._chance.random())
