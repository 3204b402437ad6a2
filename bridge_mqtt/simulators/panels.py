"""Simulated panels on a broker, with faults that can be switched on. Each panel program is a module beside this one."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import aiomqtt
import structlog

from bridge_mqtt.settings import Broker
from bridge_mqtt.simulators.envelope import EnvelopePanel
from bridge_mqtt.simulators.flat import FlatPanel
from bridge_mqtt.simulators.model import PanelModel
from openadr_client import Backoff, Clock, SystemClock, stop_if_cancelled
from openadr_profiles.panel import ack_topic, check_panel_id, command_topic
from openadr_profiles.panel.identity import METERING_TOPIC

_log = structlog.get_logger(__name__)

_NODELAY: Final = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
_RECONNECT_S: Final = (0.05, 5.0)

MODELS: Final[Mapping[str, type[PanelModel]]] = {"flat": FlatPanel, "envelope": EnvelopePanel}
"""The simulated panel programs by the name of their dialect."""


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


class SimulatedMqttPanel:
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
        self._tls = broker.tls_context()
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
        first_s, longest_s = _RECONNECT_S
        backoff = Backoff(first_s=first_s, longest_s=longest_s)
        while True:
            stop_if_cancelled()
            await self._may_connect.wait()
            self._cut.clear()
            failed = False
            try:
                async with self._client() as client:
                    await client.subscribe(command_topic(self.model.ven_id), qos=1)
                    backoff.succeeded()
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
                await asyncio.sleep(backoff.failed())

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
    dialect: str,
    broker: Broker,
    *,
    seed: int,
    clock: Clock | None = None,
    interval_s: float = 5.0,
    faults: Faults | None = None,
) -> SimulatedMqttPanel:
    """Make a panel of the program that speaks a dialect (one of ``MODELS``); the same seed gives the same loads.

    Raises:
        UnsafePanelId: the id cannot be one level of a topic (rule C11).
    """
    check_panel_id(ven_id)
    return SimulatedMqttPanel(
        MODELS[dialect](ven_id, seed=seed), broker, clock=clock, interval_s=interval_s, faults=faults
    )
