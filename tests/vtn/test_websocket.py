"""The websocket that tells of changes: what it tells whom, from where on, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from sqlalchemy import insert, select
from structlog.testing import capture_logs

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.ears import Ear, listening
from tests.vtn.harness import Session, VtnUnderTest
from vtn.access import Role, Scope
from vtn.errors import Unavailable
from vtn.http import websocket as http_websocket
from vtn.http.websocket import TOKEN_OVER, TOO_SLOW
from vtn.notify import websocket as notify_websocket
from vtn.store.outbox.rows import Notification
from vtn.store.tables import notifications

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
HOOK = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": "https://example.com/hook", "bearerToken": "t-1"}


class _Undone(Exception):
    """Ends a transaction that must not be committed."""


def said(notification: Any) -> tuple[str, str, str]:
    """Return what happened to what, in short."""
    return notification["operation"], notification["objectType"], notification["object"]["id"]


@pytest_asyncio.fixture(loop_scope="session")
async def lively(start_vtn: StartVtn) -> VtnUnderTest:
    """A VTN whose websockets say again and again that it is there."""
    return await start_vtn(websocket={"heartbeat_s": 0.1})


async def told(ear: Ear, count: int) -> list[tuple[str, str, str]]:
    """The next notifications in short."""
    return [said(await ear.notification()) for _ in range(count)]


async def test_a_change_is_told_as_the_standard_has_it(vtn: VtnUnderTest) -> None:
    """WEBHOOK-008: the object as a GET gives it, and its targets beside it."""
    bl = vtn.bl
    async with listening(bl) as ear:
        assert ear.opened == {"status": "OPEN", "resume": ear.resume, "missed": True}
        program = await bl.program(targets=["a"])

        assert await ear.notification() == {
            "objectType": "PROGRAM",
            "operation": "CREATE",
            "object": (await bl.get(f"/programs/{program['id']}")).ok(),
            "targets": ["a"],
        }


async def test_a_message_carries_the_id_of_its_change_and_the_place_to_go_on_from(vtn: VtnUnderTest) -> None:
    async with listening(vtn.bl) as ear:
        await vtn.bl.program()
        message = await ear.message()
        while "status" in message:
            message = await ear.message()

    assert set(message) == {"id", "resume", "objectType", "operation", "object"}
    number, at_s = map(int, message["resume"].split("-"))
    assert number <= int(message["id"])  # less while another transaction may have a number before it
    assert at_s == int(vtn.now().timestamp())


async def test_creations_updates_and_deletions_come_in_order(vtn: VtnUnderTest) -> None:
    """WEBHOOK-021, SUBS-028: what goes with an object is told of before it."""
    bl = vtn.bl
    async with listening(bl) as ear:
        program = await bl.program()
        event = await bl.event(program)
        (await bl.put(f"/events/{event['id']}", {"programID": program["id"], "eventName": "x"})).ok()
        (await bl.delete(f"/programs/{program['id']}")).ok()

        assert await told(ear, 5) == [
            ("CREATE", "PROGRAM", program["id"]),
            ("CREATE", "EVENT", event["id"]),
            ("UPDATE", "EVENT", event["id"]),
            ("DELETE", "EVENT", event["id"]),
            ("DELETE", "PROGRAM", program["id"]),
        ]
    assert ear.ids == sorted(ear.ids)


async def test_a_ven_is_told_what_its_targets_show_it(vtn: VtnUnderTest) -> None:
    """PRIV-014: a hidden object is not told of, a hidden target is not shown."""
    bl, home, other = vtn.bl, vtn.home(), vtn.home()
    await bl.ven_for(home, targets=["a"])
    program = await bl.program()
    async with listening(home) as ear, listening(other) as stranger:
        hidden = await bl.event(program, targets=["b"])
        shown = await bl.event(program, targets=["b", "a"])
        public = await bl.event(program)

        first, second = await ear.notification(), await ear.notification()
        assert said(await stranger.notification()) == ("CREATE", "EVENT", public["id"])

    assert said(first) == ("CREATE", "EVENT", shown["id"])
    assert first["targets"] == first["object"]["targets"] == ["a"]
    assert said(second) == ("CREATE", "EVENT", public["id"])
    assert "targets" not in second
    assert hidden["id"] not in json.dumps([first, second])


async def test_who_does_not_see_an_object_any_more_is_told_that_it_is_deleted(vtn: VtnUnderTest) -> None:
    """SUBS-027: with the object as it was; who comes to see it is told of the update."""
    bl, left, right = vtn.bl, vtn.home(), vtn.home()
    await bl.ven_for(left, targets=["left"])
    await bl.ven_for(right, targets=["right"])
    program = await bl.program()
    event = await bl.event(program, targets=["left"], eventName="before")
    async with listening(left) as loser, listening(right) as winner:
        moved = {"programID": program["id"], "targets": ["right"], "eventName": "after"}
        (await bl.put(f"/events/{event['id']}", moved)).ok()

        lost, won = await loser.notification(), await winner.notification()

    assert said(lost) == ("DELETE", "EVENT", event["id"])
    assert (lost["object"]["eventName"], lost["targets"]) == ("before", ["left"])
    assert said(won) == ("UPDATE", "EVENT", event["id"])
    assert (won["object"]["eventName"], won["targets"]) == ("after", ["right"])


async def test_grants_count_as_they_are_when_it_is_told(vtn: VtnUnderTest) -> None:
    """PRIV-003: a target that is given or taken while a client listens."""
    bl, home = vtn.bl, vtn.home()
    ven = await bl.ven_for(home)
    program = await bl.program()
    document = {"objectType": "BL_VEN_REQUEST", "clientID": home.client_id, "venName": ven["venName"]}
    async with listening(home, {"objects": "EVENT"}) as ear:
        await bl.event(program, targets=["a"])
        first = await bl.event(program)
        assert said(await ear.notification()) == ("CREATE", "EVENT", first["id"])

        (await bl.put(f"/vens/{ven['id']}", document | {"targets": ["a"]})).ok()
        second = await bl.event(program, targets=["a"])
        assert said(await ear.notification()) == ("CREATE", "EVENT", second["id"])


async def test_other_objects_are_told_of_to_their_owner_and_to_business_logic(lively: VtnUnderTest) -> None:
    """PRIV-017, SUBS-023."""
    bl, home, other = lively.bl, lively.home(), lively.home()
    event = await bl.event(await bl.program())
    async with listening(bl) as above, listening(home) as own, listening(other) as foreign:
        ven = await home.ven()
        resource = await home.resource(ven)
        report = await home.report(event)
        expected = [
            ("CREATE", "VEN", ven["id"]),
            ("CREATE", "RESOURCE", resource["id"]),
            ("CREATE", "REPORT", report["id"]),
        ]
        assert list(map(said, await above.all())) == expected
        assert list(map(said, await own.all())) == expected
        assert await foreign.all() == []


async def test_nobody_is_told_the_token_of_a_subscription(start_vtn: StartVtn) -> None:
    """SUBS-011: not even the owner, in a notification."""
    vtn = await start_vtn(webhook={"verify_echo": False}, notify={"dispatch": False})
    home = vtn.home()
    async with listening(home) as ear:
        (await home.post("/subscriptions", {"clientName": "c", "objectOperations": [HOOK]})).ok(201)

        notification = await ear.notification()
    assert notification["object"]["objectOperations"][0]["bearerToken"] is None


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ([("objects", "PROGRAM")], "second renamed"),
        ([("objects", "PROGRAM"), ("objects", "EVENT")], "second renamed event other moved"),
        ([("operations", "UPDATE")], "renamed moved"),
        ([("objects", "EVENT"), ("operations", "CREATE")], "event other"),
        ([("programID", "{program}")], "second renamed event moved"),
        ([("objects", "EVENT"), ("targets", "a")], "event moved"),
        ([("targets", "x"), ("targets", "b")], "other"),
    ],
)
async def test_the_query_narrows_what_is_told(
    lively: VtnUnderTest, params: list[tuple[str, str]], expected: str
) -> None:
    """SUBS-022: a program narrows events, not programs; SUBS-024: targets leave out what has none."""
    bl = lively.bl
    program = await bl.program()
    params = [(name, value.format(program=program["id"])) for name, value in params]
    async with listening(bl, params) as ear:
        second = await bl.program()
        (await bl.put(f"/programs/{program['id']}", {"programName": program["programName"]})).ok()
        event = await bl.event(program, targets=["a"])
        other = await bl.event(second, targets=["b"])
        (await bl.put(f"/events/{event['id']}", {"programID": program["id"], "targets": ["c"]})).ok()

        names = {
            ("CREATE", second["id"]): "second",
            ("UPDATE", program["id"]): "renamed",
            ("CREATE", event["id"]): "event",
            ("CREATE", other["id"]): "other",
            ("UPDATE", event["id"]): "moved",
        }
        found = [names[one["operation"], one["object"]["id"]] for one in await ear.all()]
    assert " ".join(found) == expected


@pytest.mark.parametrize("scope", [Scope.READ_TARGETS, Scope.READ_VEN_OBJECTS])
async def test_scopes_limit_the_kinds_of_objects(lively: VtnUnderTest, scope: Scope) -> None:
    """AUTH-011: what a token may not read it is not told of."""
    bl, home = lively.bl, lively.home()
    reader = lively.caller(Role.VEN, scopes={scope}, client_id=home.client_id)
    async with listening(reader) as ear:
        program, ven = await bl.program(), await home.ven()
        seen = program if scope is Scope.READ_TARGETS else ven

        assert [one["object"]["id"] for one in await ear.all()] == [seen["id"]]


@pytest.mark.parametrize(
    ("params", "detail"),
    [
        ({"objects": "RESOURCE_GROUP"}, "objects: expected PROGRAM, EVENT, REPORT"),
        ({"objects": "event"}, "not event"),
        ({"operations": "READ"}, "operations: expected CREATE, DELETE, UPDATE, not READ"),
        ({"programID": "a b"}, "programID: expected"),
        ({"targets": ""}, "targets: expected"),
        ({"after": "17"}, "after: expected the `resume` of a message"),
        ({"after": "17-1780000000-1"}, "after: expected"),
    ],
)
async def test_a_wrong_query_is_refused_with_the_name_of_its_member(
    vtn: VtnUnderTest, params: dict[str, str], detail: str
) -> None:
    refused = await vtn.bl.ask("GET", "/notifiers/ws", params=params, headers=UPGRADE)

    assert detail in refused.problem(400)


async def test_who_may_not_listen_is_refused(vtn: VtnUnderTest) -> None:
    """AUTH-001, AUTH-004, GEN-009; a token in the address is no token."""
    token = vtn.bl.headers["Authorization"].removeprefix("Bearer ")

    vtn_only = vtn.caller(Role.VEN, scopes={Scope.WRITE_REPORTS})
    targets_only = vtn.caller(Role.VEN, scopes={Scope.READ_TARGETS})

    assert (await vtn.nobody.ask("GET", "/notifiers/ws", headers=UPGRADE)).problem(401)
    in_query = {"access_token": token, "token": token}
    assert (await vtn.nobody.ask("GET", "/notifiers/ws", headers=UPGRADE, params=in_query)).problem(401)
    assert "read_targets" in (await vtn_only.ask("GET", "/notifiers/ws", headers=UPGRADE)).problem(403)
    asked = {"objects": "REPORT"}
    assert "read_ven_objects" in (
        await targets_only.ask("GET", "/notifiers/ws", headers=UPGRADE, params=asked)
    ).problem(403)


@pytest.mark.parametrize(
    "headers", [{}, {"Upgrade": "h2c", "Connection": "Upgrade"}, {"Upgrade": "websocket", "Connection": "Upgrade"}]
)
async def test_a_request_that_opens_no_websocket_is_told_so(vtn: VtnUnderTest, headers: dict[str, str]) -> None:
    refused = await vtn.bl.ask("GET", "/notifiers/ws", headers=headers)

    assert "websocket" in refused.problem(426)
    assert refused.headers["Upgrade"] == "websocket"


async def test_there_is_an_end_to_the_websockets_of_a_client_and_of_all(start_vtn: StartVtn) -> None:
    """GEN-008."""
    vtn = await start_vtn(websocket={"max_clients": 2, "max_per_client": 1})
    home = vtn.home()
    async with listening(home), listening(vtn.bl):
        again = await home.ask("GET", "/notifiers/ws", headers=UPGRADE)
        other = await vtn.home().ask("GET", "/notifiers/ws", headers=UPGRADE)

        assert "1 websockets at most" in again.problem(429)
        assert again.headers["Retry-After"] == "30"
        assert "as many websockets" in other.problem(503)
    await wait_until(lambda: not len(vtn.server._websockets.listeners))
    async with listening(home):
        pass


async def test_a_websocket_ends_with_its_token(vtn: VtnUnderTest) -> None:
    """AUTH-005: an hour later nothing is told any more."""
    async with listening(vtn.bl) as ear:
        vtn.now.pass_(hours=1)

        assert await ear.end() == TOKEN_OVER


async def test_what_is_told_last_comes_before_the_token_is_over(vtn: VtnUnderTest) -> None:
    """AUTH-005: no look at all tokens has to come first."""
    async with listening(vtn.bl) as ear:
        vtn.now.pass_(hours=1)
        await vtn.caller(Role.BL).program()

        assert await ear.end() == TOKEN_OVER
    assert ear.ids == []


async def test_a_websocket_ends_when_its_client_is_suspended(vtn: VtnUnderTest) -> None:
    """AUTH-034."""
    credentials = await vtn.server.clients.add("suspended-1", Role.VEN)
    session = vtn.caller(Role.VEN, client_id=credentials.client_id)
    async with listening(session) as ear, listening(vtn.bl) as other:
        await vtn.server.clients.suspend(credentials.client_id)

        assert await ear.end() == TOKEN_OVER
        assert not other.socket.closed


async def test_a_client_that_speaks_is_shut_out(vtn: VtnUnderTest) -> None:
    async with listening(vtn.bl) as ear:
        await ear.socket.send_str("{}")

        assert await ear.end() == aiohttp.WSCloseCode.UNSUPPORTED_DATA


async def test_pings_are_answered(vtn: VtnUnderTest) -> None:
    """And no time for a header runs on an open websocket, whatever its client sends."""
    async with listening(vtn.bl, autoping=False) as ear:
        await ear.socket.ping(b"here?")
        received = await ear.socket.receive()

    assert (received.type, received.data) == (aiohttp.WSMsgType.PONG, b"here?")


async def test_a_ping_starts_no_time_limit_for_a_header(start_vtn: StartVtn) -> None:
    """The limit is shorter than what this test waits for: three signs of life, a second apart."""
    vtn = await start_vtn(limits={"header_s": 0.5}, websocket={"heartbeat_s": 0.1})
    async with listening(vtn.bl, autoping=False) as ear:
        await ear.socket.ping(b"here?")
        assert (await ear.socket.receive()).type is aiohttp.WSMsgType.PONG
        for _ in range(3):
            await ear.status("ALIVE")


async def test_the_end_of_a_server_is_announced(start_vtn: StartVtn) -> None:
    vtn = await start_vtn()
    async with listening(vtn.bl) as ear:
        stopping = asyncio.create_task(vtn.stop())

        assert await ear.end() == aiohttp.WSCloseCode.GOING_AWAY
        await stopping


async def test_a_client_that_comes_back_is_told_what_it_missed(vtn: VtnUnderTest) -> None:
    bl, home = vtn.bl, vtn.home()
    await bl.ven_for(home, targets=["a"])
    program = await bl.program()
    async with listening(home) as ear:
        before = await bl.event(program)
        assert said(await ear.notification()) == ("CREATE", "EVENT", before["id"])
    vtn.now.pass_(minutes=14)
    missed = [await bl.event(program, targets=["a"]) for _ in range(3)]
    await bl.event(program, targets=["b"])
    async with listening(vtn.caller(Role.VEN, client_id=home.client_id), before=ear) as again:
        assert again.opened["missed"] is False
        assert await told(again, 3) == [("CREATE", "EVENT", one["id"]) for one in missed]
        after = await bl.event(program)
        assert await told(again, 1) == [("CREATE", "EVENT", after["id"])]


async def test_another_process_goes_on_where_one_has_stopped(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """Also one that has not come as far as the place yet."""
    other = await start_vtn()
    async with listening(vtn.bl) as ear, listening(other.bl) as elsewhere:
        program = await vtn.bl.program()
        assert await told(ear, 1) == await told(elsewhere, 1) == [("CREATE", "PROGRAM", program["id"])]
    missed = await vtn.bl.program()
    async with listening(other.bl, before=ear) as again:
        assert again.opened["missed"] is False
        assert await told(again, 1) == [("CREATE", "PROGRAM", missed["id"])]


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("kind", ["postgresql"], indirect=True, scope="session")
async def test_what_is_committed_late_is_told_late_and_not_lost(vtn: VtnUnderTest, *, commits: bool) -> None:
    """PostgreSQL numbers a change before it is committed; until it is settled clients go on from before it."""
    bl, database = vtn.bl, vtn.server._database
    async with listening(bl, {"objects": "PROGRAM"}) as ear:
        first = await bl.program()
        assert await told(ear, 1) == [("CREATE", "PROGRAM", first["id"])]
        chosen = select(notifications).where(notifications.c.seq == ear.ids[0])
        row = dict(await database.row(chosen) or {})
        del row["seq"]
        with suppress(_Undone):
            async with database.write() as slow:
                inserted = insert(notifications).values({**row, "object_id": "late"}).returning(notifications.c.seq)
                late = (await slow.execute(inserted)).scalar_one()
                second = await bl.program()
                assert await told(ear, 1) == [("CREATE", "PROGRAM", second["id"])]
                assert int(ear.resume.partition("-")[0]) < late < ear.ids[-1]
                if not commits:
                    raise _Undone
        if commits:
            assert await told(ear, 1) == [("CREATE", "PROGRAM", "late")]
            assert ear.ids[-1] == late
    async with listening(bl, {"objects": "PROGRAM"}) as again:
        hub = vtn.server._websockets
        await wait_until(lambda: not hub._follower.waits)
        third = await bl.program()
        assert await told(again, 1) == [("CREATE", "PROGRAM", third["id"])]
        assert again.resume.startswith(f"{again.ids[-1]}-")


@pytest.mark.parametrize("place", ["999999999-{now}", "0-{long_ago}", "0-{later}"])
async def test_a_place_that_nothing_is_known_of_means_that_something_was_missed(vtn: VtnUnderTest, place: str) -> None:
    """A restored database, an absence of more than 15 minutes, a clock that was set back."""
    now = int(vtn.now().timestamp())
    after = place.format(now=now, long_ago=now - 901, later=now + 60)
    async with listening(vtn.bl, {"after": after}) as ear:
        assert ear.opened["missed"] is True


async def test_a_place_that_a_client_made_up_gives_it_no_older_changes(vtn: VtnUnderTest) -> None:
    """The time of a place is what the client says; that of the change behind it is not."""
    async with listening(vtn.bl) as ear:
        await vtn.bl.program()
        await ear.notification()
    vtn.now.pass_(seconds=901)
    now = int(vtn.now().timestamp())
    bl = vtn.caller(Role.BL)
    async with listening(bl, {"after": f"0-{now}"}) as forged, listening(bl, {"after": f"{ear.ids[-1]}-{now}"}) as true:
        assert forged.opened["missed"] is True
        assert true.opened["missed"] is False


async def test_a_ven_that_catches_up_has_nothing_read_that_is_of_no_concern_to_it(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 10,000 VENs each would read the reports of all."""
    bl, home, other = vtn.bl, vtn.home(), vtn.home()
    event = await bl.event(await bl.program())
    async with listening(home) as ear:
        pass
    await other.report(event)
    own, program = await home.report(event), await bl.program()
    hub, found = vtn.server._websockets, []
    read = hub._changes.read

    async def noting(**limits: Any) -> tuple[list[Notification], bool]:
        changes, are_all = await read(**limits)
        if "until" in limits:
            found.extend(changes)
        return changes, are_all

    monkeypatch.setattr(hub._changes, "read", noting)
    async with listening(home, before=ear) as again:
        assert await told(again, 2) == [("CREATE", "REPORT", own["id"]), ("CREATE", "PROGRAM", program["id"])]
    assert [one.object_id for one in found] == [own["id"], program["id"]]


async def test_changes_are_noted_while_somebody_listens_and_for_a_while_after(vtn: VtnUnderTest) -> None:
    """With nobody to hear of them nothing is noted."""
    bl, database = vtn.bl, vtn.server._database

    async def noted(program: Any) -> bool:
        chosen = select(notifications.c.seq).where(notifications.c.object_id == program["id"])
        return await database.row(chosen) is not None

    assert not await noted(await bl.program())
    async with listening(bl):
        assert await noted(await bl.program())
    vtn.now.pass_(minutes=15)
    assert await noted(await vtn.bl.program())
    vtn.now.pass_(minutes=15)
    assert not await noted(await vtn.bl.program())


async def test_a_client_that_does_not_read_is_closed_and_the_others_are_told(start_vtn: StartVtn) -> None:
    """Nothing waits for it without limit; it comes back to where it was."""
    vtn = await start_vtn(websocket={"waiting_bytes": 1024, "heartbeat_s": 0.1})
    bl = vtn.bl
    program = await bl.program()
    text = "x" * 2000
    intervals = [{"id": number, "payloads": [{"type": "T", "values": [text] * 100}]} for number in range(10)]
    async with listening(vtn.home()) as reader, listening(vtn.home()) as stalled:
        stalled.socket._response.connection.protocol.pause_reading()  # type: ignore[union-attr]

        async def dropped() -> bool:
            await bl.event(program, intervals=intervals)
            await reader.notification()
            return vtn.server._websockets.listeners.dropped == 1

        await wait_until(dropped)
        stalled.socket._response.connection.protocol.resume_reading()  # type: ignore[union-attr]
        assert await stalled.end() == TOO_SLOW
        assert not reader.socket.closed
        assert stalled.resume


async def test_the_slowest_is_closed_when_all_together_take_too_much(start_vtn: StartVtn) -> None:
    """One limit for a process: 1 MiB here, of which two clients that do not read leave nothing."""
    vtn = await start_vtn(websocket={"waiting_bytes": 64 * 1024 * 1024, "all_waiting_bytes": 1024 * 1024})
    bl = vtn.bl
    program = await bl.program()
    intervals = [{"id": 0, "payloads": [{"type": "T", "values": ["x" * 2000] * 400}]}]
    async with listening(bl) as reader, listening(bl) as one, listening(bl) as two:
        for stalled in (one, two):
            stalled.socket._response.connection.protocol.pause_reading()  # type: ignore[union-attr]

        async def dropped() -> bool:
            await bl.event(program, intervals=intervals)
            await reader.notification()
            return vtn.server._websockets.listeners.dropped == 2

        await wait_until(dropped)
        assert not reader.socket.closed


@asynccontextmanager
async def stalled(client: Session, before: Ear) -> AsyncIterator[Ear]:
    """A client that goes on from a place and does not read what it missed, which no buffer has room for."""
    async with listening(client, before=before) as ear:
        connection = ear.socket._response.connection
        assert connection is not None
        protocol = connection.protocol
        assert protocol is not None
        protocol.pause_reading()
        yield ear
        protocol.resume_reading()


async def much_is_missed(vtn: VtnUnderTest) -> Ear:
    """A place of business logic; behind it is more than the kernel keeps for a connection."""
    bl = vtn.bl
    program = await bl.program()
    intervals = [{"id": number, "payloads": [{"type": "T", "values": ["x" * 2000] * 100}]} for number in range(10)]
    async with listening(bl) as ear:
        pass
    for _ in range(8):
        await bl.event(program, intervals=intervals)
    return ear


async def test_who_does_not_take_in_time_what_it_missed_is_closed(
    start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often it takes a little of it."""
    vtn = await start_vtn()
    place = await much_is_missed(vtn)
    monkeypatch.setattr(notify_websocket, "_TAKE_S", 3600)
    monkeypatch.setattr(notify_websocket, "_CATCH_UP_S", 0.5)
    async with stalled(vtn.bl, place):
        await wait_until(lambda: vtn.server._websockets.listeners.dropped == 1)


async def test_no_client_has_all_turns_to_catch_up(start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify_websocket, "_CATCHING_UP", 3)
    vtn = await start_vtn()
    place = await much_is_missed(vtn)
    monkeypatch.setattr(notify_websocket, "_TAKE_S", 3600)
    monkeypatch.setattr(notify_websocket, "_CATCH_UP_S", 3600)
    greedy, listeners = vtn.bl, vtn.server._websockets.listeners
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(stalled(greedy, place))
        await wait_until(lambda: sum(one.sink.waiting_bytes > 0 for one in listeners) >= 2)
        ear = await stack.enter_async_context(listening(vtn.bl, before=place))
        assert (await ear.notification())["objectType"] == "EVENT"


async def test_the_connection_of_a_client_that_does_not_read_ends(
    start_vtn: StartVtn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when it is to be closed properly: what waits for it is not waited for."""
    vtn = await start_vtn()
    place = await much_is_missed(vtn)
    monkeypatch.setattr(notify_websocket, "_TAKE_S", 3600)
    monkeypatch.setattr(notify_websocket, "_CATCH_UP_S", 3600)
    monkeypatch.setattr(http_websocket, "_LAST_S", 0.1)
    async with stalled(vtn.bl, place):
        listeners = vtn.server._websockets.listeners
        (one,) = listeners
        await wait_until(lambda: one.sink.waiting_bytes > 0)
        vtn.now.pass_(hours=1)
        await wait_until(lambda: not len(listeners))
        socket: Any = one.sink
        await wait_until(socket._ending.done)


async def test_a_change_that_cannot_be_written_holds_up_no_other(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither for those who listen nor for who comes back."""
    bl, hub = vtn.bl, vtn.server._websockets
    shown = hub._shown

    def fail(notification: Notification, *more: Any) -> bytes:
        if "unwritable" in notification.now.members:
            raise ValueError("cannot be written")
        return shown(notification, *more)

    monkeypatch.setattr(hub, "_shown", fail)
    program = await bl.program()
    with capture_logs() as logs:
        async with listening(bl) as ear, listening(vtn.home()) as other:
            await bl.event(program, eventName="unwritable")
            event = await bl.event(program)
            assert await told(ear, 1) == await told(other, 1) == [("CREATE", "EVENT", event["id"])]
        await bl.event(program, eventName="unwritable")
        event = await bl.event(program)
        async with listening(bl, before=ear) as again:
            assert await told(again, 1) == [("CREATE", "EVENT", event["id"])]
    unwritten = {log["seq"] for log in logs if log["event"] == "a notification cannot be written"}
    assert unwritten == {ear.ids[0] - 1, again.ids[-1] - 1}


async def test_the_database_may_be_away_for_a_while(vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    """GEN-020: who listens stays, and is told afterwards."""
    hub = vtn.server._websockets
    async with listening(vtn.bl) as ear:
        read, failed = hub._follower.read, asyncio.Event()

        async def fail() -> Any:
            failed.set()
            raise Unavailable("no database")

        monkeypatch.setattr(hub._follower, "read", fail)
        program = await vtn.bl.program()
        await failed.wait()
        monkeypatch.setattr(hub._follower, "read", read)

        assert await told(ear, 1) == [("CREATE", "PROGRAM", program["id"])]


async def test_the_websocket_is_announced_where_clients_look_for_it(start_vtn: StartVtn) -> None:
    vtn = await start_vtn()
    public = await start_vtn(public_url="https://vtn.example/dr")

    (uri,) = (await vtn.bl.get("/notifiers")).ok()["WEBSOCKET"]["URIS"]
    assert uri == f"ws://127.0.0.1:{vtn.server.port}/openadr3/3.1.0/notifiers/ws"
    told_elsewhere = await public.ask(
        "GET", f"http://127.0.0.1:{public.server.port}/openadr3/3.1.1/notifiers", headers=public.bl.headers
    )
    assert told_elsewhere.ok()["WEBSOCKET"] == {
        "URIS": ["wss://vtn.example/dr/openadr3/3.1.1/notifiers/ws"],
        "serialization": "JSON",
        "authentication": {"method": "OAUTH2_BEARER_TOKEN"},
    }


async def test_an_open_websocket_is_an_answered_request(start_vtn: StartVtn) -> None:
    """It counts as a connection, and as no request that is under way; its header has what every answer has."""
    vtn = await start_vtn()
    async with listening(vtn.bl) as ear:
        metrics = (await vtn.ask("GET", f"{vtn.origin}/metrics")).raw.decode()

        headers = ear.socket._response.headers
        assert headers["Server"] == "openadr-fleet"
        assert headers["X-Request-Id"]
    assert 'oadr_vtn_requests_total{method="GET",route="/openadr3/3.1.0/notifiers/ws",status="101"} 1.0' in metrics
    assert "\noadr_vtn_websockets 1.0" in metrics
    assert "\noadr_vtn_requests_under_way 1.0" in metrics  # this one


@pytest.mark.parametrize("seed", range(3))
async def test_who_follows_what_is_told_knows_what_a_get_shows(lively: VtnUnderTest, seed: int) -> None:
    """PRIV-014, PRIV-021: with grants and targets at random, the view that messages make is that of REST."""
    chance = Random(seed)

    def some() -> list[str]:
        return chance.sample(["a", "b", "c"], chance.choice([0, 0, 1, 1, 2]))

    bl, homes = lively.bl, [lively.home() for _ in range(3)]
    for home in homes:
        ven = await bl.ven_for(home, targets=some())
        await bl.resource(ven, objectType="BL_RESOURCE_REQUEST", clientID=home.client_id, targets=some())
    programs = [await bl.program(targets=some()) for _ in range(2)]
    async with AsyncExitStack() as stack:
        ears = [await stack.enter_async_context(listening(home, {"objects": "EVENT"})) for home in (bl, *homes)]
        events: list[Any] = []
        for number in range(20):
            members = {"targets": some(), "eventName": f"{number}"}
            if not events or chance.random() < 0.4:
                events.append(await bl.event(chance.choice(programs), **members))
                continue
            event = chance.choice(events)
            if chance.random() < 0.15:
                events.remove(event)
                (await bl.delete(f"/events/{event['id']}")).ok()
            else:
                (await bl.put(f"/events/{event['id']}", {"programID": event["programID"], **members})).ok()
        for reader, ear in zip((bl, *homes), ears, strict=True):
            view: dict[str, Any] = {}
            for one in await ear.all():
                view.pop(one["object"]["id"], None)
                if one["operation"] != "DELETE":
                    view[one["object"]["id"]] = one["object"]
            assert view == {one["id"]: one for one in (await reader.get("/events")).ok()}
