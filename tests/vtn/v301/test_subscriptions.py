"""Subscriptions made on 3.0.1, and what their webhooks are told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.support.waiting import wait_until
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.outbox import LAB, Recorded
from tests.vtn.subscriber import Subscriber
from vtn.access import Role
from vtn.store.outbox.subscribers import endpoint_id_of

WORDS_OF_HTTP = r"objectOperations\.\d+\.operations"
HOOK = "https://127.0.0.1:1/hook"
ALLOWED = {"allowed": ["127.0.0.1"], "require_https": False}


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Subscriber]:
    """A subscriber's receiver, without TLS."""
    receiver = Subscriber()
    await receiver.start()
    yield receiver
    await receiver.stop()


def document(program: Any, *operations: str, objects: tuple[str, ...] = ("EVENT",), url: str = HOOK) -> dict[str, Any]:
    """A subscription to operations on some kinds of objects."""
    entry = {"objects": list(objects), "operations": list(operations), "callbackUrl": url, "bearerToken": "t"}
    return {"clientName": "c", "programID": program["id"], "objectOperations": [entry]}


async def test_a_subscription_has_the_words_and_targets_it_was_sent_with(start_vtn: StartVtn) -> None:
    """V301-041 as ruled, V301-024, V301-034: words as sent; a target filter on 3.0.1 only; no clientID."""
    vtn = await start_vtn(webhook=LAB)
    with vtn.extensions(WORDS_OF_HTTP):
        await _words_and_targets(vtn)


async def _words_and_targets(vtn: VtnUnderTest) -> None:
    business, home = vtn.bl, vtn.home()
    program = await business.program()
    targets = [{"type": "GROUP", "values": ["a"]}, {"type": "x", "values": [1]}]

    made = (await home.on_301.post("/subscriptions", document(program, "POST", "UPDATE") | {"targets": targets})).ok(
        201
    )

    (entry,) = made["objectOperations"]
    assert entry["operations"] == ["POST", "UPDATE"]
    assert entry["bearerToken"] == "t"
    assert made["targets"] == targets
    assert "clientID" not in made
    on_31 = (await home.get(f"/subscriptions/{made['id']}")).ok()
    assert (on_31["clientID"], on_31["targets"]) == (home.client_id, ["a", "1"])
    (of_bl,) = (await business.on_301.get("/subscriptions", {"targetType": "x", "targetValues": "1"})).ok()
    assert of_bl["objectOperations"][0]["bearerToken"] is None
    assert (await business.on_301.get("/subscriptions", {"targetType": "x", "targetValues": "a"})).ok() == []
    assert await business.ids("/subscriptions", {"targetType": "x", "targetValues": "a"}) == [made["id"]]


async def test_subscriptions_of_no_program_are_not_there(start_vtn: StartVtn) -> None:
    """V301-042: neither in lists nor by id, and they can be neither replaced nor removed."""
    vtn = await start_vtn(webhook=LAB)
    home, program = vtn.home(), await vtn.bl.program()
    entry = {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": HOOK}
    free = {"clientName": "c", "objectOperations": [entry]}
    hidden = (await home.post("/subscriptions", free)).ok(201)["id"]
    bound = (await home.post("/subscriptions", free | {"programID": program["id"]})).ok(201)["id"]

    assert await home.on_301.ids("/subscriptions") == [bound]
    path = f"/subscriptions/{hidden}"
    (await home.on_301.get(path)).problem(404)
    (await home.on_301.put(path, document(program, "CREATE"))).problem(404)
    (await home.on_301.delete(path)).problem(404)
    assert (await home.get(path)).ok()["id"] == hidden
    (await home.on_301.put(f"/subscriptions/{bound}", document(program, "CREATE"))).ok()


async def told(vtn: VtnUnderTest, receiver: Subscriber, caller: Session, program: Any) -> None:
    """Make changes of every kind and wait until the receiver has heard of the last one."""
    business = vtn.bl
    targets = [{"type": "GROUP", "values": ["g"]}, {"type": "VEN_NAME", "values": ["v"]}]
    event = {"programID": program["id"], "targets": targets, "intervals": []}
    made = (await business.on_301.post("/events", event)).ok(201)
    report = {"programID": program["id"], "eventID": made["id"], "clientName": "m", "resources": []}
    (await caller.on_301.post("/reports", report)).ok(201)
    (await business.put(f"/events/{made['id']}", {"programID": program["id"], "targets": ["g"]})).ok()
    (await business.delete(f"/events/{made['id']}")).ok()
    await wait_until(lambda: len(receiver.got) >= 5)


async def test_a_webhook_is_told_in_the_words_of_its_face(start_vtn: StartVtn, receiver: Subscriber) -> None:
    """V301-040, WEBHOOK-033: objects and operations of 3.0.1, whoever made the change and on whichever face."""
    vtn = await start_vtn(webhook=ALLOWED, notify={"dispatch": True})
    business, home = vtn.bl, vtn.home()
    await business.ven_for(home, ["g"])
    program = await business.program()
    every = document(
        program, "CREATE", "UPDATE", "DELETE", objects=("EVENT", "REPORT", "SUBSCRIPTION"), url=receiver.url
    )
    (await home.on_301.post("/subscriptions", every)).ok(201)

    (health,) = (await business.get("/subscription_health")).ok()
    assert health["protocol"] == "OpenADR 3.0.1"

    await told(vtn, receiver, home, program)

    assert [(one["operation"], one["objectType"]) for one in receiver.got] == [
        ("POST", "EVENT"),
        ("POST", "REPORT"),
        ("PUT", "EVENT"),
        ("DELETE", "REPORT"),
        ("DELETE", "EVENT"),
    ]
    created, reported, changed, _, deleted = receiver.got
    typed = [{"type": "GROUP", "values": ["g"]}]
    assert created["object"]["targets"] == created["targets"] == typed
    assert changed["object"]["targets"] == deleted["object"]["targets"] == typed
    assert reported["object"]["programID"] == program["id"]
    assert "clientID" not in reported["object"]


async def test_a_webhook_made_on_31_is_told_as_ever(start_vtn: StartVtn, receiver: Subscriber) -> None:
    """V301-040: a PUT on 3.0.1 does not change the face of a subscription."""
    vtn = await start_vtn(webhook=ALLOWED, notify={"dispatch": True})
    business, home = vtn.bl, vtn.home()
    await business.ven_for(home, ["g"])
    program = await business.program()
    every = document(program, "CREATE", "UPDATE", "DELETE", objects=("EVENT", "REPORT"), url=receiver.url)
    made = (await home.post("/subscriptions", every)).ok(201)
    (await home.on_301.put(f"/subscriptions/{made['id']}", every)).ok()

    await told(vtn, receiver, home, program)

    assert [one["operation"] for one in receiver.got] == ["CREATE", "CREATE", "UPDATE", "DELETE", "DELETE"]
    assert receiver.got[0]["object"]["targets"] == ["g"]
    assert receiver.got[1]["object"]["clientID"] == home.client_id


async def test_what_legacy_privacy_tells_ends_with_it(start_vtn: StartVtn) -> None:
    """V301-007: by the setting of now, on 3.0.1 only; a subscription that is widened on 3.1 is told what a VEN sees."""
    legacy, strict = await start_vtn(v301={"privacy": "legacy"}, webhook=LAB), await start_vtn(webhook=LAB)
    business, home, other = legacy.bl, legacy.home(), legacy.home()
    await business.ven_for(other, ["theirs"])
    program = await business.program()
    urls = [f"{HOOK}/{number}" for number in range(2)]
    made = [
        (await home.on_301.post("/subscriptions", document(program, "CREATE", url=url))).ok(201)["id"] for url in urls
    ]
    first, second = map(endpoint_id_of, made, urls)
    recorded = Recorded(legacy)

    async def told_of_an_event(vtn: VtnUnderTest, *targets: str) -> list[tuple[str, tuple[str, ...] | None]]:
        await recorded.new()
        await vtn.bl.event(program, targets=list(targets))
        return sorted((one.endpoint_id, one.held) for one in await recorded.new())

    assert await told_of_an_event(legacy, "theirs") == sorted([(first, None), (second, None)])
    assert await told_of_an_event(strict, "theirs") == []

    wide = document(program, "CREATE", url=f"{HOOK}/0")
    del wide["programID"]
    (await home.put(f"/subscriptions/{made[0]}", wide)).ok()
    assert await told_of_an_event(legacy, "theirs") == [(second, None)]
    assert await told_of_an_event(strict, "theirs") == []
    assert await told_of_an_event(strict) == sorted([(first, ()), (second, ())])


async def test_the_role_of_an_owner_is_that_of_its_last_write(start_vtn: StartVtn) -> None:
    """SUBS-010: who is business logic no more is told what a VEN sees, once it puts its subscription again."""
    vtn = await start_vtn(webhook=LAB)
    program = await vtn.bl.program()
    was = vtn.caller(Role.BL)
    made = (await was.post("/subscriptions", document(program, "CREATE"))).ok(201)
    recorded = Recorded(vtn)
    (
        await vtn.caller(Role.VEN, client_id=was.client_id).put(
            f"/subscriptions/{made['id']}", document(program, "CREATE")
        )
    ).ok()
    await recorded.new()

    await vtn.bl.event(program, targets=["theirs"])

    assert await recorded.new() == []


async def test_callbacks_are_verified_unless_the_operator_says_otherwise(
    start_vtn: StartVtn, receiver: Subscriber
) -> None:
    """V301-043: https and the echo are asked for on 3.0.1 too; `v301.legacy_webhooks` waives both, there only."""
    strict = await start_vtn(webhook={"allowed": ["127.0.0.1"]})
    program = await strict.bl.program()
    plain = document(program, "CREATE", url=receiver.url)
    assert "expected an https URL" in (await strict.home().on_301.post("/subscriptions", plain)).problem(400)

    vtn = await start_vtn(webhook={"allowed": ["127.0.0.1"]}, notify={"dispatch": True}, v301={"legacy_webhooks": True})
    home = vtn.home()
    made = (await home.on_301.post("/subscriptions", plain)).ok(201)
    assert receiver.requests == []
    event = await vtn.bl.event(program)
    await wait_until(lambda: len(receiver.got) == 1)
    assert receiver.got[0]["object"]["id"] == event["id"]
    assert "expected an https URL" in (await home.post("/subscriptions", plain)).problem(400)
    (await home.on_301.put(f"/subscriptions/{made['id']}", plain)).ok()
    private = document(program, "CREATE", url="http://10.0.0.1/hook")
    assert "may not go to" in (await home.on_301.post("/subscriptions", private)).problem(400)
