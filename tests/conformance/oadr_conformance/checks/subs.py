"""SUBS: subscriptions as objects (what they deliver is seen elsewhere)."""

from __future__ import annotations

from oadr_conformance import bodies
from oadr_conformance.bodies import NOBODYS_ID
from oadr_conformance.errors import Skipped
from oadr_conformance.probe import Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.wire import Obj

area = Area("API description: subscriptionRequest; Definition: Subscriptions")


@area.each("SUBS-001 SUBS-002 COMPAT-048", {"a VEN": "ven", "BL": "bl"}, needs="ven callback")
async def create(t: Probe, who: str) -> None:
    """VENs and business logic subscribe: 201 with the clientID of the caller."""
    actor, name = t.bl if who == "bl" else t.ven, t.name("client")
    await t.ready(actor)
    token = {"bearerToken": "t"} if t.profile.rulings else {}  # whether answers have it is R-26
    entry = bodies.operation(t.callback_url, **token)
    answer = await actor.post("/subscriptions", {"clientName": name, "objectOperations": [entry]})
    obj = answer.expect(201).object()
    answer.has(objectType="SUBSCRIPTION", clientName=name, objectOperations=[entry])
    client = t.ven.client_id if who == "ven" else None
    got = obj.get("clientID")
    answer.true(got == client if client else got, "the clientID of the caller", got)


@area.each("SUBS-002", {method: method for method in ("GET", "PUT", "DELETE")}, needs="ven")
async def business_logic_may_all(t: Probe, method: str) -> None:
    """Business logic reads, changes and deletes any subscription."""
    subscription = await t.subscription(t.ven)
    body = t.subscription_body() if method == "PUT" else None
    (await t.bl.send(method, f"/subscriptions/{subscription['id']}", body=body)).expect(200)


OTHERS: dict[str, tuple[str, str]] = {
    f"{method} that of {who}": (method, name)
    for who, name in (("another VEN", "ven2"), ("BL", "bl"))
    for method in ("GET", "PUT", "DELETE")
}


@area.each("SUBS-003", OTHERS, needs="ven ven2")
async def of_another_client(t: Probe, case: tuple[str, str]) -> None:
    """A subscription of another client, also one of business logic, is 404 to a VEN."""
    method, owner = case
    subscription = await t.subscription(t.bl if owner == "bl" else t.ven2)
    body = t.subscription_body() if method == "PUT" else None
    (await t.ven.send(method, f"/subscriptions/{subscription['id']}", body=body)).expect(404, allowed=(403,))
    answer = await t.bl.get(f"/subscriptions/{subscription['id']}")
    answer.same("the subscription", answer.expect(200).object(), subscription)


@area.check("SUBS-004", needs="ven")
async def unknown_program(t: Probe) -> None:
    """A subscription for an unknown program, or one the VEN may not see, is 400 naming programID."""
    hidden = await t.program(targets=[t.name("target")])
    for program_id in (NOBODYS_ID, hidden["id"]):
        answer = await t.ven.post("/subscriptions", t.subscription_body(programID=program_id))
        detail = str(answer.expect(400).object().get("detail"))
        answer.true("programID" in detail, "a detail that names programID", detail)


@area.check("SUBS-004", needs="ven callback")
async def program_is_optional(t: Probe) -> None:
    """programID may be left out, and comes back where it was given."""
    await t.ready(t.ven)
    url = t.callback_url
    answer = await t.ven.post("/subscriptions", bodies.subscription(t.name("client"), url))
    answer.true(answer.expect(201).object().get("programID") is None, "no programID", answer.text)
    program = await t.program()
    answer = await t.ven.post("/subscriptions", bodies.subscription(t.name("client"), url, programID=program["id"]))
    answer.expect(201)
    answer.has(programID=program["id"])


@area.each("SUBS-005", {"clientName": "clientName", "objectOperations": "objectOperations"}, needs="ven")
async def incomplete(t: Probe, member: str) -> None:
    """A subscription without clientName or objectOperations is 400."""
    await t.ready(t.ven)
    body = {key: value for key, value in t.subscription_body().items() if key != member}
    (await t.ven.post("/subscriptions", body)).expect(400)


@area.each("SUBS-005", {name: name for name in ("objects", "operations", "callbackUrl")}, needs="ven callback")
async def incomplete_entry(t: Probe, member: str) -> None:
    """An entry without objects, operations or callbackUrl is 400."""
    await t.ready(t.ven)
    entry = {key: value for key, value in bodies.operation(t.callback_url).items() if key != member}
    body = bodies.subscription(t.name("client"), objectOperations=[entry])
    (await t.ven.post("/subscriptions", body)).expect(400)


@area.each("SUBS-006", {"objectOperations": None, "objects": "objects", "operations": "operations"}, needs="callback")
async def empty_lists(t: Probe, member: str | None) -> None:
    """Empty lists of entries, objects and operations are accepted; such a subscription never fires."""
    entries: list[Obj] = [bodies.operation(t.callback_url) | {member: []}] if member else []
    answer = await t.bl.post("/subscriptions", bodies.subscription(t.name("client"), objectOperations=entries))
    got = answer.expect(201).object()["objectOperations"]
    answer.same("the number of entries", len(got), len(entries))


WORDS = {
    "CRUD words": ["CREATE", "UPDATE", "DELETE"],
    "READ": ["READ"],
    "HTTP words": ["POST", "GET", "PUT", "DELETE"],
    "both": ["CREATE", "PUT"],
}


@area.each("SUBS-007 COMPAT-034", WORDS, needs="ven callback")
async def operation_words(t: Probe, words: list[str]) -> None:
    """Operations may be named CREATE, READ, UPDATE, DELETE or POST, GET, PUT, DELETE; they come back as sent."""
    await t.ready(t.ven)
    entry = bodies.operation(t.callback_url, operations=words)
    answer = await t.ven.post("/subscriptions", bodies.subscription(t.name("client"), objectOperations=[entry]))
    got = answer.expect(201).object()["objectOperations"][0]["operations"]
    answer.same("operations", got, words)


@area.each("SUBS-007", {word: word for word in ("PATCH", "create", "")}, needs="callback")
async def other_operation_words(t: Probe, word: str) -> None:
    """Any other operation is 400."""
    entry = bodies.operation(t.callback_url, operations=[word])
    answer = await t.bl.post("/subscriptions", bodies.subscription(t.name("client"), objectOperations=[entry]))
    answer.expect(400)


@area.check("SUBS-009", needs="ven")
async def twice(t: Probe) -> None:
    """Identical subscriptions are allowed: 201 both times."""
    body = t.subscription_body()
    first = (await t.ven.post("/subscriptions", body)).expect(201).object()
    answer = await t.ven.post("/subscriptions", body)
    answer.true(answer.expect(201).object()["id"] != first["id"], "a second subscription", first["id"])


@area.each("SUBS-010", {"the owner": "ven", "BL": "bl"}, needs="ven")
async def change(t: Probe, who: str) -> None:
    """The owner or business logic changes a subscription; clientID stays that of the owner."""
    subscription = await t.subscription(t.ven)
    actor = t.bl if who == "bl" else t.ven
    name, other = t.name("client"), {"clientID": "somebody"} if t.profile.rulings else {}
    body = t.subscription_body(clientName=name, **other)
    answer = await actor.put(f"/subscriptions/{subscription['id']}", body)
    answer.expect(200)
    answer.has(clientName=name, clientID=subscription["clientID"])


@area.check("SUBS-011 COMPAT-050", needs="ven callback")
async def bearer_token(t: Probe) -> None:
    """The bearerToken is shown to the owner, to others as null: it opens the owner's door."""
    entry = bodies.operation(t.callback_url, bearerToken="secret-of-the-owner")
    subscription = await t.subscription(t.ven, objectOperations=[entry])
    path = f"/subscriptions/{subscription['id']}"
    answer = await t.ven.get(path)
    answer.same(
        "it for the owner", answer.expect(200).object()["objectOperations"][0]["bearerToken"], entry["bearerToken"]
    )
    for where, query in ((path, {}), ("/subscriptions", {"clientName": subscription["clientName"]})):
        answer = await t.bl.get(where, query)
        answer.true("secret-of-the-owner" not in answer.expect(200).text, "no token for BL", "the owner's token")
        value = answer.json()
        entries = (value[0] if isinstance(value, list) else value)["objectOperations"]
        answer.true(entries[0].get("bearerToken", "absent") is None, "bearerToken: null", entries[0])


@area.each("SUBS-012", {"held": True, "not held": False}, needs="ven callback")
async def targets(t: Probe, held: bool) -> None:
    """targets of a subscription come back as written, also those the VEN does not hold."""
    wanted = [t.name("target"), t.name("target")]
    await t.enrol(t.ven, targets=wanted if held else [t.name("target")])
    body = bodies.subscription(t.name("client"), t.callback_url, targets=wanted)
    answer = await t.ven.post("/subscriptions", body)
    answer.expect(201)
    answer.has(targets=wanted)


@area.check("SUBS-014", needs="ven")
async def stays_without_ven(t: Probe) -> None:
    """Deleting a client's ven does not delete its subscriptions."""
    ven = await t.enrol(t.ven)
    subscription = await t.subscription(t.ven)
    (await t.bl.delete(f"/vens/{ven['id']}")).expect(200)
    (await t.ven.get(f"/subscriptions/{subscription['id']}")).expect(200)


@area.check("SUBS-016", SHOULD, needs="ven")
async def enough_is_enough(t: Probe) -> None:
    """A client has a limited number of subscriptions (100 unless configured); one more is 403."""
    for _ in range(100):
        await t.subscription(t.ven)
    (await t.ven.post("/subscriptions", t.subscription_body())).expect(403)


@area.each(
    "WEBHOOK-001",
    {"http": "http://example.com/x", "ftp": "ftp://example.com/x"},
    needs="ven",
    section="Definition: Webhooks",
)
async def https_only(t: Probe, url: str) -> None:
    """A callback URL of another scheme than https is 400, on POST and on PUT."""
    if not t.profile.require_https:
        raise Skipped("applies where webhook.require_https is on")
    body = bodies.subscription(t.name("client"), objectOperations=[bodies.operation(url)])
    subscription = await t.subscription(t.ven)
    (await t.ven.post("/subscriptions", body)).expect(400, allowed=(403, 422))
    (await t.ven.put(f"/subscriptions/{subscription['id']}", body)).expect(400, allowed=(403, 422))
