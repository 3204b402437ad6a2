"""Administration beside the server: backup, restore, example configuration, and removal of old reports."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import tomllib
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert, select, text
from typer.testing import CliRunner

from bench.support.postgres import PostgresServer
from oadr.__main__ import app
from oadr.errors import Exit
from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox import LAB, Recorded, subscribe
from tests.vtn.test_upgrade import a_database_at
from vtn import retention
from vtn.access import Role
from vtn.administration import back_up, restore, verify
from vtn.app import migrate_database
from vtn.errors import ArchiveUnusable, DatabaseNotEmpty
from vtn.retention import Retention
from vtn.settings import Settings
from vtn.store import objects, tables
from vtn.store.archive import read_archive, write_archive
from vtn.store.database import Database
from vtn.store.outbox.rows import Operation
from vtn.store.tables import signing_keys
from vtn.store.vault import Vault, is_sealed

PATHS = ("/programs", "/events", "/reports", "/subscriptions", "/vens", "/resources", "/resource_groups")


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
    resource = await home.resource(ven)
    for members in ({}, {"targets": ["g"], "attributes": [{"type": "KW", "values": [1.5]}]}):
        await bl.group(resource, *(await bl.get("/resource_groups")).ok(), **members)
    await vtn.server.clients.add("kept", Role.VEN, secret="a secret that is kept")
    return {path: (await bl.get(path)).ok() for path in PATHS}


@pytest.fixture
def empty_urls(tmp_path: Path, postgres_server: PostgresServer) -> dict[str, str]:
    """A new database of each kind."""
    return {
        "sqlite": f"sqlite:///{tmp_path / 'restored.sqlite3'}",
        "postgresql": postgres_server.url(postgres_server.create_database()),
    }


def with_key_of(vtn: VtnUnderTest, url: str) -> Settings:
    """Settings of a server with another database and the same key for its secrets."""
    return settings_for(url, secrets_key_file=str(vtn.server._vault.file))


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
    assert await restore(with_key_of(vtn, empty_urls[into]), file) == count

    restored = VtnUnderTest(with_key_of(vtn, empty_urls[into]), vtn.now)
    await restored.start()
    try:
        caller = restored.with_token(token)  # the signing key is part of it
        assert {path: (await caller.get(path)).ok() for path in PATHS} == before
        form = {"grant_type": "client_credentials", "client_id": "kept", "client_secret": "a secret that is kept"}
        (await restored.ask("POST", f"{restored.base_url}/auth/token", form=form)).ok()
    finally:
        await restored.stop()


async def test_a_backup_is_one_moment(vtn: VtnUnderTest) -> None:
    """An object written meanwhile is either in the backup with all it refers to, or not at all."""
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


def without_sums(lines: list[bytes]) -> list[bytes]:
    """A backup as earlier versions wrote it."""
    entries = [json.loads(line) for line in lines]
    for entry in entries:
        del entry["sum"]
    return [json.dumps(entry | ({"version": 1} if "version" in entry else {})).encode() + b"\n" for entry in entries]


def changed(lines: list[bytes], table: str, **columns: object) -> list[bytes]:
    """A backup without sums whose rows of one table are others."""
    entries = [json.loads(line) for line in without_sums(lines)]
    for entry in entries:
        if entry.get("table") == table:
            entry["row"] |= columns
    return [json.dumps(entry).encode() + b"\n" for entry in entries]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "end is missing"),
        (lambda lines: [*lines[:1], *lines[2:]], "line 2 .*checksum"),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "line 2 .*checksum"),
        (lambda lines: lines[1:], "not a backup"),
        (lambda lines: [*lines, lines[-1]], "checksum"),
        (lambda lines: [*lines[:2], b"{half a li\n"], "line 3"),
        (lambda lines: [lines[0].replace(b'"revision":"', b'"revision":"9'), *lines[1:]], "line 1 .*checksum"),
        (lambda lines: [lines[0], lines[1].replace(b'"', b"'", 5), *lines[2:]], "line 2 .*checksum"),
        (lambda lines: without_sums(lines)[:-1], "end is missing"),
        (lambda lines: [without_sums(lines)[0], *without_sums(lines)[2:]], "as many as it says"),
        (lambda lines: [without_sums(lines)[0], b'{"table":"strangers","row":{}}\n'], "line 2"),
        (
            lambda lines: [without_sums(lines)[0].replace(b'"revision": "', b'"revision": "9'), *lines[1:]],
            "newer version",
        ),
        (lambda lines: changed(lines, "programs", members='"programName":"old'), "programs .* members is not JSON"),
        (lambda lines: changed(lines, "programs", created_at="yesterday"), "created_at is not an instant"),
        (lambda lines: changed(lines, "programs", targets="g"), "targets is of another type"),
        (lambda lines: changed(lines, "programs", name=None), "name is missing"),
        (
            lambda lines: changed(lines, "resource_group_children", resource_id=None, child_group_id=None),
            "resource_group_children .* child is not a resource or a group",
        ),
        (
            lambda lines: changed(lines, "resource_group_children", resource_id="elsewhere", child_group_id=None),
            "resource_group_children in it contradict each other",
        ),
        (lambda lines: changed(lines, "events", program_id="elsewhere"), "events in it contradict each other"),
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
    settings = with_key_of(vtn, empty_urls[kind])

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
        await restore(with_key_of(vtn, empty_urls["sqlite"]), file)
    with pytest.raises(ArchiveUnusable, match="cannot be read"):
        await restore(with_key_of(vtn, empty_urls["sqlite"]), tmp_path / "nothing")


def _retention(vtn: VtnUnderTest) -> Retention:
    return Retention(vtn.server.settings.reports, vtn.server._stores().reports, vtn.now)


async def test_old_reports_are_removed_when_that_is_wanted(start_vtn: StartVtn) -> None:
    """REPORT-014: only reports, only old ones; by default none."""
    keeping = await start_vtn()
    assert await _retention(keeping).remove_due() == 0
    vtn = await start_vtn(reports={"retention_days": 30})
    bl, home = vtn.bl, vtn.home()
    event = await bl.event(await bl.program())
    for _ in range(3):
        await home.report(event)
    vtn.now.pass_(days=20)
    young = await vtn.caller(Role.VEN, client_id=home.client_id).report(event)
    vtn.now.pass_(days=11)

    assert await _retention(vtn).remove_due() == 3

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
        _retention(vtn).remove_due(),
        _retention(other).remove_due(),
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


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has nothing yet, in a folder of their own; gives the folder of their data."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "openadr-fleet"


@pytest.mark.parametrize(
    "words",
    [
        ("client", "list"),
        ("client", "suspend", "x"),
        ("client", "remove", "x"),
        ("key", "rotate"),
        ("backup", "b.jsonl"),
        ("secrets", "status"),
        ("secrets", "rotate"),
    ],
)
def test_reading_makes_no_database(home: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """A timer that backs up nothing must not say that it was successful (S6, O8)."""
    done = run("vtn", *words)

    assert done.exit_code == Exit.CONFIGURATION, done.output
    assert f"there is no database sqlite+aiosqlite:///{home}/vtn.sqlite3" in done.stderr
    assert list(tmp_path.rglob("*.*")) == []


def test_there_is_one_database_for_a_user(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever folder a command is run in; it is printed, private, and another one can be named (O8)."""
    assert run("vtn", "client", "add", "me", "--role", "bl").exit_code == Exit.OK
    monkeypatch.chdir(tmp_path)

    listed = run("vtn", "client", "list")

    assert [one["client_id"] for one in json.loads(listed.stdout)] == ["me"]
    assert f"database: sqlite:///{home}/vtn.sqlite3" in listed.stderr
    assert home.stat().st_mode & 0o777 == 0o700
    assert run("vtn", "client", "list", "--database", "other.sqlite3").exit_code == Exit.CONFIGURATION
    assert run("vtn", "client", "add", "you", "--role", "bl", "--database", "other.sqlite3").exit_code == Exit.OK
    (tmp_path / "oadr-vtn.sqlite3").touch()
    assert "--database oadr-vtn.sqlite3 uses it still" in run("vtn", "client", "list").stderr


def test_a_backup_is_verified_and_its_key_is_asked_for(home: Path, tmp_path: Path) -> None:
    """`oadr vtn verify`; a restore without the key says so, and makes nothing; without its secrets it can be done."""
    assert run("vtn", "client", "add", "me", "--role", "bl").exit_code == Exit.OK
    assert run("vtn", "key", "rotate").exit_code == Exit.OK
    (key,) = json.loads(run("vtn", "secrets", "status").stdout)
    assert key == {"key": key["key"], "in_file": True, "secrets": 2}
    assert f"{home}/vtn.sqlite3.key" in run("vtn", "backup", "b.jsonl").stderr

    verified = run("vtn", "verify", "b.jsonl")
    assert "b.jsonl is whole: 3 rows" in verified.stdout
    assert f"it takes the key {key['key']}" in verified.stderr

    new = tmp_path / "new.sqlite3"
    refused = run("vtn", "restore", "b.jsonl", "--database", str(new))
    assert refused.exit_code == Exit.CONFIGURATION
    assert f"sealed with the key {key['key']}" in refused.stderr
    assert not new.exists()
    restored = run("vtn", "restore", "b.jsonl", "--database", str(new), "--drop-secrets")
    assert restored.stdout == "1 rows are restored\n"
    assert [one["client_id"] for one in json.loads(run("vtn", "client", "list", "--database", str(new)).stdout)] == [
        "me"
    ]

    rotated = run("vtn", "secrets", "rotate", "--forget-old")
    assert "2 secrets are sealed with the key" in rotated.stdout
    assert key["key"] in rotated.stderr
    assert "2 secrets are sealed with the first key" in run("vtn", "secrets", "reseal").stdout


def test_a_packed_backup_that_is_damaged_is_said_to_be_so(home: Path) -> None:
    """Not that the database does not answer (S15); any byte that differs is found."""
    assert home.parent.parent.exists()
    assert run("vtn", "client", "add", "me", "--role", "bl").exit_code == Exit.OK
    for name in ("b.jsonl", "b.jsonl.gz"):
        assert run("vtn", "backup", name).exit_code == Exit.OK
        content = Path(name).read_bytes()
        for place in range(12, len(content), 7):
            Path(name).write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            done = run("vtn", "verify", name)
            assert done.exit_code == Exit.CONFIGURATION, (name, place)
            assert "database does not answer" not in done.stderr
        done = run("vtn", "restore", name, "--database", "new.sqlite3")
        assert done.exit_code == Exit.CONFIGURATION
        assert not Path("new.sqlite3").exists()


async def test_a_backup_changes_nothing(database_url: str, tmp_path: Path) -> None:
    """An older schema is refused, and stays as it is (S6)."""
    await (await a_database_at("0006", database_url)).close()

    with pytest.raises(ArchiveUnusable, match=r"tables of another version \(0006\)"):
        await back_up(settings_for(database_url), tmp_path / "b.jsonl")

    assert "b.jsonl" not in os.listdir(tmp_path)  # noqa: PTH208 (names only)
    database = Database(settings_for(database_url).database)
    row = await database.row(text("SELECT version_num FROM alembic_version"))
    assert row is not None
    assert row["version_num"] == "0006"
    await database.close()


@pytest.mark.parametrize("name", ["b.jsonl", "b.jsonl.unfinished"])
async def test_a_backup_follows_no_link(vtn: VtnUnderTest, tmp_path: Path, name: str) -> None:
    """Neither one in the place of the file nor one where somebody expects an unfinished one (S8)."""
    _plant(tmp_path, name)
    if name == "b.jsonl":
        with pytest.raises(ArchiveUnusable, match="exists"):
            await back_up(vtn.server.settings, tmp_path / "b.jsonl")
    else:
        await back_up(vtn.server.settings, tmp_path / "b.jsonl")
    assert _text(tmp_path / "other") == "of somebody else"


def _plant(folder: Path, name: str) -> None:
    (folder / "other").write_text("of somebody else")
    (folder / name).symlink_to(folder / "other")


def _text(file: Path) -> str:
    return file.read_text()


@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
async def test_a_backup_of_an_earlier_version_is_restored_with_its_secrets_sealed(
    vtn: VtnUnderTest, empty_urls: dict[str, str], tmp_path: Path, into: str
) -> None:
    """It has no checksums, and keys in plain text."""
    await fill(vtn)
    file = tmp_path / "b.jsonl"
    await back_up(vtn.server.settings, file)
    secret = "5ec4e7" * 11
    file.write_bytes(b"".join(changed(file.read_bytes().splitlines(keepends=True), "signing_keys", secret=secret)))
    content = verify(file)
    assert (content.has_sums, content.plain_secrets, content.keys) == (False, True, set())

    await restore(settings_for(empty_urls[into]), file)

    database = Database(settings_for(empty_urls[into]).database)
    for row in await database.rows(select(signing_keys)):
        assert is_sealed(row["secret"])
    await database.close()


def test_a_vtn_is_begun_with_one_command(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`oadr vtn init`: a configuration that can be read, a client, its secret once; nothing is overwritten."""
    monkeypatch.chdir(tmp_path)

    done = run("vtn", "init", "--client-id", "me", "--json")

    assert done.exit_code == Exit.OK, done.output
    made = json.loads(done.stdout)
    assert made["client_id"] == "me"
    assert len(made["client_secret"]) >= 32
    assert json.loads(run("vtn", "client", "list", "--config", "vtn.toml").stdout)[0]["role"] == "BL"
    written = (tmp_path / "vtn.toml").read_text()
    assert made["client_secret"] not in written
    settings = Settings.model_validate(tomllib.loads(written))
    assert settings.port == 8080
    assert settings.secrets_key_file == home / "vtn.sqlite3.key"
    for file in (tmp_path / "vtn.toml", settings.secrets_key_file):
        assert file.stat().st_mode & 0o777 == 0o600
    assert run("vtn", "init").exit_code == Exit.CONFIGURATION
    assert (tmp_path / "vtn.toml").read_text() == written


def test_backup_restore_and_keys_by_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`oadr vtn backup|restore`, `oadr vtn key rotate`, `oadr vtn client remove`."""
    monkeypatch.setenv("OADR_VTN_SECRETS_KEY_FILE", str(home / "vtn.sqlite3.key"))
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


async def test_a_backup_of_large_objects_takes_bounded_memory(
    vtn: VtnUnderTest, empty_urls: dict[str, str], kind: str
) -> None:
    """Rows are read and restored a few at a time while they are large, however many there are."""
    event = await vtn.bl.event(await vtn.bl.program())
    columns = {"created_at": event["createdDateTime"], "modified_at": event["createdDateTime"]}
    columns |= {"event_id": event["id"], "client_id": "home", "client_name": "c"}
    for number in range(60):
        row = {**columns, "id": f"report-{number}", "members": f'"resources":[],"note":"{"x" * 1_000_000}"'}
        async with vtn.server._database.write() as connection:
            await connection.execute(insert(tables.reports).values(row))
    lines: list[bytes] = []
    await write_archive(vtn.server._database, lines.append)
    settings = with_key_of(vtn, empty_urls[kind])
    await migrate_database(settings)
    restored = Database(settings.database)

    def next_line(_: int) -> bytes:
        return lines.pop(0) if lines else b""

    tracemalloc.start()
    try:
        await write_archive(vtn.server._database, len)
        _, peak_of_backup = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        assert await read_archive(restored, SimpleNamespace(readline=next_line), Vault(settings)) >= 62
        _, peak_of_restore = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        await restored.close()
    assert peak_of_backup <= 30_000_000
    assert peak_of_restore - before <= 50_000_000


@pytest.mark.parametrize("is_earlier", [False, True])
@pytest.mark.parametrize("into", ["sqlite", "postgresql"])
async def test_subscriptions_work_after_a_backup_and_old_news_is_not_told_again(
    start_vtn: StartVtn, empty_urls: dict[str, str], tmp_path: Path, into: str, is_earlier: bool
) -> None:
    """Also from a version that knew no endpoints: they follow from the subscriptions."""
    vtn = await start_vtn(webhook=LAB)
    await vtn.server.clients.add("utility", Role.BL, secret="kO9-outlives-a-backup")
    utility = vtn.caller(Role.BL, client_id="utility")
    await subscribe(utility, objects=["EVENT"])
    event = await utility.event(await utility.program(targets=["t"]), targets=["t"])
    (old,) = await Recorded(vtn).new()
    assert old.notification.object_id == event["id"]
    written: list[bytes] = []
    await write_archive(vtn.server._database, written.append)
    assert not any(b'"table":"deliveries"' in line or b'"table":"notifications"' in line for line in written)
    file = tmp_path / "b.jsonl"
    if is_earlier:
        entries = [json.loads(line) for line in without_sums(written)]
        entries = [entry for entry in entries if not entry.get("table", "").startswith("endpoint")]
        entries[-1]["rows"] = len(entries) - 2
        file.write_bytes(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))
    else:
        file.write_bytes(b"".join(written))

    await restore(with_key_of(vtn, empty_urls[into]), file)

    settings = with_key_of(vtn, empty_urls[into]).model_copy(update={"webhook": vtn.server.settings.webhook})
    restored = VtnUnderTest(settings, vtn.now)
    await restored.start()
    try:
        changed_event = {"programID": event["programID"], "targets": ["t"], "eventName": "later"}
        (await restored.bl.put(f"/events/{event['id']}", changed_event)).ok()
        (new,) = await Recorded(restored).new()
        assert (new.operation, new.endpoint_id) == (Operation.UPDATE, old.endpoint_id)
    finally:
        await restored.stop()
