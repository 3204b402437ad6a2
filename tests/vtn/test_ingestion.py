"""Reports that many VENs send at once: committed together, answered for each."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import Table, select

from tests.support.waiting import wait_until
from tests.vtn.harness import VtnUnderTest
from vtn.errors import Overloaded, Unavailable
from vtn.store import tables
from vtn.store.appends import Replaced, Rows, Unless
from vtn.store.batch import Batch
from vtn.store.database import Database
from vtn.store.writes import ObjectWrites


class Gate:
    """Holds back the commits of a database until a test lets them through, and counts them."""

    def __init__(self, database: Database) -> None:
        self._append = database.append
        self.batches: list[int] = []
        self.open = asyncio.Event()
        database.append = self.append  # type: ignore[method-assign] # the seam under test

    async def append(
        self,
        table: Table,
        rows: Sequence[Mapping[str, Any]],
        *,
        unless: Unless | None = None,
        replaced: Replaced = (),
    ) -> bool:
        """Delay reports until the gate is open."""
        if table is tables.reports:
            self.batches.append(len(rows))
            await self.open.wait()
        return await self._append(table, rows, unless=unless, replaced=replaced)


def _row(number: int, event_id: str) -> dict[str, str]:
    at = f"2026-06-01T12:00:00.{number:06}Z"
    return {
        "id": f"r{number}",
        "created_at": at,
        "modified_at": at,
        "event_id": event_id,
        "client_id": "c",
        "client_name": "n",
        "members": '"a":1',
    }


async def _an_event(vtn: VtnUnderTest) -> str:
    program = await vtn.bl.program()
    return str((await vtn.bl.event(program))["id"])


async def _stored(vtn: VtnUnderTest) -> set[str]:
    return {row["id"] for row in await vtn.server._database.rows(select(tables.reports.c.id))}


def _batch_of(vtn: VtnUnderTest) -> Batch:
    """Return the queue of the server itself."""
    return next(
        found._batch
        for found in gc.get_objects()
        if isinstance(found, ObjectWrites)
        and found._database is vtn.server._database
        and found._table is tables.reports
    )


def _new_batch(vtn: VtnUnderTest, *, max_bytes: int) -> Batch:
    """Return a queue of reports of its own."""
    database = vtn.server._database

    async def append(rows: Rows) -> None:
        await database.append(tables.reports, rows)

    return Batch("reports", append, max_bytes=max_bytes)


@pytest.fixture
def gate(vtn: VtnUnderTest) -> Any:
    """The gate, taken away after the test."""
    database = vtn.server._database
    gate = Gate(database)
    yield gate
    del database.append


async def test_what_arrives_during_a_commit_is_the_next_one(vtn: VtnUnderTest, gate: Gate) -> None:
    """One report alone waits for nobody; those behind it share a commit."""
    event_id = await _an_event(vtn)
    batch = _new_batch(vtn, max_bytes=10_000)
    waiting = [asyncio.create_task(batch.add(_row(number, event_id), size=1)) for number in range(20)]
    await wait_until(lambda: gate.batches)
    more = [asyncio.create_task(batch.add(_row(100 + number, event_id), size=1)) for number in range(10)]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(*waiting, *more)

    assert sum(gate.batches) == 30
    assert len(gate.batches) <= 3
    assert len(await _stored(vtn)) == 30


async def test_nobody_is_told_before_the_commit(vtn: VtnUnderTest, gate: Gate) -> None:
    """201 means stored."""
    home = vtn.home()
    event_id = await _an_event(vtn)
    asked = asyncio.create_task(home.post("/reports", {"eventID": event_id, "clientName": "c", "resources": []}))
    await wait_until(lambda: gate.batches)
    assert not asked.done()
    assert await _stored(vtn) == set()

    gate.open.set()

    report = (await asked).ok(201)
    assert await _stored(vtn) == {report["id"]}


async def test_a_report_that_is_refused_does_not_fail_its_neighbours(vtn: VtnUnderTest, gate: Gate) -> None:
    """The event of some is deleted between the look at it and the commit."""
    home, bl = vtn.home(), vtn.bl
    stays, goes = await _an_event(vtn), await _an_event(vtn)

    async def report(event_id: str) -> Any:
        return await home.post("/reports", {"eventID": event_id, "clientName": "c", "resources": []})

    first = asyncio.create_task(report(stays))
    await wait_until(lambda: gate.batches)
    asked = [asyncio.create_task(report(event_id)) for event_id in (stays, goes, stays, goes, stays)]
    batch = _batch_of(vtn)
    await wait_until(lambda: len(batch._waiting) == 5)
    (await bl.delete(f"/events/{goes}")).ok()
    gate.open.set()

    answers = [await first, *(await asyncio.gather(*asked))]
    assert [answer.status for answer in answers] == [201, 201, 400, 201, 400, 201]
    assert "eventID" in answers[2].problem(400)
    assert await _stored(vtn) == {answer.body["id"] for answer in answers if answer.status == 201}


async def test_more_than_fits_is_refused_and_told_when_to_come_back(vtn: VtnUnderTest, gate: Gate) -> None:
    """Memory is bounded; one report alone always fits."""
    event_id = await _an_event(vtn)
    batch = _new_batch(vtn, max_bytes=100)
    large = asyncio.create_task(batch.add(_row(1, event_id), size=1000))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await batch.add(_row(2, event_id), size=1)

    gate.open.set()
    await large
    await batch.add(_row(3, event_id), size=100)
    assert await _stored(vtn) == {"r1", "r3"}


async def test_a_full_queue_is_503_with_retry_after(vtn: VtnUnderTest, gate: Gate) -> None:
    """The caller keeps its report and sends it again."""
    home, event_id = vtn.home(), await _an_event(vtn)
    document = {"eventID": event_id, "clientName": "c", "resources": []}
    batch = _batch_of(vtn)
    first = asyncio.create_task(home.post("/reports", document))
    await wait_until(lambda: gate.batches)
    batch._max_bytes, before = 10, batch._max_bytes

    refused = await home.post("/reports", document)

    batch._max_bytes = before
    refused.problem(503)
    assert int(refused.headers["Retry-After"]) > 0
    gate.open.set()
    (await first).ok(201)


async def test_a_database_that_fails_once_fails_those_who_waited_and_nobody_after(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer goes on."""
    event_id = await _an_event(vtn)
    database = vtn.server._database
    batch = _new_batch(vtn, max_bytes=10_000)

    async def fail(_table: Table, _rows: object, **_: object) -> bool:
        raise Unavailable("not now")

    monkeypatch.setattr(database, "append", fail)
    results = await asyncio.gather(
        *(batch.add(_row(number, event_id), size=1) for number in range(3)), return_exceptions=True
    )
    monkeypatch.undo()
    assert [type(result) for result in results] == [Unavailable] * 3

    await batch.add(_row(9, event_id), size=1)
    assert await _stored(vtn) == {"r9"}


async def test_a_caller_that_goes_away_takes_nobody_along(vtn: VtnUnderTest, gate: Gate) -> None:
    """The report it sent may be stored all the same."""
    event_id = await _an_event(vtn)
    batch = _new_batch(vtn, max_bytes=10_000)
    leaves = asyncio.create_task(batch.add(_row(1, event_id), size=1))
    stays = asyncio.create_task(batch.add(_row(2, event_id), size=1))
    await wait_until(lambda: gate.batches)
    leaves.cancel()
    gate.open.set()

    await stays
    assert "r2" in await _stored(vtn)
    assert batch._bytes == 0


async def test_an_event_that_is_gone_or_hidden_takes_no_report_also_when_it_was_known(vtn: VtnUnderTest) -> None:
    """REPORT-005: what is remembered about an event ends with the first change of it, or of the caller's grants."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    event = await bl.event(program, targets=["g"])
    ven = await bl.ven_for(home, ["g"])
    document = {"eventID": event["id"], "clientName": "c", "resources": []}
    for _ in range(2):
        (await home.post("/reports", document)).ok(201)
    granted = {"objectType": "BL_VEN_REQUEST", "clientID": home.client_id, "venName": ven["venName"]}

    (await bl.put(f"/vens/{ven['id']}", granted | {"targets": []})).ok()
    assert "eventID" in (await home.post("/reports", document)).problem(400)
    (await bl.put(f"/vens/{ven['id']}", granted | {"targets": ["g"]})).ok()
    (await home.post("/reports", document)).ok(201)
    (await bl.put(f"/events/{event['id']}", {"programID": program["id"], "targets": ["h"]})).ok()
    assert "eventID" in (await home.post("/reports", document)).problem(400)
    (await bl.put(f"/events/{event['id']}", {"programID": program["id"]})).ok()
    (await home.post("/reports", document)).ok(201)
    (await bl.delete(f"/programs/{program['id']}")).ok()
    assert "eventID" in (await home.post("/reports", document)).problem(400)


async def test_new_objects_that_contradict_each_other_fail_alone(vtn: VtnUnderTest) -> None:
    """PROG-002: of those that come at once with one name the first is stored, and every other name beside it."""
    names = ["a", "b", "a", "c", "a", "d"]
    answers = await asyncio.gather(*(vtn.bl.post("/programs", {"programName": f"once-{name}"}) for name in names))

    assert sorted(answer.status for answer in answers) == [201] * 4 + [409] * 2
    stored = {answer.body["programName"] for answer in answers if answer.status == 201}
    assert stored == {f"once-{name}" for name in "abcd"}
    assert all("programName" in answer.problem(409) for answer in answers if answer.status == 409)


async def test_those_who_wait_for_a_connection_get_it_in_their_order(vtn: VtnUnderTest) -> None:
    """Serve those who were waiting before a caller that gives one back and asks again at once."""
    engine = vtn.server._database._connections.writer
    free, order = asyncio.Event(), list[str]()
    held: list[asyncio.Task[None]] = []

    async def hold_and_ask_again() -> None:
        async with engine.connect():
            order.append("held")
            await free.wait()
        async with engine.connect():
            order.append("again")

    async def wait() -> None:
        async with engine.connect():
            order.append("waited")

    while not engine._turns.locked():
        held.append(asyncio.create_task(hold_and_ask_again()))
        await wait_until(lambda: len(order) == len(held))
    waiting = asyncio.create_task(wait())
    await wait_until(lambda: bool(engine._turns._waiters))
    free.set()
    await asyncio.gather(waiting, *held)

    assert order[len(held)] == "waited"
