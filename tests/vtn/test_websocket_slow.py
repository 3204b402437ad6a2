"""Websockets of clients that do not read, and of servers that cannot: the others are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from structlog.testing import capture_logs

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.ears import Ear, listening
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.websocket_told import told
from vtn.errors import Unavailable
from vtn.http import websocket as http_websocket
from vtn.http.websocket import TOO_SLOW
from vtn.notify import websocket as notify_websocket
from vtn.store.outbox.rows import Notification


def protocol_of(ear: Ear) -> BaseProtocol:
    """What reads the connection of a client, and can leave off."""
    connection = ear.socket._response.connection
    assert connection is not None
    assert connection.protocol is not None
    return connection.protocol


async def test_a_client_that_does_not_read_is_closed_and_the_others_are_told(start_vtn: StartVtn) -> None:
    """Nothing waits for it without limit; it comes back to where it was."""
    vtn = await start_vtn(websocket={"waiting_bytes": 1024, "heartbeat_s": 0.1})
    bl = vtn.bl
    program = await bl.program()
    text = "x" * 2000
    intervals = [{"id": number, "payloads": [{"type": "T", "values": [text] * 100}]} for number in range(10)]
    async with listening(vtn.home()) as reader, listening(vtn.home()) as stalled:
        protocol_of(stalled).pause_reading()

        async def dropped() -> bool:
            await bl.event(program, intervals=intervals)
            await reader.notification()
            return vtn.server._websockets.listeners.dropped == 1

        await wait_until(dropped)
        protocol_of(stalled).resume_reading()
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
            protocol_of(stalled).pause_reading()

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
        protocol_of(ear).pause_reading()
        yield ear
        protocol_of(ear).resume_reading()


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
