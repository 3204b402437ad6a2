"""Answers that are too large for memory: sent object by object, and not other than small ones."""

from __future__ import annotations

import asyncio
import gzip
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from bench.support.postgres import PostgresServer
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn, settings_for
from tests.vtn.harness import Answer, Session, VtnUnderTest
from tests.vtn.statements import Statements
from vtn.access import Role
from vtn.errors import Overloaded
from vtn.http import sending as flight
from vtn.http import streamed
from vtn.http.sending import COUNTED_FROM_BYTES, MemoryBudget, SendBudget
from vtn.settings import Limits

LONG = "ä" + "x" * 900_000
"""Three of these make a page too large to be made as a whole; one alone is made as a whole."""
TOO_LONG = "y" * 2_500_000
LONG_ENTRY = {
    "objects": ["EVENT"],
    "operations": ["CREATE"],
    "callbackUrl": "https://198.51.100.1/" + "c" * 4000,
    "bearerToken": "secret" * 600,
}
MANY_TARGETS = [f"target-{number:06}-{'t' * 90}" for number in range(9_000)]


def attributes(value: str) -> dict[str, Any]:
    """A member of programs, vens and resources that may be large."""
    return {"attributes": [{"type": "NOTE", "values": [value]}]}


def report(event: Any, value: str) -> dict[str, Any]:
    """A report with one value."""
    note = {"id": 0, "payloads": [{"type": "NOTE", "values": [value]}]}
    return {"eventID": event["id"], "clientName": "c", "resources": [{"resourceName": "r", "intervals": [note]}]}


async def make_large(vtn: VtnUnderTest, collection: str) -> tuple[Session, list[str]]:
    """Three large objects, and somebody who does not see all of them as they are, if anybody can; the ids."""
    bl, home = vtn.bl, vtn.home()
    made: list[Any] = []
    program = await bl.program()
    match collection:
        case "programs":
            await bl.ven_for(home, ["a"])
            made = [await bl.program(targets=["a", "b"], **attributes(LONG)) for _ in range(3)]
        case "programs of many targets":
            await bl.ven_for(home, ["a"])
            made = [await bl.program(targets=["a", *MANY_TARGETS]) for _ in range(3)]
            return bl, [one["id"] for one in made]
        case "events":
            await bl.ven_for(home, ["a"])
            descriptors = [{"payloadType": "USAGE", "targets": ["b"]}, {"payloadType": "DEMAND", "targets": ["a", "b"]}]
            interval = {"id": 0, "payloads": [{"type": "NOTE", "values": [LONG]}]}
            for _ in range(3):
                event = await bl.event(program, targets=["a", "b"], reportDescriptors=descriptors, intervals=[interval])
                made.append(event)
        case "reports":
            event = await bl.event(program)
            await vtn.home().report(event)
            made = [(await home.post("/reports", report(event, LONG))).ok(201) for _ in range(3)]
        case "vens":
            made = [await bl.ven_for(vtn.home(), ["a"], **attributes(LONG)) for _ in range(3)]
            return bl, [one["id"] for one in made]
        case "resources":
            ven = await home.ven()
            made = [await home.resource(ven, **attributes(LONG)) for _ in range(3)]
        case "resource_groups":
            resource = await home.resource(await home.ven())
            other = await bl.group()
            made = [await bl.group(resource, other, **attributes(LONG)) for _ in range(3)]
        case "subscriptions":
            document = {"clientName": "c", "objectOperations": [LONG_ENTRY] * 180}
            made = [(await home.post("/subscriptions", document)).ok(201) for _ in range(3)]
            return vtn.bl, [one["id"] for one in made]
    return home, [one["id"] for one in made]


KINDS = (
    "programs",
    "programs of many targets",
    "events",
    "reports",
    "vens",
    "resources",
    "resource_groups",
    "subscriptions",
)


@pytest.mark.parametrize("kind_of_objects", KINDS)
async def test_a_large_page_has_the_objects_as_their_reader_sees_them(
    start_vtn: StartVtn, kind_of_objects: str
) -> None:
    """PAGE-010, PRIV-013, SUBS-011: byte by byte what each object is alone, packed or not."""
    vtn = await start_vtn(webhook={"verify_echo": False, "allow_private_addresses": True})
    reader, ids = await make_large(vtn, kind_of_objects)
    path = "/" + kind_of_objects.split(maxsplit=1)[0]
    question = {"limit": "3"}

    plain = await reader.get(path, question)
    packed = await reader.get(path, question, accept_encoding="gzip")

    assert plain.status == packed.status == 200
    assert len(plain.raw) > 2 * 1024 * 1024
    alone = [await reader.get(f"{path}/{one}") for one in reversed(ids)]
    assert plain.raw == b"[" + b",".join(one.raw for one in alone) + b"]"
    assert gzip.decompress(packed.raw) == plain.raw
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["ETag"] == plain.headers["ETag"][:-1] + '-gzip"'
    assert plain.headers["Cache-Control"] == "private, no-cache"
    assert plain.headers["Vary"] == "Authorization, Accept-Encoding"
    assert vtn.server._sending.flight.held == vtn.server._sending.texts.held == 0


async def test_a_large_page_is_known_by_its_tag(vtn: VtnUnderTest) -> None:
    """ETAG-001, ETAG-002: no text is read for a 304, and a change of any object is another tag."""
    home, ids = await make_large(vtn, "reports")
    first = await home.get("/reports")

    with Statements(vtn) as statements:
        for known in (
            first.headers["ETag"],
            f'"other", W/{first.headers["ETag"]}',
            first.headers["ETag"][:-1] + '-gzip"',
        ):
            answer = await home.get("/reports", {"limit": "50"}, if_none_match=known)
            assert (answer.status, answer.raw, answer.headers["ETag"]) == (304, b"", first.headers["ETag"])
        head = await home.ask("HEAD", "/reports")
    assert (head.status, head.raw, head.headers["ETag"]) == (200, b"", first.headers["ETag"])
    assert not [sent for sent in statements.texts if "CASE" not in sent]
    assert (await home.get("/reports", if_none_match='"other"')).raw == first.raw

    changed = (await home.get(f"/reports/{ids[0]}")).body
    await home.put(f"/reports/{ids[0]}", {name: changed[name] for name in ("eventID", "clientName", "resources")})
    second = await home.get("/reports", if_none_match=first.headers["ETag"])
    assert second.status == 200
    assert second.headers["ETag"] != first.headers["ETag"]


async def test_a_large_page_has_another_tag_for_who_sees_it_otherwise(vtn: VtnUnderTest) -> None:
    """PRIV-013: the tag of business logic is not that of a VEN with fewer targets, and equal views share one."""
    home, _ = await make_large(vtn, "events")
    neighbour, stranger = vtn.home(), vtn.home()
    await vtn.bl.ven_for(neighbour, ["a"])
    tag = (await vtn.bl.get("/events")).headers["ETag"]

    answer = await home.get("/events", if_none_match=tag)

    assert answer.status == 200
    assert b'"b"' not in answer.raw
    assert (await stranger.get("/events")).body == []
    assert {one["targets"][0] for one in (await neighbour.get("/events")).body} == {"a"}


async def test_a_large_object_has_the_tag_that_its_writer_was_given(vtn: VtnUnderTest) -> None:
    """ETAG-003: a tag of POST or PUT is good for If-None-Match and If-Match, also if the object is sent in pieces."""
    bl, home = vtn.bl, vtn.home()
    event = await bl.event(await bl.program())
    created = await home.post("/reports", report(event, TOO_LONG))
    path = f"/reports/{created.body['id']}"

    answer = await home.get(path)
    packed = await home.get(path, accept_encoding="gzip")

    assert answer.raw == created.raw == gzip.decompress(packed.raw)
    assert answer.headers["ETag"] == created.headers["ETag"]
    assert (await home.get(path, if_none_match=created.headers["ETag"])).status == 304
    assert (await home.ask("HEAD", path)).headers["ETag"] == created.headers["ETag"]
    (await vtn.home().get(path)).problem(404)
    stale = await home.ask("PUT", path, json=report(event, "z"), headers={"If-Match": '"other"'})
    stale.problem(412)
    put = await home.ask("PUT", path, json=report(event, TOO_LONG), headers={"If-Match": created.headers["ETag"]})
    assert (await home.get(path)).headers["ETag"] == put.headers["ETag"] != created.headers["ETag"]
    removed = await home.delete(path)
    assert removed.raw == put.raw
    assert vtn.server._sending.flight.held == 0


async def test_a_few_large_objects_that_are_no_large_page_are_made_as_a_whole(vtn: VtnUnderTest) -> None:
    """The page is kept: who asks again is answered from memory."""
    bl = vtn.bl
    small, large = await bl.program(), await bl.program(**attributes("x" * 200_000))
    first = await bl.get("/programs")
    assert first.ok() == [large, small]

    async def from_memory() -> bool:
        with Statements(vtn) as statements:
            assert (await bl.get("/programs")).raw == first.raw
        return not statements.texts

    await wait_until(from_memory)  # on PostgreSQL nothing is while it is not certain that all changes were heard


class Slow:
    """A reader with hardly any buffer, that reads when it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def begin(self) -> bytes:
        """The header."""
        return await self._reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> tuple[bytes, bool]:
        """Return what else comes, and whether it ended as an answer ends."""
        got = bytearray()
        try:
            while part := await self._reader.read(65536):
                got += part
                if got.endswith(b"0\r\n\r\n"):
                    return bytes(got), True
        except ConnectionError:
            return bytes(got), False
        return bytes(got), False

    def hang_up(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def slow(vtn: VtnUnderTest, caller: Session, path: str, version: str = "1.1") -> AsyncIterator[Slow]:
    """A GET whose answer is not read yet."""
    url = urlsplit(vtn.base_url)
    plug = socket.socket()
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plug.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plug, (url.hostname, url.port))
    reader, writer = await asyncio.open_connection(sock=plug, limit=4096)
    authorization = caller.headers["Authorization"]
    writer.write(f"GET {url.path}{path} HTTP/{version}\r\nHost: x\r\nAuthorization: {authorization}\r\n\r\n".encode())
    try:
        yield Slow(reader, writer)
    finally:
        writer.transport.abort()


async def give_reports(vtn: VtnUnderTest, count: int = 5, size: int = 3_500_000) -> tuple[Session, list[Any]]:
    """Reports that fill the buffers of a connection more than once, the newest first."""
    bl, home = vtn.bl, vtn.home()
    event = await bl.event(await bl.program())
    made = [(await home.post("/reports", report(event, "x" * size))).ok(201) for _ in range(count)]
    return home, made[::-1]


def held(vtn: VtnUnderTest) -> int:
    """The memory that large answers have at the moment."""
    return vtn.server._sending.flight.held + vtn.server._sending.texts.held


async def test_a_reader_that_pauses_gets_everything_and_holds_no_text_meanwhile(vtn: VtnUnderTest) -> None:
    """GEN-008: a text is read again when there is room on the connection."""
    home, made = await give_reports(vtn)
    whole = await home.get("/reports")
    async with slow(vtn, home, "/reports") as reader:
        header = await reader.begin()
        await wait_until(lambda: vtn.server._sending.flight.held and not vtn.server._sending.texts.held)

        body, is_whole = await reader.rest()

    assert is_whole
    assert b"Transfer-Encoding: chunked" in header
    assert _unchunked(body) == whole.raw
    assert [one["id"] for one in whole.body] == [one["id"] for one in made]
    await wait_until(lambda: held(vtn) == 0)


async def test_who_hangs_up_in_the_middle_leaves_nothing_behind(vtn: VtnUnderTest) -> None:
    """GEN-008."""
    home, _ = await give_reports(vtn)
    for _ in range(3):
        async with slow(vtn, home, "/reports") as reader:
            await reader.begin()
            await wait_until(lambda: held(vtn))
            reader.hang_up()
        await wait_until(lambda: held(vtn) == 0)


@pytest.mark.parametrize("others_wait", [True, False])
async def test_a_reader_that_is_too_slow_is_cut_off(
    migrated_url: str, others_wait: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GEN-008: soon while others wait for memory, and after a while if nobody does."""
    monkeypatch.setattr(streamed, "_SLOW_S", 0.05)
    monkeypatch.setattr(streamed, "_STALLED_S", 3600.0 if others_wait else 0.1)
    vtn = VtnUnderTest(settings_for(migrated_url))
    await vtn.start()
    try:
        home, _ = await give_reports(vtn)
        async with slow(vtn, home, "/reports") as reader:
            await reader.begin()
            room = vtn.server._sending.flight
            taken = [room.take_now(f"client-{number}", room._most) for number in range(4)] if others_wait else []
            waiting = asyncio.ensure_future(room.take("another", room._most)) if others_wait else None
            await wait_until(lambda: vtn.server._sending.cut == 1)
            assert not (await reader.rest())[1]
        del taken
        if waiting is not None:
            (await waiting).release()
        await wait_until(lambda: held(vtn) == 0)
    finally:
        await vtn.stop()


Break = Callable[[VtnUnderTest, Session, list[Any]], Awaitable[object]]


async def _put(vtn: VtnUnderTest, home: Session, made: list[Any]) -> None:
    (await home.put(f"/reports/{made[-1]['id']}", report({"id": made[-1]["eventID"]}, "other"))).ok()


async def _delete(vtn: VtnUnderTest, home: Session, made: list[Any]) -> None:
    (await home.delete(f"/reports/{made[-1]['id']}")).ok()


async def _take_table(vtn: VtnUnderTest, home: Session, made: list[Any]) -> None:
    async with vtn.server._database.write() as connection:
        await connection.execute(text("ALTER TABLE reports RENAME TO gone"))


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("change", [_put, _delete, _take_table])
async def test_an_answer_that_cannot_be_finished_does_not_look_whole(
    migrated_url: str, change: Break, version: str
) -> None:
    """ETAG-003: an object is changed or gone before its turn, or the database is: the connection is reset."""
    vtn = VtnUnderTest(settings_for(migrated_url))
    await vtn.start()
    try:
        home, made = await give_reports(vtn)
        async with slow(vtn, home, "/reports", version) as reader:
            await reader.begin()
            await wait_until(lambda: vtn.server._sending.flight.held and not vtn.server._sending.texts.held)
            await change(vtn, home, made)

            body, is_whole = await reader.rest()

            assert body
            assert not is_whole
            assert not body.endswith(b"]")
        await wait_until(lambda: held(vtn) == 0)
        assert vtn.server._sending.cut == 1
    finally:
        await vtn.stop()


async def test_an_answer_ends_with_its_database(postgres: PostgresServer, postgresql_template: str) -> None:
    """GEN-022: what is sent after the database went away cannot be taken for a whole list."""
    vtn = VtnUnderTest(settings_for(postgres.url(postgres.create_database(template=postgresql_template))))
    await vtn.start()
    try:
        home, _ = await give_reports(vtn)
        async with slow(vtn, home, "/reports") as reader:
            await reader.begin()
            await wait_until(lambda: vtn.server._sending.flight.held and not vtn.server._sending.texts.held)
            await asyncio.to_thread(postgres.crash)
            _, is_whole = await reader.rest()
            assert not is_whole
        await asyncio.to_thread(postgres.start)
        assert len((await home.get("/reports")).ok()) == 5
    finally:
        await vtn.stop()


async def test_one_client_cannot_take_the_memory_of_all_large_answers(
    vtn: VtnUnderTest, start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GEN-008: who has its share is answered 503 after a while, others are served."""
    monkeypatch.setattr(flight, "_PATIENCE_S", 0.05)
    small = await start_vtn(limits={"answers_in_flight_bytes": 8 * 1024 * 1024})
    home, made = await give_reports(vtn)
    other, _ = await give_reports(vtn)
    home, other = (small.caller(Role.VEN, client_id=one.client_id) for one in (home, other))
    readers = []
    for _ in range(8):
        context = slow(small, home, "/reports")
        readers.append((context, await context.__aenter__()))
    for _, reader in readers:
        await reader.begin()

    refused: list[Answer] = [
        await home.get("/reports"),
        await home.get(f"/reports/{made[0]['id']}"),
        await home.put(f"/reports/{made[0]['id']}", report({"id": made[0]["eventID"]}, "z" * 100_000)),
        await home.delete(f"/reports/{made[0]['id']}"),
    ]

    for answer in refused:
        assert "large answers" in answer.problem(503)
        assert int(answer.headers["Retry-After"]) > 0
    assert (await home.get("/reports", {"limit": "0"})).ok() == []
    assert len((await other.get("/reports")).ok()) == 5
    assert small.server._sending.flight.refused == 4
    for context, _ in readers:
        await context.__aexit__(None, None, None)
    await wait_until(lambda: held(small) == 0)
    assert len((await home.get("/reports")).ok()) == 5


async def test_answers_that_do_not_count_are_small_whatever_the_number_of_connections() -> None:
    """On all connections that there may be, to readers that do not read."""
    assert Limits().connections * COUNTED_FROM_BYTES <= 256 * 1024 * 1024
    sending = SendBudget(1024 * 1024, largest=1024)
    assert await sending.room("home", COUNTED_FROM_BYTES) is None
    reserved = await sending.room("home", COUNTED_FROM_BYTES + 1)
    assert reserved is not None
    assert sending.flight.held == COUNTED_FROM_BYTES + 1
    reserved.release()
    assert sending.flight.held == 0


async def test_room_is_given_in_turn() -> None:
    """First come, first served, but for who has its share."""
    room = MemoryBudget(1000, shared=True)
    mine = [await room.take("me", 250)]
    served: list[str] = []

    async def ask(owner: str, name: str) -> None:
        with await room.take(owner, 250):
            served.append(name)

    second = asyncio.create_task(ask("me", "mine"))
    await wait_until(lambda: room.is_waited_for)
    await ask("you", "yours")
    assert served == ["yours"]
    mine.pop().release()
    await second
    assert served == ["yours", "mine"]
    assert room.held == 0
    assert not room.is_waited_for


async def test_who_waits_for_room_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """GEN-008: nothing is left of who gave up, was told to, or was forgotten."""
    monkeypatch.setattr(flight, "_PATIENCE_S", 0.01)
    monkeypatch.setattr(flight, "_WAITING", 1)
    room = MemoryBudget(400, shared=True)
    taken = await room.take("me", 10_000)
    assert taken.count == room.held == 100
    with pytest.raises(Overloaded):
        await room.take("me", 1)
    waiting = asyncio.create_task(room.take("me", 1))
    await wait_until(lambda: room.is_waited_for)
    with pytest.raises(Overloaded):
        await room.take("me", 1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (room.refused, room.is_waited_for, room.held) == (2, False, 100)
    taken.shrink(40)
    assert room.held == 40
    del taken
    assert room.held == 0


def _unchunked(body: bytes) -> bytes:
    found, at = bytearray(), 0
    while match := re.compile(rb"([0-9a-f]+)\r\n").match(body, at):
        length = int(match[1], 16)
        found += body[match.end() : match.end() + length]
        at = match.end() + length + 2
    return bytes(found)
