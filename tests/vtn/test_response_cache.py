"""Answers given again from memory: never to the wrong reader, never from before a write."""

from __future__ import annotations

import asyncio
import gzip
import random
from typing import Any

import pytest
from sqlalchemy import update

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest, unique
from tests.vtn.statements import Statements
from vtn.access import Caller, Role
from vtn.cache.responses import ResponseCache
from vtn.counters.counters import ChangeCounters
from vtn.counters.revisions import Revisions
from vtn.http.responses import CachedResponse
from vtn.store import tables
from vtn.store.rows import Validity


async def _known(answer_from: Session, path: str) -> bytes:
    """Ask until it is known; a server that has just started may not hear other hosts yet."""
    for _ in range(200):
        first = await answer_from.get(path)
        with Statements(answer_from.vtn) as statements:
            again = await answer_from.get(path)
        assert again.raw == first.raw
        if not statements.sent:
            return again.raw
        await asyncio.sleep(0.01)
    raise AssertionError(f"{path} is read anew every time")


@pytest.mark.parametrize(
    "path", ["/events", "/events?targets=g", "/events?active=true", "/programs", "/vens", "/resources"]
)
async def test_a_poll_asks_the_database_nothing_when_nothing_changed(vtn: VtnUnderTest, path: str) -> None:
    """Decision 6: neither for the answer, nor for what the reader may see."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    await bl.event(program, targets=["g"])
    await bl.ven_for(home, ["g"])
    raw = await _known(home, path)

    async def nothing_is_asked() -> bool:
        with Statements(vtn) as statements:
            answers = [await home.get(path) for _ in range(3)]
            unchanged = await home.get(path, if_none_match=answers[0].headers["ETag"])
        assert {answer.raw for answer in answers} == {raw}
        assert unchanged.status == 304
        return not statements.sent

    await wait_until(nothing_is_asked)  # on a busy machine other hosts may not be heard for a moment


async def test_an_object_is_read_once(vtn: VtnUnderTest) -> None:
    """Also by its id."""
    bl = vtn.bl
    program = await bl.program()
    await _known(bl, f"/programs/{program['id']}")


async def test_readers_who_hold_the_same_share_an_answer(vtn: VtnUnderTest) -> None:
    """Answers are shared by what readers may see, not by who they are: those without a ven see the same."""
    program = await vtn.bl.program()
    await vtn.bl.event(program)
    first = vtn.home()

    async def is_shared() -> bool:
        second = vtn.home()
        await _known(first, "/events")
        await _known(second, "/programs")
        with Statements(vtn) as statements:
            assert len((await second.get("/events")).ok()) == 1
        return not [text for text in statements.texts if "FROM events" in text]

    await wait_until(is_shared)  # on a busy machine other hosts may not be heard for a moment


async def test_the_packed_form_is_the_same_answer(vtn: VtnUnderTest) -> None:
    """COMP: a reader that packs and one that does not get the same bytes from one kept answer."""
    bl = vtn.bl
    for _ in range(6):
        await bl.program(programLongName="x" * 100)
    raw = await _known(bl, "/programs")

    for _ in range(2):
        packed = await bl.get("/programs", accept_encoding="gzip")
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.raw) == raw
        assert (await bl.get("/programs")).raw == raw


async def test_active_ends_with_the_clock(vtn: VtnUnderTest) -> None:
    """PAGE-027: an answer about events under way ends when the next one of them does, though nothing is written."""
    bl, home = vtn.bl, vtn.home()
    program = await bl.program()
    for minutes in (10, 20):
        now = vtn.now.at.isoformat().replace("+00:00", "Z")
        period = {"start": now, "duration": f"PT{minutes}M"}
        intervals = [{"id": 0, "payloads": [{"type": "SIMPLE", "values": [1]}]}]
        await bl.event(program, intervalPeriod=period, intervals=intervals)
    await _known(home, "/events?active=true")
    seen = [len(await home.ids("/events?active=true"))]

    for _ in range(2):
        vtn.now.pass_(minutes=9)
        seen.append(len(await home.ids("/events?active=true")))
        vtn.now.pass_(minutes=1)
        seen.append(len(await home.ids("/events?active=true")))

    assert seen == [2, 2, 1, 1, 0]


async def test_a_change_made_past_the_api_shows_at_once_or_within_a_tenth_of_a_second(vtn: VtnUnderTest) -> None:
    """On PostgreSQL every writer is heard, also one that does not know us; SQLite has only our own processes."""
    bl = vtn.bl
    program = await bl.program()
    await _known(bl, "/programs")
    database = vtn.server._database
    statement = update(tables.programs).values(members='"programName":"changed past the API"')
    if database.is_sqlite:
        async with database.write() as connection:
            await connection.execute(statement)
    else:
        import asyncpg

        url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        stranger = await asyncpg.connect(url)
        await stranger.execute('UPDATE programs SET members = \'"programName":"changed past the API"\'')
        await stranger.close()
        await asyncio.sleep(0.1)  # the promise itself: however busy the machine is, nothing older is answered then

    assert (await bl.get(f"/programs/{program['id']}")).ok()["programName"] == "changed past the API"
    assert [found["programName"] for found in (await bl.get("/programs")).ok()] == ["changed past the API"]


def _store(tmp_path: Any) -> tuple[Revisions, ChangeCounters]:
    revisions = Revisions()
    board = ChangeCounters(tmp_path / "board", sorted(tables.metadata.tables))
    revisions._counters = board
    return revisions, board


def _body(ready: object) -> bytes:
    assert isinstance(ready, CachedResponse)
    return ready.plain.body


async def test_memory_is_bounded_and_equal_bodies_are_kept_once(tmp_path: Any) -> None:
    """The one unused for longest goes first."""
    revisions, board = _store(tmp_path)
    answers = ResponseCache(max_bytes=100_000, now=lambda: "2026")
    made: list[int] = []

    async def ask(number: int, body: bytes) -> bytes:
        async def make() -> tuple[bytes, Validity | None]:
            made.append(number)
            return body, None

        return _body(await answers.get(number, revisions.watch(tables.reached_from(tables.events)), make))

    for number in range(100):
        await ask(number, b"the same" * 1000)
    assert answers.size_bytes < 100 * 700 + 20_000
    for number in range(1000, 1100):
        await ask(number, bytes([number % 256]) * 5000)
        assert answers.size_bytes <= 100_000
    made.clear()
    await ask(1099, bytes([1099 % 256]) * 5000)
    await ask(0, b"the same" * 1000)
    assert made == [0]
    board.close()


async def test_who_joins_a_reading_gets_nothing_from_before_a_write(tmp_path: Any) -> None:
    """ETAG-003: a reading that began before a write ended is not for those who ask after it."""
    revisions, board = _store(tmp_path)
    answers = ResponseCache(max_bytes=100_000, now=lambda: "2026")
    watch = revisions.watch(tables.reached_from(tables.events))
    stored, gate = b"old", asyncio.Event()
    readings = 0

    async def make() -> tuple[bytes, Validity | None]:
        nonlocal readings
        readings += 1
        found = stored
        await gate.wait()
        return found, None

    early = [asyncio.create_task(answers.get("q", watch, make)) for _ in range(3)]
    await wait_until(lambda: readings)
    with revisions.writing() as changes:
        changes.touch("events")
        stored = b"new"
    late = [asyncio.create_task(answers.get("q", watch, make)) for _ in range(3)]
    await wait_until(lambda: readings == 2)
    gate.set()

    assert [_body(await one) for one in early] == [b"old"] * 3
    assert [_body(await one) for one in late] == [b"new"] * 3
    assert _body(await answers.get("q", watch, make)) == b"new"
    assert readings == 2
    board.close()


async def test_a_write_that_was_cancelled_leaves_nothing_kept_while_it_may_still_end(tmp_path: Any) -> None:
    """A commit that is under way goes on when nobody waits for it any more."""
    board = ChangeCounters(tmp_path / "board", sorted(tables.metadata.tables))
    revisions = Revisions()
    revisions.start(board)
    settling = asyncio.create_task(revisions.settle_cancelled())
    watch = revisions.watch(tables.reached_from(tables.events))
    assert watch is not None
    seen = [watch.revision()]

    async def write() -> None:
        with revisions.writing() as changes:
            changes.touch("events")
            await asyncio.Event().wait()

    task = asyncio.create_task(write())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    for _ in range(3):
        assert watch.revision() != seen[-1]
        seen.append(watch.revision())
        await wait_until(lambda: watch.revision() != seen[-1])
    settling.cancel()
    await asyncio.gather(settling, return_exceptions=True)
    await revisions.stop()


async def test_what_belongs_to_a_deleted_object_goes_with_it(tmp_path: Any) -> None:
    """A delete reaches further tables through foreign keys; who reads those is told, too."""
    revisions, board = _store(tmp_path)
    watched = {
        table: revisions.watch(tables.reached_from(table))
        for table in (tables.events, tables.reports, tables.resources, tables.vens)
    }
    before = {table: watch.revision() for table, watch in watched.items() if watch is not None}

    with revisions.writing() as changes:
        changes.touch("programs")

    moved = {table.name for table, watch in watched.items() if watch is not None and watch.revision() != before[table]}
    assert moved == {"events", "reports"}
    board.close()


async def test_a_reader_is_reduced_to_what_its_answers_may_depend_on(vtn: VtnUnderTest) -> None:
    """The key of an answer is all that its statement gets to know: it cannot show what is meant for somebody else."""
    from vtn.settings import Privacy
    from vtn.store.visibility import Visibility

    home = vtn.home()
    await vtn.bl.ven_for(home, ["g"])
    visibility = Visibility(vtn.server._database, Privacy(implicit_ven_id_target=False))

    audience = await visibility.audience(Caller(home.client_id, Role.VEN, frozenset()))

    assert audience == Caller("", Role.VEN, frozenset(), granted=frozenset({"g"}))


@pytest.mark.parametrize("seed", range(4))
async def test_every_answer_is_that_of_a_server_without_memory(
    vtn: VtnUnderTest, start_vtn: StartVtn, seed: int
) -> None:
    """ETAG-003, PRIV: whatever is written in whatever order, what is kept never differs from what is stored."""
    chance = random.Random(seed)
    plain = await start_vtn(answers_bytes=0)
    plain.server._revisions._in_place = False  # nothing is known, so everything is read
    with Statements(plain) as statements:
        await plain.bl.get("/programs")
        await plain.bl.get("/programs")
    # Services of a server that has just started ask for something, too.
    assert sum("FROM programs" in sql for sql, _ in statements.sent) == 2

    bl, homes = vtn.bl, [vtn.home() for _ in range(3)]
    readers = [bl, *homes]
    twins = {
        reader.client_id: plain.caller(Role.BL if reader is bl else Role.VEN, client_id=reader.client_id)
        for reader in readers
    }
    ids: dict[str, list[str]] = {kind: [] for kind in ("programs", "events", "vens", "resources", "reports")}
    owners: dict[str, str] = {}

    def targets() -> list[str]:
        return chance.sample(["a", "b", "c"], chance.randint(0, 2))

    async def write() -> None:
        kind = chance.choice(list(ids))
        known = ids[kind]
        document: dict[str, Any] | None
        if kind == "programs":
            document = {"programName": unique("p"), "targets": targets()}
        elif kind == "events":
            document = {"programID": chance.choice(ids["programs"] or ["none"]), "targets": targets()}
        elif kind == "vens":
            home = chance.choice(homes)
            document = {
                "objectType": "BL_VEN_REQUEST",
                "clientID": home.client_id,
                "venName": unique("v"),
                "targets": targets(),
            }
        elif kind == "resources":
            ven = chance.choice(ids["vens"] or ["none"])
            document = {"objectType": "BL_RESOURCE_REQUEST", "clientID": owners.get(ven, "nobody"), "venID": ven}
            document |= {"resourceName": unique("r"), "targets": targets()}
        else:
            document = {"eventID": chance.choice(ids["events"] or ["none"]), "clientName": "c", "resources": []}
        writer = chance.choice(homes) if kind == "reports" else bl
        by = chance.choice([writer, twins[writer.client_id]])  # of either server
        action = chance.choice(["POST", "POST", "PUT", "DELETE"]) if known else "POST"
        if action == "POST":
            answer = await by.post(f"/{kind}", document)
            if answer.status == 201:
                known.append(answer.body["id"])
                owners[answer.body["id"]] = document.get("clientID", "")
        elif action == "PUT":
            answer = await by.put(f"/{kind}/{chance.choice(known)}", document)
        else:
            object_id = known.pop(chance.randrange(len(known)))
            answer = await by.delete(f"/{kind}/{object_id}")
        assert answer.status < 500, answer.raw

    async def compare(reader: Session) -> None:
        kind = chance.choice(["programs", "events", "events", "vens", "resources", "reports"])
        query = chance.choice(["", "?targets=a", "?targets=b&targets=c", "?limit=2", "?skip=1", "?active=true"])
        path = f"/{kind}/{chance.choice(ids[kind])}" if ids[kind] and chance.random() < 0.3 else f"/{kind}{query}"
        kept, read = await reader.get(path), await twins[reader.client_id].get(path)
        assert kept.status == read.status
        if kept.status == 200:
            assert (kept.raw, kept.headers["ETag"]) == (read.raw, read.headers["ETag"]), path

    for _ in range(60):
        await write()
        for reader in readers:
            await compare(reader)
            await compare(reader)


def test_an_answer_is_kept_in_the_form_that_is_asked_for() -> None:
    """Packed, nearly always: then the plain form goes; who wants both makes it keep both, at a cost that is counted."""
    body = b'{"id":"the same again and again"}' * 500
    ready = CachedResponse(body)
    told: list[int] = []
    ready.resized = told.append
    plain = ready.cost

    packed = ready.packed.body
    assert gzip.decompress(packed) == body
    assert ready.cost == plain + told[0] < plain / 5

    assert ready.plain.body == body
    assert ready.packed.body is packed
    assert ready.cost == plain + sum(told) > plain
    assert len(told) == 2
