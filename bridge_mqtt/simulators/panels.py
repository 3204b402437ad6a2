"""Simulated legacy panels: the two panel programs as they behave on the wire, with faults that can be switched on.

The flat program does what recordings of the real one show, faults included: it sheds again on every repeat, ends
everything on any restore, forgets its event when it restarts, and looks at the end of an event only while connected.
The envelope program differs from the real one in two things: it applies its limits, and it spares critical circuits.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import socket
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import aiomqtt
import structlog

from bridge_mqtt.settings import Broker
from openadr_client.clock import Clock, SystemClock
from openadr_client.mqtt import context_of, stop_if_cancelled
from openadr_profiles.panel import Dialect, ack_topic, check_panel_id, command_topic
from openadr_profiles.panel.circuits import FLAT_CIRCUITS, FLAT_SHARES, PANEL_VOLTAGE
from openadr_profiles.panel.identity import METERING_TOPIC

_log = structlog.get_logger(__name__)

_NODELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
_RECONNECT_S: Final = (0.05, 5.0)
_FLAT_TYPES: Final = {circuit.id: circuit for circuit in FLAT_CIRCUITS}
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


@dataclass
class Faults:
    """Faults of a simulated panel. A counter goes down by one with each command it affects."""

    silent: bool = False
    """Neither acts nor answers."""
    lose_acks: int = 0
    """Acts, but the answer does not arrive."""
    act_twice: int = 0
    """Acts twice on one command and answers twice."""
    repeat_acks: int = 0
    """The same answer arrives twice, as QoS 1 allows."""
    garbage: int = 0
    """Sends something unreadable before the answer."""
    reject: int = 0
    """Says no (envelope only; the flat program cannot)."""
    mute_telemetry: bool = False
    """Measures nothing."""


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
        """One metering message."""

    @abstractmethod
    def restart(self) -> None:
        """Forget everything that a real panel forgets when it restarts."""

    @property
    def event_id(self) -> Any:
        """The event it says it follows; the older program never says."""
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
        self._before: list[float] = []
        self._event: tuple[Any, float, datetime] | None = None
        self._claimed_kw = 0.0
        self._messages = 0
        self._wander()

    @property
    def event_id(self) -> Any:
        """The event it follows."""
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
        self._messages, self._before = 0, []
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
        """One metering message; an event that has run out ends here."""
        if self._event is not None and now >= self._event[2]:
            self._release()
        if self._event is None:
            self._wander()
        self._messages += 1
        used = self.power_kw
        self._before = [*self._before[-59:], used]
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
            self._kw[circuit_id] = round(before - taken, 2)
            self._taken[circuit_id] = self._taken.get(circuit_id, 0.0) + taken
            circuit = _FLAT_TYPES[circuit_id]
            curtailed.append(
                {
                    "id": circuit_id,
                    "name": circuit.name,
                    "breaker_amps": circuit.breaker_amps,
                    "original_kw": before,
                    "curtailed_kw": taken,
                    "final_kw": self._kw[circuit_id],
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


class EnvelopePanel(PanelModel):
    """The older panel program."""

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
        """One metering message."""
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
                self._limits[name] = round(power[name] - taken, 3)
                left -= taken
        self._until = now + timedelta(seconds=length)
        self._stack()
        until = math.floor(self._until.timestamp())
        return {"data": {"targetKw": wanted, "acceptedReduceKw": round(wanted - left, 3), "until": until}}

    def _expire(self, now: datetime) -> None:
        if self._until is not None and now >= self._until:
            self.restart()


class SimulatedPanel:
    """A panel on the broker. ``run`` works until cancelled and reconnects like a panel does."""

    def __init__(
        self,
        model: PanelModel,
        broker: Broker,
        *,
        clock: Clock | None = None,
        interval_s: float = 5.0,
        faults: Faults | None = None,
    ) -> None:
        self.model = model
        self.faults = faults or Faults()
        self._broker = broker
        self._clock = clock or SystemClock()
        self._interval_s = interval_s
        self._tls = context_of(broker)
        self._cut = asyncio.Event()
        self._may_connect = asyncio.Event()
        self._may_connect.set()
        self.connected = asyncio.Event()
        self._told_cut_off = False
        self.heard: list[bytes] = []
        """The commands received, newest last; at most a thousand."""

    def unplug(self) -> None:
        """Lose the connection and stay away; the event goes on, unseen."""
        self._may_connect.clear()
        self._cut.set()

    def plug_in(self) -> None:
        """Come back."""
        self._may_connect.set()

    def crash(self) -> None:
        """Restart: connection and memory are lost."""
        self.model.restart()
        self._cut.set()

    async def run(self) -> None:
        """Measure and obey until cancelled."""
        least, most = _RECONNECT_S
        delay = least
        while True:
            stop_if_cancelled()
            await self._may_connect.wait()
            self._cut.clear()
            failed = False
            try:
                async with self._client() as client:
                    await client.subscribe(command_topic(self.model.ven_id), qos=1)
                    delay = least
                    self.connected.set()
                    self._told_cut_off = False
                    _log.info("simulated panel is connected", ven_id=self.model.ven_id, broker=self._broker.url)
                    async with asyncio.TaskGroup() as group:
                        loops = [group.create_task(self._measure(client)), group.create_task(self._obey(client))]
                        await self._cut.wait()
                        for loop in loops:
                            loop.cancel()
            except* (aiomqtt.MqttError, OSError) as errors:
                self._tell_cut_off(errors.exceptions[0])
                failed = True
            finally:
                self.connected.clear()
            if failed:  # not in `except*`, which may wrap a cancellation in a group
                await asyncio.sleep(delay)
                delay = min(delay * 2, most)

    def _tell_cut_off(self, problem: BaseException) -> None:
        """Log once that there is no connection, not at each new attempt."""
        log = _log.debug if self._told_cut_off else _log.warning
        self._told_cut_off = True
        log(
            "simulated panel has no connection to the broker and goes on trying",
            ven_id=self.model.ven_id,
            broker=self._broker.url,
            problem=str(problem),
        )

    async def measure_now(self, client: aiomqtt.Client) -> None:
        """Send one sample."""
        payload = json.dumps(self.model.sample(self._clock.now())).encode()
        if not self.faults.mute_telemetry:
            await client.publish(METERING_TOPIC, payload, qos=1)

    def _client(self) -> aiomqtt.Client:
        password = self._broker.password
        return aiomqtt.Client(
            self._broker.host,
            self._broker.port,
            username=self._broker.username,
            password=password.get_secret_value() if password else None,
            identifier=self.model.ven_id,
            clean_session=True,
            keepalive=self._broker.keepalive_s,
            timeout=self._broker.timeout_s,
            tls_context=self._tls,
            socket_options=_NODELAY,
        )

    async def _measure(self, client: aiomqtt.Client) -> None:
        while True:
            await self.measure_now(client)
            stop_if_cancelled()
            await self._clock.sleep(self._interval_s)

    async def _obey(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            payload = bytes(message.payload) if isinstance(message.payload, bytes | bytearray) else b""
            self.heard = [*self.heard[-999:], payload]
            for answer in self._answers(payload):
                await client.publish(ack_topic(self.model.ven_id), answer, qos=1)
            stop_if_cancelled()

    def _answers(self, payload: bytes) -> list[bytes]:
        """Return the answers to a command, altered as the faults say."""
        faults = self.faults
        if faults.silent:
            return []
        if faults.reject:
            faults.reject -= 1
            return [self._rejection(payload)]
        answer = self._act(payload)
        if answer is None:
            return []
        answers = [answer]
        if faults.act_twice and b'"restore"' not in payload:
            faults.act_twice -= 1
            again = self._act(payload)
            answers += [again] if again is not None else []
        if faults.repeat_acks:
            faults.repeat_acks -= 1
            answers.append(answer)
        if faults.garbage:
            faults.garbage -= 1
            answers.insert(0, b'{"op":"event","status":')
        if faults.lose_acks:
            faults.lose_acks -= 1
            return []
        return answers

    def _act(self, payload: bytes) -> bytes | None:
        answer = self.model.command(payload, self._clock.now())
        return None if answer is None else json.dumps(answer).encode()

    def _rejection(self, payload: bytes) -> bytes:
        members = json.loads(payload)
        answer = {"op": members.get("op"), "ok": False, "venId": self.model.ven_id, "error": "unknown load"}
        return json.dumps(answer | {"correlationId": members.get("correlationId")}).encode()


def simulated_panel(
    ven_id: str,
    dialect: Dialect,
    broker: Broker,
    *,
    seed: int,
    clock: Clock | None = None,
    interval_s: float = 5.0,
    faults: Faults | None = None,
) -> SimulatedPanel:
    """Make a panel of either program; the same seed gives the same loads.

    Raises:
        UnsafePanelId: the id cannot be one level of a topic (rule C11).
    """
    check_panel_id(ven_id)
    model: PanelModel = FlatPanel(ven_id, seed=seed) if dialect is Dialect.FLAT else EnvelopePanel(ven_id, seed=seed)
    return SimulatedPanel(model, broker, clock=clock, interval_s=interval_s, faults=faults)
