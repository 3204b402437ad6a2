"""Supervision: no loop of the bridge dies unseen, and the others go on."""

import asyncio

import pytest

from bridge_mqtt.health import Health
from bridge_mqtt.loops import LoopSupervisor
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.waiting import wait_until

LOOPS = (
    "broker",
    "decisions",
    "commands",
    "vtn poll",
    "vtn resources",
    "vtn push",
    "reports",
    "api",
    "load orders",
    "retention",
    "season",
    "stall meter",
    "figures",
)


class Fault(Exception):
    """Stands for an error that no loop expects."""


async def test_a_loop_that_fails_is_shown_and_started_again_while_the_others_go_on() -> None:
    health, let_go, begun = Health(running=True), asyncio.Event(), list[str]()

    async def failing() -> None:
        begun.append("failing")
        if len([name for name in begun if name == "failing"]) == 1:
            raise Fault("no such thing")
        await asyncio.Event().wait()

    async def working() -> None:
        begun.append("working")
        await asyncio.Event().wait()

    async def pause(_: float) -> None:
        await let_go.wait()

    supervisor = LoopSupervisor({"failing": failing, "working": working}, health, sleep=pause)
    running = asyncio.create_task(supervisor.run())
    await wait_until(lambda: health.loops)
    assert health.loops == {"failing": "Fault: no such thing"}
    assert not health.ready
    assert health.as_json()["loops"] == health.loops
    assert not supervisor.tasks["working"].done()

    let_go.set()
    await wait_until(lambda: begun.count("failing") == 2)
    assert health.as_json()["status"] == "ready"
    assert begun.count("working") == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert all(task.done() for task in supervisor.tasks.values())


async def test_a_loop_that_does_not_last_is_started_again_with_growing_pauses() -> None:
    pauses = list[float]()
    enough = asyncio.Event()

    async def ending() -> None:
        await asyncio.sleep(0)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 12:
            enough.set()
            await asyncio.Event().wait()

    supervisor = LoopSupervisor({"ending": ending}, Health(), sleep=pause)
    running = asyncio.create_task(supervisor.run())
    await enough.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    longest = (0.1, 0.2, 0.4)
    assert all(most / 2 <= found <= most for found, most in zip(pauses, longest, strict=False)), pauses
    assert 30 <= pauses[-1] <= 60


@pytest.mark.parametrize("killed", LOOPS)
async def test_a_bridge_of_which_one_loop_was_killed_carries_out_the_next_event(
    sqlite_world: World, killed: str
) -> None:
    """Broker, decisions, commands, poll, reports, API and retention each: seen, started again, and at work again."""
    panel = await sqlite_world.add_panel("panel-1")
    bridge = await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: panels[0]["online"])
    assert set(bridge.loops.tasks) == set(LOOPS)
    before = bridge.loops.tasks[killed]
    before.cancel()
    await wait_until(lambda: bridge.loops.tasks[killed] is not before and not bridge.health.loops)
    await wait_until(lambda: bridge.health.ready)
    await wait_until(panel.connected.is_set)
    await sqlite_world.post(an_event(shed_kw=2))

    await wait_until(lambda: panel.model.sheds == 1)
    await sqlite_world.until("/api/events/evt-1", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
    assert all(not task.done() for task in bridge.loops.tasks.values())
