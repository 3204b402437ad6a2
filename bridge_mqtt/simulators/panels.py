"""Simulated panels on a broker, with faults that can be switched on. Each panel program is a module beside this one."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from bridge_mqtt.settings import Broker
from bridge_mqtt.simulators.envelope import EnvelopePanel
from bridge_mqtt.simulators.faults import Faults
from bridge_mqtt.simulators.flat import FlatPanel
from bridge_mqtt.simulators.minimal import MinimalPanel
from bridge_mqtt.simulators.model import PanelMessage, PanelModel
from bridge_mqtt.simulators.mqtt import PanelConnection, connect
from openadr_client import Backoff, Clock, SystemClock
from openadr_profiles.panel import ack_topic, check_panel_id, command_topic

_log = structlog.get_logger(__name__)

_RECONNECT_S: Final = (0.05, 5.0)
_MOST_HEARD: Final = 1000
_NO_NUMBERS: Final = (float("nan"), float("inf"), 1e308, -1e25, "lots", True)

MODELS: Final[Mapping[str, type[PanelModel]]] = {
    "flat": FlatPanel,
    "envelope": EnvelopePanel,
    "minimal": MinimalPanel,
}
"""The simulated panel programs: the two by the names of their dialects, and the one that only measures."""


class SimulatedMqttPanel:
    """A panel on the broker. ``run`` works until cancelled and reconnects like a panel does.

    With ``everything`` it sends all that its program sends, not only metering: the copy for debugging, lists of
    circuits, and shadow documents. ``tls`` is the context of the connection, made from ``broker`` if it is not given.
    """

    def __init__(
        self,
        model: PanelModel,
        broker: Broker,
        *,
        clock: Clock | None = None,
        interval_s: float = 5.0,
        faults: Faults | None = None,
        everything: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.model = model
        self.faults = faults or Faults()
        self._broker = broker
        self._clock = clock or SystemClock()
        self._interval_s = interval_s
        self._everything = everything
        self._tls = tls if tls is not None or not broker.tls else broker.tls_context()
        self._connection: PanelConnection | None = None
        self._may_connect = asyncio.Event()
        self._may_connect.set()
        self._answering: set[asyncio.Task[None]] = set()
        self.connected = asyncio.Event()
        self.is_quiet = False
        """True if somebody else tells people that it has no connection, by ``problem``."""
        self.problem: str | None = None
        """Why it has no connection."""
        self.heard: list[bytes] = []
        """The commands received, newest last; at most a thousand."""
        self.commands = 0
        """Messages on its command topic."""
        self.samples = 0
        """Metering messages handed to the broker."""
        self.left_out = 0
        """Messages that were left out because the broker did not take what was sent before."""

    @property
    def unconfirmed(self) -> int:
        """Return the number of messages that the broker has not confirmed yet."""
        return 0 if self._connection is None else self._connection.unconfirmed

    def unplug(self) -> None:
        """Lose the connection and stay away; the event goes on, unseen."""
        self._may_connect.clear()
        self._drop()

    def plug_in(self) -> None:
        """Come back."""
        self._may_connect.set()

    def crash(self) -> None:
        """Restart: connection and memory are lost."""
        self.model.restart()
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.abort()

    async def run(self) -> None:
        """Measure and obey until cancelled."""
        first_s, longest_s = _RECONNECT_S
        backoff = Backoff(first_s=first_s, longest_s=longest_s)
        while True:
            await self._may_connect.wait()
            try:
                connection = await self._connect()
            except OSError as error:
                self._tell_cut_off(error)
                await asyncio.sleep(backoff.failed())
                continue
            backoff.succeeded()
            if await self._work(connection):
                self._tell_cut_off(ConnectionResetError("the broker closed the connection"))
                await asyncio.sleep(backoff.failed())

    async def _connect(self) -> PanelConnection:
        will = self.model.will(self._now())
        connection = await connect(
            self._broker,
            tls=self._tls,
            client_id=self.model.ven_id,
            on_message=self._take,
            will=None if will is None else (will.topic, _encoded(will)),
        )
        self._connection = connection
        try:
            filters = ((command_topic(self.model.ven_id), self.model.command_qos), (self._delta_topic, 1))
            if refused := await connection.subscribe(filters):
                _log.warning("broker refuses a subscription", ven_id=self.model.ven_id, topics=", ".join(refused))
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _work(self, connection: PanelConnection) -> bool:
        """Measure until the connection is gone; True if the broker ended it."""
        self.connected.set()
        self.problem = None
        _log.info("simulated panel is connected", ven_id=self.model.ven_id, broker=self._broker.url)
        if self._everything:
            for told in self.model.greeting():
                self._tell(told)
        measuring = asyncio.create_task(self._measure())
        try:
            await connection.lost
            return not connection.was_aborted
        except asyncio.CancelledError:
            connection.close()
            await connection.wait_closed()
            raise
        finally:
            self.connected.clear()
            for task in (measuring, *self._answering):
                task.cancel()
            self._answering.clear()

    def _tell_cut_off(self, problem: BaseException) -> None:
        """Log once that there is no connection, not at each new attempt."""
        log = _log.debug if self.is_quiet or self.problem is not None else _log.warning
        self.problem = str(problem) or type(problem).__name__
        log(
            "simulated panel has no connection to the broker and goes on trying",
            ven_id=self.model.ven_id,
            broker=self._broker.url,
            problem=self.problem,
        )

    @property
    def _delta_topic(self) -> str:
        return f"$aws/things/{self.model.ven_id}/shadow/update/delta"

    def _now(self) -> datetime:
        """Return the time by the panel's own clock."""
        return self._clock.now() + timedelta(seconds=self.faults.clock_off_s)

    def measure_now(self) -> None:
        """Send one sample."""
        now = self._now()
        self.model.feigns = self.faults.feigns
        sample = self.model.sample(now)
        if self.faults.mute_telemetry:
            return
        if self.faults.bad_numbers:
            self.faults.bad_numbers -= 1
            sample |= dict.fromkeys(("usedPowerKw", "power_kw"), _NO_NUMBERS[self.samples % len(_NO_NUMBERS)])
            self._publish(self.model.sample_topic, json.dumps(sample).encode())
        else:
            self._tell(PanelMessage(self.model.sample_topic, sample))
        self.samples += 1
        if self._everything:
            for told in self.model.further(sample, now):
                self._tell(told)

    def _tell(self, told: PanelMessage) -> None:
        self._publish(told.topic, _encoded(told), qos=told.qos)

    def _publish(self, topic: str, payload: bytes, *, qos: int = 1) -> None:
        if self._connection is None or not self._connection.publish(topic, payload, qos=qos):
            self.left_out += 1

    async def _measure(self) -> None:
        while True:
            self.measure_now()
            await self._clock.sleep(self._interval_s)

    def _take(self, topic: str, payload: bytes) -> None:
        """Obey a command or a shadow delta."""
        if topic == self._delta_topic:
            self._obey_delta(payload)
            return
        self.commands += 1
        self.heard.append(payload)
        del self.heard[:-_MOST_HEARD]
        answers = self._answers(payload)
        if self.faults.answer_after_s:
            task = asyncio.create_task(self._answer_later(answers))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        self._answer(answers)

    def _obey_delta(self, payload: bytes) -> None:
        try:
            document = json.loads(payload)
        except ValueError:
            return
        state = document.get("state") if isinstance(document, dict) else None
        if isinstance(state, dict) and self.model.desired(state):
            self._report_shadow()

    def _report_shadow(self) -> None:
        shadow = self.model.shadow(self._now()) if self._everything else None
        if shadow is not None:
            self._tell(shadow)

    async def _answer_later(self, answers: list[bytes]) -> None:
        await self._clock.sleep(self.faults.answer_after_s)
        self._answer(answers)

    def _answer(self, answers: list[bytes]) -> None:
        if answers:
            self._report_shadow()
        for answer in answers:
            self._publish(ack_topic(self.model.ven_id), answer)

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
        self.model.feigns = self.faults.feigns
        answer = self.model.command(payload, self._now())
        return None if answer is None else json.dumps(answer).encode()  # NaN as it is, as the programs write it

    def _rejection(self, payload: bytes) -> bytes:
        members = json.loads(payload)
        answer = {"op": members.get("op"), "ok": False, "venId": self.model.ven_id, "error": "unknown load"}
        return json.dumps(answer | {"correlationId": members.get("correlationId")}).encode()


def _encoded(told: PanelMessage) -> bytes:
    return b"" if told.members is None else msgspec.json.encode(told.members)


def simulated_panel(
    ven_id: str,
    dialect: str,
    broker: Broker,
    *,
    seed: int,
    clock: Clock | None = None,
    interval_s: float = 5.0,
    faults: Faults | None = None,
    everything: bool = False,
    tls: ssl.SSLContext | None = None,
) -> SimulatedMqttPanel:
    """Make a panel of a program (one of ``MODELS``); the same seed gives the same loads.

    Raises:
        UnsafePanelId: the id cannot be one level of a topic (rule C11).
    """
    check_panel_id(ven_id)
    return SimulatedMqttPanel(
        MODELS[dialect](ven_id, seed=seed),
        broker,
        clock=clock,
        interval_s=interval_s,
        faults=faults,
        everything=everything,
        tls=tls,
    )
