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


class PanelClock:
    """Learns how far a panel's clock is from ours, in seconds."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._last_s = 0.0
        self._prompt_s = 0.0

    def measured_at_s(self, sample: Telemetry) -> float:
        """Return the moment of a sample in seconds since 1970."""
        received_s = sample.received_at.timestamp()
        if sample.panel_timestamp is None:
            return received_s
        panel_s = sample.panel_timestamp.timestamp()
        offset_s = received_s - panel_s
        known_s = self._offset_s
        set_back = panel_s < self._last_s
        self._last_s = panel_s
        stale = received_s - self._prompt_s > _FORGOTTEN_AFTER_S
        if known_s is None or set_back or stale or offset_s <= known_s + _PROMPT_S:
            anew = known_s is None or set_back or stale
            self._offset_s = offset_s if anew or known_s is None else min(offset_s, known_s + _DRIFT_S)
            self._prompt_s = received_s
            return received_s
        return panel_s + known_s + 0.5
