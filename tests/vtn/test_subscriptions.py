"""Subscriptions as objects: /subscriptions (requirements section 7)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from sqlalchemy import func, select

from tests.support.pki import Pki, server_context
from tests.vtn.conftest import StartVtn
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.receiver import Receiver, echoing
from vtn.store import tables

PUBLIC = "https://a.example/"
LOCAL = {"require_https": False, "allowed": ["127.0.0.1"]}


def entry(url: str = "", **members: Any) -> dict[str, Any]:
    """One entry of ``objectOperations``."""
    return {"objects": ["EVENT"], "operations": ["CREATE"], "callbackUrl": url} | members


def document(*entries: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A subscription to write."""
    return {"clientName": "c", "objectOperations": list(entries)} | members


async def subscribed(caller: Session, *entries: dict[str, Any], **members: Any) -> Any:
    """A stored subscription."""
    return (await caller.post("/subscriptions", document(*entries, **members))).ok(201)


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that echoes."""
    receiver = Receiver()
    await receiver.start()
    yield receiver
    await receiver.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def local(start_vtn: StartVtn) -> VtnUnderTest:
    """A VTN that may call receivers on this machine."""
    return await start_vtn(webhook=LOCAL)


async def test_a_client_of_either_role_subscribes(local: VtnUnderTest, receiver: Receiver) -> None:
    """SUBS-001, SUBS-002, M17: the owner is the caller, and what was sent comes back, tokens included."""
    for caller in (local.bl, local.home()):
        sent = document(entry(receiver.url, bearerToken="t"), targets=["g", "g", "h"], clientID="somebody-else")
        answer = await caller.post("/subscriptions", sent)
        made = answer.ok(201)

        assert made["clientID"] == caller.client_id
        assert made["objectType"] == "SUBSCRIPTION"
        assert made["targets"] == ["g", "h"]
        assert made["objectOperations"] == [entry(receiver.url, bearerToken="t")]
        assert "programID" not in made
        assert answer.headers["Location"].endswith(f"/subscriptions/{made['id']}")
        assert (await caller.get(f"/subscriptions/{made['id']}")).ok() == made


async def test_operations_are_echoed_in_the_words_that_were_sent(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """SUBS-007 as ruled, COMPAT-034."""
    vtn = await start_vtn(webhook=LOCAL | {"verify_echo": False})
    words = ["CREATE", "READ", "UPDATE", "DELETE", "POST", "GET", "PUT", "DELETE"]

    with vtn.extensions(r'operations\.\d+: "(POST|GET|PUT|DELETE)" is not one of'):
        made = await subscribed(vtn.bl, entry("http://127.0.0.1:1/", operations=words))

    assert made["objectOperations"][0]["operations"] == words


async def test_empty_lists_are_accepted(local: VtnUnderTest, receiver: Receiver) -> None:
    """SUBS-006."""
    made = await subscribed(local.bl, entry(receiver.url, objects=[], operations=[]))

    assert made["objectOperations"] == [entry(receiver.url, objects=[], operations=[], bearerToken=None)]
    assert (await subscribed(local.bl))["objectOperations"] == []


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"clientName": None}, "clientName"),
        ({"clientName": ""}, "clientName"),
        ({"objectOperations": None}, "objectOperations"),
        ({"objectOperations": [{"objects": [], "operations": []}]}, "objectOperations[0].callbackUrl"),
        ({"objectOperations": [entry(PUBLIC) | {"objects": None}]}, "objectOperations[0].objects"),
        ({"objectOperations": [entry(PUBLIC, objects=["THING"])]}, "objectOperations[0].objects[0]"),
        ({"objectOperations": [entry(PUBLIC, operations=["PATCH"])]}, "objectOperations[0].operations[0]"),
        ({"objectOperations": [entry(PUBLIC, bearerToken="t" * 4097)]}, "objectOperations[0].bearerToken"),
        ({"objectOperations": [entry("/hook")]}, "objectOperations[0].callbackUrl"),
        ({"objectOperations": [entry("http://a.example/")]}, "objectOperations[0].callbackUrl"),
        ({"targets": [""]}, "targets[0]"),
        ({"programID": "no/id"}, "programID"),
        ({"programID": "nonexistent"}, "programID"),
    ],
)  # fmt: skip
async def test_a_document_that_breaks_the_schema_is_refused(
    vtn: VtnUnderTest, members: dict[str, Any], named: str
) -> None:
    """SUBS-004, SUBS-005, OBJ-001, OBJ-003, OBJ-007: the member is named and nothing is stored."""
    bl = vtn.bl
    stored = await subscribed(bl)

    for answer in (
        await bl.post("/subscriptions", document() | members),
        await bl.put(f"/subscriptions/{stored['id']}", document() | members),
    ):
        assert answer.problem(400).startswith(f"{named}:")
    assert (await bl.get("/subscriptions")).ok() == [stored]


async def test_an_invisible_program_is_like_none(vtn: VtnUnderTest) -> None:
    """SUBS-004: the same text for hidden and missing programs; a visible one is accepted."""
    bl, home = vtn.bl, vtn.home()
    hidden = await bl.program(targets=["g"])
    expected = (await home.post("/subscriptions", document(programID="nonexistent"))).problem(400)

    assert (await home.post("/subscriptions", document(programID=hidden["id"]))).problem(400) == expected
    await bl.ven_for(home, ["g"])
    made = await subscribed(home, programID=hidden["id"])
    assert made["programID"] == hidden["id"]


async def test_identical_subscriptions_are_allowed(vtn: VtnUnderTest) -> None:
    """SUBS-009."""
    home = vtn.home()

    assert (await subscribed(home))["id"] != (await subscribed(home))["id"]


async def test_bearer_tokens_are_for_the_owner_only(local: VtnUnderTest, receiver: Receiver) -> None:
    """SUBS-011, COMPAT-050: to others the key is there and null, in lists, reads, and answers to their writes."""
    home, bl = local.home(), local.bl
    sent = entry(receiver.url, bearerToken="secret")
    made = await subscribed(home, sent)
    path = f"/subscriptions/{made['id']}"
    hidden = [sent | {"bearerToken": None}]

    assert (await bl.get(path)).ok()["objectOperations"] == hidden
    assert (await bl.get("/subscriptions")).ok()[0]["objectOperations"] == hidden
    assert (await bl.put(path, document(sent | {"bearerToken": "other"}))).ok()["objectOperations"] == hidden
    assert (await home.get(path)).ok()["objectOperations"] == [sent | {"bearerToken": "other"}]
    assert (await bl.delete(path)).ok()["objectOperations"] == hidden


async def test_business_logic_shares_no_tokens_either(local: VtnUnderTest, receiver: Receiver) -> None:
    """SUBS-011: two clients that see the same objects do not get the same answer, in whatever order they ask."""
    owner, other = local.bl, local.bl
    made = await subscribed(owner, entry(receiver.url, bearerToken="secret"))

    for path in ("/subscriptions", f"/subscriptions/{made['id']}"):
        for caller in (owner, other, owner, other):
            answer = await caller.get(path)
            assert (b"secret" in answer.raw) == (caller is owner)


async def test_who_cannot_see_a_token_does_not_lose_it(local: VtnUnderTest, receiver: Receiver) -> None:
    """SUBS-010, OBJ-013: business logic puts back what it read; the token goes to no other URL."""
    home, bl = local.home(), local.bl
    made = await subscribed(home, entry(receiver.url, bearerToken="secret"))
    path = f"/subscriptions/{made['id']}"
    read = (await bl.get(path)).ok()

    changed = read | {
        "clientName": "renamed",
        "objectOperations": [*read["objectOperations"], entry(receiver.url + "2")],
    }
    (await bl.put(path, changed)).ok()

    kept = (await home.get(path)).ok()
    assert kept["clientName"] == "renamed"
    assert [one["bearerToken"] for one in kept["objectOperations"]] == ["secret", None]
    assert kept["clientID"] == home.client_id
    assert (await home.put(path, document(entry(receiver.url)))).ok()["objectOperations"][0]["bearerToken"] is None


async def test_tags_belong_to_what_the_reader_sees(local: VtnUnderTest, receiver: Receiver) -> None:
    """ETAG-001, ETAG-004: If-Match works for who reads it, although others read other bytes."""
    home, bl = local.home(), local.bl
    made = await subscribed(home, entry(receiver.url, bearerToken="secret"))
    path = f"/subscriptions/{made['id']}"
    tags = {caller: (await caller.get(path)).headers["ETag"] for caller in (home, bl)}
    assert tags[home] != tags[bl]

    (await bl.ask("PUT", path, json=document(), headers={"If-Match": tags[home]})).problem(412)
    changed = await bl.ask("PUT", path, json=document(), headers={"If-Match": tags[bl]})
    changed.ok()
    (await home.ask("DELETE", path, headers={"If-Match": tags[home]})).problem(412)
    (await bl.ask("DELETE", path, headers={"If-Match": changed.headers["ETag"]})).ok()


async def test_subscriptions_are_filtered(local: VtnUnderTest, receiver: Receiver) -> None:
    """PAGE-022, SUBS-013: by program, by client name, and by the kinds of objects in any entry."""
    bl = local.bl
    program = await bl.program()
    events = await subscribed(bl, entry(receiver.url), entry(receiver.url, objects=["VEN", "REPORT"]))
    plain = await subscribed(bl, clientName="other", programID=program["id"])

    assert await bl.ids("/subscriptions") == [plain["id"], events["id"]]
    assert await bl.ids("/subscriptions", {"programID": program["id"]}) == [plain["id"]]
    assert await bl.ids("/subscriptions", {"clientName": "c"}) == [events["id"]]
    assert await bl.ids("/subscriptions", [("objects", "PROGRAM"), ("objects", "VEN")]) == [events["id"]]
    assert await bl.ids("/subscriptions", {"objects": "PROGRAM"}) == []
    assert await bl.ids("/subscriptions", {"skip": "1", "limit": "1"}) == [events["id"]]
    assert (await bl.get("/subscriptions", {"objects": "EVENT,VEN"})).problem(400).startswith("objects:")
    assert (await bl.get("/subscriptions", {"programID": "no/id"})).problem(400).startswith("programID:")


async def test_a_subscription_goes_with_its_program_and_stays_without_its_ven(vtn: VtnUnderTest) -> None:
    """PROG-012, SUBS-014, VEN-013."""
    bl, home = vtn.bl, vtn.home()
    program, ven = await bl.program(), await home.ven()
    bound, free = await subscribed(home, programID=program["id"]), await subscribed(home)

    (await home.delete(f"/vens/{ven['id']}")).ok()
    assert await home.ids("/subscriptions") == [free["id"], bound["id"]]
    (await bl.delete(f"/programs/{program['id']}")).ok()
    assert await home.ids("/subscriptions") == [free["id"]]


async def test_a_client_has_so_many_subscriptions_and_no_more(start_vtn: StartVtn) -> None:
    """SUBS-016: also when it asks for all of them at once; others are not affected, and deleting makes room."""
    vtn = await start_vtn(subscriptions={"max_per_client": 3})
    home = vtn.home()

    answers = await asyncio.gather(*(home.post("/subscriptions", document()) for _ in range(8)))

    assert sorted(answer.status for answer in answers) == [201] * 3 + [403] * 5
    made = await home.ids("/subscriptions")
    (await home.put(f"/subscriptions/{made[0]}", document(clientName="x"))).ok()
    await subscribed(vtn.home())
    (await home.delete(f"/subscriptions/{made[0]}")).ok()
    await subscribed(home)


async def test_two_servers_together_never_store_one_too_many(start_vtn: StartVtn) -> None:
    """SUBS-016: while it posts to both and deletes, a client never has more; each free place is given away once."""
    most = 5
    one, other = [await start_vtn(subscriptions={"max_per_client": most}) for _ in range(2)]
    home = one.home()
    doors = home, other.with_token(home.headers["Authorization"].removeprefix("Bearer "))
    program = await one.bl.program()
    mine = select(func.count()).where(tables.subscriptions.c.client_id == home.client_id)
    statuses = Counter[int]()
    seen: list[int] = []
    over = asyncio.Event()

    async def watch() -> None:
        while not over.is_set():
            rows = await one.server._database.rows(mine)
            seen.append(rows[0]["count_1"])

    async def post(door: Session) -> None:
        answer = await door.post("/subscriptions", document(programID=program["id"]))
        statuses[answer.status] += 1
        if answer.status == 201 and statuses[201] % 2:
            (await door.delete(f"/subscriptions/{answer.body['id']}")).ok()
            statuses[200] += 1

    watching = asyncio.create_task(watch())
    for _ in range(10):
        await asyncio.gather(*(post(door) for door in doors for _ in range(10)))
    over.set()
    await watching

    assert statuses.keys() == {200, 201, 403}
    assert statuses[201] - statuses[200] == len(await home.ids("/subscriptions")) == most
    assert max(seen) == most
    assert (await other.home().post("/subscriptions", document())).status == 201


async def test_what_changes_while_a_callback_is_asked_counts(start_vtn: StartVtn, receiver: Receiver) -> None:
    """SUBS-004, SUBS-016: the program hidden, gone, or the last place taken meanwhile; nothing more is stored."""
    vtn = await start_vtn(webhook=LOCAL, subscriptions={"max_per_client": 1})
    bl, home = vtn.bl, vtn.home()
    program = await bl.program(targets=["t"])
    ven = await bl.ven_for(home, ["t"])
    sent = document(entry(receiver.url), programID=program["id"])

    async def hides(request: web.Request) -> web.Response:
        (await bl.put(f"/vens/{ven['id']}", {"clientID": home.client_id, "venName": "n", "targets": []})).ok()
        return await echoing(request)

    async def takes_the_place(request: web.Request) -> web.Response:
        await subscribed(home)
        return await echoing(request)

    async def deletes(request: web.Request) -> web.Response:
        (await bl.delete(f"/programs/{program['id']}")).ok()
        return await echoing(request)

    receiver.answering = hides
    assert (await home.post("/subscriptions", sent)).problem(400).startswith("programID:")
    assert await home.ids("/subscriptions") == []
    (await bl.put(f"/vens/{ven['id']}", {"clientID": home.client_id, "venName": "n", "targets": [ven["id"], "t"]})).ok()
    receiver.answering = takes_the_place
    (await home.post("/subscriptions", sent)).problem(403)
    [taken] = await home.ids("/subscriptions")
    receiver.answering = hides
    assert (await home.put(f"/subscriptions/{taken}", sent)).problem(400).startswith("programID:")
    receiver.answering = deletes
    assert (await bl.post("/subscriptions", sent)).problem(400).startswith("programID:")
    assert (await home.get(f"/subscriptions/{taken}")).ok()["objectOperations"] == []
    assert await bl.ids("/subscriptions") == [taken]


async def test_a_program_is_seen_by_every_kind_of_grant(start_vtn: StartVtn) -> None:
    """SUBS-004, PRIV-003, PRIV-005: no target, the ven's id, targets of the ven or of its resources, and no others."""
    vtn = await start_vtn()
    bl, home = vtn.bl, vtn.home()
    open_to_all = await bl.program()
    made = await subscribed(home, programID=open_to_all["id"])
    path = f"/subscriptions/{made['id']}"
    ven = await bl.ven_for(home, ["of-ven", "more"])
    stranger = await bl.ven_for(vtn.home(), ["of-other"])
    resource = {"resourceName": "r", "clientID": home.client_id, "venID": ven["id"], "targets": ["of-resource"]}
    (await bl.post("/resources", resource)).ok(201)

    for target, seen in ((ven["id"], True), ("of-ven", True), ("of-resource", True), ("of-other", False),
                         (stranger["id"], False), ("of", False)):  # fmt: skip
        program = await bl.program(targets=["x", target])
        for answer in (
            await home.post("/subscriptions", document(programID=program["id"])),
            await home.put(path, document(programID=program["id"])),
        ):
            assert (answer.status < 300) == seen, target


async def test_a_put_meets_what_was_changed_while_a_callback_is_asked(local: VtnUnderTest, receiver: Receiver) -> None:
    """SUBS-010, ETAG-004, SUBS-003: its condition, the tokens it must not lose, and the object itself are looked at."""
    home, bl = local.home(), local.bl
    known = entry(receiver.url, bearerToken="first")
    made = await subscribed(home, known)
    path = f"/subscriptions/{made['id']}"
    numbers = count(2)

    def put(**headers: str) -> Any:
        sent = document(entry(receiver.url), entry(f"{receiver.url}{next(numbers)}"))
        return bl.ask("PUT", path, json=sent, headers=headers)

    async def changes(request: web.Request) -> web.Response:
        (await home.put(path, document(known | {"bearerToken": "second"}))).ok()
        return await echoing(request)

    async def deletes(request: web.Request) -> web.Response:
        (await home.delete(path)).ok()
        return await echoing(request)

    receiver.answering = changes
    (await put(**{"If-Match": (await bl.get(path)).headers["ETag"]})).problem(412)
    assert len((await home.get(path)).ok()["objectOperations"]) == 1
    answer = (await put()).ok()
    assert [one["bearerToken"] for one in (await home.get(path)).ok()["objectOperations"]] == ["second", None]
    assert answer["modificationDateTime"] == (await home.get(path)).ok()["modificationDateTime"]
    receiver.requests.clear()
    (await put(**{"If-Match": '"another"'})).problem(412)
    assert receiver.requests == []
    receiver.answering = deletes
    (await put()).problem(404)


async def test_of_many_changes_of_one_subscription_every_one_is_made(vtn: VtnUnderTest, start_vtn: StartVtn) -> None:
    """COMPAT-044: each has its own date; one that comes too late looks again."""
    home = vtn.home()
    elsewhere = (await start_vtn()).with_token(home.headers["Authorization"].removeprefix("Bearer "))
    path = f"/subscriptions/{(await subscribed(home))['id']}"

    answers = await asyncio.gather(*(who.put(path, document()) for who in (home, elsewhere) for _ in range(10)))

    dates = {answer.ok()["modificationDateTime"] for answer in answers}
    assert len(dates) == 20
    assert (await home.get(path)).ok()["modificationDateTime"] == max(dates)


async def test_a_url_is_asked_to_echo_before_anything_is_stored(local: VtnUnderTest, receiver: Receiver) -> None:
    """WEBHOOK-002, WEBHOOK-003, WEBHOOK-006, WEBHOOK-007: each URL once, its own query kept, with its token."""
    url = receiver.url + "?key=a%20b"

    await subscribed(
        local.home(), entry(url, bearerToken="t"), entry(url, objects=["PROGRAM"]), entry(receiver.url + "2")
    )

    first, second = sorted(receiver.requests, key=lambda request: request.path)
    assert (first.method, first.query["key"]) == ("GET", "a b")
    assert first.headers["Authorization"] == "Bearer t"
    assert "Authorization" not in second.headers
    assert len(first.query["echo"]) >= 22
    assert first.query["echo"] != second.query["echo"]


async def test_known_urls_are_not_asked_again(local: VtnUnderTest, receiver: Receiver) -> None:
    """WEBHOOK-006, SUBS-010: a PUT verifies the URLs that are new, and changes nothing if one fails."""
    home = local.home()
    made = await subscribed(home, entry(receiver.url))
    path = f"/subscriptions/{made['id']}"
    receiver.requests.clear()

    (await home.put(path, document(entry(receiver.url), clientName="x"))).ok()
    assert receiver.requests == []
    (await home.put(path, document(entry(receiver.url), entry(receiver.url + "2")))).ok()
    assert [request.path for request in receiver.requests] == ["/hook2"]

    receiver.answering = _not_found
    stored = (await home.get(path)).ok()
    failed = await home.put(path, document(entry(receiver.url), entry(receiver.url + "3")))
    assert failed.problem(400).startswith("objectOperations[1].callbackUrl:")
    assert (await home.get(path)).ok() == stored


async def test_nobody_is_called_for_a_subscription_that_cannot_be(start_vtn: StartVtn, receiver: Receiver) -> None:
    """GEN-009: role, existence, references and room come before the callback."""
    vtn = await start_vtn(webhook=LOCAL, subscriptions={"max_per_client": 0})
    home = vtn.home()

    (await home.post("/subscriptions", document(entry(receiver.url)))).problem(403)
    (await home.put("/subscriptions/nonexistent", document(entry(receiver.url)))).problem(404)
    vtn = await start_vtn(webhook=LOCAL)
    (await vtn.home().post("/subscriptions", document(entry(receiver.url), programID="nonexistent"))).problem(400)

    assert receiver.requests == []


async def _not_found(request: web.Request) -> web.Response:
    return web.Response(status=404, text=request.query["echo"])


async def _created(request: web.Request) -> web.Response:
    return web.Response(status=201, text=request.query["echo"])


async def _redirected(request: web.Request) -> web.Response:
    return web.Response(
        status=302, headers={"Location": f"/elsewhere?{request.query_string}"}, text=request.query["echo"]
    )


async def _page(request: web.Request) -> web.Response:
    return web.Response(text=f"<p>{request.query['echo']}</p>")


async def _long(request: web.Request) -> web.Response:
    return web.Response(text=request.query["echo"] + " " * 5000)


async def _other_member(request: web.Request) -> web.Response:
    return web.json_response({"value": request.query["echo"]})


async def _nested(request: web.Request) -> web.Response:
    return web.Response(text="[" * 4000)


async def _hangs_up(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize(
    "answering", [_not_found, _created, _redirected, _page, _long, _other_member, _nested, _hangs_up]
)
async def test_a_url_that_does_not_echo_is_refused(local: VtnUnderTest, receiver: Receiver, answering: Any) -> None:
    """WEBHOOK-004, WEBHOOK-005, WEBHOOK-027: the URL is named, what it answered is not shown, nothing is stored."""
    receiver.answering = answering
    home = local.home()

    detail = (await home.post("/subscriptions", document(entry(receiver.url)))).problem(400)

    assert detail.startswith(f"objectOperations[0].callbackUrl: {receiver.url} ")
    assert receiver.requests[0].query["echo"] not in detail
    assert (await home.get("/subscriptions")).ok() == []
    assert {request.path for request in receiver.requests} == {"/hook"}


async def _spaced(request: web.Request) -> web.Response:
    return web.Response(text=f"\r\n {request.query['echo']}\n")


async def _quoted(request: web.Request) -> web.Response:
    return web.json_response(request.query["echo"])


async def _member(request: web.Request) -> web.Response:
    return web.json_response({"echo": request.query["echo"], "more": 1})


@pytest.mark.parametrize("answering", [_spaced, _quoted, _member])
async def test_the_value_may_come_back_as_text_or_json(local: VtnUnderTest, receiver: Receiver, answering: Any) -> None:
    """WEBHOOK-004, R-32."""
    receiver.answering = answering

    await subscribed(local.home(), entry(receiver.url))


async def test_a_url_that_does_not_answer_is_refused_after_a_while(start_vtn: StartVtn, receiver: Receiver) -> None:
    """WEBHOOK-005: nobody listens, or nobody answers."""
    vtn = await start_vtn(webhook=LOCAL | {"timeout_s": 1})
    released = asyncio.Event()

    async def silent(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    receiver.answering = silent
    detail = (await vtn.home().post("/subscriptions", document(entry(receiver.url)))).problem(400)
    released.set()
    assert "did not answer in time" in detail
    await receiver.stop()
    detail = (await vtn.home().post("/subscriptions", document(entry(receiver.url)))).problem(400)
    assert "cannot be reached" in detail


async def test_a_receivers_certificate_is_verified(start_vtn: StartVtn, pki: Pki) -> None:
    """WEBHOOK-028: refused with an unknown authority, accepted with one that the operator names."""
    receiver = Receiver()
    await receiver.start(tls=server_context(pki.server()))
    try:
        stranger = await start_vtn(webhook={"allowed": ["127.0.0.0/8"]})
        detail = (await stranger.home().post("/subscriptions", document(entry(receiver.url)))).problem(400)
        assert "certificate" in detail
        assert receiver.requests == []

        friend = await start_vtn(webhook={"allowed": ["127.0.0.0/8"], "ca_file": str(pki.ca)})
        await subscribed(friend.home(), entry(receiver.url))
    finally:
        await receiver.stop()


async def test_so_many_urls_and_no_more(start_vtn: StartVtn, receiver: Receiver) -> None:
    """One subscription cannot make the server call everybody; known URLs do not count again."""
    vtn = await start_vtn(webhook=LOCAL | {"max_urls": 2})
    entries = [entry(f"{receiver.url}{number}") for number in range(3)]

    assert (await vtn.home().post("/subscriptions", document(*entries))).problem(400).startswith("objectOperations:")
    assert receiver.requests == []
    await subscribed(vtn.home(), *entries[:2])
