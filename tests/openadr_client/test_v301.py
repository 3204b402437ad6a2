"""The client of a VTN that speaks OpenADR 3.0.1 (V301-047): one model, one place that knows the wire.

Every request is judged by the official document of 3.0.1 (`tests/conftest.py`), and the VTN takes no other.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bench.support.net import free_port
from openadr_client import (
    NO_RETRY,
    NOT_MODIFIED,
    CallbackApplication,
    Conflict,
    ConnectionSettings,
    Forbidden,
    HandlerVen,
    InvalidRequest,
    ManualClock,
    NotFound,
    PushSettings,
    ReadAgain,
    ReceivedNotification,
    Registration,
    VtnClient,
    WebhookReceiver,
    attributes,
    read_notification,
    register_ven,
    report_request,
)
from openadr_client.faces import face_of, version_in
from openadr_client.notifications import Told
from openadr_client.v301 import FACE_301, TypedTarget
from openadr_profiles.v31 import (
    NOW,
    BlResourceRequest,
    BlVenRequest,
    Duration,
    Event,
    EventRequest,
    Interval,
    IntervalPeriod,
    Invalid,
    PackedIntervals,
    Program,
    ProgramRequest,
    ReportDescriptor,
    Start,
    SubscriptionRequest,
    ValuesMap,
    Ven,
    VenResourceRequest,
    encode,
)
from tests.openadr_client.announced import background
from tests.support.small_vtn301 import SmallVtn301, small_vtn301
from tests.support.waiting import wait_until

METADATA = {"id": "x", "createdDateTime": "2026-01-01T00:00:00Z", "modificationDateTime": "2026-01-01T00:00:00Z"}
PRICE = ValuesMap(type="PRICE", values=(1.5,))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def vtn() -> AsyncIterator[SmallVtn301]:
    async with small_vtn301() as found:
        yield found


@pytest.fixture
async def client(vtn: SmallVtn301) -> AsyncIterator[VtnClient]:
    async with VtnClient(base_url=vtn.base_url, client_id="c-1", client_secret="s") as found:
        yield found


@pytest.mark.parametrize(
    ("url", "version"),
    [
        ("https://vtn.example/openadr3/3.0.1", "3.0.1"),
        ("https://vtn.example/openadr3/3.0.0", "3.0.1"),
        ("https://vtn.example/3.0", "3.0.1"),
        ("https://vtn.example/api/v3.0.1/tenant-7", "3.0.1"),
        ("https://vtn.example/openadr3/3.1.0", "3.1"),
        ("https://vtn.example/openadr3/3.1.1/", "3.1"),
        ("https://vtn.example/3.0.1/openadr3/3.1.0", "3.1"),
        ("https://3.0.1.example/openadr3", "3.1"),
        ("https://vtn.example/2.0b/3.0.1.html", "3.1"),
        ("https://vtn.example", "3.1"),
    ],
)
def test_the_version_is_that_of_the_url(url: str, version: str) -> None:
    """V301-047, GEN-001: the last segment that is a version; without any it is 3.1."""
    assert version_in(url) == version
    assert face_of(url).version == version


def test_a_setting_has_the_last_word() -> None:
    """A VTN behind a proxy may have any path; another version than the two is refused by name."""
    given = ConnectionSettings(url="https://vtn.example/dr", version="3.0.1")
    assert given.client_with(verify=True).face.version == "3.0.1"
    assert face_of("https://vtn.example/openadr3/3.0.1", "3.1").version == "3.1"
    with pytest.raises(ValidationError, match=r"version\n  Input should be '3.1' or '3.0.1'"):
        ConnectionSettings.model_validate({"url": "https://vtn.example", "version": "2.0b"})


_names = st.sampled_from(["GROUP", "VEN_NAME", "SERVICE_AREA", "own"])
_values = st.one_of(st.text(min_size=1, max_size=9), st.integers(-9, 9), st.booleans())


@settings(max_examples=50)
@given(st.lists(st.tuples(_names, st.lists(_values, min_size=1, max_size=3)), max_size=3))
def test_targets_keep_their_types_and_values(groups: list[tuple[str, list[Any]]]) -> None:
    """V301-047, V301-003: targets are (type, value), and are written back as they came."""
    sent = [{"type": type_, "values": values} for type_, values in groups]
    ven = FACE_301.read(json.dumps({**METADATA, "venName": "v", "targets": sent}).encode(), Ven)
    found = [(each.type, each.value) for each in ven.targets or () if isinstance(each, TypedTarget)]
    assert found == [(type_, value) for type_, values in groups for value in values]
    written = json.loads(FACE_301.write(BlVenRequest(client_id="c", ven_name="v", targets=ven.targets)))
    texts = [(each["type"], json.dumps(value)) for each in written.get("targets", ()) for value in each["values"]]
    distinct = {str(each): (each.type, json.dumps(each.value)) for each in reversed(ven.targets or ())}  # type: ignore[attr-defined] # typed
    assert sorted(texts) == sorted(distinct.values())


@pytest.mark.parametrize("values", [[], [{"x": 1.5, "y": 2}]])
def test_a_target_of_nothing_is_for_nobody(values: list[Any]) -> None:
    """V301-003, V301-047: without it the object would be for everybody. It is written back as it came."""
    sent = [{"type": "VEN_NAME", "values": values}]
    asked = [{"payloadType": "READING", "targets": sent}]
    document = {**METADATA, "programID": "p", "intervals": [], "targets": sent, "reportDescriptors": asked}
    event = FACE_301.read(json.dumps(document).encode(), Event)
    descriptors = event.report_descriptors or ()
    assert len(event.targets or ()) == 1
    assert [len(each.targets or ()) for each in descriptors] == [1]
    request = EventRequest(program_id="p", targets=event.targets, report_descriptors=descriptors)
    written = json.loads(FACE_301.write(request))
    assert (written["targets"], written["reportDescriptors"][0]["targets"]) == (sent, sent)


def test_a_target_is_its_text_wherever_no_type_is_asked_for() -> None:
    target = TypedTarget("a", "GROUP")
    assert (target == "a", {target} == {"a"}, encode([target])) == (True, True, b'["a"]')
    assert FACE_301.query((("targets", target), ("active", "true"), ("programID", "p"))) == (
        ("programID", "p"),
        ("targetType", "GROUP"),
        ("targetValues", "a"),
    )
    assert FACE_301.query((("targets", "a"), ("targets", target))) == (("targetValues", "a"), ("targetValues", "a"))


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"targets": 7}, "targets: "),
        ({"targets": [{"type": "GROUP"}]}, r"targets\[0\]"),
        ({"targets": [{"values": ["a"]}]}, r"targets\[0\]"),
        ({"reportDescriptors": [{"payloadType": "READING", "targets": [3]}]}, r"reportDescriptors\[0\].targets"),
        ({"intervals": [{"id": 0}]}, r"intervals\[0\].payloads"),
        ({"programID": None}, "programID"),
    ],
)
def test_what_is_wrong_is_named(members: dict[str, Any], problem: str) -> None:
    document = {**METADATA, "programID": "p", "intervals": [], **members}
    with pytest.raises(Invalid, match=problem):
        FACE_301.read(json.dumps(document).encode(), Event)


def test_a_program_has_its_metadata_as_attributes() -> None:
    """V301-010, V301-011, V301-012, OBJ-012: both ways, with what else there is."""
    document = {
        **METADATA,
        "programName": "p",
        "programLongName": "Peak",
        "bindingEvents": False,
        "timeZoneOffset": "PT1H",
        "country": None,
        "programDescriptions": [{"URL": "www.example.com/x"}, {"URL": "https://example.com/y"}],
        "attributes": [{"type": "OWN", "values": [1]}],
    }
    program = FACE_301.read(json.dumps(document).encode(), Program)
    assert {each.type: each.values for each in program.attributes or ()} == {
        "OWN": (1,),
        "PROGRAM_LONG_NAME": ("Peak",),
        "BINDING_EVENTS": (False,),
        "TIME_ZONE_OFFSET": ("PT1H",),
    }
    assert [each.url for each in program.program_descriptions or ()] == ["https://example.com/y"]
    written = json.loads(FACE_301.write(ProgramRequest(program_name="p", attributes=program.attributes)))
    assert written == {name: document[name] for name in written}
    assert written.keys() >= {"programLongName", "bindingEvents", "timeZoneOffset", "attributes"}


def test_every_period_that_is_written_has_a_start() -> None:
    """V301-015, TIME-011, TIME-012: where it follows from others, or else "now"."""
    hour = Duration.parse("PT1H")
    event = EventRequest(
        program_id="p",
        interval_period=IntervalPeriod(start=Start.of(NOON), duration=hour),
        intervals=(
            Interval(id=0, payloads=(PRICE,)),
            Interval(id=1, payloads=(PRICE,), interval_period=IntervalPeriod(duration=Duration.parse("PT2H"))),
            Interval(id=2, payloads=(PRICE,), interval_period=IntervalPeriod(duration=hour)),
        ),
    )
    written = json.loads(FACE_301.write(event))
    starts = [each.get("intervalPeriod", {}).get("start") for each in written["intervals"]]
    assert starts == [None, "2026-01-01T13:00:00.000Z", "2026-01-01T15:00:00.000Z"]
    bare = EventRequest(program_id="p", interval_period=IntervalPeriod(duration=hour), intervals=event.intervals)
    written = json.loads(FACE_301.write(bare))
    assert written["intervalPeriod"]["start"] == NOW.text
    assert {each["intervalPeriod"]["start"] for each in written["intervals"][1:]} == {NOW.text}
    assert json.loads(FACE_301.write(EventRequest(program_id="p")))["intervals"] == []


def test_the_old_beginning_of_time_is_now() -> None:
    """V301-021: and a text that only looks like one stays."""
    document = {
        **METADATA,
        "programID": "p",
        "eventName": '"start":"0000-00-00"',
        "intervalPeriod": {"start": "0000-00-00", "duration": "PT1H"},
        "intervals": [{"id": 0, "payloads": [], "intervalPeriod": {"start": "0000-00-00T00:00:00Z"}}],
    }
    event = FACE_301.read(json.dumps(document).encode(), Event)
    assert event.interval_period == IntervalPeriod(start=NOW, duration=Duration.parse("PT1H"))
    assert [each.interval_period for each in event.intervals or ()] == [IntervalPeriod(start=NOW)]
    assert event.event_name == '"start":"0000-00-00"'


def test_a_large_event_is_packed() -> None:
    intervals = [{"id": number, "payloads": [{"type": "PRICE", "values": [1]}]} for number in range(9_000)]
    document = {**METADATA, "programID": "p", "targets": [{"type": "GROUP", "values": ["a"]}], "intervals": intervals}
    event = FACE_301.read_event(json.dumps(document).encode())
    is_packed = isinstance(event.intervals, PackedIntervals)
    assert (is_packed, len(event.intervals or ()), event.targets) == (True, 9_000, ("a",))


@pytest.mark.parametrize("embeds", [True, False])
async def test_business_logic_reads_and_writes_every_kind(embeds: bool) -> None:
    """V301-047: targets with types, resources below their ven, programs in subscriptions, no /auth/server."""
    async with (
        small_vtn301(embeds_resources=embeds) as vtn,
        VtnClient(base_url=vtn.base_url, client_id="bl", client_secret="s") as bl,
    ):
        program = await bl.programs.create(ProgramRequest(program_name="p", targets=("g",)))
        ven = await bl.vens.create(BlVenRequest(client_id="c-9", ven_name="v", targets=(TypedTarget("x", "AREA"),)))
        other = await bl.vens.create(BlVenRequest(client_id="c-8", ven_name="w"))
        resource = await bl.resources.create(
            BlResourceRequest(ven_id=ven.id, resource_name="r", targets=("g",), client_id="c-9")
        )
        await bl.resources.create(BlResourceRequest(ven_id=other.id, resource_name="r"))
        event = await bl.events.create(
            EventRequest(
                program_id=program.id,
                targets=(TypedTarget("v", "VEN_NAME"),),
                report_descriptors=(ReportDescriptor(payload_type="READING", targets=("g",)),),
            )
        )
        subscription = await bl.subscriptions.create(
            SubscriptionRequest(client_name="bl", program_id=program.id, object_operations=())
        )
        assert vtn.of("programs")[0]["targets"] == [{"type": "GROUP", "values": ["g"]}]
        assert vtn.of("events")[0]["reportDescriptors"][0]["targets"] == [{"type": "GROUP", "values": ["g"]}]
        assert vtn.of("vens")[0]["clientID"] == "c-9"
        assert [each.type for each in event.targets or () if isinstance(each, TypedTarget)] == ["VEN_NAME"]
        assert await bl.subscriptions.find(subscription.id) == subscription
        assert [each.ven_id for each in await bl.resources.search()] == [ven.id, other.id]
        assert [each.ven_id for each in await bl.resources.search(resource_name="r", targets=["g"])] == [ven.id]
        assert [each.id for each in await bl.resources.search(ven_id=ven.id, targets=["g"])] == [resource.id]
        assert [len(page) async for page in bl.resources.walk()] == [2]
        assert [len(page) async for page in bl.resources.walk(ven_id=ven.id)] == [1]
        assert await bl.resources.poll() != NOT_MODIFIED
        assert await bl.resources.poll() is NOT_MODIFIED or not embeds
        assert await bl.resources.poll(ven_id=ven.id) != NOT_MODIFIED
        assert await bl.resources.poll(ven_id=ven.id) is NOT_MODIFIED
        assert await bl.resources.get(resource.id) == resource
        assert (await bl.resources.delete(resource.id)).id == resource.id
        assert await bl.resources.find("none") is None
        with pytest.raises(NotFound):
            await bl.resources.delete(resource.id)
        with pytest.raises(Conflict):
            await bl.vens.create(BlVenRequest(client_id="c-7", ven_name="v"))
        with pytest.raises(InvalidRequest, match="programID"):
            await bl.subscriptions.create(SubscriptionRequest(client_name="bl", object_operations=()))
        assert await bl.notifiers() is None
        assert not [each for each in vtn.requests if "/auth/server" in each or "/notifiers" in each]


async def test_a_client_id_that_was_not_told_is_not_written(vtn: SmallVtn301, client: VtnClient) -> None:
    """A ven is known by its name; assigning it to a client of that name would be a grant (V301-026)."""
    vtn.put("vens", id="v1", venName="v")
    (ven,) = await client.vens.search()
    assert (ven.client_id, ven.targets) == ("v", None)
    await client.vens.replace(ven.id, BlVenRequest(client_id=ven.client_id, ven_name="v", targets=("g",)))
    assert "clientID" not in vtn.of("vens")[0]
    await client.vens.replace(ven.id, BlVenRequest(client_id="c-1", ven_name="v"))
    assert vtn.of("vens")[0]["clientID"] == "c-1"
    assert "targets" not in vtn.of("vens")[0]


async def test_what_others_wrote_into_a_ven_and_its_resources_stays(vtn: SmallVtn301, client: VtnClient) -> None:
    """Ruling 21: 3.0.1 writes objects as a whole, targets included."""
    targets = [{"type": "GROUP", "values": ["g"]}]
    resource = {**METADATA, "id": "r1", "resourceName": "r", "targets": targets, "meter": 4711}
    vtn.put("vens", id="v1", venName="home", targets=targets, note="by hand", resources=[resource])
    await register_ven(client, "home", attributes=attributes({"MAX_POWER_CONSUMPTION": 2.0}))
    await client.resources.replace("r1", VenResourceRequest(resource_name="r", ven_id="v1"))
    (ven,) = vtn.of("vens")
    assert (ven["targets"], ven["note"], ven["attributes"][0]["values"]) == (targets, "by hand", [2.0])
    assert [(each["targets"], each["meter"]) for each in ven["resources"]] == [(targets, 4711)]


async def test_the_ven_of_another_is_not_taken_for_ours(vtn: SmallVtn301, client: VtnClient) -> None:
    """A VTN of 3.0.1 may show every ven to everybody, and says of none whose it is."""
    vtn.put("vens", venName="theirs")
    ven = await register_ven(client, "ours")
    assert [each["venName"] for each in vtn.of("vens")] == ["theirs", "ours"]
    assert await register_ven(client, "ours") == ven
    assert len(vtn.of("vens")) == 2


async def test_events_of_others_and_those_that_are_over_are_left_out(vtn: SmallVtn301) -> None:
    """3.0.1 has no `active` and leaves it to the VEN to look at targets."""
    clock = ManualClock(NOON)
    for name, targets in {
        "everybody": None,
        "ours by name": [{"type": "VEN_NAME", "values": ["other", "home"]}],
        "ours by group": [{"type": "VEN_NAME", "values": ["other"]}, {"type": "GROUP", "values": ["g"]}],
        "ours by resource": [{"type": "RESOURCE_NAME", "values": ["ev"]}],
        "ours by what a resource holds": [{"type": "SERVICE_AREA", "values": ["north"]}],
        "of the program": [{"type": "PROGRAM_NAME", "values": ["peak"]}],
        "another's by name": [{"type": "VEN_NAME", "values": ["other"]}],
        "ours by name as a group": [{"type": "GROUP", "values": ["home"]}],
        "another's by group": [{"type": "GROUP", "values": ["garden"]}],
        "another's resource": [{"type": "PROGRAM_NAME", "values": ["x"]}, {"type": "RESOURCE_NAME", "values": ["g"]}],
    }.items():
        vtn.put("events", id=name.replace(" ", "-").replace("'", ""), programID="p", targets=targets, intervals=[])
    over = {"start": "2026-01-01T10:00:00Z", "duration": "PT1H"}
    vtn.put("events", id="over", programID="p", intervalPeriod=over, intervals=[{"id": 0, "payloads": []}])
    area = {**METADATA, "resourceName": "ev", "targets": [{"type": "SERVICE_AREA", "values": ["north"]}]}
    vtn.put("vens", venName="home", targets=[{"type": "GROUP", "values": ["g"]}], resources=[area])
    async with VtnClient(
        base_url=vtn.base_url, client_id="c", client_secret="s", clock=clock, retry=NO_RETRY
    ) as client:
        assert len(await client.events.search(active=True)) == 10
        registration = Registration(client, "home")
        await registration.see_to({})
        found = await client.events.poll(active=True)
        assert found is not NOT_MODIFIED
        assert {each.id.split("-")[0] for each in found} == {"everybody", "ours", "of"}
        assert len(found) == 7
        assert await client.events.find("anothers-by-name") is None
        assert await client.events.poll(active=True) is NOT_MODIFIED
        (ven,) = vtn.of("vens")
        vtn.put("vens", **(ven | {"targets": [{"type": "GROUP", "values": ["garden"]}]}))
        await registration.look()
        changed = await client.events.poll(active=True)
        assert changed is not NOT_MODIFIED
        assert "anothers-by-group" in {each.id for each in changed}


async def test_a_report_names_the_program_of_its_event(vtn: SmallVtn301) -> None:
    """V301-023: also after a start, when the event was not read before."""
    vtn.put("programs", id="p1", programName="p")
    vtn.put("events", id="e1", programID="p1", intervals=[])
    for _ in range(2):
        async with VtnClient(base_url=vtn.base_url, client_id="c", client_secret="s") as client:
            event = await client.events.get("e1")
            request = report_request(
                event, "home", "USAGE", {"ev": [1.0, 2.0]}, start=NOON, duration=timedelta(minutes=15)
            )
        async with VtnClient(base_url=vtn.base_url, client_id="c", client_secret="s") as client:
            report = await client.reports.create(request)
            assert (report.event_id, report.client_id) == ("e1", "home")
            assert len(await client.reports.search(program_id="p1", client_name="home")) == len(vtn.of("reports"))
    assert [each["programID"] for each in vtn.of("reports")] == ["p1", "p1"]


async def test_a_notification_is_read_in_the_model_of_3_1() -> None:
    """V301-040: HTTP words, targets with types; what cannot be read is a hint all the same."""
    object_ = {**METADATA, "objectType": "EVENT", "programID": "p", "intervals": []}
    body = {"objectType": "EVENT", "operation": "PUT", "object": {**object_, "targets": [{"type": "G", "values": [7]}]}}
    told = read_notification(json.dumps(body), way="webhook", face=FACE_301)
    assert (told.operation, told.content["targets"], told.object_as(Event).targets) == ("UPDATE", ["7"], ("7",))
    body["object"] = {**object_, "targets": 7}
    assert read_notification(json.dumps(body), way="webhook", face=FACE_301).object_id == "x"


async def test_a_webhook_is_subscribed_to_program_by_program(vtn: SmallVtn301, client: VtnClient) -> None:
    """A subscription of 3.0.1 is for one program: one that is new is subscribed to when it is told of."""
    told: list[Told] = []
    port = free_port()
    push = PushSettings(callback_url=f"http://127.0.0.1:{port}/hook", listen_port=port)
    vtn.put("programs", id="p1", programName="one")
    receiver = WebhookReceiver(client, settings=push, name="home", objects=("EVENT", "PROGRAM"))
    async with background(receiver.receive(told.append)):
        await wait_until(lambda: told, what="subscribed", timeout_s=30)
        assert [each["programID"] for each in vtn.of("subscriptions")] == ["p1"]
        await client.programs.create(ProgramRequest(program_name="two"))
        await wait_until(lambda: len(vtn.of("subscriptions")) == 2, what="subscribed to the new one", timeout_s=30)
        second = vtn.of("subscriptions")[1]["programID"]
        event = await client.events.create(EventRequest(program_id=second, targets=("g",)))

        def events() -> list[Event]:
            notifications = [each for each in told if isinstance(each, ReceivedNotification)]
            return [each.object_as(Event) for each in notifications if each.object_type == "EVENT"]

        await wait_until(lambda: events() == [event], what="told of the event", timeout_s=30)
        assert sum(isinstance(each, ReadAgain) for each in told) == 2
    assert vtn.of("subscriptions") == []


async def test_a_program_that_cannot_be_subscribed_to_leaves_the_others(vtn: SmallVtn301) -> None:
    """V301-042: neither a refusal nor a VTN that is away for a moment takes the subscriptions there are."""
    told: list[Told] = []
    port = free_port()
    push = PushSettings(callback_url=f"http://127.0.0.1:{port}/hook", listen_port=port)
    for name in ("p1", "p2", "p3"):
        vtn.put("programs", id=name, programName=name)
    vtn.takes_no_subscription_to.add("p2")

    def subscribed() -> set[str]:
        return {each["programID"] for each in vtn.of("subscriptions")}

    def looks() -> int:
        return sum(each.startswith("GET /programs") for each in vtn.requests)

    async with VtnClient(base_url=vtn.base_url, client_id="c-1", client_secret="s", retry=NO_RETRY) as client:
        receiver = WebhookReceiver(client, settings=push, name="home", objects=("EVENT", "PROGRAM"))
        async with background(receiver.receive(told.append)):
            await wait_until(lambda: told, what="subscribed", timeout_s=30)
            assert subscribed() == {"p1", "p3"}

            before, vtn.shows_no_programs = looks(), True
            await vtn.change("programs", "p1", programName="renamed")
            await wait_until(lambda: looks() > before, what="looked in vain", timeout_s=30)
            assert subscribed() == {"p1", "p3"}
            vtn.shows_no_programs = False
            del vtn.objects["programs"]["p3"]  # as if it were hidden from now on
            await vtn.change("programs", "p1", programName="renamed again")
            await wait_until(lambda: subscribed() == {"p1"}, what="no subscription to what is hidden", timeout_s=30)
            vtn.takes_no_subscription_to.clear()
            await vtn.change("programs", "p1", programName="p1")
            await wait_until(lambda: subscribed() == {"p1", "p2"}, what="subscribed to it after all", timeout_s=30)
    assert subscribed() == set()


async def test_a_vtn_that_takes_no_subscription_at_all_is_no_way(vtn: SmallVtn301, client: VtnClient) -> None:
    """Polling goes on, and another way may be tried."""
    port = free_port()
    push = PushSettings(callback_url=f"http://127.0.0.1:{port}/hook", listen_port=port)
    vtn.put("programs", id="p1", programName="p1")
    vtn.takes_no_subscription_to.add("p1")
    with pytest.raises(Forbidden, match="no subscription to this one"):
        await WebhookReceiver(client, settings=push, name="home").receive(lambda _: None)


async def test_a_ven_of_handlers_works_on_3_0_1(vtn: SmallVtn301, client: VtnClient) -> None:
    """V301-047: registration, event, opt and report."""
    vtn.put("programs", id="p1", programName="p")
    vtn.put("events", id="e1", programID="p1", intervals=[{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}])
    ven = HandlerVen(client, name="home", resources={"ev": attributes({"MAX_POWER_CONSUMPTION": 2.0})})

    @ven.on_event
    async def take_part(event: Event) -> None:
        await ven.opt(event, True)

    await ven.poll()
    await ven.stop()
    assert [each["resourceName"] for each in vtn.of("vens")[0]["resources"]] == ["ev"]
    assert [(each["reportName"], each["programID"]) for each in vtn.of("reports")] == [("opt-e1", "p1")]


def test_a_callback_application_can_be_served_for_either_version() -> None:
    told: list[Told] = []
    application = CallbackApplication(told.append, bearer_token="ours", face=FACE_301).application()
    assert asyncio.iscoroutinefunction(application.cleanup)
