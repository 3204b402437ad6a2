"""The parts of a VEN, helpers and the import: each against a real VTN or without one."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import structlog
from aiohttp import web

import openadr_client
import openadr_profiles.v31
from openadr_client import (
    NO_RETRY,
    Conflict,
    Found,
    KeptReport,
    ManualClock,
    Refused,
    ReportOutbox,
    TemporarilyUnavailable,
    Unauthorized,
    Unreachable,
    VtnClient,
    attributes,
    compare_events,
    event_request,
    event_values,
    find_or_create_program,
    put_report,
    readings,
    register_resource,
    register_ven,
    report_request,
)
from openadr_client.objects import Broken
from openadr_client.report_sender import REFUSED_WAITS_S
from openadr_profiles.v31 import (
    FOREVER,
    Duration,
    Event,
    EventPayloadDescriptor,
    GroupChild,
    Interval,
    IntervalPeriod,
    MqttAuthentication,
    ObjectOperation,
    ObjectType,
    ReportRequest,
    ReportResource,
    ResourceGroupRequest,
    Start,
    SubscriptionRequest,
    ValuesMap,
    decode,
    encode,
)
from tests.support.scripted_vtn import an_event, json_list, problem, scripted_vtn
from tests.ven.builders import shed_event
from tests.ven.home import SECRET, Town
from vtn.access import Role

HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)
POWER = attributes({"MAX_POWER_CONSUMPTION": 2.0})
PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()


@pytest.fixture
async def home(town: Town) -> AsyncIterator[VtnClient]:
    await town.vtn.clients.add("home-1", Role.VEN, secret=SECRET)
    async with VtnClient(base_url=town.vtn.base_url, client_id="home-1", client_secret=SECRET) as client:
        yield client


# the import


def test_importing_the_client_imports_no_library() -> None:
    """A name brings its own module only: no aiohttp, no MQTT, no discovery."""
    script = (
        "import sys, openadr_client\nfirst = set(sys.modules)\nfrom openadr_client import VtnClient, ShortTransport\n"
        "print(*sorted(n for n in first if n.startswith('openadr_')), '|', *(n for n in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    first, _, later = done.stdout.partition("|")
    assert first.split() == ["openadr_client"]
    assert not {"aiohttp", "aiomqtt", "zeroconf", "openadr_client.mqtt", "openadr_client.handlers"} & {*later.split()}


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = openadr_client.Nothing
    assert "VtnClient" in dir(openadr_client)


@pytest.mark.parametrize(
    ("name", "library", "extra"), [("MqttLink", "aiomqtt", "mqtt"), ("discover", "zeroconf", "mdns")]
)
def test_a_missing_library_is_named_with_its_extra(name: str, library: str, extra: str) -> None:
    script = (
        f"import sys\nsys.modules[{library!r}] = None\nimport openadr_client\n"
        f"try:\n    openadr_client.{name}\nexcept openadr_client.LibraryMissing as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert library in done.stdout
    assert f"pip install 'openadr-fleet[{extra}]'" in done.stdout


def test_every_name_in_the_documentation_exists() -> None:
    """Find every name that the page's code calls in the package, unless the page makes it itself."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 15
    public = {*openadr_client.__all__, *openadr_profiles.v31.__all__, "Path", "timedelta", "print", "len", "Random"}
    for block in blocks:
        text = block.replace("except Refused", "try:\n    pass\nexcept Refused") if "try:" not in block else block
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id in {*public, "isinstance", "show", "main", "look"}, block


# registration


async def test_registering_again_changes_nothing(town: Town, home: VtnClient) -> None:
    first = await register_ven(home, "home-1", attributes=POWER)
    heater = await register_resource(home, first.id, "heater", attributes=POWER)
    assert await register_ven(home, "home-1", attributes=POWER) == first
    assert await register_resource(home, first.id, "heater", attributes=POWER) == heater
    assert await register_resource(home, first.id, "heater", attributes=POWER, known=heater) == heater


async def test_attributes_stay_unless_others_are_wanted(town: Town, home: VtnClient) -> None:
    first = await register_ven(home, "home-1", attributes=POWER)
    assert (await register_ven(home, "home-1")).attributes == POWER
    more = attributes({"MAX_POWER_CONSUMPTION": 3.0})
    changed = await register_ven(home, "home-1", attributes=more)
    assert (changed.id, changed.attributes) == (first.id, more)
    renamed = await register_ven(home, "another", rename=True)
    assert (renamed.ven_name, renamed.attributes) == ("another", more)


async def test_a_name_of_another_client_is_a_conflict(town: Town, home: VtnClient) -> None:
    await town.vtn.clients.add("home-2", Role.VEN, secret=SECRET)
    await register_ven(home, "home-1")
    async with VtnClient(base_url=town.vtn.base_url, client_id="home-2", client_secret=SECRET) as other:
        with pytest.raises(Conflict):
            await register_ven(other, "home-1")


async def test_the_only_ven_that_a_vtn_shows_is_not_ours_if_it_is_another_clients(town: Town, home: VtnClient) -> None:
    """It was taken over: some VTNs show every ven to everybody, as ours does to business logic."""
    others = await register_ven(home, "home-1", attributes=POWER)
    assert [each.id for each in await town.bl.vens.search()] == [others.id]
    with pytest.raises(Refused):  # it asks for one of its own, which our VTN grants to VENs alone
        await register_ven(town.bl, "home-2")
    assert await home.vens.get(others.id) == others


# sending reports once


class Memory:
    """A store of reports in memory; keeps what it was told."""

    def __init__(self, *reports: KeptReport[str]) -> None:
        self.reports = reports
        self.diary: list[str] = []

    async def unsent(self) -> tuple[KeptReport[str], ...]:
        return self.reports

    async def creating(self, report: KeptReport[str]) -> None:
        self.diary.append(f"creating {report.row}")

    async def sent(self, report: KeptReport[str], vtn_id: str) -> None:
        self.diary.append(f"sent {report.row} {vtn_id}")

    async def refused(self, report: KeptReport[str], problem: str) -> None:
        self.diary.append(f"refused {report.row}")


def a_report(name: str = "r", event_id: str = "e") -> ReportRequest:
    event = decode(web.json_response(an_event(event_id)).body, Event)  # type: ignore[arg-type] # bytes
    return report_request(event, "home", "USAGE", {"heater": [1]}, start=START, duration=HOUR, name=name)


async def test_a_report_is_created_marked_and_later_replaced(town: Town, home: VtnClient) -> None:
    program = await find_or_create_program(town.bl, "peak")
    event = await town.bl.events.create(event_request(program.id, "SIMPLE", [1], start=START, duration=HOUR))
    request = a_report(event_id=event.id)
    new = Memory(KeptReport(request, None, may_exist=False, row="r"))
    assert await ReportOutbox(home, new).send() == 1
    [stored] = await town.bl.reports.search(event_id=event.id)
    assert new.diary == ["creating r", f"sent r {stored.id}"]

    for kept in (
        KeptReport(request, None, may_exist=True, row="after a crash"),
        KeptReport(request, stored.id, may_exist=True, row="known"),
    ):
        again = Memory(kept)
        await ReportOutbox(home, again).send()
        assert again.diary == [f"sent {kept.row} {stored.id}"]
    lost = Memory(KeptReport(request, "gone", may_exist=True, row="lost"))
    await home.reports.delete(stored.id)
    await ReportOutbox(home, lost).send()
    [made] = await town.bl.reports.search(event_id=event.id)
    assert lost.diary == ["creating lost", f"sent lost {made.id}"]
    assert (await put_report(home, request)).id == made.id


@pytest.mark.sends_invalid_requests
async def test_a_conflict_at_creating_means_that_the_vtn_has_it() -> None:
    """A VTN that keeps names of reports unique answers 409 to a report whose first answer was lost."""
    stored = {
        "id": "7",
        "createdDateTime": "2026-01-01T00:00:00Z",
        "modificationDateTime": "2026-01-01T00:00:00Z",
        "clientID": "home",
        "eventID": "e",
        "clientName": "home",
        "reportName": "r",
        "resources": [],
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "POST":
            return problem(409, "there is a report of this name")
        return json_list([stored]) if request.method == "GET" else web.json_response(stored)

    async with scripted_vtn() as server, VtnClient(base_url=server.base_url) as vtn:
        server.answer = answer
        store = Memory(KeptReport(a_report(), None, may_exist=False, row="r"))
        await ReportOutbox(vtn, store).send()
    assert store.diary == ["creating r", "sent r 7"]


async def test_a_refused_report_is_tried_again_then_given_up_and_the_next_is_sent(town: Town, home: VtnClient) -> None:
    """V8: a refusal may pass, so it is given up after six attempts over some hours; no other report waits for it."""
    program = await find_or_create_program(town.bl, "peak")
    event = await town.bl.events.create(event_request(program.id, "SIMPLE", [1], start=START, duration=HOUR))
    store = Memory(
        KeptReport(a_report(event_id="nothing"), None, may_exist=False, row="bad"),
        KeptReport(a_report(event_id=event.id), None, may_exist=False, row="good"),
    )
    clock = ManualClock(START)
    outbox = ReportOutbox(home, store, clock=clock)
    with structlog.testing.capture_logs() as logs:
        await outbox.send()
        assert [each.split()[:2] for each in store.diary] == [
            ["creating", "bad"],
            ["creating", "good"],
            ["sent", "good"],
        ]
        store.reports = store.reports[:1]
        for wait_s in REFUSED_WAITS_S:
            assert await outbox.send() == 0, "it is left alone for a while"
            await clock.advance(wait_s)
            assert await outbox.send() == 1
    assert store.diary[3:] == ["creating bad"] * 5 + ["refused bad"]
    assert [each["log_level"] for each in logs if each["event"].startswith("report refused")] == ["warning"] * 5 + [
        "error"
    ]


class ReportShelf:
    """Answer as a VTN that keeps reports, but first with what is planned for a method and a report's name."""

    def __init__(self) -> None:
        self.plan: dict[tuple[str, str], list[int]] = {}
        self.stored: dict[str, dict[str, Any]] = {}
        self.said: list[tuple[str, str, int]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return json_list(list(self.stored.values()))
        body = await request.json()
        name = body["reportName"]
        planned = self.plan.get((request.method, name), [])
        status = planned.pop(0) if planned else 201
        self.said.append((request.method, name, status))
        if status != 201:
            return problem(status, "not now")
        moment = "2026-01-01T00:00:00Z"
        id_ = request.path.rpartition("/")[2] if request.method == "PUT" else f"r{len(self.stored)}"
        stored = {**body, "id": id_, "createdDateTime": moment, "modificationDateTime": moment, "clientID": "home"}
        self.stored[id_] = stored
        return web.json_response(stored, status=201 if request.method == "POST" else 200)


async def test_the_vtn_is_asked_once_for_the_reports_of_an_event_and_again_after_a_failure() -> None:
    """VENCLIENT-021: what an earlier run has created is found by its name, and no report costs reading all others."""
    shelf, asked = ReportShelf(), 0
    shelf.stored["r0"] = {
        **decode(encode(a_report("b")), dict[str, Any]),
        "id": "r0",
        "createdDateTime": "2026-01-01T00:00:00Z",
        "modificationDateTime": "2026-01-01T00:00:00Z",
        "clientID": "home",
    }

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += request.method == "GET"
        return await shelf.answer(request)

    clock = ManualClock(START)
    async with scripted_vtn() as server, VtnClient(base_url=server.base_url, retry=NO_RETRY) as vtn:
        server.answer = answer
        store = Shelved(*(kept(name, may_exist=True) for name in "abcd"))
        outbox = ReportOutbox(vtn, store, clock=clock)
        await outbox.send()
        assert (asked, sorted(shelf.stored)) == (1, ["r0", "r1", "r2", "r3"])

        shelf.plan["POST", "e"] = [503]
        store.reports = (kept("e", may_exist=True), kept("a", may_exist=True))
        with structlog.testing.capture_logs():
            await outbox.send()
            await clock.advance(60)
            await outbox.send()
    assert asked == 2, "after a failure somebody may have stored the report"
    names = [each["reportName"] for each in shelf.stored.values()]
    assert sorted(names) == ["a", "b", "c", "d", "e"], "none is there twice"
    assert [each[0] for each in shelf.said if each[1] == "b"] == ["PUT"]


class Shelved(Memory):
    """A store whose reports leave it when the VTN has them or has refused them for good."""

    async def sent(self, report: KeptReport[str], vtn_id: str) -> None:
        await super().sent(report, vtn_id)
        self.reports = tuple(each for each in self.reports if each.row != report.row)

    async def refused(self, report: KeptReport[str], problem: str) -> None:
        await super().refused(report, problem)
        self.reports = tuple(each for each in self.reports if each.row != report.row)


def kept(name: str, *, vtn_id: str | None = None, may_exist: bool = False) -> KeptReport[str]:
    return KeptReport(a_report(name), vtn_id, may_exist=may_exist, row=name)


@pytest.mark.parametrize("status", [400, 403, 404, 408, 413])
async def test_a_passing_refusal_loses_and_doubles_nothing(status: int) -> None:
    """V8."""
    shelf, clock = ReportShelf(), ManualClock(START)
    shelf.plan["POST", "a"] = [status]
    async with scripted_vtn() as server, VtnClient(base_url=server.base_url, retry=NO_RETRY) as vtn:
        server.answer = shelf.answer
        store = Shelved(kept("a"), kept("b"))
        outbox = ReportOutbox(vtn, store, clock=clock)
        with structlog.testing.capture_logs():
            await outbox.send()
            await clock.advance(60)
            await outbox.send()
    assert sorted(each["reportName"] for each in shelf.stored.values()) == ["a", "b"]
    assert store.reports == ()


async def test_one_report_that_the_vtn_cannot_take_blocks_no_other() -> None:
    """V8: it is asked for again later and later, and new reports do not wait for it."""
    shelf, clock = ReportShelf(), ManualClock(START)
    shelf.plan["POST", "bad"] = [500] * 1000
    async with scripted_vtn() as server, VtnClient(base_url=server.base_url, retry=NO_RETRY) as vtn:
        server.answer = shelf.answer
        store = Shelved(kept("bad"), kept("0"))
        outbox = ReportOutbox(vtn, store, clock=clock)
        with structlog.testing.capture_logs():
            for hour in range(1, 7):
                await outbox.send()
                assert [each.row for each in store.reports] == ["bad"]
                store.reports = (*store.reports, kept(str(hour)))
                for _ in range(60):
                    await clock.advance(60)
                    await outbox.send()
        attempts = sum(status == 500 for _, _, status in shelf.said)
        assert 6 * 4 <= attempts <= 6 * 8 + 12, "at most every 7.5 minutes once it has failed for a while"
        shelf.plan.clear()
        await clock.advance(900)
        await outbox.send()
    assert len(shelf.stored) == 8


async def test_a_vtn_that_fails_is_asked_once_a_round() -> None:
    shelf = ReportShelf()
    names = [str(number) for number in range(5)]
    shelf.plan |= {("POST", name): [503] * 9 for name in names}
    async with scripted_vtn() as server, VtnClient(base_url=server.base_url, retry=NO_RETRY) as vtn:
        server.answer = shelf.answer
        outbox = ReportOutbox(vtn, Shelved(*map(kept, names)), clock=ManualClock(START))
        with structlog.testing.capture_logs():
            for asked in (2, 3, 4, 5):
                with pytest.raises(TemporarilyUnavailable):
                    await outbox.send()
                assert len(shelf.said) == asked


async def test_a_404_at_replacing_makes_no_second_report() -> None:
    """V8: the report is looked for, and created only if it is nowhere."""
    shelf, clock = ReportShelf(), ManualClock(START)
    async with scripted_vtn() as server, VtnClient(base_url=server.base_url, retry=NO_RETRY) as vtn:
        server.answer = shelf.answer
        await ReportOutbox(vtn, Shelved(kept("status"))).send()
        shelf.plan["PUT", "status"] = [404, 404]
        store = Shelved(kept("status", vtn_id="r0"))
        outbox = ReportOutbox(vtn, store, clock=clock)
        with structlog.testing.capture_logs():
            await outbox.send()
            await clock.advance(60)
            await outbox.send()
    assert list(shelf.stored) == ["r0"]
    assert store.diary == ["sent status r0"]
    assert [each[::2] for each in shelf.said] == [("POST", 201), ("PUT", 404), ("PUT", 404), ("PUT", 201)]


async def test_a_vtn_that_is_away_leaves_the_report_unsent() -> None:
    store = Memory(KeptReport(a_report(), None, may_exist=False, row="r"))
    async with VtnClient(base_url="http://127.0.0.1:1/openadr3/3.1.0", retry=NO_RETRY) as vtn:
        with pytest.raises(Unreachable):
            await ReportOutbox(vtn, store).send()
    assert store.diary == ["creating r"]


# what has changed


def test_events_are_compared_by_id_and_time() -> None:
    """VENCLIENT-011: older versions are ignored; what cannot be read is not missing."""

    def event(id_: str, day: int) -> Event:
        return decode(
            web.json_response(an_event(id_, modificationDateTime=f"2026-01-0{day}T00:00:00Z")).body,  # type: ignore[arg-type] # bytes here
            Event,
        )

    found = Found([event("new", 1), event("newer", 3), event("older", 1), event("same", 2)], [Broken("odd", "?")])
    second = datetime(2026, 1, 2, tzinfo=UTC)
    known = dict.fromkeys(("newer", "older", "same", "odd", "missing"), second)
    changes = compare_events(found, known)
    assert [each.id for each in changes.added] == ["new"]
    assert [each.id for each in changes.changed] == ["newer"]
    assert changes.missing == ("missing",)


# subscriptions, groups, notifiers


async def test_subscriptions_are_a_collection(town: Town) -> None:
    told = ObjectOperation(objects=(ObjectType.EVENT,), operations=("CREATE",), callback_url="https://127.0.0.1:9/hook")
    with pytest.raises(openadr_client.InvalidRequest):  # this VTN calls back before it keeps one
        await town.bl.subscriptions.create(SubscriptionRequest(client_name="bl", object_operations=(told,)))
    kept = await town.bl.subscriptions.create(SubscriptionRequest(client_name="bl", object_operations=()))
    assert [each.id for each in await town.bl.subscriptions.search(client_name="bl")] == [kept.id]
    assert await town.bl.subscriptions.search(objects=["PROGRAM"]) == []
    await town.bl.subscriptions.delete(kept.id)
    assert await town.bl.subscriptions.find(kept.id) is None


@pytest.mark.sends_invalid_requests
async def test_resource_groups_are_a_collection(town: Town, home: VtnClient) -> None:
    ven = await register_ven(home, "home-1")
    heater = await register_resource(home, ven.id, "heater")
    child = GroupChild(type="ven_resource", id=heater.id)
    request = ResourceGroupRequest(resource_group_name="feeder-7", children=(child,))
    group = await town.bl.resource_groups.create(request)
    assert await town.bl.resource_groups.search(resource_group_name="feeder-7") == [group]


@pytest.mark.sends_invalid_requests
async def test_notifiers_are_read_with_all_that_vtns_add() -> None:
    """VENCLIENT-029: keys and members that the standard does not know are ignored."""
    said: dict[str, Any] = {
        "WEBHOOK": True,
        "WEBSOCKET": {"url": "wss://v"},
        "MQTT": {
            "URIS": ["mqtts://broker:8883"],
            "serialization": "JSON",
            "authentication": {"method": "OAUTH2_BEARER_TOKEN", "username": "{clientID}", "password": "x"},
        },
    }
    answers = [web.json_response(said), problem(404, "no such path"), web.Response(text="<html>")]

    async def answer(_: web.Request) -> web.StreamResponse:
        return answers.pop(0)

    async with scripted_vtn() as server, VtnClient(base_url=server.base_url) as vtn:
        server.answer = answer
        ways = await vtn.notifiers()
        assert ways is not None
        assert ways.webhook
        assert ways.mqtt is not None
        assert ways.mqtt.uris == ("mqtts://broker:8883",)
        assert ways.mqtt.authentication.username == "{clientID}"
        assert await vtn.notifiers() is None
        with pytest.raises(openadr_client.UnexpectedAnswer, match="not a list of notifiers"):
            await vtn.notifiers()


def test_a_key_in_notifiers_does_not_show() -> None:
    assert "secret" not in repr(MqttAuthentication(method="CERTIFICATE", client_key="secret"))


# helpers


@pytest.mark.parametrize(
    ("values", "members", "problem_"),
    [
        ([], {}, "at least one value"),
        ([1], {"start": datetime(2026, 1, 1)}, "time zone"),  # noqa: DTZ001 # the mistake is the point
        ([1], {"duration": timedelta(0)}, "positive length"),
    ],
)
def test_an_event_that_makes_no_sense_is_refused(values: list[int], members: dict[str, Any], problem_: str) -> None:
    given = {"start": START, "duration": HOUR, **members}
    with pytest.raises(ValueError, match=problem_):
        event_request("p", "SIMPLE", values, **given)


def test_readings_follow_the_interval_before_or_have_their_own_time() -> None:
    def interval(id_: int, start: datetime | None = None) -> Interval:
        period = IntervalPeriod(start=Start.of(start)) if start else None
        return Interval(id=id_, interval_period=period, payloads=(ValuesMap(type="USAGE", values=(id_,)),))

    period = IntervalPeriod(start=Start.of(START), duration=Duration.of(HOUR))
    resource = ReportResource(
        resource_name="heater",
        interval_period=period,
        intervals=(interval(0), interval(1), interval(2, START + 5 * HOUR), interval(3)),
    )
    untimed = ReportResource(resource_name="meter", intervals=(interval(9),))
    report = ReportRequest(event_id="e", client_name="home", resources=(resource, untimed))
    hours = [(each.start, each.end) for each in readings([report])]
    begins = [START, START + HOUR, START + 5 * HOUR, START + 6 * HOUR]
    assert hours == [*((begin, begin + HOUR) for begin in begins), (None, None)]


def test_values_of_an_event_are_flat_and_in_order() -> None:
    """TIME-029: several prices share an interval's time; what is not in the span asked about is left out."""
    two = Interval(id=7, payloads=(ValuesMap(type="PRICE", values=(0.3, 0.4)), ValuesMap(type="SIMPLE", values=(2,))))
    four = Interval(id=8, payloads=(ValuesMap(type="PRICE", values=(0.5,)),))
    event = shed_event(
        start=START,
        intervals=(two, four),
        payload_descriptors=(EventPayloadDescriptor(payload_type="PRICE", units="KWH", currency="EUR"),),
    )
    half = HOUR / 2
    prices = [(each.interval_id, each.start, each.end, each.value) for each in event_values(event, "PRICE")]
    assert prices == [
        (7, START, START + half, 0.3),
        (7, START + half, START + HOUR, 0.4),
        (8, START + HOUR, START + 2 * HOUR, 0.5),
    ]
    (level,) = event_values(event, "SIMPLE")
    assert (level.values, level.units, level.start, level.end) == ((2,), None, START, START + HOUR)
    (price, *_), others = list(event_values(event, "PRICE")), list(event_values(event))
    assert (price.units, price.currency, price.event_id) == ("KWH", "EUR", event.id)
    assert [each.payload_type for each in others] == ["PRICE", "PRICE", "SIMPLE", "PRICE"]
    later = event_values(event, "PRICE", since=START + half, until=START + HOUR)
    assert [each.value for each in later] == [0.4]
    with pytest.raises(ValueError, match="since: expected an instant with a time zone"):
        event_values(event, since=START.replace(tzinfo=None))


def test_values_of_an_event_without_end_are_given_one_by_one() -> None:
    event = shed_event(1, 2, type_="SIMPLE", units=None, duration=FOREVER, start=START)
    assert [each.value for each in islice(event_values(event), 5)] == [1, 2, 1, 2, 1]
    assert len(list(event_values(event, until=START + 10 * HOUR))) == 10


async def test_a_program_is_made_once(town: Town) -> None:
    made = await find_or_create_program(town.bl, "peak")
    assert await find_or_create_program(town.bl, "peak") == made


async def test_credentials_that_are_wrong_are_not_tried_again(town: Town) -> None:
    async with VtnClient(base_url=town.vtn.base_url, client_id="bl", client_secret="not the secret") as vtn:
        with pytest.raises(Unauthorized):
            await vtn.programs.search()
