"""Events as this bridge carries them out, in its own words and in those of the original (panel-contract 11.2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge_mqtt.model import Allocation, Command, EventState, Holding, WindowPlan
from bridge_mqtt.store import acks, allocations, commands, events
from bridge_mqtt.store.events import Baseline, StoredEvent
from bridge_mqtt.view.asked import most_asked_kw
from bridge_mqtt.view.delivered import Delivered, delivered, whole_ms
from bridge_mqtt.view.records import command_record
from bridge_mqtt.view.shapes import CurrentEventAnswer, EventAnswer, EventMetricsAnswer, RespondingVen
from bridge_mqtt.view.sources import Sources, leisurely
from openadr_profiles.fleet.cancellation import planned
from openadr_profiles.fleet.power import PayloadReader
from openadr_profiles.panel import CircuitCurtailment, CommandState, Op
from openadr_profiles.v31 import Event

_MOST_REMEMBERED = 1_000
_MOST_LOOKED_AT = 1_000
_BEFORE_IT = {EventState.SCHEDULED}


class EventView:
    """Answers questions about events; what was delivered in an event that is over is worked out once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._over: dict[tuple[str, datetime], Delivered] = {}

    async def events(
        self, *, skip: int = 0, limit: int, start: datetime | None = None, end: datetime | None = None
    ) -> list[EventAnswer]:
        """Return the events read last; with ``start`` or ``end`` those of the last 1,000 that begin in between."""
        async with self._sources.store.showing() as connection:
            if start is None and end is None:
                found = await events.newest(connection, limit, skip=skip)
            else:
                newest = await events.newest(connection, _MOST_LOOKED_AT)
                found = [each async for each in leisurely(newest) if self._begins(each, start, end)]
                found = found[skip : skip + limit]
            return [await self._event(connection, each) async for each in leisurely(found)]

    async def current(self) -> CurrentEventAnswer | None:
        """Return the active event that began last, None without one."""
        async with self._sources.store.showing() as connection:
            active = [
                each
                for each in (await events.open_(connection)).values()
                if each.state in {EventState.ACTIVE, EventState.COMPLETING}
            ]
            if not active:
                return None
            newest = max(active, key=lambda each: self._sources.planner.timeline(each).start)
            answer = await self._event(connection, newest)
            metrics = await self._metrics(connection, newest)
        return CurrentEventAnswer(**_members(answer), **_members(metrics))

    async def metrics(self, event_id: str) -> EventMetricsAnswer | None:
        """Return how an event goes now; None if there is no such event."""
        async with self._sources.store.showing() as connection:
            stored = await events.get(connection, event_id)
            return None if stored is None else await self._metrics(connection, stored)

    async def event(self, event_id: str, *, skip: int, limit: int) -> dict[str, Any] | None:
        """Return one event: its split, and for a page of its panels what was asked, answered and measured."""
        async with self._sources.store.showing() as connection:
            stored = await events.get(connection, event_id)
            if stored is None:
                return None
            answer = await self._event(connection, stored)
            metrics = await self._metrics(connection, stored)
            plans = [plan for _, plan in sorted((await allocations.plans(connection, [event_id])).items())]
            baselines = (await events.frozen(connection, [event_id])).get(event_id, {})
            sent = await commands.of_event(connection, event_id)
            held = await commands.held(connection)
            steps = await events.history(connection, event_id)
            latest: dict[str, Allocation] = {}
            for plan in plans:
                latest |= plan.parts
            page = sorted(latest.items())[skip : skip + limit]
            by_panel = _by_panel(sent)
            answered = [command.correlation_id for ven_id, _ in page for command in by_panel[ven_id]]
            circuits = await acks.circuits_of(connection, answered)
        panels = [
            self._part(stored, part, by_panel[ven_id], held.get(ven_id), baselines.get(ven_id), circuits)
            async for ven_id, part in leisurely(page)
        ]
        return (
            _named(answer)
            | _named(metrics)
            | {
                "history": [{"state": step.to_state, "reason": step.reason, "at": step.at} for step in steps],
                "windows": [_window(plan) for plan in plans],
                "vens": [_responding(each) for each in panels],
                "panels": panels,
            }
        )

    async def circuits(self, event_id: str, *, skip: int, limit: int) -> list[dict[str, Any]] | None:
        """Return for each panel of an event what its circuits did, by its own answer; None without such an event."""
        found = await self.event(event_id, skip=skip, limit=limit)
        if found is None:
            return None
        names = ("venId", "name", "requestedKw", "actualShedKw", "measuredShedKw", "answered", "circuits")
        return [{"eventId": event_id} | {name: panel[name] for name in names} for panel in found["panels"]]

    def written(self, event: Event, shed_kw: float) -> EventAnswer:
        """Return an event that was only just written and that the bridge has not read yet."""
        stored = StoredEvent(
            event=event,
            received_at=self._sources.now(),
            state=EventState.SCHEDULED,
            reason=None,
            withdrawn_at=None,
            ended_at=None,
        )
        return self._answer(stored, shed_kw, None)

    async def final_state(self, event_id: str) -> EventState | None:
        """Return the state of an event that is over; None while something may happen, or if it is not known here."""
        async with self._sources.store.showing() as connection:
            stored = await events.get(connection, event_id)
        return stored.state if stored is not None and stored.state.is_final else None

    async def _event(self, connection: AsyncConnection, stored: StoredEvent) -> EventAnswer:
        asked = (await allocations.most_requested(connection, [stored.event.id])).get(stored.event.id)
        if asked is None:
            asked = self._asked_kw(stored)
        actual = None
        if stored.state not in _BEFORE_IT:
            actual = (await self._delivered(connection, stored)).total_kw
        return self._answer(stored, asked, actual)

    async def _delivered(self, connection: AsyncConnection, stored: StoredEvent) -> Delivered:
        key = (stored.event.id, stored.event.modification_date_time)
        known = self._over.get(key)
        if known is not None:
            return known
        start, end = self.span(stored)
        found = await delivered(connection, stored.event.id, start, end, self._sources.now())
        if stored.state.is_final:
            if len(self._over) >= _MOST_REMEMBERED:
                self._over.clear()
            self._over[key] = found
        return found

    async def _metrics(self, connection: AsyncConnection, stored: StoredEvent) -> EventMetricsAnswer:
        event_id = stored.event.id
        baselines = (await events.frozen(connection, [event_id])).get(event_id, {})
        holders = [each for each in (await commands.held(connection)).values() if each.event_id == event_id]
        sent = await commands.of_event(connection, event_id)
        answered = [each for each in sent if each.op is Op.SHED_PANEL and each.state is CommandState.ACKED]
        times = [each.response_ms for each in answered if each.response_ms is not None]
        now = [self._measured_kw(each.ven_id, baselines.get(each.ven_id)) for each in holders]
        known = [each for each in now if each is not None]
        return EventMetricsAnswer(
            current_reduction_kw=float(sum(known, Decimal(0))) if known or not holders else None,
            vens_responding=len({each.ven_id for each in answered}),
            avg_response_ms=whole_ms(times),
        )

    def span(self, stored: StoredEvent) -> tuple[datetime | None, datetime | None]:
        """Return start and end of an event; of one that was called off, as it was planned."""
        timeline = self._sources.planner.timeline(stored)
        if timeline.cancelled:
            return planned(stored.event) or (None, None)
        return timeline.start, timeline.end

    def _begins(self, stored: StoredEvent, start: datetime | None, end: datetime | None) -> bool:
        begin, _ = self.span(stored)
        return begin is not None and (start is None or begin >= start) and (end is None or begin <= end)

    def _asked_kw(self, stored: StoredEvent) -> float | None:
        """Return the kW that an event asks for in its largest window; None for levels, limits and what is unclear."""
        sources = self._sources
        program = sources.planner.programs.get(stored.event.program_id)
        reader = PayloadReader(stored.event, program, sources.signs)
        asked = most_asked_kw(sources.planner.timeline(stored), reader)
        return None if asked is None else float(asked)

    def _measured_kw(self, ven_id: str, baseline: Baseline | None) -> Decimal | None:
        panel = self._sources.registry.get(ven_id)
        if panel is None or panel.used_power_kw is None or baseline is None or baseline.power_kw is None:
            return None
        return Decimal(str(baseline.power_kw)) - Decimal(str(panel.used_power_kw))

    def _answer(self, stored: StoredEvent, asked_kw: float | None, actual_kw: float | None) -> EventAnswer:
        start, end = self.span(stored)
        return EventAnswer(
            id=stored.event.id,
            status=stored.state,
            start_time=start,
            end_time=end,
            requested_reduction_kw=asked_kw,
            actual_reduction_kw=actual_kw,
            program_id=stored.event.program_id,
            name=stored.event.event_name,
            state=stored.state,
            reason=stored.reason,
            is_final=EventState(stored.state).is_final,
            modified_at=stored.event.modification_date_time,
            received_at=stored.received_at,
            withdrawn_at=stored.withdrawn_at,
        )

    def _part(
        self,
        stored: StoredEvent,
        part: Allocation,
        mine: Sequence[Command],
        holding: Holding | None,
        baseline: Baseline | None,
        circuits: Mapping[str, Sequence[CircuitCurtailment]],
    ) -> dict[str, Any]:
        sheds = [command for command in mine if command.op is Op.SHED_PANEL]
        answered = [command for command in sheds if command.state is CommandState.ACKED]
        panel = self._sources.registry.get(part.ven_id)
        holds = holding is not None and holding.event_id == stored.event.id
        measured = self._measured_kw(part.ven_id, baseline) if holds else None
        told = next(
            (circuits[each.correlation_id] for each in reversed(sheds) if each.correlation_id in circuits), None
        )
        return {
            "venId": part.ven_id,
            "name": panel.name if panel else None,
            "dialect": panel.dialect.name if panel and panel.dialect else None,
            "requestedKw": float(part.requested_kw),
            "capabilityKw": float(part.capability_kw),
            "actualShedKw": answered[-1].actual_kw if answered else None,
            "measuredShedKw": None if measured is None else float(measured),
            "baselineKw": baseline.power_kw if baseline else None,
            "usedPowerKw": panel.used_power_kw if panel else None,
            "excluded": part.excluded,
            "answered": bool(answered),
            "holds": holding.state if holding is not None and holds else None,
            "doubleShed": any(command.double_shed for command in sheds),
            "circuits": None if told is None else msgspec.to_builtins(tuple(told)),
            "commands": [command_record(each) for each in mine],
        }


def _by_panel(sent: Sequence[Command]) -> defaultdict[str, list[Command]]:
    found: defaultdict[str, list[Command]] = defaultdict(list)
    for command in sent:
        found[command.ven_id].append(command)
    return found


def _responding(part: Mapping[str, Any]) -> RespondingVen:
    """Return a panel's part in one word; panels that did not answer are there too (no. 16)."""
    states = {command["state"] for command in part["commands"] if command["op"] is Op.SHED_PANEL}
    if part["answered"]:
        status = "responded"
    elif part["excluded"] is not None:
        status = part["excluded"]
    elif CommandState.REJECTED in states:
        status = "rejected"
    else:
        status = "no answer" if CommandState.TIMED_OUT in states else "waiting"
    shed = part["measuredShedKw"] if part["measuredShedKw"] is not None else part["actualShedKw"]
    return RespondingVen(ven_id=part["venId"], ven_name=part["name"], shed_kw=shed, status=status)


def _window(plan: WindowPlan) -> dict[str, Any]:
    given = sum((part.requested_kw for part in plan.parts.values()), Decimal(0))
    return {
        "start": plan.start,
        "end": plan.end,
        "request": plan.request,
        "requestedKw": float(plan.request_kw),
        "panels": {ven_id: float(part.requested_kw) for ven_id, part in sorted(plan.parts.items())},
        "unallocatedKw": float(max(Decimal(0), plan.request_kw - given)),
    }


def _members(answer: msgspec.Struct) -> dict[str, Any]:
    return msgspec.structs.asdict(answer)


def _named(answer: msgspec.Struct) -> dict[str, Any]:
    """Return the members under the names on the wire, instants as they are."""
    found: dict[str, Any] = msgspec.to_builtins(answer, builtin_types=(datetime,))
    return found
