"""``/metrics``: what an operator is warned by, without a token, from a running bridge."""

from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from openadr_client.tls_files import end_of_certificate
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until


async def figures(world: World) -> dict[str, float]:
    """The figures by their names with labels, as a monitoring program reads them."""
    bridge, _ = world._running[-1]
    async with aiohttp.ClientSession() as session, session.get(f"{bridge.api_url}/metrics") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/plain"
        lines = (await answer.text()).splitlines()
    pairs = [line.rsplit(" ", 1) for line in lines if not line.startswith("#")]
    return {name.removeprefix("openadr_bridge_"): float(value) for name, value in pairs}


async def test_the_figures_follow_a_shed_from_the_command_to_its_answer(sqlite_world: World) -> None:
    """Panels, holdings and answers are counted; a panel that is silent makes the oldest command old."""
    await sqlite_world.add_panel("panel-1")
    bridge = await sqlite_world.start(api={"port": 0, "token": "correct horse battery"})
    await sqlite_world.post(an_event(shed_kw=1.0))
    url = f"{bridge.api_url}/api/panels"
    async with aiohttp.ClientSession() as session, session.get(url) as refused:
        assert refused.status == 401

    async def held() -> bool:
        return (await figures(sqlite_world))['holdings{state="held"}'] == 1

    await wait_until(held, timeout_s=60, what="a panel holds its shed")
    found = await figures(sqlite_world)
    assert found['panels{state="online"}'] == 1
    assert found["ready"] == 1
    assert found["acks_total"] >= 1
    assert found["samples_total"] > 0
    assert found["double_shed_total"] == 0
    assert found['loop_stall_seconds{state="start"}'] > 0
    sqlite_world.panels["panel-1"].unplug()
    await sqlite_world.withdraw("evt-1")

    async def waiting() -> bool:
        return (await figures(sqlite_world))["oldest_unacked_seconds"] > 0

    await wait_until(waiting, timeout_s=60, what="a command that waits for its answer")


async def test_the_end_of_our_certificate_is_told_in_time(mosquitto_tls: Mosquitto, sqlite_url: str) -> None:
    """Nobody else warns whoever has to renew it; a bridge that shows none says nothing of one."""
    files = mosquitto_tls.client_files("bridge")
    async with AsyncExitStack() as stack:
        world = World(mosquitto_tls, sqlite_url, stack)
        world.broker_settings = {
            "ca_file": files.ca,
            "client_certificate": files.certificate,
            "client_key": files.key,
        }
        await world.start(unregistered="accept")
        ends_in_s = (await figures(world))["broker_certificate_ends_in_seconds"]
    ends = end_of_certificate(files.certificate)
    assert ends is not None
    assert datetime.now(UTC) + timedelta(seconds=ends_in_s) == pytest.approx(ends, abs=timedelta(minutes=5))


async def test_without_a_certificate_no_end_is_told(sqlite_world: World) -> None:
    """A figure of nothing would set off an alarm."""
    await sqlite_world.start(unregistered="accept")
    assert "broker_certificate_ends_in_seconds" not in await figures(sqlite_world)
