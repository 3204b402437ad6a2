"""Keep Home Assistant's broker told, and do what is commanded there. A broker that is away or hostile touches nothing.

There is no queue of messages: what the broker should have is found anew after every control step, and the difference to
what it has is published. A connection that is lost is made again, later and later. Pauses run on real time, as for
everything about a network.
"""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any, Final

import structlog

from openadr_client import (
    Backoff,
    BadCertificateFile,
    BoundedClient,
    BoundedConnector,
    BrokerError,
    Clock,
    RetainedMessage,
    first_end,
    stop_if_cancelled,
)
from ven.control import Control
from ven.desk import OwnerDesk
from ven.home_assistant.messages import HomeCommand, Published, ShownDevice, currency_of, messages
from ven.home_assistant.rejections import Rejections
from ven.home_assistant.survey import EVERYTHING, Survey
from ven.home_broker import HomeBroker
from ven.settings import HomeAssistantSettings
from ven.troubles import Troubles

_log = structlog.get_logger(__name__)

_REASON: Final = "Home Assistant"
_LONGEST_COMMAND: Final = 256
_MOST_COMMANDS: Final = 20
_BETWEEN_COMMANDS_S: Final = 1.0
"""A command is a control step and a change of the state file: somebody who sends thousands has them done slowly."""
_BETWEEN_BIRTHS_S: Final = 5.0
_LASTING_S: Final = 60.0
"""A connection that lasted as long was a good one: after it the pauses begin anew."""
_BROKER: Final = "Home Assistant's broker"
_COMMAND: Final = "a command of Home Assistant"
_SUBSCRIPTION: Final = "the subscription to commands of Home Assistant"
_OBEYING: Final = "doing what Home Assistant commands"


class HomeAssistant:
    """Show one VEN until cancelled. What goes wrong is in ``problems``."""

    def __init__(
        self,
        settings: HomeAssistantSettings,
        broker: HomeBroker,
        *,
        ven_name: str,
        control: Control,
        desk: OwnerDesk,
        clock: Clock,
    ) -> None:
        self._clock = clock
        self._desk = desk
        self._troubles = Troubles()
        self._rejections = Rejections(self._troubles)
        self._survey = Survey(control, self._troubles)
        self._device = ShownDevice(
            ven_name=ven_name,
            name=settings.device_name or ven_name,
            discovery_prefix=settings.discovery_prefix,
            state_prefix=settings.state_prefix,
            version=version("openadr-fleet"),
        )
        self._broker = _as(broker, self._device)
        self._published = Published(self._device, measured_s=settings.measured_s)
        self._connector = BoundedConnector(longest=_LONGEST_COMMAND, most=_MOST_COMMANDS)
        self._tls: Any = None
        self._currency: str | None = None
        self._news = asyncio.Event()
        self._commands: dict[str, HomeCommand] = {}
        self._commanded = asyncio.Event()
        self._born_s = float("-inf")

    @property
    def problems(self) -> dict[str, str]:
        """Return what goes wrong now, by its name."""
        return self._troubles.now

    def tell(self) -> None:
        """Have it looked whether something has changed."""
        self._news.set()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        backoff = Backoff(first_s=self._broker.reconnect_least_s, longest_s=self._broker.reconnect_most_s)
        time_s = asyncio.get_running_loop().time
        while True:
            began_s = time_s()
            try:
                await self._stay_connected()
            except (BrokerError, BadCertificateFile) as error:
                self._troubles.tell(_BROKER, str(error))
            if time_s() - began_s > _LASTING_S:
                backoff.succeeded()
            await asyncio.sleep(backoff.failed())
            stop_if_cancelled()

    async def _stay_connected(self) -> None:
        """Work on one connection until it is lost; raises BrokerError or BadCertificateFile."""
        device, will = self._device, RetainedMessage(*self._device.will)
        self._tls = self._tls or self._broker.tls_context()
        async with self._connector.connected(self._broker, tls=self._tls, will=will) as client:
            refused = await client.subscribe_to([device.birth_topic, *device.command_topics])
            if refused:
                self._troubles.tell(_SUBSCRIPTION, f"the broker refuses the subscription to {', '.join(refused)}")
            else:
                self._troubles.over(_SUBSCRIPTION)
            self._published.forget()
            self._commands.clear()
            await first_end(self._publish(client), self._hear(client), self._obey())

    async def _publish(self, client: BoundedClient) -> None:
        """Publish what is new, until cancelled."""
        while True:
            self._news.clear()
            for topic, payload in self._due().items():
                await client.put(RetainedMessage(topic, payload))
                self._published.put(topic, payload)
                stop_if_cancelled()
            self._troubles.over(_BROKER)
            await self._news.wait()

    def _due(self) -> dict[str, bytes]:
        due: dict[str, bytes] = {}
        self._rejections.look(asyncio.get_running_loop().time())
        with self._troubles.alone("what Home Assistant is shown"):
            problems = [f"{what}: {problem}" for what, problem in self._desk.problems.items()]
            overview = self._survey.overview(problems, self._clock.now())
            self._currency = currency_of(overview.price) or currency_of(overview.next_price) or self._currency
            wanted = messages(self._device, overview, self._currency)
            due = self._published.due(wanted, self._clock.monotonic_s())
        return due  # noqa: RET504 # nothing if that failed

    async def _hear(self, client: BoundedClient) -> None:
        """Take note of what Home Assistant says, until cancelled.

        What the broker has kept is no command: it would be obeyed again at every connection.
        """
        while True:
            message = await client.next_message()
            topic, payload = str(message.topic), bytes(message.payload)
            if topic == self._device.birth_topic:
                if payload == b"online" and not message.retain:
                    self._is_born()
            elif message.retain:
                self._reject(topic, "a retained message is no command")
            else:
                self._note(topic, payload)
            stop_if_cancelled()

    def _is_born(self) -> None:
        """Publish everything for a Home Assistant that has just started; not again and again."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._born_s >= _BETWEEN_BIRTHS_S:
            self._born_s = now_s
            self._published.forget()
            self._news.set()

    def _note(self, topic: str, payload: bytes) -> None:
        try:
            command = self._device.command(topic, payload)
        except ValueError as error:
            self._reject(topic, str(error))
            return
        self._commands.pop(topic, None)
        self._commands[topic] = command
        self._commanded.set()

    def _reject(self, topic: str, problem: str) -> None:
        """Tell of a message that is no command, and of its topic if that is one of ours."""
        is_ours = topic in self._device.command_topics
        what = f"{_COMMAND} on {topic}" if is_ours else _COMMAND
        self._rejections.tell(what, problem, asyncio.get_running_loop().time())

    async def _obey(self) -> None:
        """Do what was commanded, until cancelled: of several commands to one topic the last."""
        while True:
            await self._commanded.wait()
            self._commanded.clear()
            commands, self._commands = self._commands, {}
            for command in commands.values():
                with self._troubles.alone(_OBEYING):
                    await self._do(command)
            await asyncio.sleep(_BETWEEN_COMMANDS_S)
            stop_if_cancelled()

    async def _do(self, command: HomeCommand) -> None:
        _log.info("commanded by Home Assistant", command=str(command))
        if command is HomeCommand.RESTORE:
            await self._desk.restore(_REASON)
        elif command is HomeCommand.ABSTAIN and not self._survey.is_out_for_good:
            await self._desk.opt(EVERYTHING, opted_in=False, reason=_REASON)
        elif command is HomeCommand.PARTICIPATE and not self._survey.participates:
            await self._desk.withdraw(EVERYTHING)


def _as(broker: HomeBroker, device: ShownDevice) -> HomeBroker:
    """Return the broker with a client id that is the same after a restart, unless one is set.

    So a broker that has not noticed yet that an earlier run is gone says its last will before we say that we are there.
    With another id it would come a minute later, and stay.
    """
    if "client_id" in broker.model_fields_set:
        return broker
    return broker.model_copy(update={"client_id": f"openadr-{device.id}"[:128]})
