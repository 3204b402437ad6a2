"""The minimal panel program: it measures on its own topic, answers a ping, and is silent to everything else."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import Any, Final

from bridge_mqtt.simulators.model import PanelModel

_RATED_KW: Final = 10.0


class MinimalPanel(PanelModel):
    """The minimal panel program, which cannot shed."""

    def __init__(self, ven_id: str, *, seed: int) -> None:
        super().__init__(ven_id, seed=seed)
        self._kw = round(_RATED_KW * self._chance.uniform(0.3, 0.9), 2)
        self._messages = 0

    @property
    def sample_topic(self) -> str:
        """Return its own topic; it sends nothing on the shared one."""
        return f"ven/telemetry/{self.ven_id}"

    @property
    def power_kw(self) -> float:
        """Return the panel's power now, in kW."""
        return self._kw

    def circuits_kw(self) -> dict[str, float]:
        """Return nothing: it measures the panel as a whole."""
        return {}

    def taken_kw(self) -> dict[str, float]:
        """Return nothing: it never sheds."""
        return {}

    def restart(self) -> None:
        """Begin the counter anew."""
        self._messages = 0

    def give_back(self) -> None:
        """Do nothing: it holds nothing."""

    def command(self, payload: bytes, now: datetime) -> dict[str, Any] | None:
        """Answer a ping."""
        try:
            members = json.loads(payload)
        except ValueError:
            return None
        if not isinstance(members, dict) or members.get("op") != "ping":
            return None
        ts = math.floor(now.timestamp())
        return {
            "op": "ping",
            "status": "success",
            "pong": True,
            "ts": ts,
            "correlationId": members.get("correlationId"),
        }

    def sample(self, now: datetime) -> dict[str, Any]:
        """Return one metering message."""
        self._messages += 1
        self._kw = round(min(9.5, max(1.0, self._kw + self._chance.uniform(-0.1, 0.1))), 2)
        return {
            "venId": self.ven_id,
            "ts": math.floor(now.timestamp()),
            "power_kw": self._kw,
            "shed_kw": 0.0,
            "message_num": self._messages,
        }
