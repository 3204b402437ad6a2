"""Upgrades of the state file: nothing is lost, and a process that is killed leaves one version or the next."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.ven.builders import START
from tests.ven.state_files import DUMPS, HOUR, check, make, version_of, write
from ven.errors import BadStore
from ven.store import StateFile, state_file
from ven.store.schema import MIGRATIONS, migrate
from ven.store.sqlite_file import SqliteFile

NEWEST = len(MIGRATIONS)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ven.sqlite3"


def layout(path: Path) -> list[tuple[str, str]]:
    """Return what tables and indexes a file has, in words that do not depend on white space."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("select name, sql from sqlite_schema where sql is not null order by name").fetchall()
    return [(name, " ".join(sql.replace("( ", "(").split())) for name, sql in rows]


def test_there_is_a_file_of_every_version() -> None:
    assert sorted(DUMPS) == list(range(1, NEWEST + 1))


@pytest.mark.parametrize("version", sorted(DUMPS))
async def test_file_of_any_version_is_upgraded_in_place_without_loss(path: Path, version: int) -> None:
    make(version, path)
    async with StateFile(path, now=START + HOUR) as store:
        await check(store, version)
    assert version_of(path) == NEWEST


@pytest.mark.parametrize("version", sorted(DUMPS))
async def test_upgraded_file_has_the_layout_of_a_new_one(path: Path, version: int) -> None:
    make(version, path)
    new = path.with_name("new.sqlite3")
    for file in (path, new):
        async with StateFile(file, now=START):
            pass
    assert layout(path) == layout(new)


async def test_new_file_is_of_the_newest_version_and_keeps_all(path: Path) -> None:
    async with StateFile(path, now=START - HOUR) as store:
        await write(store)
    async with StateFile(path, now=START) as store:
        await check(store, NEWEST)
    assert version_of(path) == NEWEST


def copy_of(path: Path) -> Path:
    """Copy a file with its journal, so that a look at it does not tidy up what a process that was killed has left."""
    folder = path.parent / "copies"
    folder.mkdir(exist_ok=True)
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, folder)
    return folder / path.name


KILLING = """
import asyncio, os, shutil, signal, sqlite3, sys
from pathlib import Path
from tests.ven.builders import START
from ven.store import StateFile

given, folder = Path(sys.argv[1]), Path(sys.argv[2])
real = sqlite3.Connection

def counted(left):
    class Counting(real):
        def _count(self):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        def execute(self, *arguments):
            self._count()
            return super().execute(*arguments)
        def commit(self):
            self._count()
            super().commit()
            self._count()
    return Counting

async def open_once(path):
    async with StateFile(path, now=START):
        pass

count = 0
while True:
    count += 1
    path = folder / f"{count}.sqlite3"
    if given.exists():
        shutil.copy(given, path)
    child = os.fork()
    if child == 0:
        connect = sqlite3.connect
        sqlite3.connect = lambda *a, **k: connect(*a, **k, factory=counted([count]))
        asyncio.run(open_once(path))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        assert status == 0, status
        break
print(count)
"""


def run(program: str, *arguments: object) -> str:
    """Run a program in a process of its own (one without threads may fork) and return the last line it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("version", [0, *range(1, NEWEST)])
async def test_process_killed_at_any_statement_leaves_one_version_or_the_next(tmp_path: Path, version: int) -> None:
    """The process is killed before the first statement of opening, before the second, and so on to the last."""
    given = tmp_path / "given.sqlite3"
    if version:
        make(version, given)
    kills = int(await asyncio.to_thread(run, KILLING, given, tmp_path)) - 1
    assert kills > len(MIGRATIONS[version])
    found = set()
    for count in range(1, kills + 1):
        path = tmp_path / f"{count}.sqlite3"
        if path.exists():
            found.add(version_of(copy_of(path)))
        async with StateFile(path, now=START - HOUR) as store:
            if version:
                await check(store, version)
            else:
                await write(store)
        async with StateFile(path, now=START) as store:
            assert (await store.stretches.baselines()).keys() == {"e1"}
        assert version_of(path) == NEWEST
    assert found == set(range(version, NEWEST + 1))


async def test_migration_that_fails_in_the_middle_changes_nothing(path: Path) -> None:
    make(1, path)
    before = layout(path)
    file = SqliteFile(path)
    await file.open()
    broken = (*MIGRATIONS[:1], ("drop table sample", "create table added (x)", "create table outgoing (y)"))
    with pytest.raises(sqlite3.OperationalError, match="outgoing already exists"):
        await migrate(file, now=START, migrations=broken)
    await file.close()
    assert (version_of(path), layout(path)) == (1, before)
    async with StateFile(path, now=START) as store:
        await check(store, 1)


async def test_newer_version_is_left_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A downgrade: the message says which file, which version it has, and which are understood."""
    async with StateFile(path, now=START):
        pass
    before = layout(path)
    monkeypatch.setattr(state_file, "MIGRATIONS", MIGRATIONS[:1])
    with pytest.raises(BadStore, match=rf"ven\.sqlite3 has version {NEWEST} .* understands versions 1 to 1$"):
        async with StateFile(path, now=START):
            pass
    assert (version_of(path), layout(path)) == (NEWEST, before)


REFUSED = """
import asyncio, os, resource, sys
from pathlib import Path
from ven.errors import BadStore
from tests.ven.builders import START
from ven.store import StateFile

path, kind = Path(sys.argv[1]), sys.argv[2]

async def open_once():
    async with StateFile(path, now=START):
        pass

if kind == "full":  # no file may grow beyond this, as on a disk that has no room
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
elif os.geteuid() == 0:  # permissions mean nothing to root
    os.setgid(65534)
    os.setuid(65534)
try:
    asyncio.run(open_once())
except BadStore as error:
    print(error)
"""


@pytest.mark.parametrize("version", [0, *range(1, NEWEST)])
async def test_full_disk_is_named_and_nothing_is_lost(path: Path, version: int) -> None:
    if version:
        make(version, path)
    said = await asyncio.to_thread(run, REFUSED, path, "full")
    assert said.startswith(f"{path} cannot be used: ")
    assert version_of(copy_of(path)) == version
    async with StateFile(path, now=START - HOUR) as store:
        if version:
            await check(store, version)


def test_folder_that_cannot_be_written_is_named() -> None:
    folder = Path(tempfile.mkdtemp())  # one that others may enter, which pytest's own are not
    try:
        path = folder / "ven.sqlite3"
        make(1, path)
        path.chmod(0o666)
        folder.chmod(0o555)
        said = run(REFUSED, path, "read-only")
        assert said.startswith(f"{path} cannot be used: ")
        path.chmod(0o444)
        assert run(REFUSED, path, "read-only") == f"{path} cannot be used: Permission denied"
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)
