"""When a sample was measured: when it was received, unless it lay at the broker while bridge or database was away.

A panel's own clock is not set by anybody, so that only the difference of its times is believed: the smallest delay that
was seen of late is that of a message that was not held up.
"""

from __future__ import annotations

from typing import Final

from openadr_profiles.panel import Telemetry

_PROMPT_S: Final = 3.0
"""A message that is not later than this was not held up: panels tell whole seconds."""

_DRIFT_S: Final = 0.01
"""A clock may go wrong by so much from one sample to the next."""

_FORGOTTEN_AFTER_S: Final = 3600.0

_LATE_S: Final = 3600.0
"""A sample that is older than the last by less was delivered late or once more; by more, the clock was set back."""


class PanelClock:
    """Learns how far a panel's clock is from ours, in seconds."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_s: float | None = None
        self._last_number: int | None = None
        self._prompt_s = 0.0

    def resume(self, *, panel_s: float, offset_s: float, number: int | None) -> None:
        """Go on from the last sample that an earlier process has taken, by its panel's own clock, and its number."""
        self._offset_s, self._last_s, self._last_number = offset_s, panel_s, number
        self._prompt_s = panel_s + offset_s

    def measured_at_s(self, sample: Telemetry) -> float:
        """Return the moment of a sample in seconds since 1970."""
        received_s = sample.received_at.timestamp()
        if sample.panel_timestamp is None:
            return received_s
        panel_s = sample.panel_timestamp.timestamp()
        offset_s = received_s - panel_s
        known_s = self._offset_s
        before_s = 0.0 if self._last_s is None else self._last_s - panel_s
        if known_s is not None and 0 < before_s < _LATE_S and not self._goes_on(sample.message_num):
            return received_s if offset_s <= known_s + _PROMPT_S else panel_s + known_s + 0.5
        self._last_s, self._last_number = panel_s, sample.message_num
        anew = known_s is None or before_s > 0 or received_s - self._prompt_s > _FORGOTTEN_AFTER_S
        if known_s is None or anew or offset_s <= known_s + _PROMPT_S:
            self._offset_s = offset_s if known_s is None or anew else min(offset_s, known_s + _DRIFT_S)
            self._prompt_s = received_s
            return received_s
        return panel_s + known_s + 0.5

    def _goes_on(self, number: int | None) -> bool:
        """Return True if the panel has counted on since its last sample, so that this one cannot be an earlier one."""
        return number is not None and self._last_number is not None and number > self._last_number
