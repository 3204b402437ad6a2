"""`oadr ven status` and `history` of a VEN that is not running: its state file is read, and nothing is written."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.support.net import free_port
from openadr_client.clock import ManualClock
from openadr_profiles.v31 import Program
from tests.support.waiting import wait_until
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import SECRET, Home, Town
from ven.errors import BadStore
from ven.events.placing import PlacedEvent, Placing
from ven.records import ReceivedEvent
from ven.resting import NoStateFile, StateFileInUse, resting_history, resting_status
from ven.store import StateFile

CONFIG = """
ven_name = "home-1"
store = "{store}"

[vtn]
url = "{url}"
client_id = "home-1"
client_secret = "{secret}"
{local}
[[circuits]]
id = "ev"
breaker_amps = 32
rated_kw = 7
"""


def content(store: Path) -> list[bytes]:
    """What the state file and the log beside it hold; SQLite may make an empty log, and its index, for a look."""
    return [
        each.read_bytes()
        for each in (store, store.with_name(f"{store.name}-wal"))
        if each.exists() and each.stat().st_size
    ]


async def under_way(town: Town, home: Home) -> str:
    event = await town.issue(shed_event(-3))
    await home.until(START + timedelta(minutes=1))
    assert home.relay.in_force == {"ev": 0}
    return event.id


async def test_what_a_killed_ven_left_is_shown_and_its_file_stays_as_it_is(
    town: Town, start_home: StartHome, clock: ManualClock
) -> None:
    home = await start_home()
    event_id = await under_way(town, home)
    await home.kill()
    before = content(home.settings.store)
    shown = await resting_status(home.settings, clock.now())
    assert (shown["running"], shown["ven_name"]) == (False, "home-1")
    assert {each["id"]: each["limit_kw"] for each in shown["circuits"]} == {"fridge": None, "heater": None, "ev": 0}
    (event,) = shown["events"]
    assert (event["id"], event["opted_in"], event["name"]) == (event_id, True, "e1")
    assert event["start"].startswith("2026-01-01T12:00:00")
    written = datetime.fromisoformat(shown["last_write"])
    assert timedelta(0) <= datetime.now(UTC) - written < timedelta(minutes=5)
    history = await resting_history(home.settings, 5, clock.now())
    assert [(each["event_id"], each["opted_in"]) for each in history] == [(event_id, True)]
    assert content(home.settings.store) == before
    await home.start()
    await home.quiet()


@pytest.mark.parametrize("is_killed", [True, False])
async def test_a_ven_that_starts_waits_for_a_look_at_its_file(start_home: StartHome, is_killed: bool) -> None:
    """`oadr ven status`, `history` or `doctor` in that moment must not keep a VEN from running."""
    home = await start_home()
    await (home.kill() if is_killed else home.stop())
    path = home.settings.store
    async with StateFile(path, now=START, read_only=True) as looking:
        await looking.events.all()
        starting = asyncio.create_task(StateFile(path, now=START).__aenter__())
        enough = time.monotonic() + 2  # a slow look, on a small device
        await wait_until(lambda: starting.done() or time.monotonic() > enough, what="time has passed")
        assert not starting.done()
    store = await starting
    await store.__aexit__(None, None, None)


async def test_the_file_is_closed_before_events_are_placed(
    town: Town, start_home: StartHome, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = await start_home()
    event_id = await under_way(town, home)
    await home.stop()
    placed = []

    async def place(self: Placing, received: ReceivedEvent, program: Program | None) -> PlacedEvent:
        async with StateFile(home.settings.store, now=START):  # a VEN can start
            placed.append(received.event.id)
        return await really(self, received, program)

    really = Placing.place
    monkeypatch.setattr(Placing, "place", place)
    shown = await resting_status(home.settings, clock.now())
    assert [each["id"] for each in shown["events"]] == placed == [event_id]


async def test_after_an_orderly_end_no_limit_is_left_and_an_event_that_is_over_is_not_shown(
    town: Town, start_home: StartHome, clock: ManualClock
) -> None:
    home = await start_home()
    await under_way(town, home)
    await home.stop()
    shown = await resting_status(home.settings, clock.now())
    assert [each["limit_kw"] for each in shown["circuits"]] == [None, None, None]
    assert len(shown["events"]) == 1
    assert (await resting_status(home.settings, START + timedelta(hours=2)))["events"] == []
    assert len(await resting_history(home.settings, 5, clock.now())) == 1


async def test_members_are_those_of_a_running_ven(town: Town, start_home: StartHome, clock: ManualClock) -> None:
    """A script need not know whether the VEN runs."""
    import aiohttp

    port = free_port()
    home = await start_home(local={"port": port}, poll_s=60)
    await under_way(town, home)
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/status") as answer:
        running = await answer.json()
    with pytest.raises(StateFileInUse):
        await resting_status(home.settings, clock.now())
    await home.stop()
    resting = await resting_status(home.settings, clock.now())
    assert resting.keys() - running.keys() == {"running", "last_write"}
    assert running.keys() <= resting.keys()
    for name in ("circuits", "events"):
        assert [each.keys() for each in resting[name]] == [each.keys() for each in running[name]]


async def test_a_file_that_is_missing_damaged_or_of_another_version_is_named(
    town: Town, start_home: StartHome, clock: ManualClock
) -> None:
    settings = (await town.home("other")).settings
    with pytest.raises(NoStateFile, match="no VEN has run with these settings"):
        await resting_status(settings, clock.now())
    home = await start_home()
    await home.stop()
    file = home.settings.store
    for version, said in ((3, "has version 3 of the state file: the next run"), (99, "has version 99, newer than")):
        with closing(sqlite3.connect(file)) as connection:
            connection.execute(f"pragma user_version={version}")
        with pytest.raises(BadStore, match=said):
            await resting_status(home.settings, clock.now())
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(BadStore, match="is no readable state file"):
        await resting_history(home.settings, 5, clock.now())


async def command(*words: str, config: Path) -> tuple[int, Any, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from oadr.commands.ven import app; app()", *words, "--config", str(config), "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode or 0, json.loads(output or "null"), errors.decode()


@pytest.mark.parametrize("local", ["", "[local]\nport = {port}\n"])
async def test_commands_read_the_file_of_a_ven_that_does_not_run(
    town: Town, start_home: StartHome, tmp_path: Path, local: str
) -> None:
    home = await start_home()
    event_id = await under_way(town, home)
    config = tmp_path / "home.toml"
    given = {"store": home.settings.store, "url": town.vtn.base_url, "secret": SECRET}
    config.write_text(CONFIG.format(**given, local=""))  # a few bytes in a test
    code, _, errors = await command("status", config=config)
    assert (code, "local.port is not set" in errors, "a VEN is running with" in errors) == (4, True, True)
    await home.stop()
    config.write_text(CONFIG.format(**given, local=local.format(port=free_port())))
    code, shown, errors = await command("status", config=config)
    assert (code, errors, shown["running"]) == (0, "", False)
    code, history, _ = await command("history", config=config)
    assert (code, [each["event_id"] for each in history]) == (0, [event_id])
    config.write_text(CONFIG.format(**(given | {"store": tmp_path / "none.sqlite3"}), local=""))
    code, _, errors = await command("history", config=config)
    assert (code, "there is no state file" in errors) == (4, True)
