"""No secret is in anything that the processes write: their output at the highest level, and files but those for it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from typer.testing import CliRunner
from yarl import URL

from bench.support.net import free_port
from bench.support.postgres import PostgresServer
from bench.support.processes import ServerProcess
from oadr.__main__ import app
from tests.e2e.processes import oadr, program
from tests.support.canaries import Canaries
from tests.support.mosquitto import Mosquitto
from tests.support.waiting import wait_until

_SIGNING: Final = "canary-signing-key-of-more-than-32-bytes"
_CLIENT: Final = "canary-client-secret"
_WRONG: Final = "canary-wrong-secret"
_CALLBACK: Final = "canary-callback-token"
_DATABASE: Final = "canary-database-password"
_CANARY: Final = b"canary-"


def _run(*words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "oadr", "--log-level", "debug", *words]
    return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_no_process_writes_a_secret(kind: str, postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Every secret that a VTN is given, while statements fail and the database goes away."""
    if kind == "sqlite":
        url = f"sqlite:///{tmp_path / 'vtn.sqlite3'}"
    else:
        name = postgres_server.create_database()
        url = postgres_server.url(name).replace("postgres@", f"postgres:{_DATABASE}@")
    port = free_port()
    environment = os.environ | {
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "OADR_VTN_PORT": str(port),
        "OADR_VTN_DATABASE__URL": url,
        "OADR_VTN_AUTH__PREVIOUS_SIGNING_KEYS": f'["{_SIGNING}-previous"]',
        "OADR_VTN_AUTH__SIGNING_KEY": _SIGNING,
        "OADR_VTN_WEBHOOK__VERIFY_ECHO": "false",
        "OADR_VTN_WEBHOOK__ALLOW_PRIVATE_ADDRESSES": "true",
        "OADR_VTN_AUTH__ARGON2__MEMORY_KIB": "8",
    }
    outputs: list[bytes] = []
    made = await asyncio.to_thread(
        lambda: _run("vtn", "client", "add", "home", "--role", "bl", "--json", environment=environment)
    )
    secret = made.stdout.split(b'"client_secret": "')[1].split(b'"')[0]
    outputs += [made.stderr]
    for words in (("vtn", "client", "list"), ("vtn", "run", "--host", "300.0.0.1"), ("vtn", "key", "rotate")):
        done = await asyncio.to_thread(lambda words=words: _run(*words, environment=environment))  # type: ignore[misc]
        outputs += [done.stdout, done.stderr]
    for broken in ({"OADR_VTN_AUTH__SIGNING_KEY": "canary-short"}, {"OADR_VTN_DATABASE__URL": f"my{url}"}):
        changed = environment | broken
        done = await asyncio.to_thread(lambda changed=changed: _run("vtn", "migrate", environment=changed))  # type: ignore[misc]
        assert done.returncode == 3
        outputs += [done.stdout, done.stderr]

    log = tmp_path / "log"
    with log.open("wb") as file:
        server = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "oadr", "--log-level", "debug", "vtn", "run"),
            env=environment,
            stdout=file,
            stderr=file,
        )
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

            async def is_ready() -> bool:
                try:
                    async with session.get("/ready") as answer:
                        return answer.status == 200
                except aiohttp.ClientError:
                    return False

            await wait_until(is_ready, timeout_s=60)
            token = await _token(session, "home", secret.decode())
            assert token
            assert not await _token(session, "home", _WRONG)
            headers = {"Authorization": f"Bearer {token}"}
            entry = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": "https://127.0.0.1:9/"}
            document = {"clientName": "c", "objectOperations": [entry | {"bearerToken": _CALLBACK}]}
            path = "/openadr3/3.1.0/subscriptions"
            async with session.post(path, json=document, headers=headers) as answer:
                assert answer.status == 201
            async with session.post(path, json=document | {"clientName": 5}, headers=headers) as answer:
                assert answer.status == 400
            async with session.get(path, headers={"Authorization": "Bearer canary-token"}) as answer:
                assert answer.status == 401
            async with session.post(
                "/auth/token", headers={"Authorization": aiohttp.encode_basic_auth("home", _WRONG)}
            ) as answer:
                assert answer.status >= 400
            async with session.get(URL(f"{path}?limit={_WRONG}", encoded=True), headers=headers) as answer:
                assert answer.status == 400
            if kind == "postgresql":
                postgres_server.query("ALTER TABLE subscriptions ADD CHECK (client_name <> 'fails')", database=name)
                failing = document | {"clientName": "fails"}
                async with session.post(path, json=failing, headers=headers) as answer:
                    assert answer.status == 500
                postgres_server.drop_database(name)
                async with session.post(path, json=document, headers=headers) as answer:
                    assert answer.status == 503
    finally:
        server.send_signal(signal.SIGTERM)
        assert await server.wait() == 0

    outputs.append(_content(log))
    assert b"VTN started" in outputs[-1]
    for output in outputs:
        cleaned = output.replace(f"limit={_WRONG}".encode(), b"")  # an address is no secret
        assert _CANARY not in cleaned
        assert secret not in cleaned
        assert token.encode() not in cleaned
    for path_, content in _files(tmp_path).items():
        assert secret not in content, path_
        assert _CANARY not in content.replace(f"limit={_WRONG}".encode(), b""), path_


HOME: Final = """
poll_s = 0.3
ven_name = "home-1"
[vtn]
url = "{url}"
client_id = "home-1"
[driver]
kind = "simulated"
[[circuits]]
id = "ev"
breaker_amps = 32
rated_kw = 7
shed_share = 1
"""
BRIDGE: Final = """
[vtn]
url = "{url}"
client_id = "bridge"
poll_interval_s = 0.3
ven_name = "bridge"
[broker]
username = "bridge"
reconnect_most_s = 0.5
[[panels]]
id = "panel-1"
"""


async def test_ven_and_bridge_write_no_secret(
    postgres_server: PostgresServer, mosquitto: Mosquitto, canaries: Canaries, tmp_path: Path
) -> None:
    """Their client secrets, the broker's password, the API's token and the database's password, while all go away."""
    in_database = {"OADR_VTN_DATABASE__URL": f"sqlite:///{tmp_path / 'vtn.sqlite3'}"}
    secrets = {
        who: oadr("vtn", "client", "add", who, "--role", "ven", environment=in_database)["client_secret"]
        for who in ("home-1", "bridge")
    }
    port, api_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}/openadr3/3.1.0"
    (tmp_path / "home.toml").write_text(HOME.format(url=url))
    (tmp_path / "bridge.toml").write_text(BRIDGE.format(url=url))
    name = postgres_server.create_database()
    with ExitStack() as stack:

        def started(who: str, words: list[str], environment: dict[str, str], port: int | None = None) -> ServerProcess:
            process = program(who, words, folder=tmp_path, environment=environment, port=port)
            process.start()
            stack.callback(process.stop)
            return process

        vtn = started("vtn", ["vtn", "run", "--port", str(port)], in_database, port)
        home = started(
            "home",
            ["ven", "run", "--config", "home.toml", "--store", "home.sqlite3"],
            {"OADR_VEN_VTN__CLIENT_SECRET": secrets["home-1"]},
        )
        bridge = started(
            "bridge",
            ["bridge", "run", "--config", "bridge.toml"],
            {
                "OADR_BRIDGE_VTN__CLIENT_SECRET": secrets["bridge"],
                "OADR_BRIDGE_BROKER__URL": mosquitto.url,
                "OADR_BRIDGE_BROKER__PASSWORD": "canary-broker-password",
                "OADR_BRIDGE_API__TOKEN": "canary-api-token",
                "OADR_BRIDGE_API__PORT": str(api_port),
                "OADR_BRIDGE_DATABASE__URL": postgres_server.url(name).replace("postgres@", f"postgres:{_DATABASE}@"),
            },
            api_port,
        )

        async def written(process: ServerProcess, what: str) -> None:
            await wait_until(lambda: what in process.log_text(), timeout_s=120, what=what)

        await written(home, '"registered with the VTN"')
        await written(bridge, '"registered with the VTN"')
        await written(bridge, '"connected to the broker"')
        await written(bridge, '"API listens"')
        async with aiohttp.ClientSession(f"http://127.0.0.1:{api_port}") as session:
            for token, status in (("canary-api-token", 200), ("canary-wrong-token-1", 401)):
                async with session.get("/api/panels", headers={"Authorization": f"Bearer {token}"}) as answer:
                    assert answer.status == status
        vtn.stop()
        mosquitto.stop()
        postgres_server.drop_database(name)
        await written(home, '"VTN not read"')
        await written(bridge, '"broker not available"')
        await written(bridge, '"database not available"')
    for secret in (*secrets.values(), "canary-broker-password", "canary-api-token", _DATABASE):
        assert canaries.knows(secret), secret
        for process in (home, bridge):
            assert secret not in process.log_text()


BUSINESS_LOGIC: Final = {
    "OADR_BL_CLIENT_ID": "utility",
    "OADR_BL_CLIENT_SECRET": "canary-b",
    "OADR_BL_TOKEN_URL": "http://user:canary-c@127.0.0.1:1/token",
}


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        (["ven", "run"], {"OADR_VEN_VTN__CLIENT_SECRET": "canary-a", "OADR_VEN_VTN__TOKEN": "canary-b"}),
        (["ven", "run"], {"OADR_VEN_VTN__URL": "http://user:canary-a@127.0.0.1:1", "OADR_VEN_VTN__TOKEN": "canary-b"}),
        (["bridge", "run"], {"OADR_BRIDGE_VTN__URL": "http://user:canary-a@127.0.0.1:1"}),
        (["bridge", "run"], {"OADR_BRIDGE_BROKER__URL": "mqtt://user:canary-a@127.0.0.1:1"}),
        (["bridge", "run"], {"OADR_BRIDGE_BROKER__PASSWORD": "canary-a"}),
        (["bridge", "run"], {"OADR_BRIDGE_DATABASE__URL": "mysql://user:canary-a@127.0.0.1/name"}),
        (["bridge", "run"], {"OADR_BRIDGE_API__TOKEN": '["canary-a"]', "OADR_BRIDGE_API__PORT": "canary"}),
        (["event", "list"], {"OADR_BL_URL": "http://user:canary-a@127.0.0.1:1", **BUSINESS_LOGIC}),
        (["event", "list"], {"OADR_BL_URL": "http://127.0.0.1:1", **BUSINESS_LOGIC}),
    ],
)
def test_no_mistake_in_the_settings_shows_a_secret(
    words: list[str], environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is wrong with them."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner(env=environment).invoke(app, words)
    assert done.exit_code in {3, 4, 5}
    assert "canary-" not in done.output


async def _token(session: aiohttp.ClientSession, client_id: str, secret: str) -> str:
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    async with session.post("/auth/token", data=form) as answer:
        return str((await answer.json()).get("access_token") or "")


def _content(path: Path) -> bytes:
    return path.read_bytes()


def _files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
