"""The older panel program, but it applies its limits and spares critical circuits, which the real one does not."""

from __future__ import annotations

import json
import math
from datetime import datetime, timedelta
from typing import Any, Final

from bridge_mqtt.simulators.model import PanelMessage, PanelModel

_ENVELOPE_LOADS: Final = {
    "hvac1": 3.5,
    "heater1": 1.5,
    "ev1": 7.2,
    "batt1": 0.0,
    "pv1": 0.0,
    "lights1": 0.4,
    "fridge1": 0.2,
    "misc1": 1.0,
}
_ENVELOPE_ORDER: Final = ("ev1", "heater1", "misc1", "lights1")


class EnvelopePanel(PanelModel):
    """The older panel program; with ``feigns`` it applies no limits, as the real one (CAP 16)."""

    command_qos = 0

    def __init__(self, ven_id: str, *, seed: int) -> None:
        super().__init__(ven_id, seed=seed)
        self._share = {name: self._chance.uniform(0.6, 0.9) for name in _ENVELOPE_LOADS}
        self._limits: dict[str, float] = {}
        self._until: datetime | None = None

    @property
    def power_kw(self) -> float:
        """Return the panel's power now, in kW."""
        return round(sum(self.circuits_kw().values()), 2)

    def circuits_kw(self) -> dict[str, float]:
        """Return the power of each circuit now, in kW."""
        return {name: min(kw, self._limits.get(name, kw)) for name, kw in self._wanted_kw().items()}

    def taken_kw(self) -> dict[str, float]:
        """Return the reduction of each circuit by the limits now, in kW."""
        wanted = self._wanted_kw()
        return {name: max(0.0, wanted[name] - limit) for name, limit in self._limits.items()}

    def _wanted_kw(self) -> dict[str, float]:
        return {name: round(rated * self._share[name], 2) for name, rated in _ENVELOPE_LOADS.items()}

    def will(self, now: datetime) -> PanelMessage:
        """Return the word that it is offline."""
        return PanelMessage(
            "volttron/dev", {"ven": "offline", "venId": self.ven_id, "ts": math.floor(now.timestamp())}, qos=1
        )

    def restart(self) -> None:
        """Forget the limits."""
        self._limits, self._until, self.stacked = {}, None, 0

    def command(self, payload: bytes, now: datetime) -> dict[str, Any] | None:
        """Act and answer; this program answers everything."""
        self._expire(now)
        try:
            members = json.loads(payload)
            op = str(members.get("op", "set")).lower()
        except (ValueError, AttributeError) as error:
            return {
                "op": "unknown",
                "ok": False,
                "ts": math.floor(now.timestamp()),
                "venId": self.ven_id,
                "error": str(error),
            }
        answer: dict[str, Any] = {"op": op, "ok": True, "ts": math.floor(now.timestamp()), "venId": self.ven_id}
        if members.get("correlationId"):
            answer["correlationId"] = members["correlationId"]
        data = members.get("data") if isinstance(members.get("data"), dict) else {}
        match op:
            case "ping":
                answer["data"] = {"pong": True, "ts": answer["ts"]}
            case "shedpanel":
                answer |= self._shed(data, now)
            case "event":
                answer["data"] = {"event_id": data.get("event_id")}  # a window for measurement only
            case "set" | "setconfig" | "enable" | "disable" | "get":
                answer["data"] = {}
            case _:
                answer |= {"ok": False, "error": f"unknown op: {op}"}
        return answer

    def sample(self, now: datetime) -> dict[str, Any]:
        """Return one metering message."""
        self._expire(now)
        for name in self._share:
            self._share[name] = min(0.95, max(0.4, self._share[name] + self._chance.uniform(-0.005, 0.005)))
        return {
            "schemaVersion": "1.0",
            "venId": self.ven_id,
            "timestamp": math.floor(now.timestamp()),
            "usedPowerKw": self.power_kw,
            "shedPowerKw": 0.0,
            "loads": [{"id": name, "currentPowerKw": kw} for name, kw in self.circuits_kw().items()],
            "batterySoc": 0.5,
        }

    def give_back(self) -> None:
        """Forget the limits, though their time is not over."""
        self._limits, self.stacked = {}, 0

    def _shed(self, data: dict[str, Any], now: datetime) -> dict[str, Any]:
        """Limit circuits from what they draw now, so that a shed within a shed adds up."""
        try:
            wanted, length = float(data.get("requestedReductionKw", 0)), int(data.get("durationS", 0))
        except (TypeError, ValueError) as error:
            return {"ok": False, "error": str(error)}
        if not (wanted > 0 and length > 0):
            return {"ok": False, "error": "require requestedReductionKw>0 and durationS>0"}
        left, power = wanted, self.circuits_kw()
        for name in _ENVELOPE_ORDER:
            taken = min(power[name], left)
            if taken > 0:
                left -= taken
                if not self.feigns:
                    self._limits[name] = round(power[name] - taken, 3)
        self._until = now + timedelta(seconds=length)
        self._stack()
        until = math.floor(self._until.timestamp())
        return {"data": {"targetKw": wanted, "acceptedReduceKw": round(wanted - left, 3), "until": until}}

    def _expire(self, now: datetime) -> None:
        if self._until is not None and now >= self._until:
            self.restart()
