"""Panels as they are now, in the bridge's own words and in those of the original (panel-contract 11.2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Holding, HoldingState, PanelRecord
from bridge_mqtt.panels import shed_capability_kw
from bridge_mqtt.store import acks, commands, shadows
from bridge_mqtt.view.records import command_record
from bridge_mqtt.view.shapes import (
    LoadAnswer,
    Location,
    ShadowAnswer,
    ShedCapacityAnswer,
    VenAnswer,
    VenMetrics,
    VenSummaryAnswer,
)
from bridge_mqtt.view.sources import Sources, leisurely
from openadr_profiles.panel import ASSUMED, Load, is_critical
from openadr_profiles.panel.load import circuit_type

_NEWEST_COMMANDS = 50
_LATELY = timedelta(days=7)


class PanelView:
    """Answers questions about panels and their circuits."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._registry = sources.registry

    def knows(self, ven_id: str) -> bool:
        """Return True if the panel belongs to this bridge."""
        return self._registry.get(ven_id) is not None

    async def panels(self, *, skip: int, limit: int, search: str = "") -> list[dict[str, Any]]:
        """Return panels as they are now, in the bridge's own words; those whose id or name has ``search`` in it."""
        async with self._sources.store.showing() as connection:
            held = await commands.held(connection)
        wanted = search.casefold()
        found: list[dict[str, Any]] = []
        async for panel in leisurely(list(self._registry) if wanted else self._page(skip=skip, limit=limit)):
            if wanted and wanted not in panel.ven_id.casefold() and wanted not in (panel.name or "").casefold():
                continue
            if wanted and skip > 0:
                skip -= 1
                continue
            found.append(self._panel(panel, held.get(panel.ven_id)))
            if len(found) == limit:
                break
        return found

    async def panel(self, ven_id: str) -> dict[str, Any] | None:
        """Return one panel with its circuits and newest commands."""
        panel = self._registry.get(ven_id)
        if panel is None:
            return None
        async with self._sources.store.showing() as connection:
            held = await commands.held(connection)
            newest = await commands.of_panel(connection, ven_id, limit=_NEWEST_COMMANDS)
        return self._panel(panel, held.get(ven_id)) | {"commands": [command_record(each) for each in newest]}

    async def vens(self, *, skip: int, limit: int) -> list[VenAnswer]:
        """Return panels in the original's words."""
        async with self._sources.store.showing() as connection:
            held = await commands.held(connection)
            shed = await _shed_circuits(connection, held)
        return [
            self._ven(panel, held.get(panel.ven_id), shed.get(panel.ven_id, ()))
            async for panel in leisurely(self._page(skip=skip, limit=limit))
        ]

    async def ven(self, ven_id: str) -> VenAnswer | None:
        """Return one panel in the original's words."""
        panel = self._registry.get(ven_id)
        if panel is None:
            return None
        async with self._sources.store.showing() as connection:
            held = {id_: each for id_, each in (await commands.held(connection)).items() if id_ == ven_id}
            shed = await _shed_circuits(connection, held)
        return self._ven(panel, held.get(ven_id), shed.get(ven_id, ()))

    async def summary(self, *, skip: int, limit: int) -> list[VenSummaryAnswer]:
        """Return panels in one line each; the response time is a measured one (no. 16)."""
        panels = list(self._page(skip=skip, limit=limit))
        since = self._sources.now() - _LATELY
        async with self._sources.store.showing() as connection:
            answered = await commands.last_responses(connection, [panel.ven_id for panel in panels], since)
        return [
            VenSummaryAnswer(
                id=panel.ven_id,
                name=panel.name or panel.ven_id,
                location=_location(panel),
                status=self._sources.status_of(panel),
                controllable_power=float(shed_capability_kw(panel)),
                current_power=panel.used_power_kw,
                address=None,
                last_seen=panel.last_seen_at,
                response_time=answered.get(panel.ven_id),
            )
            async for panel in leisurely(panels)
        ]

    def loads(self, ven_id: str) -> list[LoadAnswer]:
        """Return the circuits of a panel as last measured."""
        panel = self._registry.get(ven_id)
        return [] if panel is None else [load_answer(panel, load) for load in panel.loads]

    def shed_capacity(self, ven_id: str) -> ShedCapacityAnswer | None:
        """Return what a panel could shed now; None if there is no such panel."""
        panel = self._registry.get(ven_id)
        if panel is None:
            return None
        circuits = [load_answer(panel, load) for load in panel.loads]
        sheddable = [each for each in circuits if each.shed_capability_kw > 0]
        return ShedCapacityAnswer(
            ven_id=ven_id,
            total_load_kw=panel.used_power_kw,
            available_shed_kw=float(shed_capability_kw(panel)),
            essential_load_kw=sum(each.current_power_kw or 0.0 for each in circuits if each.critical),
            sheddable_circuits=tuple(sorted(sheddable, key=lambda each: -each.shed_capability_kw)),
        )

    async def shadow(self, ven_id: str) -> ShadowAnswer | None:
        """Return the panel's shadow document; if it reported none, what its metering and answers say in that form."""
        panel = self._registry.get(ven_id)
        if panel is None:
            return None
        async with self._sources.store.showing() as connection:
            documents = await shadows.of(connection, {ven_id})
            held = {} if documents else await commands.held(connection)
        if (document := documents.get(ven_id)) is not None:
            return ShadowAnswer(
                state={"reported": dict(document.reported)}, source="panel", received_at=document.received_at
            )
        holding = held.get(ven_id)
        active = None
        if holding is not None and holding.state is HoldingState.HELD:
            end = None if holding.until is None else int(holding.until.timestamp())
            active = {"event_id": holding.event_id, "shed_kw": float(holding.amount_kw), "end_ts": end}
        circuits = [
            {
                "id": load.id,
                "name": load.name,
                "enabled": load.enabled,
                "current_kw": load.current_power_kw,
                "critical": is_critical(load),
            }
            for load in panel.loads
        ]
        reported = {
            "power_kw": panel.used_power_kw,
            "shed_kw": panel.shed_power_kw,
            "loads": circuits,
            "circuits": circuits,
            "active_event": active,
            "timestamp": None if panel.sample_at is None else int(panel.sample_at.timestamp()),
        }
        return ShadowAnswer(state={"reported": reported}, source="bridge", received_at=panel.sample_received_at)

    def _page(self, *, skip: int, limit: int) -> Iterable[PanelRecord]:
        return islice(self._registry, skip, skip + limit)

    def _ven(self, panel: PanelRecord, holding: Holding | None, shed: Iterable[str]) -> VenAnswer:
        return VenAnswer(
            id=panel.ven_id,
            name=panel.name or panel.ven_id,
            status=self._sources.status_of(panel),
            location=_location(panel),
            metrics=VenMetrics(
                current_power_kw=panel.used_power_kw,
                shed_availability_kw=float(shed_capability_kw(panel)),
                active_event_id=panel.event_id if holding is None else holding.event_id,
                shed_load_ids=tuple(shed),
            ),
            created_at=panel.created_at,
            last_seen=panel.last_seen_at,
            loads=tuple(load_answer(panel, load) for load in panel.loads),
        )

    def _panel(self, panel: PanelRecord, holding: Holding | None) -> dict[str, Any]:
        return {
            "venId": panel.ven_id,
            "name": panel.name,
            "dialect": panel.dialect.name if panel.dialect else None,
            "groups": sorted(panel.groups),
            "enabled": panel.enabled,
            "online": self._sources.is_online(panel),
            "lastSeenAt": panel.last_seen_at,
            "usedPowerKw": panel.used_power_kw,
            "claimedShedKw": panel.shed_power_kw,
            "shedCapabilityKw": float(shed_capability_kw(panel)),
            "showsEventId": panel.event_id,
            "holds": None if holding is None else _holding(holding),
            "circuits": [_circuit(load) for load in panel.loads],
        }


def _location(panel: PanelRecord) -> Location | None:
    return None if panel.location is None else Location(lat=panel.location[0], lon=panel.location[1])


def load_answer(panel: PanelRecord, load: Load) -> LoadAnswer:
    """Return a circuit in the original's words; what can be shed of it is by the rules of the panel's program."""
    dialect = panel.dialect or ASSUMED
    return LoadAnswer(
        id=load.id,
        name=load.name,
        type=circuit_type(load),
        capacity_kw=load.capacity_kw,
        current_power_kw=load.current_power_kw,
        shed_capability_kw=float(dialect.shed_capability_kw([load])),
        enabled=load.enabled,
        priority=load.priority,
        critical=is_critical(load),
    )


async def _shed_circuits(connection: AsyncConnection, held: Mapping[str, Holding]) -> dict[str, tuple[str, ...]]:
    """Return by panel the circuits that it said it has curtailed for what it holds now."""
    found = await acks.circuits_of(connection, [each.correlation_id for each in held.values()])
    return {
        each.ven_id: tuple(circuit.id for circuit in found.get(each.correlation_id, ()) if circuit.curtailed_kw)
        for each in held.values()
    }


def _holding(holding: Holding) -> dict[str, Any]:
    return {
        "eventId": holding.event_id,
        "requestedKw": float(holding.amount_kw),
        "until": holding.until,
        "state": holding.state,
        "correlationId": holding.correlation_id,
    }


def _circuit(load: Load) -> dict[str, Any]:
    return {
        "id": load.id,
        "name": load.name,
        "type": load.type,
        "ratedKw": load.capacity_kw,
        "currentKw": load.current_power_kw,
        "enabled": load.enabled,
        "critical": is_critical(load),
    }
