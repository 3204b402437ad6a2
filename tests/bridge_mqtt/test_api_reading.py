"""The paths of the original's interface (panel-contract 11.2), and those that its documents named and it never had."""

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import aiomqtt
import pytest
from yarl import URL

from bench.support.postgres import PostgresServer
from bridge_mqtt.service import Bridge
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.mosquitto import Mosquitto

EVENT_MEMBERS = {"id", "status", "startTime", "endTime", "requestedReductionKw", "actualReductionKw"}
CIRCUIT_MEMBERS = {"id", "name", "breaker_amps", "original_kw", "curtailed_kw", "final_kw", "critical"}
SNAPSHOT_MEMBERS = {
    "timestamp", "loadId", "name", "type", "capacityKw", "currentPowerKw", "shedCapabilityKw", "enabled", "priority",
}  # fmt: skip


async def ask(bridge: Bridge, path: str) -> tuple[int, Any]:
    """Status and body."""
    async with aiohttp.ClientSession() as session, session.get(bridge.api_url + path) as answer:
        return answer.status, await answer.json(content_type=None)


async def shedding(world: World) -> dict[str, Any]:
    """A panel that has been measured before an event and holds it now; the event as the API shows it."""
    await world.add_panel("panel-1")
    await world.start()
    await world.until("/api/vens/panel-1/baseline", lambda answer: answer["samples"] >= 3)
    await world.post(an_event(shed_kw=3))
    found: dict[str, Any] = await world.until(
        "/api/events/evt-1", lambda event: event["panels"] and event["panels"][0]["holds"] == "held"
    )
    return found


async def publish(world: World, topic: str, *messages: dict[str, Any]) -> None:
    """Send messages as panels do."""
    async with aiomqtt.Client(world.broker.host, world.broker.port) as client:
        for message in messages:
            await client.publish(topic, json.dumps(message), qos=1)


def metering(number: int, at: datetime, *, kw: float = 4.0, **members: Any) -> dict[str, Any]:
    """A metering message of a panel with two circuits."""
    return {
        "venId": "panel-1",
        "timestamp": int(at.timestamp()),
        "message_num": number,
        "usedPowerKw": kw,
        "shedPowerKw": 0.0,
        "loads": [
            {"id": "heater1", "name": "Water Heater", "type": "heater", "capacityKw": 7.2, "currentPowerKw": kw - 1},
            {
                "id": "fridge1",
                "name": "Fridge",
                "type": "fridge",
                "capacityKw": 3.6,
                "currentPowerKw": 1,
                "priority": 1,
            },
        ],
    } | members


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    "path",
    [
        "/api/events", "/api/events/history", "/api/events/current", "/api/events/evt-1", "/api/events/evt-1/metrics",
        "/api/events/evt-1/explanation",
        "/api/events/evt-1/acks", "/api/events/evt-1/circuits", "/api/events/evt-1/performance",
        "/api/vens", "/api/vens/summary", "/api/vens/panel-1", "/api/vens/panel-1/events", "/api/vens/panel-1/acks",
        "/api/vens/panel-1/circuits/history", "/api/vens/panel-1/loads", "/api/vens/panel-1/loads/heater1",
        "/api/vens/panel-1/history", "/api/vens/panel-1/loads/heater1/history", "/api/vens/panel-1/telemetry",
        "/api/vens/panel-1/shadow", "/api/vens/panel-1/baseline", "/api/vens/panel-1/shed-capacity",
        "/api/stats/network", "/api/stats/loads", "/api/stats/network/history",
        "/health", "/health/db-check", "/health/demo-status",
    ],
)  # fmt: skip
async def test_every_path_of_the_original_answers(sqlite_world: World, path: str, slash: str) -> None:
    """11.2: with and without a slash at its end."""
    await sqlite_world.add_panel("panel-1")
    bridge = await sqlite_world.start()
    await sqlite_world.until("/api/vens/panel-1/loads", bool)
    await sqlite_world.post(an_event())
    await sqlite_world.until("/api/events", bool)

    status, body = await ask(bridge, path + slash)

    assert status == 200, body


async def test_an_event_is_shown_with_what_was_asked_and_what_was_delivered(world: World) -> None:
    """No. 15 and 16: kW and not a sum over samples; response times as measured."""
    await shedding(world)
    await world.until("/api/events/evt-1/metrics", lambda answer: (answer["currentReductionKw"] or 0) > 2)

    (listed,) = await world.until("/api/events/", lambda answer: answer[0]["actualReductionKw"] is not None)
    event = await world.get("/api/events/evt-1")
    current = await world.get("/api/events/current")
    performance = await world.get("/api/events/evt-1/performance")

    assert listed.keys() >= EVENT_MEMBERS
    assert (listed["id"], listed["status"], listed["requestedReductionKw"]) == ("evt-1", "active", 3.0)
    assert listed["startTime"].endswith("Z")
    assert 0 < listed["actualReductionKw"] < 4
    assert current["id"] == "evt-1"
    assert current["vensResponding"] == 1
    assert (event["vens"][0]["venId"], event["vens"][0]["status"]) == ("panel-1", "responded")
    (part,) = performance["vens"]
    assert (part["venId"], part["requestedKw"], part["answered"]) == ("panel-1", 3.0, True)
    assert part["deliveredKw"] == pytest.approx(part["baselineKw"] - part["meanPowerKw"], abs=0.01)
    assert part["responseMs"] == performance["avgResponseMs"] == event["avgResponseMs"] >= 0


async def test_an_event_that_has_not_begun_is_scheduled(sqlite_world: World) -> None:
    """Its request is read from the event, as nothing was split yet."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    start = datetime.now(UTC) + timedelta(hours=1)
    await sqlite_world.post(an_event("evt-later", values=(-2.0, -5.0, -1.0), start=start))

    (event,) = await sqlite_world.until("/api/events", bool)

    assert (event["status"], event["requestedReductionKw"], event["actualReductionKw"]) == ("scheduled", 5.0, None)
    assert datetime.fromisoformat(event["startTime"]) == start
    assert datetime.fromisoformat(event["endTime"]) == start + timedelta(minutes=3)
    assert await sqlite_world.get("/api/events/current") is None
    inside = f"?start={(start - timedelta(1)).isoformat().replace('+', '%2B')}"
    assert [each["id"] for each in await sqlite_world.get("/api/events/history" + inside)] == ["evt-later"]
    assert await sqlite_world.get("/api/events/history?end=2020-01-01T00:00:00Z") == []


async def test_a_panel_that_has_not_answered_is_in_the_event_too(sqlite_world: World) -> None:
    """No. 16: it is shown, and not as one that responded."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.add_panel("panel-2", plugged_in=False)
    await sqlite_world.start(dispatch={"first_contact_s": 0, "ack_timeout_s": 0.6})
    await sqlite_world.post(an_event(shed_kw=1))

    event = await sqlite_world.until(
        "/api/events/evt-1", lambda event: any(each["status"] == "responded" for each in event["vens"])
    )

    assert {each["venId"]: each["status"] for each in event["vens"]} == {"panel-1": "responded", "panel-2": "offline"}


async def test_the_history_of_a_panels_events_has_the_shape_that_pages_read(world: World) -> None:
    """A list; camelCase outside, snake_case inside, and no member of a circuit is null (no. 31)."""
    await shedding(world)
    strange = {"op": "event", "status": "accepted", "event_id": "evt-2", "circuits_curtailed": [{"loadId": "c3"}]}
    await publish(world, "ven/ack/panel-1", strange)
    strange_one, ours = await world.until("/api/vens/panel-1/events/", lambda answer: len(answer) == 2)

    assert ours.keys() == {
        "id", "venId", "eventId", "correlationId", "op", "status", "timestamp", "requestedShedKw", "actualShedKw",
        "circuitsCurtailed",
    }  # fmt: skip
    assert (ours["venId"], ours["eventId"], ours["op"], ours["status"]) == ("panel-1", "evt-1", "event", "accepted")
    assert {tuple(sorted(each)) for each in ours["circuitsCurtailed"]} == {tuple(sorted(CIRCUIT_MEMBERS))}
    assert strange_one["circuitsCurtailed"] == [
        {"id": "c3", "name": "c3", "breaker_amps": 0.0, "original_kw": 0.0, "curtailed_kw": 0.0, "final_kw": 0.0,
         "critical": False}
    ]  # fmt: skip
    before = await world.get(f"/api/vens/panel-1/events?before={strange_one['id']}&limit=1")
    assert [each["id"] for each in before] == [ours["id"]]


async def test_the_history_of_circuits_is_newest_first_and_goes_on_where_it_ended(world: World) -> None:
    """No. 32: a limit cuts off the oldest, and the pages together have every circuit of every sample once."""
    await world.add_panel("panel-1", plugged_in=False)
    await world.start()
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
    moments = [start + timedelta(seconds=5 * n) for n in range(7)]
    await publish(world, "volttron/metering", *(metering(n + 1, at, kw=4 + n) for n, at in enumerate(moments)))
    path = "/api/vens/panel-1/circuits/history"
    whole = await world.until(path, lambda answer: answer["totalCount"] == 14)

    assert whole["snapshots"][0].keys() == SNAPSHOT_MEMBERS
    assert [each["loadId"] for each in whole["snapshots"]] == ["heater1", "fridge1"] * 7
    seen = [datetime.fromisoformat(each["timestamp"]) for each in whole["snapshots"][::2]]
    assert seen == moments[::-1]
    paged: list[Any] = []
    more: str | None = ""
    while more is not None:
        page = await world.get(f"{path}?limit=3" + (f"&before={more}" if more else ""))
        assert page["totalCount"] == len(page["snapshots"]) <= 3
        paged += page["snapshots"]
        more = page["nextBefore"]
    assert paged == whole["snapshots"]
    newest = await world.get(f"{path}?load_id=heater1&limit=2")
    assert (newest["loadId"], [each["currentPowerKw"] for each in newest["snapshots"]]) == ("heater1", [9.0, 8.0])
    end = moments[2].isoformat().replace("+00:00", "Z")
    older = await world.get(f"{path}?load_id=fridge1&end={end}")
    assert [datetime.fromisoformat(each["timestamp"]) for each in older["snapshots"]] == [moments[1], moments[0]]


async def test_telemetry_is_paged_and_means_are_made_in_steps(world: World) -> None:
    """Samples newest first; means oldest first, the same on both databases."""
    await world.add_panel("panel-1", plugged_in=False)
    await world.start()
    start = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=10)
    moments = [start + timedelta(seconds=20 * n) for n in range(6)]
    await publish(world, "volttron/metering", *(metering(n + 1, at, kw=4 + n) for n, at in enumerate(moments)))
    path = "/api/vens/panel-1/telemetry"
    whole = await world.until(path, lambda answer: answer["totalCount"] == 6)
    assert [each["usedPowerKw"] for each in whole["telemetry"]] == [9.0, 8.0, 7.0, 6.0, 5.0, 4.0]
    first = await world.get(f"{path}?limit=4")
    second = await world.get(f"{path}?limit=4&before={first['nextBefore']}")
    assert first["telemetry"] + second["telemetry"] == whole["telemetry"]
    assert second["nextBefore"] is None

    span = f"start={start.isoformat().replace('+00:00', 'Z')}&granularity=1m"
    history = await world.get(f"/api/vens/panel-1/history?{span}")
    load = await world.get(f"/api/vens/panel-1/loads/heater1/history?{span}")

    expected = [start, start + timedelta(minutes=1)]
    assert [datetime.fromisoformat(each["timestamp"]) for each in history["points"]] == expected
    assert [each["usedPowerKw"] for each in history["points"]] == [5.0, 8.0]
    assert [each["usedPowerKw"] for each in load["points"]] == [4.0, 7.0]


async def test_the_fleet_is_summed_over_the_latest_samples(world: World) -> None:
    """11.2: a sum of panels, never of samples; and by type of circuit."""
    await world.add_panel("panel-1", plugged_in=False)
    await world.add_panel("panel-2", plugged_in=False)
    await world.start()
    now = datetime.now(UTC)
    for number in (1, 2, 3):
        at = now - timedelta(seconds=20 - 5 * number)
        await publish(
            world, "volttron/metering", metering(number, at, kw=4), metering(number, at, kw=6, venId="panel-2")
        )
    stats = await world.until("/api/stats/network", lambda answer: answer["householdUsageKw"] == 10)

    assert (stats["venCount"], stats["onlineVens"], stats["currentLoadReductionKw"]) == (2, 2, 0)
    assert stats["controllablePowerKw"] == stats["potentialLoadReductionKw"] == 8.0
    by_type = {each["type"]: each for each in await world.get("/api/stats/loads")}
    assert by_type["heater"] == {
        "type": "heater", "totalCapacityKw": 14.4, "totalShedCapabilityKw": 8.0, "currentUsageKw": 8.0,
    }  # fmt: skip
    assert by_type["fridge"]["totalShedCapabilityKw"] == 0
    await world.until(
        "/api/stats/network/history?granularity=1d&start=" + (now - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        lambda answer: answer["points"] and {each["usedPowerKw"] for each in answer["points"]} == {10.0},
    )


async def test_a_panel_tells_what_it_could_shed_and_what_it_sheds(sqlite_world: World) -> None:
    """No. 33: two things, each under its own name."""
    await shedding(sqlite_world)
    ven = await sqlite_world.get("/api/vens/panel-1")
    capacity = await sqlite_world.get("/api/vens/panel-1/shed-capacity")
    shadow = await sqlite_world.get("/api/vens/panel-1/shadow")
    frozen = await sqlite_world.get("/api/vens/panel-1/baseline?eventId=evt-1")

    assert (ven["id"], ven["status"], ven["metrics"]["activeEventId"]) == ("panel-1", "online", "evt-1")
    told = await sqlite_world.get("/api/events/evt-1/circuits")
    assert ven["metrics"]["shedLoadIds"] == [each["id"] for each in told[0]["circuits"] if each["curtailedKw"]]
    assert ven["metrics"]["shedLoadIds"]
    assert all(not each["critical"] for each in capacity["sheddableCircuits"])
    assert capacity["availableShedKw"] == pytest.approx(ven["metrics"]["shedAvailabilityKw"], abs=3)
    assert shadow["state"]["reported"]["active_event"]["event_id"] == "evt-1"
    assert frozen["baselineKw"] > 0
    assert frozen["frozenAt"].endswith("Z")


async def test_lists_come_in_pages_that_lead_to_the_next(sqlite_world: World) -> None:
    """All panels are there once, and the last page leads nowhere."""
    for number in range(5):
        await sqlite_world.add_panel(f"panel-{number}", plugged_in=False)
    bridge = await sqlite_world.start()
    seen: list[str] = []
    following: str | None = "/api/vens/?limit=2"
    async with aiohttp.ClientSession() as session:
        while following is not None:
            async with session.get(bridge.api_url + following) as answer:
                seen += [each["id"] for each in await answer.json()]
                link = answer.links.get("next")
                following = None if link is None else URL(str(link["url"])).path_qs

    assert seen == [f"panel-{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/api/vens/panel-9/telemetry", 404, "no panel 'panel-9'"),
        ("/api/vens/panel-1/loads/gone", 404, "panel 'panel-1' has no circuit 'gone'"),
        ("/api/vens/panel-1/loads/gone/history", 404, "panel 'panel-1' has no circuit 'gone'"),
        ("/api/vens/panel-1/baseline?eventId=evt-0", 404, "no baseline of panel 'panel-1' for event 'evt-0'"),
        ("/api/events/evt-none/performance", 404, "no event 'evt-none'"),
        ("/api/events/evt-none/circuits", 404, "no event 'evt-none'"),
        ("/api/vens/panel-1/circuits/history?limit=5001", 400, "limit: '5001' is not a number from 1 to 5000"),
        ("/api/vens/panel-1/telemetry?before=1-2", 400, "before: '1-2': expected the nextBefore"),
        ("/api/vens/panel-1/telemetry?before=999999999999999999-1-0", 400, "before: "),
        ("/api/vens/panel-1/history?granularity=weekly", 400, "granularity: 'weekly' is not a length such as"),
        ("/api/vens/panel-1/history?granularity=0s", 400, "granularity: '0s' is not from 1s"),
        (
            "/api/vens/panel-1/history?granularity=1s&start=2020-01-01T00:00:00Z",
            400,
            "granularity: '1s' makes more than",
        ),
        ("/api/vens/panel-1/history?start=2020-01-02T00:00:00Z&end=2020-01-01T00:00:00Z", 400, "end: 2020-01-01"),
        ("/api/vens/panel-1/history?start=0001-01-01T00:00:00%2B14:00", 400, "start: "),
        ("/api/stats/network?colour=red", 400, "colour: no such parameter; there are none here"),
        ("/api/events?skip=-1", 400, "skip: '-1' is not a number from 0"),
    ],
)
async def test_a_wrong_question_is_named(sqlite_world: World, path: str, status: int, detail: str) -> None:
    """The member, the problem and what was expected."""
    await sqlite_world.add_panel("panel-1")
    bridge = await sqlite_world.start()
    await sqlite_world.until("/api/vens/panel-1/loads", bool)

    answered, body = await ask(bridge, path)

    assert (answered, body["status"]) == (status, status), body
    assert body["detail"].startswith(detail)


async def test_a_database_that_is_away_is_said_with_503(
    mosquitto: Mosquitto, postgresql_url: str, postgres: PostgresServer
) -> None:
    """No. 41: never 200 with an error inside."""
    async with AsyncExitStack() as stack:
        world = World(mosquitto, postgresql_url, stack)
        await world.add_panel("panel-1", plugged_in=False)
        bridge = await world.start()
        assert await ask(bridge, "/health/db-check") == (200, {"status": "ok"})
        postgres.stop()

        away = await ask(bridge, "/health/db-check")
        listed = await ask(bridge, "/api/events/")
        postgres.start()

        assert [status for status, _ in (away, listed)] == [503, 503]
        assert away[1]["detail"] == "the database is not available"
        await world.until("/health/db-check", lambda answer: answer["status"] == "ok")
