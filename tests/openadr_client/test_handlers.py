"""`HandlerVen` against a real VTN, and against one that fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from msgspec.structs import replace

from openadr_client import (
    NO_RETRY,
    HandlerVen,
    ManualClock,
    SystemClock,
    Unauthorized,
    VtnClient,
    attributes,
    event_request,
    event_values,
    find_or_create_program,
    readings,
)
from openadr_profiles.fleet.reports import read_opts
from openadr_profiles.v31 import Duration, Event, IntervalPeriod, Start, random_offset
from tests.support.scripted_vtn import an_event, json_list, problem, scripted_vtn
from tests.support.waiting import wait_until
from tests.ven.home import SECRET, Town
from tests.ven.home import town as a_town
from vtn.access import Role

HOUR = timedelta(hours=1)


@pytest.fixture
async def vtn(town: Town) -> AsyncIterator[VtnClient]:
    await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
    async with VtnClient(base_url=town.vtn.base_url, client_id="home-1", client_secret=SECRET) as client:
        yield client


@pytest.fixture
def ven(vtn: VtnClient) -> HandlerVen:
    return HandlerVen(vtn, name="home-1", resources={"heater": attributes({"MAX_POWER_CONSUMPTION": 2.0})})


class Diary:
    """Holds the calls of handlers, as ("added", event name)."""

    def __init__(self, ven: HandlerVen) -> None:
        self.told: list[tuple[str, str | None]] = []
        ven.on_added(self._writer("added"))
        ven.on_changed(self._writer("changed"))
        ven.on_removed(self._writer("removed"))

    def _writer(self, word: str) -> Any:
        async def write(event: Event) -> None:
            self.told.append((word, event.event_name))

        return write


async def issue(town: Town, name: str = "one", **length: Any) -> Event:
    program = await find_or_create_program(town.bl, "peak")
    begins = SystemClock().now() + length.pop("begins_in", HOUR)
    return await town.bl.events.create(event_request(program.id, "SIMPLE", [1], start=begins, duration=HOUR, name=name))


async def modify(town: Town, event: Event, name: str) -> Event:
    request = event_request(event.program_id, "SIMPLE", [2], start=SystemClock().now() + HOUR, duration=HOUR, name=name)
    return await town.bl.events.replace(event.id, request)


async def test_handlers_are_told_of_what_is_new_modified_and_deleted(town: Town, ven: HandlerVen) -> None:
    diary = Diary(ven)
    event = await issue(town)
    assert await ven.poll()
    assert not await ven.poll()
    await modify(town, event, "two")
    assert await ven.poll()
    assert [each.event_name for each in ven.events] == ["two"]
    await town.bl.events.delete(event.id)
    assert await ven.poll()
    assert diary.told == [("added", "one"), ("changed", "two"), ("removed", "two")]
    assert ven.events == ()


async def test_ven_and_resources_are_registered_once(town: Town, ven: HandlerVen) -> None:
    await ven.poll()
    await ven.poll()
    [registered] = await town.bl.vens.search()
    [heater] = await town.bl.resources.search()
    assert (registered.ven_name, heater.resource_name, heater.ven_id) == ("home-1", "heater", registered.id)
    assert heater.attributes == attributes({"MAX_POWER_CONSUMPTION": 2.0})


async def test_an_event_that_is_over_is_not_told_of(town: Town, ven: HandlerVen) -> None:
    """Neither one that was over at first, nor one that the VTN does not list as active any more."""
    diary = Diary(ven)
    await issue(town, begins_in=-3 * HOUR)
    event = await issue(town, "soon over")
    await ven.poll()
    past = event_request(event.program_id, "SIMPLE", [1], start=SystemClock().now() - 3 * HOUR, duration=HOUR)
    await town.bl.events.replace(event.id, past)
    await ven.poll()
    assert diary.told == [("added", "soon over"), ("changed", None)]
    assert ven.events == ()


async def test_a_handler_that_fails_or_hangs_keeps_nobody_from_being_told(town: Town, vtn: VtnClient) -> None:
    ven = HandlerVen(vtn, name="home-1", handler_s=0.05)

    @ven.on_event
    async def fail(_: Event) -> None:
        raise LookupError("a fault of the user's code")

    @ven.on_event
    async def hang(_: Event) -> None:
        await asyncio.Event().wait()

    diary = Diary(ven)
    await issue(town, "one")
    await issue(town, "two")
    await ven.poll()
    assert sorted(diary.told) == [("added", "one"), ("added", "two")]
    assert not await ven.poll()


async def test_a_lasting_handler_begins_anew_with_a_new_version_and_ends_with_the_event(
    town: Town, ven: HandlerVen
) -> None:
    begun: list[str | None] = []
    ended: list[str | None] = []

    @ven.during
    async def follow(event: Event) -> None:
        begun.append(event.event_name)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(event.event_name)

    event = await issue(town)
    await ven.poll()
    await wait_until(lambda: begun == ["one"])
    await modify(town, event, "two")
    await ven.poll()
    await wait_until(lambda: begun == ["one", "two"])
    assert ended == ["one"]
    await town.bl.events.delete(event.id)
    await ven.poll()
    assert ended == ["one", "two"]


async def test_nothing_is_kept_of_an_event_that_has_ended_by_itself(tmp_path: Path, empty_database: Path) -> None:
    """A device runs for years: what its handlers were begun for is forgotten with the event."""
    clock = ManualClock(SystemClock().now())
    async with a_town(tmp_path, clock, database=empty_database) as town:
        await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
        url = town.vtn.base_url
        async with VtnClient(base_url=url, client_id="home-1", client_secret=SECRET, clock=clock) as vtn:
            ven = HandlerVen(vtn, name="home-1")

            @ven.during
            async def short(event: Event) -> None:
                """End at once."""

            program = await find_or_create_program(town.bl, "peak")
            request = event_request(program.id, "SIMPLE", [1], start=clock.now(), duration=HOUR, name="short")
            await town.bl.events.create(request)
            assert await ven.poll()
            assert len(ven._tasks) == 1
            await clock.advance(2 * HOUR.total_seconds())
            await ven.poll()
            assert ven.events == ()
            assert ven._tasks == {}


async def test_lasting_handlers_end_with_the_ven(town: Town, ven: HandlerVen) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    @ven.during
    async def follow(_: Event) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await issue(town)
    running = asyncio.create_task(ven.run())
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


async def test_an_event_is_placed_in_time_as_it_holds_for_this_ven(town: Town, ven: HandlerVen) -> None:
    """TIME-016, TIME-026, R-43: "now" is when it was received, and the random shift is this VEN's own."""
    program = await find_or_create_program(town.bl, "peak")
    now, later = Start.parse("0001-01-01T00:00:00Z"), Start.of(town.bl.clock.now() + HOUR)
    hour = Duration.of(HOUR)
    levels = event_request(program.id, "SIMPLE", [1], start=town.bl.clock.now(), duration=HOUR)
    at_once = replace(levels, interval_period=IntervalPeriod(start=now, duration=hour))
    shifted = replace(levels, interval_period=IntervalPeriod(start=later, duration=hour, randomize_start=hour))
    events = [await town.bl.events.create(each) for each in (at_once, shifted)]
    before = ven.clock.now()
    await ven.poll()
    after = ven.clock.now()
    one, other = (ven.timeline(event) for event in events)
    assert before <= one.start <= after
    assert ven.timeline(events[0]).start == one.start, "it does not move with the time that goes by"
    assert later.at is not None
    assert other.start == later.at + random_offset(events[1], "home-1")(0, HOUR)
    assert other.start != later.at
    (level,) = event_values(other, "SIMPLE")
    assert (level.start, level.end) == (other.start, other.start + HOUR)


async def test_a_later_answer_replaces_the_earlier_one(town: Town, ven: HandlerVen) -> None:
    event = await issue(town)
    await ven.opt(event, True)
    await ven.opt(event, False, "guests")
    [report] = await town.bl.reports.search(event_id=event.id)
    [said] = read_opts(report.resources)
    assert (said.opted_in, said.reason) == (False, "guests")
    with pytest.raises(ValueError, match="reason"):
        await ven.opt(event, False)


async def test_a_report_is_there_once_under_its_name(town: Town, ven: HandlerVen) -> None:
    event = await issue(town)
    start = SystemClock().now().replace(microsecond=0)
    for kwh in (0.5, 0.75):
        values = {"heater": [kwh, 1.0]}
        await ven.report(event, "USAGE", values, start=start, duration=HOUR, units="KWH")
    found = list(readings(await town.bl.reports.search(event_id=event.id)))
    assert [(each.value, each.start, each.end, each.units) for each in found] == [
        (0.75, start, start + HOUR, "KWH"),
        (1.0, start + HOUR, start + 2 * HOUR, "KWH"),
    ]


async def test_a_stranger_is_turned_away_at_the_first_contact(town: Town) -> None:
    async with VtnClient(base_url=town.vtn.base_url, client_id="nobody", client_secret="not-the-one-of-nobody") as vtn:
        with pytest.raises(Unauthorized):
            await HandlerVen(vtn, name="nobody").run()


@pytest.mark.sends_invalid_requests
async def test_what_a_failed_poll_did_not_deal_with_is_told_by_the_next() -> None:
    """The VTN fails when it is asked about an event that is not listed any more."""
    stored = {
        "createdDateTime": "2026-01-01T00:00:00Z",
        "modificationDateTime": "2026-01-01T00:00:00Z",
        "clientID": "home",
        "id": "v",
        "venName": "home",
    }
    listed, fails = [an_event("e", eventName="one"), an_event("f", eventName="other")], True

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/vens"):
            return json_list([stored])
        if request.path.endswith("/events/e"):
            return problem(503, "busy") if fails else problem(404, "gone")
        return json_list(listed if request.path.endswith("/events") else [])

    async with scripted_vtn() as server, VtnClient(base_url=server.base_url, retry=NO_RETRY) as vtn:
        server.answer = answer
        ven = HandlerVen(vtn, name="home")
        diary = Diary(ven)
        await ven.poll()
        del listed[0]
        listed.append(an_event("g", eventName="new"))
        with pytest.raises(Exception, match="busy"):
            await ven.poll()
        fails = False
        await ven.poll()
    assert diary.told == [("added", "one"), ("added", "other"), ("added", "new"), ("removed", "one")]


async def test_a_handler_must_be_async(ven: HandlerVen) -> None:
    with pytest.raises(TypeError, match="async def handler"):
        ven.on_event(lambda event: None)  # type: ignore[arg-type, return-value] # the mistake is the point
