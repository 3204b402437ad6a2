"""What an operator does beside the server: back up, restore, begin, and have old reports removed."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from oadr.__main__ import app
from oadr.errors import Exit
from tests.support.postgres import PostgresServer
from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import VtnUnderTest
from vtn import retention
from vtn.access import Role
from vtn.administration import back_up, restore
from vtn.errors import ArchiveUnusable, DatabaseNotEmpty
from vtn.settings import Settings
from vtn.store import objects
from vtn.store.archive import write_archive

PATHS = ("/programs", "/events", "/reports", "/subscriptions", "/vens", "/resources")


async def fill(vtn: VtnUnderTest) -> dict[str, Any]:
    """One object of every kind, and what business logic sees of them."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program(targets=["g", 'ü"\\'])
    await bl.ven_for(home, ["g"])
    event = await bl.event(
        program, intervals=[{"id": 0, "payloads": [{"type": "PRICE", "values": [0.1, 1, True, "x"]}]}]
    )
    await home.report(event)
    (await home.post("/subscriptions", {"clientName": "c", "objectOperations": []})).ok(201)
    (ven,) = (await home.get("/vens")).ok()
    await home.resource(ven)
    await vtn.server.clients.add("kept", Role.VEN, secret="a secret that is kept")
    return {path: (await bl.get(path)).ok() for path in PATHS}


@pytest.fixture
def empty_urls(tmp_path: Path, postgres_server: PostgresServer) -> dict[str, str]:
    """A new database of each kind."""
    return {
        "sqlite": f"sqlite:///{tmp_path / 'restored.sqlite3'}",
        "postgresql": postgres_server.url(postgres_server.create_database()),
    }


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", ["backup.jsonl", "backup.jsonl.gz"])
async def test_a_backup_brings_everything_back(
    vtn: VtnUnderTest, empty_urls: dict[str, str], tmp_path: Path, into: str, name: str
) -> None:
    """From either kind of database into either, while the server runs: objects, clients, keys; for the owner only."""
    before = await fill(vtn)
    token = vtn.bl.headers["Authorization"].removeprefix("Bearer ")
    file = tmp_path / name

    count = await back_up(vtn.server.settings, file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert await restore(settings_for(empty_urls[into]), file) == count

    restored = VtnUnderTest(settings_for(empty_urls[into]), vtn.now)
    await restored.start()
    try:
        caller = restored.with_token(token)  # the signing key is part of it
        assert {path: (await caller.get(path)).ok() for path in PATHS} == before
        form = {"grant_type": "client_credentials", "client_id": "kept", "client_secret": "a secret that is kept"}
        (await restored.ask("POST", f"{restored.base_url}/auth/token", form=form)).ok()
    finally:
        await restored.stop()


async def test_a_backup_is_one_moment(vtn: VtnUnderTest) -> None:
    """What is written meanwhile is either in it with all it belongs to, or not at all."""
    await fill(vtn)
    written: list[bytes] = []

    async with _busy(vtn):
        await write_archive(vtn.server._database, written.append)

    programs = {json.loads(line)["row"]["id"] for line in written if b'"table":"programs"' in line}
    for line in written:
        if b'"table":"events"' in line:
            assert json.loads(line)["row"]["program_id"] in programs


class _busy:  # noqa: N801 (reads as what it does)
    """Somebody who writes all the time."""

    def __init__(self, vtn: VtnUnderTest) -> None:
        self._vtn = vtn
        self._task: Any = None

    async def __aenter__(self) -> None:
        bl = self._vtn.bl

        async def write() -> None:
            while True:
                await bl.event(await bl.program())

        self._task = asyncio.create_task(write())
        await bl.event(await bl.program())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_nothing_is_overwritten(vtn: VtnUnderTest, tmp_path: Path) -> None:
    """Neither a file nor a database with something in it."""
    await fill(vtn)
    file = tmp_path / "backup.jsonl"
    await back_up(vtn.server.settings, file)
    content = file.read_bytes()

    with pytest.raises(ArchiveUnusable, match="exists"):
        await back_up(vtn.server.settings, file)
    assert file.read_bytes() == content
    before = {path: (await vtn.bl.get(path)).ok() for path in PATHS}
    with pytest.raises(DatabaseNotEmpty, match="not empty"):
        await restore(vtn.server.settings, file)
    assert {path: (await vtn.bl.get(path)).ok() for path in PATHS} == before
    assert [one for one in os.listdir(tmp_path) if "backup" in one] == [file.name]  # noqa: PTH208 (names only)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "end is missing"),
        (lambda lines: [*lines[:1], *lines[2:]], "as many as it says"),
        (lambda lines: lines[1:], "not a backup"),
        (lambda lines: [*lines, lines[-1]], "as many as it says"),
        (lambda lines: [*lines[:2], b"{half a li\n"], "line 3"),
        (lambda lines: [*lines[:1], b'{"table":"strangers","row":{}}\n', *lines[1:]], "line 2"),
        (lambda lines: [lines[0].replace(b'"revision":"', b'"revision":"9'), *lines[1:]], "newer version"),
        (lambda lines: [], "not a backup"),
    ],
)
async def test_a_damaged_backup_restores_nothing(
    vtn: VtnUnderTest, empty_urls: dict[str, str], tmp_path: Path, kind: str, change: Any, words: str
) -> None:
    """All or none, and the reason is said."""
    await fill(vtn)
    file = tmp_path / "backup.jsonl"
    await back_up(vtn.server.settings, file)
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))
    settings = settings_for(empty_urls[kind])

    with pytest.raises(ArchiveUnusable, match=words):
        await restore(settings, file)

    target = VtnUnderTest(settings)
    await target.start()
    try:
        for path in PATHS:
            assert (await target.bl.get(path)).ok() == []
    finally:
        await target.stop()


async def test_a_file_that_is_cut_off_is_not_restored(
    vtn: VtnUnderTest, empty_urls: dict[str, str], tmp_path: Path
) -> None:
    """Also a packed one."""
    await fill(vtn)
    file = tmp_path / "backup.jsonl.gz"
    await back_up(vtn.server.settings, file)
    assert gzip.decompress(file.read_bytes())
    file.write_bytes(file.read_bytes()[:-20])

    with pytest.raises(ArchiveUnusable):
        await restore(settings_for(empty_urls["sqlite"]), file)
    with pytest.raises(ArchiveUnusable, match="cannot be read"):
        await restore(settings_for(empty_urls["sqlite"]), tmp_path / "nothing")


async def test_old_reports_are_removed_when_that_is_wanted(start_vtn: StartVtn) -> None:
    """REPORT-014: only reports, only old ones; by default none."""
    keeping = await start_vtn()
    assert await keeping.server._retention().remove_due() == 0
    vtn = await start_vtn(reports={"retention_days": 30})
    bl, home = vtn.bl, vtn.home()
    event = await bl.event(await bl.program())
    for _ in range(3):
        await home.report(event)
    vtn.now.pass_(days=20)
    young = await vtn.caller(Role.VEN, client_id=home.client_id).report(event)
    vtn.now.pass_(days=11)

    assert await vtn.server._retention().remove_due() == 3

    again = vtn.caller(Role.VEN, client_id=home.client_id)
    assert (await again.get("/reports")).ok() == [young]
    assert (await vtn.bl.get("/events")).ok() == [event]


async def test_old_reports_go_in_portions_while_others_write(
    start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REPORT-014: nobody is refused meanwhile, no young report goes, two servers that remove do not lock each other.

    Nor do they lock an operator who removes an event with its reports.
    """
    monkeypatch.setattr(retention, "_AT_ONCE", 7)
    monkeypatch.setattr(objects, "_AT_ONCE", 7)
    vtn = await start_vtn(reports={"retention_days": 30})
    other = await start_vtn(reports={"retention_days": 30})
    bl, home = vtn.bl, vtn.home()
    event, removed = [await bl.event(await bl.program()) for _ in range(2)]
    for number in range(60):
        await home.report(removed if number % 3 else event)
    vtn.now.pass_(days=31)
    bl, home = vtn.bl, vtn.caller(Role.VEN, client_id=home.client_id)
    elsewhere = other.caller(Role.BL, client_id=bl.client_id)

    done = asyncio.gather(
        vtn.server._retention().remove_due(),
        other.server._retention().remove_due(),
        elsewhere.delete(f"/events/{removed['id']}"),
    )
    young: list[str] = []
    while not done.done() or not young:
        young.append((await home.report(event))["id"])
    by_one, by_other, deleted = await done

    deleted.ok()
    assert 20 <= by_one + by_other <= 60
    assert set(await bl.ids("/reports")) == set(young[-50:])
    assert await bl.ids("/reports", {"skip": str(len(young))}) == []


def run(*arguments: str) -> Any:
    """The command, in this process."""
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_a_vtn_is_begun_with_one_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`oadr vtn init`: a configuration that can be read, a client, its secret once; nothing is overwritten."""
    monkeypatch.chdir(tmp_path)

    done = run("vtn", "init", "--client-id", "me", "--json")

    assert done.exit_code == Exit.OK, done.output
    made = json.loads(done.stdout)
    assert made["client_id"] == "me"
    assert len(made["client_secret"]) >= 32
    assert json.loads(run("vtn", "client", "list", "--config", "vtn.toml").stdout)[0]["role"] == "BL"
    text = (tmp_path / "vtn.toml").read_text()
    assert made["client_secret"] not in text
    assert Settings.model_validate(tomllib.loads(text)).port == 8080
    assert run("vtn", "init").exit_code == Exit.CONFIGURATION
    assert (tmp_path / "vtn.toml").read_text() == text


def test_backup_restore_and_keys_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`oadr vtn backup|restore`, `oadr vtn key rotate`, `oadr vtn client remove`."""
    monkeypatch.chdir(tmp_path)
    assert run("vtn", "init", "--json").exit_code == Exit.OK
    assert run("vtn", "client", "add", "home", "--role", "ven", "--config", "vtn.toml").exit_code == Exit.OK
    assert run("vtn", "client", "remove", "home", "--config", "vtn.toml").exit_code == Exit.OK
    assert run("vtn", "client", "remove", "home", "--config", "vtn.toml").exit_code == Exit.REFUSED
    assert "tokens are signed" in run("vtn", "key", "rotate", "--config", "vtn.toml").stdout

    assert run("vtn", "backup", "b.jsonl.gz", "--config", "vtn.toml").exit_code == Exit.OK
    new = ("--database-url", "sqlite:///new.sqlite3")
    assert run("vtn", "restore", "b.jsonl.gz", *new).exit_code == Exit.OK
    assert run("vtn", "restore", "b.jsonl.gz", *new).exit_code == Exit.CONFIGURATION
    assert [one["client_id"] for one in json.loads(run("vtn", "client", "list", *new).stdout)] == ["operator"]
