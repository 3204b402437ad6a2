"""Many panels in one connection: they measure eight circuits, obey the flat dialect's commands and note when they came.

They do as little as possible for that, since what they take from the machine is taken from what is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bench.mqtt import RawConnection, publish_packet, subscribe_packet

EVERY_S: Final = 5.0
"""Seconds between two measurements of a panel."""

CIRCUITS: Final = 8
_TICK_S: Final = 0.02
_PATIENCE_S: Final = 60.0
_FILTER: Final = "+/cmd/+"
_IDLE_KW: Final = 12.5
_HEATER_KW: Final = 5.0
_PUBLISH, _CONNACK, _SUBACK = 3, 2, 9
_OTHERS: Final = ",".join(
    f'{{"id":"{id_}","name":"{id_.title()}","type":"{id_[:-1]}","capacityKw":7.2,"currentPowerKw":{kw},'
    f'"shedCapabilityKw":0.0,"enabled":true,"priority":5}}'
    for id_, kw in {
        "hvac1": 3.0,
        "ev1": 0.0,
        "dryer1": 1.0,
        "range1": 1.0,
        "lights1": 1.0,
        "outlets1": 1.0,
        "fridge1": 0.5,
    }.items()
)


@dataclass(slots=True)
class CommandsHeard:
    """Hold what the panels were told for one event, or by one ``corr`` prefix: how often, and from when to when."""

    sheds: int = 0
    restores: int = 0
    first_shed_at: float = 0.0
    last_shed_at: float = 0.0
    last_restore_at: float = 0.0


@dataclass(slots=True)
class _Panel:
    event_id: str | None = None
    shed_kw: float = 0.0
    number: int = 0


class MeasuredPanels(RawConnection):
    """Panels ``panel-0`` and on. Times are Unix seconds of the moment at which the socket was read."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.told: dict[str, CommandsHeard] = {}
        self.stacked: list[str] = []
        """Panels that were told to shed while they did, for each time."""
        self.measured = 0
        self.others: Counter[str] = Counter()
        self._panels = {f"panel-{number}": _Panel() for number in range(count)}
        self._awaited: dict[str, asyncio.Future[tuple[int, float]]] = {}
        self._answers = bytearray()
        self._packets = 0
        self._now = 0.0

    @property
    def ven_ids(self) -> list[str]:
        """Return the ids of the panels."""
        return list(self._panels)

    async def next_measurement(self, ven_id: str) -> tuple[int, float]:
        """Wait until a panel measures; return its ``message_num`` and the Unix time."""
        self._awaited[ven_id] = asyncio.get_running_loop().create_future()
        return await self._awaited[ven_id]

    def shedding(self) -> int:
        """Return how many panels are shedding now."""
        return sum(panel.event_id is not None for panel in self._panels.values())

    async def measure(self, *, every_s: float = EVERY_S) -> None:
        """Send measurements, spread evenly over the time between two of a panel, until cancelled."""
        ids = self.ven_ids
        began, sent = time.monotonic(), 0
        while True:
            due = int((time.monotonic() - began) / every_s * len(ids))
            out = bytearray()
            for place in range(sent, due):
                out += self._measurement(ids[place % len(ids)])
            self.measured += due - sent
            sent = due
            if out:
                self.send(bytes(out))
            await asyncio.sleep(_TICK_S)

    def batch_begins(self) -> None:
        self._now = time.time()

    def packet(self, head: int, raw: bytes, start: int, end: int) -> None:
        kind = head >> 4
        if kind == _PUBLISH:
            topic_end = start + 2 + (raw[start] << 8 | raw[start + 1])
            self._answers += b"\x40\x02" + raw[topic_end : topic_end + 2]
            self._command(raw[start + 2 : topic_end].decode(), raw[topic_end + 2 : end])
        elif kind == _CONNACK:
            self.send(subscribe_packet(_FILTER))
        elif kind == _SUBACK and not self.ready.done():
            self.ready.set_result(None)

    def batch_ends(self) -> None:
        if self._answers:
            self.send(bytes(self._answers))
            self._answers.clear()

    def _command(self, topic: str, payload: bytes) -> None:
        prefix, _, ven_id = topic.split("/")
        command: dict[str, Any] = msgspec.json.decode(payload)
        op, panel = command["op"], self._panels[ven_id]
        answer: dict[str, Any]
        if op in {"event", "shedPanel"}:
            answer = self._shed(prefix, ven_id, panel, command)
        elif op == "restore":
            if panel.event_id is not None:
                told = self.told.setdefault(panel.event_id, CommandsHeard())
                told.restores, told.last_restore_at = told.restores + 1, self._now
            panel.event_id, panel.shed_kw = None, 0.0
            answer = {"op": "restore", "status": "success"}
        else:
            self.others[op] += 1
            answer = {"op": op, "status": "success", "pong": True}
        answer |= {"ts": int(self._now), "correlationId": command.get("correlationId")}
        self._answers += self._packet(f"{prefix}/ack/{ven_id}", msgspec.json.encode(answer))

    def _shed(self, prefix: str, ven_id: str, panel: _Panel, command: dict[str, Any]) -> dict[str, Any]:
        event_id, amount = command["event_id"], float(command["shed_kw"])
        told = self.told.setdefault(event_id, CommandsHeard())
        told.sheds, told.last_shed_at = told.sheds + 1, self._now
        told.first_shed_at = told.first_shed_at or self._now
        taken = min(amount, _HEATER_KW)
        if prefix == "ven":  # commands of the bare loop have another prefix and change nothing
            if panel.event_id is not None:
                self.stacked.append(ven_id)
            panel.event_id, panel.shed_kw = event_id, taken
        circuit = {
            "id": "heater1",
            "name": "Water Heater",
            "breaker_amps": 30,
            "original_kw": _HEATER_KW,
            "curtailed_kw": taken,
            "final_kw": _HEATER_KW - taken,
            "critical": False,
        }
        return {
            "op": "event",
            "status": "accepted",
            "event_id": event_id,
            "requested_shed_kw": amount,
            "actual_shed_kw": taken,
            "circuits_curtailed": [circuit],
        }

    def _measurement(self, ven_id: str) -> bytes:
        panel = self._panels[ven_id]
        panel.number += 1
        if ven_id in self._awaited:
            self._awaited.pop(ven_id).set_result((panel.number, time.time()))
        event = "null" if panel.event_id is None else f'"{panel.event_id}"'
        used, heater, now = _IDLE_KW - panel.shed_kw, _HEATER_KW - panel.shed_kw, int(time.time())
        payload = (
            f'{{"venId":"{ven_id}","timestamp":{now},"usedPowerKw":{used:.3f},"shedPowerKw":{panel.shed_kw:.3f},'
            f'"requestedReductionKw":{panel.shed_kw:.3f},"eventId":{event},"baselinePowerKw":{_IDLE_KW},'
            f'"message_num":{panel.number},"panelAmperageRating":200,"panelVoltage":240,"panelMaxKw":48.0,'
            f'"loads":[{{"id":"heater1","name":"Water Heater","type":"heater","capacityKw":7.2,'
            f'"currentPowerKw":{heater:.3f},"shedCapabilityKw":{heater:.3f},"enabled":true,"priority":5}},{_OTHERS}],'
            f'"power_kw":{used:.3f},"ts":{now}}}'
        )
        return self._packet("volttron/metering", payload.encode())

    def _packet(self, topic: str, payload: bytes) -> bytes:
        self._packets += 1
        return publish_packet(topic, payload, self._packets)


async def plug_in(port: int, count: int) -> MeasuredPanels:
    """Return panels that hear their commands at the broker on this port; they measure when they are told to."""
    loop = asyncio.get_running_loop()
    _, fleet = await loop.create_connection(lambda: MeasuredPanels(count), "127.0.0.1", port)
    await asyncio.wait_for(fleet.ready, _PATIENCE_S)
    return fleet
