"""The journal of the state file: nothing that was put is lost or doubled by a disk that fails, hangs or recovers."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from structlog.testing import capture_logs

from tests.support.waiting import wait_until
from ven.store.journal import Journal, Statement
from ven.store.sqlite_file import SqliteFile


class Disk(SqliteFile):
    """A file whose disk fails or hangs when told."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.fails: Exception | None = None
        self.answers = asyncio.Event()
        self.answers.set()
        self.transactions = 0

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        self.transactions += 1
        await self.answers.wait()
        if self.fails is not None:
            raise self.fails
        async with super().transaction() as connection:
            yield connection

    @contextmanager
    def failing(self, error: Exception | None = None) -> Iterator[None]:
        self.fails = error or sqlite3.OperationalError("database or disk is full")
        try:
            yield
        finally:
            self.fails = None


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[Disk]:
    file = Disk(tmp_path / "ven.sqlite3")
    await file.open()
    await file.rows("create table thing (id text primary key, value integer not null) strict")
    file.transactions = 0
    yield file
    await file.close()


def keep(id_: str, value: object) -> Statement:
    return Statement("insert or replace into thing values (?, ?)", [(id_, value)])


async def things(disk: Disk) -> dict[str, Any]:
    return {row[0]: row[1] for row in await disk.rows("select id, value from thing")}


async def test_all_is_written_in_one_transaction_and_the_newest_of_a_key_counts(disk: Disk) -> None:
    journal = Journal(disk)
    for value in range(3):
        journal.put(("a", "x"), keep("a", value))
    journal.put(("b", "x"), keep("b", 7))
    assert journal.pending == (("a", "x"), ("b", "x"))
    assert await journal.flush()
    assert (await things(disk), disk.transactions) == ({"a": 2, "b": 7}, 1)
    assert not journal.pending


async def test_full_disk_is_named_once_keeps_all_and_is_written_when_there_is_room(disk: Disk) -> None:
    """V1."""
    journal = Journal(disk)
    with capture_logs() as logs:
        with disk.failing():
            for value in range(5):
                journal.put(("a", "x"), keep("a", value))
                assert not await journal.flush()
        assert journal.problem is not None
        assert await journal.flush()
    assert await things(disk) == {"a": 4}
    assert [log["log_level"] for log in logs] == ["error", "info"]


async def test_entry_that_can_never_be_written_holds_up_no_other(disk: Disk) -> None:
    journal = Journal(disk)
    journal.put(("a", "x"), keep("a", "no number"))
    journal.put(("a", "y"), keep("a2", 1))
    journal.put(("b", "x"), keep("b", "\ud800"))
    journal.put(("c", "x"), keep("c", 3))
    with capture_logs() as logs:
        assert await journal.flush()
    assert await things(disk) == {"a2": 1, "c": 3}
    assert [log["entry"] for log in logs] == ["a:x", "b:x"]


async def test_what_is_about_the_same_thing_is_written_in_order(disk: Disk) -> None:
    """An event that is forgotten and comes back: its deletion must not reach the disk after it."""
    journal = Journal(disk)
    with disk.failing():
        journal.put(("a", "event"), keep("a", 1))
        journal.put(("a", "forgotten"), Statement("delete from thing where id = ?", [("a",)]))
        journal.put(("a", "event"), keep("a", 2))
        assert not await journal.flush()
    assert journal.pending == (("a", "forgotten"), ("a", "event"))
    assert await journal.flush()
    assert await things(disk) == {"a": 2}


async def test_disk_that_hangs_is_not_waited_for_and_loses_nothing(disk: Disk) -> None:
    journal = Journal(disk)
    journal.put(("a", "x"), keep("a", 1))
    disk.answers.clear()
    assert not await journal.flush(within_s=0.01)
    journal.put(("a", "x"), keep("a", 2))
    journal.put(("b", "x"), keep("b", 3))
    assert not await journal.flush(within_s=0.01)
    assert disk.transactions == 1, "one try at a time"
    disk.answers.set()
    assert all(await asyncio.gather(journal.flush(), journal.flush()))
    assert await things(disk) == {"a": 2, "b": 3}


async def test_who_waits_for_what_is_written_is_told_when_that_was_late(disk: Disk) -> None:
    journal, told = Journal(disk), asyncio.Event()
    journal.written_late = told.set
    journal.put(("a", "x"), keep("a", 1))
    assert await journal.flush()
    assert not told.is_set()
    journal.put(("a", "x"), keep("a", 2))
    disk.answers.clear()
    assert not await journal.flush(within_s=0.01)
    assert not told.is_set()
    disk.answers.set()
    async with asyncio.timeout(120):
        await told.wait()
    assert await things(disk) == {"a": 2}


async def test_flush_that_is_cancelled_goes_on_behind(disk: Disk) -> None:
    journal = Journal(disk)
    journal.put(("a", "x"), keep("a", 1))
    disk.answers.clear()
    flushing = asyncio.create_task(journal.flush(within_s=60))
    await wait_until(lambda: disk.transactions == 1, what="writing has begun")
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    disk.answers.set()
    await wait_until(lambda: not journal.pending, what="written behind")
    assert await things(disk) == {"a": 1}
    assert await journal.flush()


async def test_journal_is_bounded(disk: Disk) -> None:
    journal = Journal(disk, most=3)
    with capture_logs() as logs:
        for number in range(5):
            journal.put((str(number),), keep(str(number), number))
    assert journal.pending == (("2",), ("3",), ("4",))
    assert [log["entry"] for log in logs] == ["0", "1"]
    assert await journal.flush()


async def test_what_becomes_ever_more_gives_way_to_the_rest(disk: Disk) -> None:
    journal = Journal(disk, most=3)
    journal.put(("opt",), keep("opt", 0))
    for number in range(3):
        journal.put(("load profile", str(number)), keep(str(number), number), gives_way=True)
    assert list(journal.pending) == [("opt",), ("load profile", "1"), ("load profile", "2")]
    for number in range(3):
        journal.put((f"circuit {number}",), keep(f"circuit {number}", number))
    assert list(journal.pending) == [("circuit 0",), ("circuit 1",), ("circuit 2",)]
    assert await journal.flush()


async def test_dropped_entries_are_not_written(disk: Disk) -> None:
    journal = Journal(disk)
    journal.put(("a", "x"), keep("a", 1))
    journal.put(("b", "x"), keep("b", 1))
    journal.drop("a")
    assert await journal.flush()
    assert await things(disk) == {"b": 1}
