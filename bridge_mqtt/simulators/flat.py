"""The current panel program as recordings of the real one show it, faults included.

It sheds again on every repeat, ends everything on any restore, forgets its event when it restarts, looks at the end of
an event only while connected, and draws full power again when a circuit is switched during an event, without saying so.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from bridge_mqtt.simulators.model import PanelMessage, PanelModel
from openadr_profiles.panel.flat import FLAT_CIRCUITS, FLAT_SHARES, PANEL_VOLTAGE

_FLAT_TYPES: Final = {circuit.id: circuit for circuit in FLAT_CIRCUITS}
_BASELINE_SAMPLES: Final = 60
_SHADOW_EVERY: Final = 6


class FlatPanel(PanelModel):
    """The current panel program."""

    def __init__(self, ven_id: str, *, seed: int, panel_amps: int = 200) -> None:
        super().__init__(ven_id, seed=seed)
        self._amps = panel_amps
        self._rated = {c.id: float(c.rated_kw) for c in FLAT_CIRCUITS if c.smallest_panel_amps <= panel_amps}
        self._on = {circuit_id for circuit_id in self._rated if _FLAT_TYPES[circuit_id].starts_on}
        self._share = {circuit_id: self._chance.uniform(0.45, 0.85) for circuit_id in self._rated}
        self._kw: dict[str, float] = {}
        self._taken: dict[str, float] = {}
        self._before: deque[float] = deque(maxlen=_BASELINE_SAMPLES)
        self._event: tuple[Any, float, datetime] | None = None
        self._claimed_kw = 0.0
        self._messages = 0
        self._wander()

    @property
    def event_id(self) -> Any:
        """Return the event it follows."""
        return self._event[0] if self._event else None

    @property
    def power_kw(self) -> float:
        """Return the panel's power now, in kW."""
        return round(sum(self._kw.values()), 2)

    def circuits_kw(self) -> dict[str, float]:
        """Return the power of each circuit now, in kW."""
        return dict(self._kw)

    def taken_kw(self) -> dict[str, float]:
        """Return the reduction of each circuit now, in kW: all sheds since the last release together."""
        return dict(self._taken)

    def restart(self) -> None:
        """Forget the event and begin the counter anew."""
        self._messages = 0
        self._before.clear()
        self._release()

    def command(self, payload: bytes, now: datetime) -> dict[str, Any] | None:
        """Act; silence for everything it cannot read or does not know."""
        try:
            members = json.loads(payload)
        except ValueError:
            return None
        if not isinstance(members, dict):
            return None
        answer: dict[str, Any]
        match members.get("op"):
            case "event" | "shedPanel":
                try:
                    answer = self._shed(members, now)
                except (TypeError, ValueError, AttributeError):
                    return None
            case "restore":
                self._release()
                answer = {"op": "restore", "status": "success"}
            case "ping":
                answer = {"op": "ping", "status": "success", "pong": True}
            case _:
                return None
        return answer | {"ts": math.floor(now.timestamp()), "correlationId": members.get("correlationId")}

    def sample(self, now: datetime) -> dict[str, Any]:
        """Return one metering message; an event that has run out ends here."""
        if self._event is not None and now >= self._event[2]:
            self._release()
        if self._event is None:
            self._wander()
        self._messages += 1
        used = self.power_kw
        self._before.append(used)
        baseline = round(sum(self._before) / len(self._before), 2) if len(self._before) >= 12 else used
        stamp = math.floor(now.timestamp())
        amps = round(used * 1000 / PANEL_VOLTAGE, 2)
        return {
            "venId": self.ven_id,
            "timestamp": stamp,
            "usedPowerKw": used,
            "shedPowerKw": self._claimed_kw,
            "requestedReductionKw": self._event[1] if self._event else 0.0,
            "eventId": self.event_id,
            "baselinePowerKw": baseline,
            "message_num": self._messages,
            "panelAmperageRating": self._amps,
            "panelVoltage": PANEL_VOLTAGE,
            "panelMaxKw": self._amps * PANEL_VOLTAGE / 1000,
            "currentAmps": amps,
            "panelUtilizationPercent": round(amps / self._amps * 100, 1),
            "loads": [self._load(circuit_id) for circuit_id in self._rated],
            "power_kw": used,
            "shed_kw": self._claimed_kw,
            "base_power_kw": baseline,
            "ts": stamp,
            "active_event": self.event_id,
        }

    def further(self, sample: dict[str, Any], now: datetime) -> Iterator[PanelMessage]:
        """Yield the same sample for debugging, and every sixth time the shadow and the list of circuits."""
        yield PanelMessage(f"ven/telemetry/{self.ven_id}", sample)
        if self._messages % _SHADOW_EVERY == 0:
            yield self.shadow(now)
            loads = [load | {"priority": 5} for load in sample["loads"]]
            listed = {"schemaVersion": "1.0", "venId": self.ven_id, "timestamp": sample["timestamp"], "loads": loads}
            yield PanelMessage(f"ven/loads/{self.ven_id}", listed)

    def shadow(self, now: datetime) -> PanelMessage:
        """Return its power, circuits and event as it reports them."""
        event = self._event and {
            "event_id": self._event[0],
            "shed_kw": self._claimed_kw,
            "end_ts": math.floor(self._event[2].timestamp()),
        }
        reported = {
            "power_kw": self.power_kw,
            "shed_kw": self._claimed_kw,
            "panel_amperage": self._amps,
            "panel_voltage": PANEL_VOLTAGE,
            "panel_max_kw": self._amps * PANEL_VOLTAGE / 1000,
            "loads": [self._reported(circuit_id) for circuit_id in self._rated],
            "active_event": event,
            "timestamp": math.floor(now.timestamp()),
        }
        return PanelMessage(f"$aws/things/{self.ven_id}/shadow/update", {"state": {"reported": reported}})

    def desired(self, state: dict[str, Any]) -> bool:
        """Switch circuits as ``loads`` says; whatever that is, all circuits then draw what they like (CAP 09)."""
        loads = state.get("loads")
        if not isinstance(loads, list):
            return False
        for load in loads:
            if isinstance(load, dict) and load.get("id") in self._rated and isinstance(load.get("enabled"), bool):
                (self._on.add if load["enabled"] else self._on.discard)(load["id"])
        self.give_back()
        return True

    def local_event(self, amount_kw: float, length_s: int, now: datetime) -> None:
        """Shed as somebody at the panel asked, under an id of its own; what it follows is replaced (CAP 10)."""
        event_id = f"ui-evt-{math.floor(now.timestamp())}"
        self._shed({"event_id": event_id, "shed_kw": amount_kw, "duration_sec": length_s}, now)

    def give_back(self) -> None:
        """Draw what the circuits like and go on claiming the shed (CAP 09)."""
        self.stacked = 0
        self._wander()

    def _reported(self, circuit_id: str) -> dict[str, Any]:
        circuit = _FLAT_TYPES[circuit_id]
        kw = self._kw.get(circuit_id, 0.0)
        return {
            "id": circuit.id,
            "name": circuit.name,
            "enabled": circuit_id in self._on,
            "available": True,
            "current_kw": kw,
            "breaker_amps": circuit.breaker_amps,
            "current_amps": round(kw * 1000 / PANEL_VOLTAGE, 2),
            "critical": circuit.critical,
        }

    def _load(self, circuit_id: str) -> dict[str, Any]:
        circuit = _FLAT_TYPES[circuit_id]
        kw = self._kw.get(circuit_id, 0.0)
        return {
            "id": circuit.id,
            "name": circuit.name,
            "type": circuit.type,
            "capacityKw": float(circuit.rated_kw),
            "currentPowerKw": kw,
            "shedCapabilityKw": 0.0 if circuit.critical else kw,
            "enabled": circuit_id in self._on,
            "priority": 1 if circuit.critical else 5,
        }

    def _shed(self, members: dict[str, Any], now: datetime) -> dict[str, Any]:
        data = members.get("data", {})
        amount = members.get("shed_kw") or data.get("requestedReductionKw") or members.get("requestedReductionKw") or 0
        length = members.get("duration_sec") or data.get("duration_s") or members.get("duration_s") or 3600
        event_id = members.get("event_id") or data.get("event_id") or f"evt-{math.floor(now.timestamp())}"
        requested = float(amount)
        until = now + timedelta(seconds=int(length))
        left = math.inf if math.isnan(requested) else max(requested, 0.0)
        curtailed: list[dict[str, Any]] = []
        total = 0.0
        for kind, share in FLAT_SHARES.items():
            circuit_id = next((c.id for c in FLAT_CIRCUITS if c.type == kind), "")
            before = self._kw.get(circuit_id, 0.0)
            taken = min(before * float(share), left)
            if taken <= 0:
                continue
            left -= taken
            total += taken
            final = round(before - taken, 2)
            if not self.feigns:
                self._kw[circuit_id] = final
                self._taken[circuit_id] = self._taken.get(circuit_id, 0.0) + taken
            circuit = _FLAT_TYPES[circuit_id]
            curtailed.append(
                {
                    "id": circuit_id,
                    "name": circuit.name,
                    "breaker_amps": circuit.breaker_amps,
                    "original_kw": before,
                    "curtailed_kw": taken,
                    "final_kw": final,
                    "critical": False,
                }
            )
        self._claimed_kw = round(total, 2)
        self._event = (event_id, requested, until)
        self._stack()
        return {
            "op": "event",
            "status": "accepted",
            "event_id": event_id,
            "requested_shed_kw": requested,
            "actual_shed_kw": self._claimed_kw,
            "circuits_curtailed": curtailed,
        }

    def _release(self) -> None:
        self._event, self._claimed_kw, self.stacked = None, 0.0, 0
        self._wander()

    def _wander(self) -> None:
        self._taken = {}
        for circuit_id in self._share:
            share = self._share[circuit_id] + self._chance.uniform(-0.01, 0.01)
            self._share[circuit_id] = min(0.9, max(0.3, share))
        self._kw = {
            circuit_id: round(self._rated[circuit_id] * self._share[circuit_id], 2) if circuit_id in self._on else 0.0
            for circuit_id in self._rated
        }
