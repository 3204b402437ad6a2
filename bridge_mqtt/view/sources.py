"""Tell what the views read from, and the pauses that keep long answers from holding up the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from bridge_mqtt.decisions import Policy, is_online
from bridge_mqtt.model import PanelRecord
from bridge_mqtt.panels import Registry
from bridge_mqtt.planner import Planner
from bridge_mqtt.store import Store
from openadr_profiles.fleet.power import Signs

T = TypeVar("T")
_AT_ONCE = 50


@dataclass(frozen=True)
class Sources:
    """The store, the panels, the reading of events, and the clock."""

    store: Store
    registry: Registry
    planner: Planner
    policy: Policy
    signs: Signs
    now: Callable[[], datetime]

    def status_of(self, panel: PanelRecord) -> str:
        """Return online, offline or disabled (no. 19: both are said, and neither stops commands by mistake)."""
        if not panel.enabled:
            return "disabled"
        return "online" if self.is_online(panel) else "offline"

    def is_online(self, panel: PanelRecord) -> bool:
        """Return True if the panel was heard of lately."""
        return is_online(panel, self.now(), self.policy)


async def leisurely(items: Iterable[T]) -> AsyncIterator[T]:
    """Yield items, and let others work after every few: an answer about 10,000 panels must not delay a command."""
    for number, item in enumerate(items, start=1):
        yield item
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
