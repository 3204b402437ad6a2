"""Model the relays and meters of a home as MQTT clients, with topics and payloads as their makers document them.

Each has a button for its owner, a clock that a test moves, and ways to be broken. Written from the makers' pages, not
from our driver: Tasmota (Commands, MQTT, Rules), Shelly (Gen2 API: Switch, MQTT; Gen1 API: MQTT), Zigbee2MQTT (MQTT
topics and messages).
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import aiomqtt

from openadr_client import stop_if_cancelled
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until


class Said(NamedTuple):
    """A message of a device."""

    topic: str
    payload: str
    retain: bool = False


@dataclass
class DeviceModel(ABC):
    """A relay with a load behind it. `wants_w` is what the load draws when it may.

    `welded`: the contact does not open, though the device says so. `echoes`: it acknowledges and does nothing.
    `deaf`: it hears nothing. `power` replaces what it says of its power. `forgets_timers`: it has none.
    """

    name: str
    wants_w: float = 2000.0
    is_on: bool = True
    welded: bool = False
    echoes: bool = False
    deaf: bool = False
    forgets_timers: bool = False
    power: Any = None
    energy_wh: float = 1234.0
    source: str = "init"
    timer_s: float | None = None
    heard: list[tuple[str, str]] = field(default_factory=list)
    switched: int = 0

    @property
    @abstractmethod
    def listens_to(self) -> str:
        """The filter of its orders."""

    @abstractmethod
    def hello(self) -> Iterable[Said]:
        """Return what it says when it connects."""

    @abstractmethod
    def hear(self, topic: str, payload: str) -> Iterable[Said]:
        """Return what it answers."""

    @abstractmethod
    def changed(self) -> Iterable[Said]:
        """Return what it says of itself when its switch has moved."""

    @property
    def drawn_w(self) -> Any:
        """The power it says, whatever that is."""
        if self.power is not None:
            return self.power
        return self.wants_w if self.is_on or self.welded else 0.0

    def order(self, on: bool, source: str, timer_s: float | None = None) -> None:
        """Move the switch, unless it only pretends to."""
        if self.echoes:
            return
        self.switched += self.is_on is not on
        self.is_on, self.source = on, source
        self.timer_s = None if self.forgets_timers else timer_s

    def press(self, on: bool) -> Iterable[Said]:
        """The owner at the switch."""
        self.order(on, "button")
        return self.changed()

    def pass_time(self, seconds: float) -> Iterable[Said]:
        """Let its timer run."""
        if self.timer_s is None:
            return []
        self.timer_s -= seconds
        if self.timer_s > 0:
            return []
        self.order(not self.is_on, "timer")
        return self.changed()


@dataclass
class TasmotaModel(DeviceModel):
    """A plug with Tasmota; `rule` is its Rule1."""

    rule: str = ""

    @property
    def listens_to(self) -> str:
        return f"cmnd/{self.name}/#"

    def hello(self) -> Iterable[Said]:
        yield Said(f"tele/{self.name}/LWT", "Online", retain=True)

    def hear(self, topic: str, payload: str) -> Iterable[Said]:
        command = topic.rpartition("/")[2].upper()
        if command in {"POWER", "POWER1"}:
            if payload:
                self.order(payload.upper() == "ON", "mqtt", self.timer_s if payload.upper() == "OFF" else None)
            word = payload.upper() if self.echoes and payload else self._word
            yield from self._power(word)
        elif command == "STATUS" and payload == "11":
            yield self._stat("STATUS11", {"StatusSTS": {"Time": "2026-01-01T12:00:00", "POWER": self._word}})
        elif command == "STATUS" and payload == "10":
            yield self._stat("STATUS10", {"StatusSNS": self._sensors()})
        elif command == "RULETIMER1":
            self.timer_s = float(payload) if float(payload) and not self.forgets_timers else None
            yield self._stat("RESULT", {"T1": int(self.timer_s or 0), "T2": 0})
        elif command == "RULE1":
            state = "ON" if self.rule else "OFF"
            yield self._stat("RESULT", {"Rule1": {"State": state, "Once": "OFF", "Rules": self.rule}})
        else:
            yield self._stat("RESULT", {"Command": "Unknown"})

    def changed(self) -> Iterable[Said]:
        yield from self._power(self._word)

    def telemetry(self) -> Iterable[Said]:
        """Return what it says every TelePeriod."""
        yield Said(f"tele/{self.name}/STATE", json.dumps({"POWER": self._word}))
        yield Said(f"tele/{self.name}/SENSOR", json.dumps(self._sensors()))

    @property
    def _word(self) -> str:
        return "ON" if self.is_on else "OFF"

    def _sensors(self) -> dict[str, Any]:
        return {"Time": "2026-01-01T12:00:00", "ENERGY": {"Total": self.energy_wh / 1000, "Power": self.drawn_w}}

    def _power(self, word: str) -> Iterable[Said]:
        yield self._stat("RESULT", {"POWER": word})
        yield Said(f"stat/{self.name}/POWER", word)

    def _stat(self, name: str, content: object) -> Said:
        return Said(f"stat/{self.name}/{name}", json.dumps(content))


@dataclass
class ShellyModel(DeviceModel):
    """A plug of generation 2; `pushes` is its setting "generic status update over MQTT", off as it is delivered."""

    pushes: bool = False
    refuses: str = ""

    @property
    def listens_to(self) -> str:
        return f"{self.name}/rpc"

    def hello(self) -> Iterable[Said]:
        yield Said(f"{self.name}/online", "true", retain=True)

    def hear(self, topic: str, payload: str) -> Iterable[Said]:
        call = json.loads(payload)
        answer: dict[str, Any] = {"id": call["id"], "src": self.name, "dst": call["src"]}
        if call["method"] == "Switch.GetStatus":
            answer["result"] = self.status()
        elif self.refuses:
            answer["error"] = {"code": -103, "message": self.refuses}
        else:
            answer["result"] = {"was_on": self.is_on}
            self.order(call["params"]["on"], "MQTT", call["params"].get("toggle_after"))
        yield Said(f"{call['src']}/rpc", json.dumps(answer))
        yield from self.changed()

    def changed(self) -> Iterable[Said]:
        if self.pushes:
            yield Said(f"{self.name}/status/switch:0", json.dumps(self.status()))

    def status(self) -> dict[str, Any]:
        """The component's status."""
        timer = {"timer_started_at": 1767268800.0, "timer_duration": self.timer_s} if self.timer_s else {}
        return {
            "id": 0,
            "source": self.source,
            "output": self.is_on,
            "apower": self.drawn_w,
            "aenergy": {"total": self.energy_wh},
            **timer,
        }


@dataclass
class ShellyGen1Model(DeviceModel):
    """A plug of generation 1."""

    @property
    def listens_to(self) -> str:
        return f"shellies/{self.name}/#"

    def hello(self) -> Iterable[Said]:
        yield Said(f"shellies/{self.name}/online", "true", retain=True)

    def hear(self, topic: str, payload: str) -> Iterable[Said]:
        if topic == f"shellies/{self.name}/relay/0/command":
            self.order(payload == "on", "mqtt")
            yield Said(f"shellies/{self.name}/relay/0", payload)
        elif topic == f"shellies/{self.name}/command" and payload == "update":
            yield from self.changed()

    def changed(self) -> Iterable[Said]:
        root = f"shellies/{self.name}/relay/0"
        yield Said(root, "on" if self.is_on else "off")
        yield Said(f"{root}/power", str(self.drawn_w))
        yield Said(f"{root}/energy", str(int(self.energy_wh * 60)))


@dataclass
class ZigbeeModel(DeviceModel):
    """A plug behind Zigbee2MQTT, which publishes what it believes after an order, and what is after a question."""

    @property
    def listens_to(self) -> str:
        return f"zigbee2mqtt/{self.name}/+"

    def hello(self) -> Iterable[Said]:
        yield Said(f"zigbee2mqtt/{self.name}/availability", '{"state":"online"}', retain=True)

    def hear(self, topic: str, payload: str) -> Iterable[Said]:
        asked = json.loads(payload) if topic.endswith(("/set", "/get")) else {}
        if topic.endswith("/set"):
            self.order(asked["state"] == "ON", "mqtt")
            yield from self._all(asked["state"])
        elif asked:
            yield from self.changed()

    def changed(self) -> Iterable[Said]:
        yield from self._all("ON" if self.is_on else "OFF")

    def _all(self, word: str) -> Iterable[Said]:
        state = {"state": word, "power": self.drawn_w, "energy": self.energy_wh / 1000, "linkquality": 120}
        yield Said(f"zigbee2mqtt/{self.name}", json.dumps(state))


class MqttHome:
    """Devices at a broker, as one client of it."""

    def __init__(self, client: aiomqtt.Client, devices: Sequence[DeviceModel]) -> None:
        self._client = client
        self.devices = {device.name: device for device in devices}
        self.turn = asyncio.Lock()
        """Held while a device speaks, so that nothing older is said after something newer."""

    async def press(self, name: str, *, on: bool) -> None:
        """Let the owner move a switch."""
        async with self.turn:
            await self.say(list(self.devices[name].press(on)))

    async def pass_time(self, seconds: float) -> None:
        """Let the devices' timers run."""
        for device in self.devices.values():
            async with self.turn:
                await self.say(list(device.pass_time(seconds)))

    async def say(self, messages: Iterable[Said]) -> None:
        """Publish, each received by the broker: who subscribes afterwards is told nothing older as retained."""
        for message in messages:
            await self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)

    async def until(self, fact: Callable[[], object]) -> None:
        """Wait until something is so."""
        await wait_until(fact)

    async def listen(self) -> None:
        """Answer until cancelled."""
        async for message in self._client.messages:
            topic, payload = str(message.topic), bytes(message.payload).decode(errors="replace")
            for device in self.devices.values():
                if aiomqtt.Topic(topic).matches(device.listens_to) and not device.deaf:
                    device.heard.append((topic, payload))
                    async with self.turn:
                        await self.say(list(device.hear(topic, payload)))
            stop_if_cancelled()


@asynccontextmanager
async def mqtt_home(broker: Mosquitto, devices: Sequence[DeviceModel], **connection: Any) -> AsyncIterator[MqttHome]:
    """Connect devices to a broker."""
    async with aiomqtt.Client(broker.host, broker.port, **connection) as client:
        home = MqttHome(client, devices)
        for device in devices:
            await client.subscribe(device.listens_to)
            await home.say(device.hello())
        task = asyncio.create_task(home.listen())
        try:
            yield home
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
