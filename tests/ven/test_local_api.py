"""The local API and the commands that use it: what an owner sees and says, and who is kept out."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest

from bench.support.net import free_port
from openadr_profiles.v31 import Event
from tests.support.waiting import wait_until
from tests.ven.builders import START, shed_event
from tests.ven.conftest import StartHome
from tests.ven.home import SECRET, Home, Town
from ven.local_api import client as local_client
from ven.local_api import server as local_server
from ven.local_api.client import LocalRefusal, NotRunning
from ven.local_api.client import ask as local_ask
from ven.settings import LocalSettings

CONFIG = """
ven_name = "home-1"

[vtn]
url = "{url}"
client_id = "home-1"
client_secret = "{secret}"

[local]
port = {port}

[[circuits]]
id = "ev"
breaker_amps = 32
rated_kw = 7
"""


def url(home: Home, path: str) -> str:
    return f"http://127.0.0.1:{home.settings.local.port}{path}"


async def ask(home: Home, method: str, path: str, **request: Any) -> tuple[int, Any]:
    async with aiohttp.ClientSession() as session, session.request(method, url(home, path), **request) as answer:
        return answer.status, await answer.json()


async def local_home(town: Town, start_home: StartHome, **local: Any) -> Home:
    home = await start_home(local={"port": free_port(), **local}, poll_s=60)
    await until_it_listens(home)
    return home


async def until_it_listens(home: Home) -> None:
    async def listens() -> bool:
        try:
            await ask(home, "GET", "/status")
        except aiohttp.ClientConnectionError:
            return False
        return True

    await wait_until(listens)


async def under_way(town: Town, home: Home) -> Event:
    event = await town.issue(shed_event(-3))
    await home.until(START + timedelta(minutes=1))
    assert home.relay.in_force == {"ev": 0}
    return event


async def test_an_owner_sees_what_happens(town: Town, start_home: StartHome) -> None:
    home = await local_home(town, start_home)
    event = await under_way(town, home)
    status, shown = await ask(home, "GET", "/status")
    assert status == 200
    assert {each["id"]: (each["power_kw"], each["limit_kw"]) for each in shown["circuits"]} == {
        "fridge": (0.2, None),
        "heater": (2, None),
        "ev": (0, 0),
    }
    (one,) = shown["events"]
    assert (one["id"], one["opted_in"], one["requested_kw"], one["circuits"]) == (event.id, True, 3, {"ev": 0})
    assert (shown["problems"], shown["pending_writes"], shown["link_lost"]) == ([], 0, False)
    assert (await ask(home, "GET", "/events"))[1] == shown["events"]
    (_, history) = await ask(home, "GET", "/history?limit=5")
    assert [(each["event_id"], each["opted_in"]) for each in history] == [(event.id, True)]


async def test_what_an_owner_says_counts_at_once(town: Town, start_home: StartHome) -> None:
    home = await local_home(town, start_home)
    event = await under_way(town, home)
    said = {"scope": f"event:{event.id}", "opt": "out", "reason": "guests"}
    status, shown = await ask(home, "POST", "/opt", json=said)
    assert (status, shown["choices"][0]["reason"]) == (200, "guests")
    await home.quiet()
    assert home.relay.in_force == {}
    (opt,) = await town.opts(event)
    assert (opt.opted_in, opt.reason) == (False, "guests")
    assert (await ask(home, "POST", "/opt", json={"scope": said["scope"], "opt": "withdraw"}))[0] == 200
    await home.quiet()
    assert home.relay.in_force == {"ev": 0}
    assert (await ask(home, "POST", "/opt", json={"scope": said["scope"], "opt": "withdraw"}))[0] == 404


async def test_circuit_that_the_owner_has_taken_over_is_given_back(town: Town, start_home: StartHome) -> None:
    home = await local_home(town, start_home)
    await under_way(town, home)
    await home.pass_(minutes=6)
    home.relay.by_hand("ev", is_on=True)
    await home.pass_(minutes=6)
    left_alone = [each["id"] for each in (await ask(home, "GET", "/status"))[1]["circuits"] if each["left_alone"]]
    assert left_alone == ["ev"]
    assert (await ask(home, "POST", "/give-back", json={"circuit": "ev"}))[0] == 200
    await home.quiet()
    assert home.relay.in_force["ev"] == 0
    assert (await ask(home, "POST", "/give-back", json={"circuit": "ev"}))[0] == 404


async def test_restore_lets_all_circuits_return_until_the_event_is_over(town: Town, start_home: StartHome) -> None:
    home = await local_home(town, start_home)
    event = await under_way(town, home)
    assert await ask(home, "POST", "/restore", json={}) == (
        200,
        {"events": [event.id], "held_until": {}, "link_lost": False},
    )
    await home.pass_(minutes=10)
    assert home.relay.in_force == {}
    assert home.relay.wants["ev"] == Decimal(3)
    assert [each.reason for each in await town.opts(event)] == ["restored by hand"]


@pytest.mark.parametrize(
    ("method", "path", "request_", "status", "message"),
    [
        ("GET", "/status", {"headers": {"Host": "evil.example"}}, 421, "expected an address of this machine"),
        ("GET", "/status", {"headers": {"Host": "127.0.0.1.evil.example:80"}}, 421, "expected an address"),
        ("GET", "/changes", {"headers": {"Origin": "https://evil.example"}}, 403, "page of another site"),
        ("GET", "/status", {"headers": {"Sec-Fetch-Site": "cross-site"}}, 403, "page of another site"),
        ("GET", "/status", {"headers": {"Origin": "null"}}, 403, "page of another site"),
        ("POST", "/restore", {"data": "{}", "headers": {"Content-Type": "text/plain"}}, 415, "application/json"),
        ("POST", "/opt", {"json": {"scope": "all", "opt": "out", "reason": "x" * 20_000}}, 413, ""),
        ("POST", "/opt", {"data": "{", "headers": {"Content-Type": "application/json"}}, 400, "not JSON"),
        ("POST", "/opt", {"json": []}, 400, "expected a JSON object"),
        ("POST", "/opt", {"json": {"scope": "all", "opt": "maybe"}}, 400, "opt: expected in, out or withdraw"),
        ("POST", "/opt", {"json": {"scope": "house", "opt": "in"}}, 400, "is no scope"),
        ("POST", "/opt", {"json": {"scope": "event:x", "opt": "in"}}, 400, "there is no event 'x'"),
        ("POST", "/opt", {"json": {"scope": "all", "opt": "in", "until": "soon"}}, 400, "until: "),
        ("POST", "/opt", {"json": {"scope": "all", "opt": "in", "until": "2000-01-01T00:00:00Z"}}, 400, "until "),
        ("POST", "/opt", {"json": {"scope": "all", "opt": "in", "how": 1}}, 400, "how: there is no such member"),
        ("POST", "/give-back", {"json": {"circuit": "ev"}}, 404, "'ev' is not one that its owner has taken over"),
        ("POST", "/give-back", {"json": {"circuit": 1}}, 400, "circuit: expected text"),
        ("GET", "/history?limit=0", {}, 400, "limit: expected"),
        ("GET", "/nothing", {}, 404, ""),
    ],
)
async def test_strangers_and_mistakes_are_refused_by_name(
    town: Town, start_home: StartHome, method: str, path: str, request_: dict[str, Any], status: int, message: str
) -> None:
    home = await local_home(town, start_home)
    found, body = await ask(home, method, path, **request_)
    assert found == status
    assert message in body["error"]
    assert (await ask(home, "GET", "/status"))[1]["choices"] == []


async def test_beyond_loopback_a_token_is_demanded(town: Town, start_home: StartHome, tmp_path: Path) -> None:
    file = tmp_path / "local-token"
    home = await local_home(town, start_home, host="0.0.0.0", token_file=file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert (await ask(home, "GET", "/status"))[0] == 401
    assert (await ask(home, "GET", "/status", headers={"Authorization": "Bearer no"}))[0] == 401
    token = {"Authorization": f"Bearer {file.read_text().strip()}", "Host": "home.local"}
    assert (await ask(home, "GET", "/status", headers=token))[0] == 200


async def test_no_more_connections_are_open_than_are_taken(town: Town, start_home: StartHome) -> None:
    home = await local_home(town, start_home)
    port = home.settings.local.port
    async with AsyncExitStack() as stack:

        async def connect() -> asyncio.StreamReader:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            stack.callback(writer.close)
            return reader

        silent = [await connect() for _ in range(32)]
        assert (await (await connect()).read()).startswith(b"HTTP/1.1 503 ")
        with pytest.raises(LocalRefusal, match="as many connections as it takes"):
            await local_ask(home.settings.local, "GET", "/status")
        assert not any(reader.at_eof() for reader in silent)

    async def has_room() -> bool:
        return (await ask(home, "GET", "/status"))[0] == 200

    await wait_until(has_room)


async def test_silent_connections_are_cut_and_streams_are_not(
    town: Town, start_home: StartHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_server, "_SILENT_S", 0.2)
    home = await local_home(town, start_home)
    async with aiohttp.ClientSession() as session, session.get(url(home, "/changes")) as stream:
        await stream.content.readline()
        for sent in (b"", b"GET /status HTTP/1.1\r\nHost: 127.0"):
            reader, writer = await asyncio.open_connection("127.0.0.1", home.settings.local.port)
            writer.write(sent)
            with suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()
        status, said = await ask(home, "POST", "/opt", data=_slow_body(), headers={"Content-Type": "application/json"})
        assert (status, "the body has not arrived" in said["error"]) == (408, True)
        await ask(home, "POST", "/opt", json={"scope": "all", "opt": "out"})
        async for line in stream.content:
            if line.startswith(b"data: ") and json.loads(line.removeprefix(b"data: "))["choices"]:
                break


async def _slow_body() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.Event().wait()


@pytest.mark.parametrize(("method", "hint"), [("GET", "the VEN hangs"), ("POST", "it may still do so")])
async def test_whoever_hears_nothing_is_told_so_and_not_that_no_ven_runs(
    method: Literal["GET", "POST"], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_client, "_WITHIN_S", {"GET": 0.1, "POST": 0.1})
    connected: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: connected.append(writer), "127.0.0.1", 0)
    settings = LocalSettings(port=server.sockets[0].getsockname()[1])
    with pytest.raises(NotRunning, match=f"has not answered within 0.1 s: {hint}"):
        await local_ask(settings, method, "/restore")
    server.close()
    for writer in connected:
        writer.close()


async def test_changes_are_streamed(town: Town, start_home: StartHome) -> None:
    home = await local_home(town, start_home)
    async with aiohttp.ClientSession() as session, session.get(url(home, "/changes")) as stream:
        assert stream.content_type == "text/event-stream"
        first = json.loads((await stream.content.readline()).removeprefix(b"data: "))
        assert first["choices"] == []
        await ask(home, "POST", "/opt", json={"scope": "all", "opt": "out"})
        async with asyncio.timeout(30):
            async for line in stream.content:
                if line.startswith(b"data: ") and json.loads(line.removeprefix(b"data: "))["choices"]:
                    break


async def test_what_is_wrong_is_shown(town: Town, start_home: StartHome) -> None:
    home = await local_home(town, start_home)
    home.relay.broken = {"ev"}
    await town.issue(shed_event(-3))
    await home.until(START)
    await town.close_vtn()
    await home.pass_(seconds=120)
    problems = {each["what"] for each in (await ask(home, "GET", "/status"))[1]["problems"]}
    assert {"vtn"} <= problems


async def test_a_port_that_is_taken_keeps_no_circuit_from_being_looked_after(town: Town, start_home: StartHome) -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        home = await start_home(local={"port": server.sockets[0].getsockname()[1]})
        await under_way(town, home)
    await until_it_listens(home)


async def test_commands_ask_the_running_home(town: Town, start_home: StartHome, tmp_path: Path) -> None:
    home = await local_home(town, start_home)
    event = await under_way(town, home)
    file = tmp_path / "home.toml"
    port = home.settings.local.port
    file.write_text(CONFIG.format(url=town.vtn.base_url, secret=SECRET, port=port))  # a few bytes in a test

    async def run(*words: str) -> tuple[int, Any, str]:
        """Return exit code, JSON and errors of a command in a process of its own, as our log goes to our output."""
        call = [*words, "--config", str(file), "--json"]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "from oadr.commands.ven import app; app()",
            *call,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
        return process.returncode or 0, json.loads(output or "null"), errors.decode()

    assert [each["event_id"] for each in (await run("history"))[1]] == [event.id]
    code, said, errors = await run(
        "opt", "out", f"event:{event.id}", "--reason", "guests", "--until", "2026-01-02T00:00:00Z"
    )
    assert (code, errors) == (0, "")
    assert said[0]["until"].startswith("2026-01-02T00:00:00")
    await home.quiet()
    assert home.relay.in_force == {}
    assert (await run("restore"))[1]["events"] == []
    code, _, errors = await run("opt", "in", "event:nobody")
    assert (code, "there is no event" in errors) == (6, True)
    await home.stop()
    code, _, errors = await run("status")
    assert (code, "no VEN answers at" in errors) == (4, True)
