"""Messages of panels: stored with what they change before the broker is told that they arrived (rule R19)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from bridge_mqtt.acks import AckDesk, is_ack
from bridge_mqtt.panels import Registry
from bridge_mqtt.settings import Settings
from bridge_mqtt.telemetry import TelemetryDesk
from bridge_mqtt.turns import Turns
from openadr_client import Received

_AFTER_SAMPLES_S = 0.1


class Intake:
    """Takes messages in. ``on_change`` is called when there may be something to decide, ``on_answer`` to report too."""

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        turns: Turns,
        *,
        clock_speed: float,
        on_change: Callable[[], None],
        on_answer: Callable[[], None],
    ) -> None:
        per_hour = settings.telemetry.quarantine_per_hour
        self._answers = AckDesk(registry, quarantine_per_hour=per_hour, clock_speed=clock_speed)
        self._samples = TelemetryDesk(registry, quarantine_per_hour=per_hour)
        self._turns = turns
        self._on_change = on_change
        self._on_answer = on_answer
        self._nudge: asyncio.TimerHandle | None = None

    async def take(self, batch: Sequence[Received]) -> None:
        """Store a batch of messages; while the database is away nothing more is taken."""
        messages = [message for message in batch if not message.retained]

        async def take() -> None:
            async with self._turns.turn() as connection:
                answers = [message for message in messages if is_ack(message)]
                changed = await self._answers.take(connection, answers) if answers else False
                samples = [message for message in messages if not is_ack(message)]
                await self._samples.take(connection, samples)
            if changed:
                self._on_answer()
            elif samples and self._nudge is None:
                self._nudge = asyncio.get_running_loop().call_later(_AFTER_SAMPLES_S, self._nudged)

        await self._turns.persist(take)

    def _nudged(self) -> None:
        """Have decisions made a few times a second, as samples come all the time."""
        self._nudge = None
        self._on_change()
