"""Messages of panels: stored with what they change before the broker is told that they arrived (rule R19)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import structlog

from bridge_mqtt.acks import AckDesk, is_ack
from bridge_mqtt.errors import NotLeading, StoreUnavailable
from bridge_mqtt.metering.meters import Meters
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Settings
from bridge_mqtt.shadows import ShadowDesk
from bridge_mqtt.store import quarantine
from bridge_mqtt.telemetry import TelemetryDesk
from bridge_mqtt.turns import Turns
from openadr_client import Received
from openadr_profiles.panel.identity import panel_of_topic
from openadr_profiles.panel.reading import unreadable
from openadr_profiles.panel.shadow import is_shadow

_log = structlog.get_logger(__name__)


class Intake:
    """Takes messages in.

    ``on_answer`` is told which panels have answered, and which of them do not do what was asked; ``on_sample`` which
    have measured.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        turns: Turns,
        *,
        clock_speed: float,
        meters: Meters,
        on_answer: Callable[[Collection[str], Collection[str]], None],
        on_sample: Callable[[Collection[str]], None],
    ) -> None:
        self._per_hour = settings.telemetry.quarantine_per_hour
        self.answers = AckDesk(
            registry,
            turns.book,
            quarantine_per_hour=self._per_hour,
            clock_speed=clock_speed,
            unmatched_per_hour=settings.telemetry.unmatched_per_hour,
        )
        self.samples = TelemetryDesk(registry, meters, quarantine_per_hour=self._per_hour)
        self._shadows = ShadowDesk(registry, quarantine_per_hour=self._per_hour)
        self._turns = turns
        self._on_answer = on_answer
        self._on_sample = on_sample
        self.refused = 0
        """Messages that could be read, but not stored."""

    async def take(self, batch: Sequence[Received]) -> None:
        """Store a batch of messages; while the database is away nothing more is taken.

        If it cannot be stored together, its halves are, and so on: what is left over in the end is one message that
        nothing can be done with, and is put into quarantine.
        """
        waiting = [[message for message in batch if not message.retained]]
        while waiting:
            messages = waiting.pop()

            async def store(messages: list[Received] = messages) -> None:
                try:
                    await self._store(messages)
                except (StoreUnavailable, NotLeading):
                    raise
                except Exception as error:  # whatever one message does, the others are stored
                    if len(messages) > 1:
                        middle = len(messages) // 2
                        waiting.extend((messages[middle:], messages[:middle]))
                    else:
                        await self._put_aside(messages[0], error)

            if messages:
                await self._turns.persist(store)

    async def _store(self, messages: Sequence[Received]) -> None:
        answers = [message for message in messages if is_ack(message.topic)]
        shadows = [message for message in messages if is_shadow(message.topic)]
        samples = [message for message in messages if not is_ack(message.topic) and not is_shadow(message.topic)]
        answered, measured = set[str](), set[str]()
        async with self._turns.change() as turn:
            if answers:
                answered = await self.answers.take(turn, answers)
            if samples:
                measured = await self.samples.take(turn.connection, samples)
            if shadows:
                await self._shadows.take(turn.connection, shadows)
            changed_parts = turn.changes.panels_with_parts
        self.answers.committed()
        self.samples.committed()
        if answered:
            self._on_answer(answered, changed_parts)
        if measured:
            self._on_sample(measured)

    async def _put_aside(self, message: Received, error: Exception) -> None:
        cause = getattr(error, "orig", None) or error  # what the database says, without the statement
        reason = f"cannot be stored: {type(error).__name__}: {cause}"[:500]
        ven_id = panel_of_topic(message.topic)
        _log.error("message put aside", topic=message.topic, ven_id=ven_id, reason=reason, exc_info=error)
        self.refused += 1
        kept = unreadable(message.topic, ven_id, reason, message.payload)
        async with self._turns.turn() as connection:
            await quarantine.add(connection, kept, message.received_at, self._per_hour)
