"""What the bridge tells the VTN of an event: what panels and their circuits were asked, answered and measured."""

from decimal import Decimal

from sqlalchemy import update

from bridge_mqtt.store import Store, events, reports
from bridge_mqtt.store.schema import panels as panel_rows
from openadr_profiles.fleet.reports import Shed, read_status
from openadr_profiles.v31 import OperatingState, ReportRequest
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.waiting import wait_until


async def sheds_of(world: World, event_id: str = "evt-1") -> dict[str, Shed]:
    """The sheds of the first interval that the bridge has written down, by resource."""
    store = await Store.open(world.settings().database.url.get_secret_value())
    async with store.reading() as connection:
        written = await reports.of_event(connection, event_id)
    await store.close()
    found: dict[str, Shed] = {}
    for each in written:
        if each.name.startswith("status-"):
            intervals = read_status(each.report.resources)
            found |= {shed.resource_name: shed for interval in intervals[:1] for shed in interval.sheds}
    return found


async def test_circuits_are_curtailed_as_the_panel_answered(world: World) -> None:
    """B4: one circuit is enough for the request; the others are not curtailed, and its original kW is the panel's."""
    panel = await world.add_panel("panel-1")
    await world.start()
    await world.until("/api/panels", lambda panels: panels[0]["online"])
    await world.post(an_event(shed_kw=1.5, length_s=300))
    event = await world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["circuits"])
    told = {each["id"]: each for each in event["panels"][0]["circuits"]}
    assert set(told) == {"heater1"}

    async def written() -> dict[str, Shed] | None:
        sheds = await sheds_of(world)
        done = "panel-1/heater1" in sheds and sheds["panel-1/heater1"].state is OperatingState.RUNNING_CURTAILED
        return sheds if done else None

    sheds = await wait_until(written, timeout_s=60, what="the status report")
    assert sheds is not None
    curtailed = {name for name, shed in sheds.items() if shed.state is OperatingState.RUNNING_CURTAILED}
    assert curtailed == {"panel-1/heater1", "panel-1", "AGGREGATED_REPORT"}
    assert sheds["panel-1/heater1"].original_kw == Decimal(str(told["heater1"]["originalKw"]))
    assert sheds["panel-1/heater1"].requested_kw == Decimal(str(told["heater1"]["curtailedKw"]))
    assert sheds["panel-1/dryer1"].delivered_kw == 0
    assert panel.model.sheds == 1


async def test_absurd_powers_neither_stop_the_bridge_nor_keep_it_down(world: World) -> None:
    """B3: 1e308 kW in a message, and what an earlier version stored of one: events are carried out all the same."""
    panel = await world.add_panel("panel-1")
    await world.start()
    await world.until("/api/panels", lambda panels: panels[0]["online"])
    panel.faults.mute_telemetry = True  # or the broker keeps a message for the bridge while it is away
    await world.kill()
    store = await Store.open(world.settings().database.url.get_secret_value())
    loads = [{"id": "heater1", "currentPowerKw": 1e308, "capacityKw": 1e300}]
    async with store.transaction() as connection:
        await connection.execute(update(panel_rows).values(used_power_kw=1e308, loads=loads))
    await store.close()

    bridge = await world.start()
    found = await world.get("/api/panels")
    assert (found[0]["usedPowerKw"], found[0]["circuits"][0]["currentKw"]) == (None, None)
    panel.faults.mute_telemetry = False
    await world.until("/api/panels", lambda panels: panels[0]["usedPowerKw"] is not None)
    await world.post(an_event(shed_kw=2))
    await world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    assert not bridge.health.loops


async def test_reports_of_an_event_that_is_deleted_are_not_sent_any_more(world: World) -> None:
    """RDESC-022: the VTN has nothing left that they could belong to, and would refuse them again and again."""
    await world.add_panel("panel-1", plugged_in=False)
    store = await Store.open(world.settings().database.url.get_secret_value())
    async with store.transaction() as connection:
        for event_id in ("evt-1", "evt-2"):
            await events.save(connection, an_event(event_id), world.clock.now())
            request = ReportRequest(
                event_id=event_id, client_name="bridge", report_name=f"opt-{event_id}", resources=()
            )
            await reports.put(connection, request, world.clock.now())
        await events.withdraw(connection, "evt-1", world.clock.now())
    async with store.reading() as connection:
        assert [each.event_id for each in await reports.unsent(connection)] == ["evt-2"]
        assert await reports.count_unsent(connection) == 1
    await store.close()
