"""Webhooks from end to end: a change of an object, and what a receiver over TLS gets to see of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio
from aiohttp import web

from tests.support.pki import Pki, server_context
from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.receiver import Receiver
from tests.vtn.subscriber import Subscriber


@pytest_asyncio.fixture(loop_scope="session")
async def receive(pki: Pki) -> AsyncIterator[Callable[[], Awaitable[Subscriber]]]:
    """Starts subscribers' receivers."""
    started: list[Subscriber] = []

    async def start() -> Subscriber:
        subscriber = Subscriber()
        started.append(subscriber)
        await subscriber.start(tls=server_context(pki.server()))
        return subscriber

    yield start
    for subscriber in started:
        await subscriber.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def delivering(start_vtn: StartVtn, pki: Pki) -> VtnUnderTest:
    """A server that delivers to this machine."""
    webhook = {"allowed": ["127.0.0.1"], "ca_file": pki.ca}
    return await start_vtn(webhook=webhook, notify={"dispatch": True})


Receive = Callable[[], Awaitable[Subscriber]]
ALL = ("CREATE", "UPDATE", "DELETE")


async def subscribe(
    client: Session, receiver: Receiver, *objects: str, token: str | None = None, **members: Any
) -> Any:
    """Subscribe to all operations on some types of objects."""
    entry = {"objects": list(objects), "operations": list(ALL), "callbackUrl": receiver.url}
    if token is not None:
        entry["bearerToken"] = token
    return (await client.post("/subscriptions", {"clientName": "c", "objectOperations": [entry], **members})).ok(201)


async def test_a_subscriber_is_told_what_it_would_read(delivering: VtnUnderTest, receive: Receive) -> None:
    """WEBHOOK-008 … WEBHOOK-015: each change once, in order, as GET shows it; DELETE with the last state."""
    bl, home, receiver = delivering.bl, delivering.home(), await receive()
    await bl.ven_for(home, ["g1"])
    await subscribe(home, receiver, "PROGRAM", "EVENT", token="a token of the home's")
    program = await bl.program()
    event = await bl.event(program, targets=["g1", "g2"])
    await wait_until(lambda: len(receiver.got) == 2)
    shown = (await home.get(f"/events/{event['id']}")).ok()
    assert receiver.got[1] == {"objectType": "EVENT", "operation": "CREATE", "object": shown, "targets": ["g1"]}
    assert receiver.got[0]["object"] == (await home.get(f"/programs/{program['id']}")).ok()

    changed = {"programID": program["id"], "eventName": "changed", "targets": ["g1", "g2"]}
    (await bl.put(f"/events/{event['id']}", changed)).ok()
    await bl.event(program, targets=["g2"])
    shown = (await home.get(f"/events/{event['id']}")).ok()
    (await bl.delete(f"/events/{event['id']}")).ok()
    last = await bl.event(program)
    await wait_until(lambda: len(receiver.got) == 5)

    of_event = [("UPDATE", "EVENT", event["id"]), ("DELETE", "EVENT", event["id"]), ("CREATE", "EVENT", last["id"])]
    assert receiver.seen()[2:] == of_event
    assert receiver.got[2]["object"] == receiver.got[3]["object"] == shown
    assert "targets" not in receiver.got[4]
    assert {raw[:1] for raw in receiver.raw} == {b"{"}
    assert {one["Authorization"] for one in receiver.headers} == {"Bearer a token of the home's"}
    assert len({one["X-Request-ID"] for one in receiver.headers}) == 5


async def test_a_refused_notification_comes_again_with_the_same_id(delivering: VtnUnderTest, receive: Receive) -> None:
    """WEBHOOK-018, WEBHOOK-020, WEBHOOK-032; and no longer when the subscription is deleted (SUBS-015)."""
    bl, receiver = delivering.bl, await receive()
    subscription = await subscribe(bl, receiver, "PROGRAM")
    receiver.statuses = [503, 200, 404, 200, 500]
    program = await bl.program()
    await wait_until(lambda: len(receiver.headers) == 1)
    await _until_it_rests(delivering)
    delivering.now.pass_(seconds=1)
    await wait_until(lambda: len(receiver.got) == 1)
    assert receiver.got[0]["object"] == program
    first, again = receiver.headers
    assert first["X-Request-ID"] == again["X-Request-ID"]
    assert (first["X-Attempt"], again["X-Attempt"]) == ("1", "2")

    await bl.program()  # refused for good
    accepted = await bl.program()
    await wait_until(lambda: len(receiver.got) == 2)
    assert receiver.got[1]["object"] == accepted
    assert len(receiver.headers) == 4

    await bl.program()
    await wait_until(lambda: len(receiver.headers) == 5)
    (await bl.delete(f"/subscriptions/{subscription['id']}")).ok()
    other = await receive()
    await subscribe(bl, other, "PROGRAM")
    delivering.now.pass_(seconds=1)
    await bl.program()
    await wait_until(lambda: len(other.got) == 1)
    assert len(receiver.headers) == 5


async def test_each_url_of_a_subscription_is_told_for_itself(delivering: VtnUnderTest, receive: Receive) -> None:
    """SUBS-008; a receiver that hangs delays nobody else (WEBHOOK-021)."""
    bl, slow, quick = delivering.bl, await receive(), await receive()
    entries = [
        {
            "objects": ["PROGRAM"],
            "operations": ["CREATE"],
            "callbackUrl": receiver.url,
            "bearerToken": f"token of {name}",
        }
        for name, receiver in (("the slow one", slow), ("the quick one", quick))
    ]
    (await bl.post("/subscriptions", {"clientName": "c", "objectOperations": entries})).ok(201)
    release, take = asyncio.Event(), slow.answering

    async def hang(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return await take(request)

    slow.answering = hang
    try:
        programs = [await bl.program() for _ in range(3)]
        await wait_until(lambda: len(quick.got) == 3)
        await wait_until(lambda: len(slow.requests) == 2)  # its challenge, and the first one
        assert slow.got == []
    finally:
        release.set()
    await wait_until(lambda: len(slow.got) == 3)
    for receiver, name in ((slow, "the slow one"), (quick, "the quick one")):
        assert [one["object"]["id"] for one in receiver.got] == [program["id"] for program in programs]
        assert {one["Authorization"] for one in receiver.headers} == {f"Bearer token of {name}"}


async def test_a_server_that_starts_delivers_what_waited(
    vtn: VtnUnderTest, start_vtn: StartVtn, pki: Pki, receive: Receive
) -> None:
    """WEBHOOK-022: the queue survives a restart; without TLS and challenge if an operator of a lab says so."""
    lab = {"require_https": False, "allow_private_addresses": True, "verify_echo": False}
    recording = await start_vtn(webhook=lab)
    receiver = Subscriber()
    await receiver.start()
    try:
        assert receiver.url.startswith("http://")
        await subscribe(recording.bl, receiver, "PROGRAM")
        programs = [await recording.bl.program() for _ in range(3)]
        assert receiver.requests == []
        await recording.stop()
        await start_vtn(webhook=lab, notify={"dispatch": True})
        await wait_until(lambda: len(receiver.got) == 3)
        assert [one["object"]["id"] for one in receiver.got] == [program["id"] for program in programs]
    finally:
        await receiver.stop()


async def _until_it_rests(vtn: VtnUnderTest) -> None:
    """Wait until the failure of an endpoint is recorded."""
    health = "/subscription_health"
    await wait_until(lambda: _is(vtn.bl, health, "FAILING"))


async def _is(client: Session, path: str, state: str) -> bool:
    return any(one["state"] == state for one in (await client.get(path)).ok())
