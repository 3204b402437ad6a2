"""``oadr bridge panels``, ``commands``, ``acks`` and ``explain``, as an operator calls them at a running bridge."""

import asyncio
import json
import os
import sys
from typing import Any, NamedTuple

import pytest

from bench.support.net import free_port
from tests.bridge_mqtt.conftest import World, an_event
from tests.support.waiting import wait_until

TOKEN = "correct horse battery"


class Called(NamedTuple):
    """Hold what a command left."""

    exit_code: int | None
    stdout: str
    stderr: str


async def called(*words: str, token: str = TOKEN) -> Called:
    """The result of a process of its own, since the bridge of the test writes its log to this one's output."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "oadr", "bridge", *words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"OADR_BRIDGE_API__TOKEN": token},
    )
    out, problem = await process.communicate()
    return Called(process.returncode, out.decode(), problem.decode())


async def test_an_operator_follows_an_event_from_the_panels_to_the_reason(sqlite_world: World) -> None:
    """Each command tells its part of one shed, in JSON when piped."""
    await sqlite_world.add_panel("panel-1")
    bridge = await sqlite_world.start(api={"port": 0, "token": TOKEN})
    await sqlite_world.post(an_event(shed_kw=1.0))
    at = ("--url", bridge.api_url)

    async def told(*words: str) -> Any:
        done = await called(*words, *at)
        assert done.exit_code == 0, done.stderr
        return json.loads(done.stdout)

    async def held() -> bool:
        return bool((await told("panels"))[0]["holdsState"] == "held")

    await wait_until(held, timeout_s=60, what="a panel holds its shed")
    (panel,) = await told("panels")
    assert (panel["venId"], panel["online"], panel["holdsEvent"]) == ("panel-1", True, "evt-1")
    (shed,) = await told("commands", "--event", "evt-1")
    assert (shed["op"], shed["state"]) == ("shedPanel", "acked")
    assert shed in await told("commands", "--panel", "panel-1", "--event", "evt-1")
    (ack,) = await told("acks", "--event", "evt-1", "--status", "accepted")
    assert ack["correlationId"] == shed["correlationId"]
    assert await told("acks", "--panel", "panel-1", "--status", "rejected") == []
    explanation = await told("explain", "evt-1")
    assert explanation["windows"][0]["panels"][0]["venId"] == "panel-1"

    assert (await called("explain", "evt-2", *at)).exit_code == 6
    wrong = await called("panels", *at, token="wrong")
    assert wrong.exit_code == 5
    assert "OADR_BRIDGE_API__TOKEN" in wrong.stderr


@pytest.mark.parametrize("name", ["commands", "acks"])
async def test_a_list_needs_a_panel_or_an_event(name: str) -> None:
    """Exit code 2, before anything is asked."""
    done = await called(name)
    assert done.exit_code == 2
    assert "--panel" in done.stderr


async def test_a_bridge_that_is_not_there_is_named() -> None:
    """Exit code 4 and the address."""
    url = f"http://127.0.0.1:{free_port()}"
    done = await called("panels", "--url", url)
    assert done.exit_code == 4
    assert url in done.stderr


async def test_the_secret_for_the_vtn_in_the_environment_disturbs_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """As exported for `run`, whose client id stands in the file of the settings; `panels` asks the bridge only."""
    monkeypatch.setenv("OADR_BRIDGE_VTN__CLIENT_SECRET", "not for this one")
    monkeypatch.setenv("OADR_BRIDGE_ISSUING__CLIENT_SECRET", "nor this")
    done = await called("panels", "--url", f"http://127.0.0.1:{free_port()}")
    assert "no bridge answers at" in done.stderr
    assert "client_id" not in done.stderr


async def test_half_of_the_credentials_is_named_by_the_variable_that_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` without the file that has the client id."""
    monkeypatch.setenv("OADR_BRIDGE_VTN__CLIENT_SECRET", "half of two")
    done = await called("run", "--vtn", "http://127.0.0.1:1/openadr3/3.1.0")
    assert "client_id is missing (OADR_BRIDGE_VTN__CLIENT_SECRET is set)" in done.stderr
    assert "half of two" not in done.stderr
