"""Drive chargers of electric vehicles by MQTT or HTTP: a limit in kW becomes a current in A, or a pause below 6 A.

What was set is read back. A charger that fails is the failure of its circuit alone. A car may take half a minute to
follow; one that draws more after ``settle_s`` is found out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Self

import structlog
from pydantic import Field

from openadr_client.clock import Clock
from ven.drivers.assignment import check_assignment
from ven.drivers.complaints import Complaints
from ven.drivers.ev_charger import Charger, Setting
from ven.drivers.ev_chargers import (
    GOE_KEYS,
    GoeHttpOptions,
    GoeMqttOptions,
    MqttChargerOptions,
    TopicChargerOptions,
    goe_news,
)
from ven.drivers.ev_memory import keep, take_up
from ven.drivers.interface import CircuitState
from ven.drivers.mqtt_devices import Order
from ven.drivers.options import DriverOptions, with_options
from ven.drivers.quantities import Implausible
from ven.errors import DriverFailed
from ven.home_broker import HomeBroker
from ven.panel.circuits import BranchCircuit

if TYPE_CHECKING:
    from openadr_client import Received
    from ven.drivers.ev_http import HttpCharger
    from ven.drivers.mqtt_link import HomeLink

_log = structlog.get_logger(__name__)

AnyCharger = Annotated[GoeHttpOptions | GoeMqttOptions | TopicChargerOptions, Field(discriminator="charger")]


class EvOptions(DriverOptions):
    """Name for each circuit its charger, and the broker of those that speak MQTT (its options as for ``mqtt``).

    What a charger said is believed for ``stale_s``; it has ``answer_s`` real seconds for an answer. ``state_file``
    keeps over a restart which limits are ours, and what the chargers were set to before.
    """

    circuits: Annotated[dict[str, AnyCharger], Field(min_length=1)]
    broker: HomeBroker = Field(default_factory=lambda: HomeBroker.model_validate({}))
    stale_s: float = Field(default=60.0, gt=0, le=3600)
    answer_s: float = Field(default=2.0, gt=0, le=30)
    settle_s: float = Field(default=30.0, ge=0, le=3600)
    state_file: Path | None = None


class EvChargers:
    """Limit and measure chargers, one for each circuit."""

    enforces_expiry = False

    def __init__(self, circuits: Sequence[BranchCircuit], options: EvOptions, clock: Clock) -> None:
        check_assignment("ev", circuits, options.circuits)
        self._clock = clock
        self._answer_s = options.answer_s
        self._file = options.state_file
        self._complaints = Complaints(_log)
        stale, settle = timedelta(seconds=options.stale_s), timedelta(seconds=options.settle_s)
        self._chargers = {
            circuit.id: Charger(circuit, options.circuits[circuit.id], stale=stale, settle=settle)
            for circuit in circuits
        }
        self._by_topic: dict[str, list[Charger]] = {}
        for charger in self._chargers.values():
            for topic in charger.options.filters if isinstance(charger.options, MqttChargerOptions) else ():
                self._by_topic.setdefault(topic, []).append(charger)
        self._link = self._link_to(options.broker) if self._by_topic else None
        self._http: dict[str, HttpCharger] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        if self._file is not None:
            take_up(self._file, self._chargers)
        if self._link is not None:
            await self._stack.enter_async_context(self._link)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()
        await asyncio.gather(*(http.close() for http in self._http.values()))

    async def read(self) -> Mapping[str, CircuitState]:
        """Return the state of the circuits whose chargers are there."""
        problems = await asyncio.gather(*(self._fetch(charger) for charger in self._chargers.values()))
        now = self._clock.now()
        states = {}
        for (id_, charger), problem in zip(self._chargers.items(), problems, strict=True):
            state = charger.state(now) if problem is None else None
            if state is not None:
                states[id_] = state
            wrong = problem or charger.lie(now) or (None if state is not None else "it has not told its state")
            if wrong is None:
                self._complaints.clear(id_)
            else:
                self._complaints.say(id_, self._label(charger), wrong)
        return states

    async def limit(self, circuit_id: str, limit_kw: Decimal, *, expires_at: datetime) -> None:
        """Let a charger draw no more than so many kW; raises DriverFailed."""
        charger = await self._known(circuit_id)
        charger.before_limit(limit_kw)
        setting = charger.for_limit(limit_kw)
        is_new = charger.limited(limit_kw, self._clock.now())
        if is_new:
            self._keep()
        await self._set(charger, setting)
        if (lie := charger.lie(self._clock.now())) is not None:
            raise DriverFailed(f"circuit {circuit_id}: {lie}")

    async def release(self, circuit_id: str, *, switch_on: bool) -> None:
        """Give a charger back what it had before our limit; raises DriverFailed."""
        charger = await self._known(circuit_id)
        await self._set(charger, charger.for_release(switch_on=switch_on))
        if charger.released():
            self._keep()

    def _keep(self) -> None:
        """Keep our limits for the next process; one that cannot is no reason not to switch."""
        if self._file is not None:
            try:
                keep(self._file, self._chargers)
            except DriverFailed as error:
                _log.error("limits of chargers are not kept for a restart", problem=str(error))

    async def _known(self, circuit_id: str) -> Charger:
        if circuit_id not in self._chargers:
            raise DriverFailed(f"there is no charger for a circuit {circuit_id}")
        charger = self._chargers[circuit_id]
        problem = await self._fetch(charger)
        if problem is not None or not charger.is_known(self._clock.now()):
            raise DriverFailed(f"circuit {circuit_id}: {problem or 'the charger does not answer'}")
        return charger

    async def _fetch(self, charger: Charger) -> str | None:
        """Have the charger tell its state, and return what is wrong with it."""
        options = charger.options
        try:
            if isinstance(options, GoeHttpOptions):
                found = await self._door(options).get("/api/status", {"filter": ",".join(GOE_KEYS)})
                now = self._clock.now()
                charger.note(goe_news(charger.circuit, found), now)
                charger.heard_at = now
            elif self._link is not None:
                if not self._link.is_connected:
                    return f"there is no connection to the broker {self._link.url}"
                await self._link.until(lambda: charger.is_known(self._clock.now()), within_s=self._answer_s)
        except (DriverFailed, Implausible) as error:
            return str(error)
        return None

    async def _set(self, charger: Charger, setting: Setting) -> None:
        if charger.has(setting):
            return
        options = charger.options
        if isinstance(options, GoeHttpOptions):
            wanted = {"amp": setting.current_a, "frc": setting.word}
            query = {key: str(value) for key, value in wanted.items() if value is not None}
            await self._door(options).get("/api/set", query)
            if (problem := await self._fetch(charger)) is not None:
                raise DriverFailed(f"circuit {charger.circuit.id}: {problem}")
        elif isinstance(options, MqttChargerOptions) and self._link is not None:
            orders = options.order(current_a=setting.current_a, word=setting.word)
            await self._link.send([Order(topic, payload) for topic, payload in orders.items()])
            await self._link.until(lambda: charger.has(setting), within_s=self._answer_s)
        if not charger.has(setting):
            is_so = f"{charger.current_a} A, {charger.word!r}"
            raise DriverFailed(f"circuit {charger.circuit.id}: the charger did not do as it was told, it says {is_so}")

    def _hear(self, message: Received) -> None:
        for charger in self._by_topic.get(message.topic, ()):
            options = charger.options
            if not isinstance(options, MqttChargerOptions):
                continue
            try:
                news = options.hear(charger.circuit, message.topic, message.payload)
            except Implausible as error:
                self._complaints.say(charger.circuit.id, self._label(charger), str(error))
                continue
            now = self._clock.now()
            charger.note(news, now)
            if not message.retained and message.topic != options.soc_topic:
                charger.heard_at = now

    def _door(self, options: GoeHttpOptions) -> HttpCharger:
        from ven.drivers.ev_http import HttpCharger  # noqa: PLC0415 # a charger by MQTT needs no HTTP

        if options.url not in self._http:
            self._http[options.url] = HttpCharger(options.url, answer_s=self._answer_s)
        return self._http[options.url]

    def _link_to(self, broker: HomeBroker) -> HomeLink:
        from ven.drivers.mqtt_link import HomeLink  # noqa: PLC0415 # a charger by HTTP needs no MQTT

        return HomeLink(broker, self._clock, filters=self._by_topic, take=self._hear)

    @staticmethod
    def _label(charger: Charger) -> str:
        options = charger.options
        return options.url if isinstance(options, GoeHttpOptions) else getattr(options, "topic", "charger")


create = with_options("ev", EvOptions, EvChargers)
