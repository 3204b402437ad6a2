"""The life of an event: its numbers and its status (B-EVT-008 to 019)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from oadr_conformance.moments import from_now, instant
from oadr_conformance.registry import Area
from oadr_conformance.v20b.probe import Probe20b

area = Area("2.0b, EiEvent", always="")


@area.check("B-EVT-008", needs="operator")
async def first_number(probe: Probe20b) -> None:
    """A new event has the modificationNumber 0."""
    ven = await probe.registered()
    view = await probe.new_event(ven)
    (await ven.request_events()).same("modificationNumber", view.number, 0)


_CHANGES: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "start": lambda: {"intervalPeriod": {"start": from_now(hours=4), "duration": "PT1H"}},
    "value": lambda: {"intervals": [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [2]}]}]},
    "priority": lambda: {"priority": 4},
}


@area.each("B-EVT-009 B-EVT-012", _CHANGES, needs="operator")
async def changed(probe: Probe20b, change: Callable[[], dict[str, Any]]) -> None:
    """A change adds exactly 1 to the modificationNumber, is told, and has its time."""
    ven = await probe.registered()
    event, view = await probe.both(ven)
    await ven.drain()
    await probe.operator.change(event, **change())
    reply = await ven.polled("oadrDistributeEvent", holds=lambda one: view.id in one.text)
    told = await ven.until(view, lambda one: one.number > view.number, "a change of an event")
    reply.same("modificationNumber", told.number, view.number + 1)
    reply.true(told.modified and instant(told.modified), "a modificationDateTime", told.modified or "none")


@area.check("B-EVT-011", needs="operator")
async def numbers_only_rise(probe: Probe20b) -> None:
    """modificationNumber never goes down, and every change adds 1."""
    ven = await probe.registered()
    event, view = await probe.both(ven)
    numbers = [view.number]
    for priority in (2, 3):
        event = await probe.operator.change(event, priority=priority)
        numbers.append((await ven.until(view, lambda one: one.number != numbers[-1], "a change")).number)
    (await ven.request_events()).same("modificationNumbers", numbers, [view.number + step for step in range(3)])


_STATUS: Final[Mapping[str, tuple[dict[str, float], str]]] = {
    "far": ({"hours": 2}, "far"),
    "active": ({"minutes": -5}, "active"),
}


@area.each("B-EVT-013", _STATUS, needs="operator")
async def status(probe: Probe20b, case: tuple[dict[str, float], str]) -> None:
    """The status is far before the start and active from it on; without a ramp-up it is never near."""
    offset, expected = case
    ven = await probe.registered()
    view = await probe.new_event(ven, intervalPeriod={"start": from_now(**offset), "duration": "PT1H"})
    (await ven.request_events()).same("eventStatus", view.status, expected)


@area.check("B-EVT-014 B-EVT-013", needs="operator")
async def status_follows_the_clock(probe: Probe20b) -> None:
    """The status follows the clock when a message is sent, and does not change the modificationNumber."""
    ven = await probe.registered()
    view = await probe.new_event(ven, intervalPeriod={"start": from_now(seconds=3), "duration": "PT1H"})
    told = await ven.until(view, lambda one: one.status == "active", "an event that began to be active", later_s=3)
    (await ven.request_events()).same("modificationNumber", told.number, view.number)


@area.check("B-EVT-017 B-EVT-013", needs="operator")
async def completed(probe: Probe20b) -> None:
    """An event whose end has passed is told as completed, or no more."""
    ven = await probe.registered()
    view = await probe.new_event(ven, seconds=5, intervalPeriod={"start": from_now(seconds=-3), "duration": "PT5S"})
    for _ in range(40):
        reply = await ven.request_events()
        found = [one for one in await ven.events() if one.id == view.id]
        if not found or found[0].status == "completed":
            return
        await probe.pause()
    raise reply.fail("completed, or no such event", found[0].status)


@area.check("B-EVT-019", needs="operator")
async def no_status_none(probe: Probe20b) -> None:
    """The status `none` is never sent."""
    ven = await probe.registered()
    await probe.new_event(ven)
    reply = (await ven.request_events()).of("oadrDistributeEvent")
    found = [one.status for one in await ven.events()]
    reply.true(found and set(found) <= {"far", "near", "active", "completed", "cancelled"}, "a status", found)
