"""Shadow documents: each report of a panel is merged into what it had reported, and shown as its shadow."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.panels import Registry
from bridge_mqtt.store import quarantine, shadows
from bridge_mqtt.store.shadows import Shadow
from openadr_client import Received
from openadr_profiles.panel.reading import Unreadable, unreadable
from openadr_profiles.panel.shadow import ShadowReport, merged, read_shadow

_WITHOUT_PAUSE: Final = 50


class ShadowDesk:
    """Takes reports of shadow documents in, in their order. Nothing is decided by them: metering says what is drawn."""

    def __init__(self, registry: Registry, *, quarantine_per_hour: int) -> None:
        self._registry = registry
        self._quarantine_per_hour = quarantine_per_hour

    async def take(self, connection: AsyncConnection, messages: Sequence[Received]) -> None:
        """Store what panels report of themselves; what cannot be read, or is of no panel of ours, is put aside."""
        reports: list[ShadowReport] = []
        aside: list[tuple[Unreadable, datetime]] = []
        for place, message in enumerate(messages):
            if place % _WITHOUT_PAUSE == 0:
                await asyncio.sleep(0)
            report = read_shadow(message.topic, message.payload, message.received_at)
            if isinstance(report, ShadowReport) and self._registry.admit(report.ven_id) is None:
                report = unreadable(message.topic, report.ven_id, "panel is not registered", message.payload)
            if isinstance(report, ShadowReport):
                reports.append(report)
            elif report is not None:
                aside.append((report, message.received_at))
        await quarantine.add_all(connection, aside, self._quarantine_per_hour)
        documents = await shadows.of(connection, {report.ven_id for report in reports})
        for report in reports:
            known = documents.get(report.ven_id)
            state = merged({} if known is None else known.reported, report.reported)
            documents[report.ven_id] = Shadow(state, report.received_at)
        await shadows.save(connection, documents)
