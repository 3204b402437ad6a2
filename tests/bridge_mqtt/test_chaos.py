"""Everything goes wrong at once, by chance: no panel ever holds two sheds, and in the end all hold the right one."""

import asyncio
import random
from datetime import timedelta

import pytest

from bridge_mqtt.simulators.panels import SimulatedMqttPanel
from tests.bridge_mqtt.conftest import ENVELOPE, FLAT, World, an_event
from tests.support.waiting import wait_until

STEPS = 40


async def go_wrong(world: World, chance: random.Random, panels: list[SimulatedMqttPanel], posted: list[str]) -> None:
    """One thing happens: to a panel, to the broker, to the bridge, or in the VTN."""
    panel = chance.choice(panels)
    match chance.randrange(9):
        case 0 | 1 | 2:
            posted.append(f"evt-{len(posted)}")
            now = world.clock.now()
            event = an_event(
                posted[-1],
                shed_kw=chance.choice([3, 8, 15]),
                start=now + timedelta(seconds=chance.uniform(-5, 5)),
                length_s=chance.choice([10, 30, 100]),
                priority=chance.choice([None, 1, 2]),
            )
            await world.post(event)
        case 3:
            if posted:
                await world.withdraw(chance.choice(posted))
        case 4:
            panel.faults.lose_acks += 1
        case 5:
            panel.faults.mute_telemetry = not panel.faults.mute_telemetry
        case 6:
            panel.crash()
        case 7:
            panel.unplug()
            asyncio.get_running_loop().call_later(chance.uniform(0.1, 1), panel.plug_in)
        case _:
            if chance.random() < 0.5:
                world.broker.restart()
            else:
                await world.kill()
                await world.start()


@pytest.mark.parametrize("seed", [1])
async def test_no_panel_ever_holds_two_sheds_whatever_goes_wrong(sqlite_world: World, seed: int) -> None:
    """C6, C7, 12.4 together."""
    world, chance = sqlite_world, random.Random(seed)
    world.hurry(10, ack_timeout_s=0.4, most_recoveries=1000, first_contact_s=5, longest_piece_s={"envelope": 10})
    panels = [await world.add_panel(f"panel-{n}", FLAT if n < 4 else ENVELOPE, interval_s=2) for n in range(5)]
    await world.start()
    posted: list[str] = []
    for _ in range(STEPS):
        await go_wrong(world, chance, panels, posted)
        await asyncio.sleep(chance.uniform(0.01, 0.2))  # faults come when they come

    for panel in panels:
        panel.faults.mute_telemetry = False
        panel.faults.lose_acks = 0
        panel.plug_in()
    for event_id in posted:
        await world.withdraw(event_id)
    await world.post(an_event("evt-last", shed_kw=8, start=world.clock.now(), length_s=3000))

    def settled(bridge_panels: list[dict[str, object]]) -> bool:
        holding = [panel["holds"] for panel in bridge_panels if panel["holds"] is not None]
        held = [h for h in holding if isinstance(h, dict) and (h["eventId"], h["state"]) == ("evt-last", "held")]
        return len(held) == len(holding) and sum(h["requestedKw"] for h in held) > 7.5

    await world.until("/api/panels", settled)
    flat = [panel for panel in panels if panel.model.ven_id < "panel-4"]
    await wait_until(lambda: all(panel.model.event_id in {None, "evt-last"} for panel in flat))
    assert {panel.model.ven_id: panel.model.most_stacked for panel in panels if panel.model.most_stacked > 1} == {}
