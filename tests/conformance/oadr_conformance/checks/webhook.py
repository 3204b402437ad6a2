"""WEBHOOK: the challenge before a subscription exists, and what the VTN sends to a callback."""

from __future__ import annotations

import json
import re
from typing import Final

from oadr_conformance import bodies
from oadr_conformance.callbacks import Challenged, LabCallback, Reply
from oadr_conformance.changes import CHANGES, CREATED, Change, heard
from oadr_conformance.errors import Skipped
from oadr_conformance.probe import Probe
from oadr_conformance.registry import SHOULD, Area
from oadr_conformance.wire import VtnAnswer

area = Area("Definition: Webhooks, Subscriptions; API description: notifyEvent, notification")

_REFUSED: Final = (403, 404, 409, 422)
_UNGUESSABLE: Final = re.compile(r"[A-Za-z0-9_-]{22,}")


def _challenging(t: Probe) -> None:
    if not t.profile.verify_echo:
        raise Skipped("applies where webhook.verify_echo is on")


async def _subscribe(t: Probe, *urls: str, **members: object) -> VtnAnswer:
    await t.ready(t.ven)
    entries = [bodies.operation(url, **members) for url in urls]
    return await t.ven.post("/subscriptions", bodies.subscription(t.name("client"), objectOperations=entries))


def _called(answer: VtnAnswer, callback: LabCallback, *, of: int = 1) -> None:
    """The URL was asked before the answer came."""
    number = len(callback.values)
    answer.true(
        number >= of, "a GET of the callback URL with the parameter echo before the subscription exists", number
    )


@area.check("WEBHOOK-002", needs="ven receiver")
async def challenge(t: Probe) -> None:
    """Before a subscription exists, its URL is asked by GET to send back a value; its own query stays."""
    _challenging(t)
    callback = t.callback()
    answer = await _subscribe(t, f"{callback.url}?building=7&floor=")
    answer.expect(201)
    _called(answer, callback)
    asked = callback.challenges[0].url
    answer.true("building=7" in asked and "floor=" in asked, "the query of the callback URL, and echo after it", asked)


@area.check("WEBHOOK-003", needs="ven receiver")
async def challenges_differ(t: Probe) -> None:
    """Each verification has a value of its own, which nobody can guess."""
    _challenging(t)
    callback = t.callback()
    for _ in range(2):
        answer = await _subscribe(t, callback.url)
        answer.expect(201)
    _called(answer, callback, of=2)
    first, second = callback.values[0], callback.values[-1]
    answer.true(first and second and first != second, "another value each time", callback.values)


@area.check("WEBHOOK-003", needs="ven receiver")
async def values_are_long(t: Probe) -> None:
    """A value has at least 128 bits, in letters, digits, - and _."""
    _challenging(t)
    callback = t.callback()
    answer = await _subscribe(t, callback.url)
    _called(answer, callback)
    answer.true(_UNGUESSABLE.fullmatch(callback.values[0]), "22 or more of A-Z a-z 0-9 - _", callback.values[0])


PROOFS: Final[dict[str, Challenged]] = {
    "the value": lambda value: Reply(body=value),
    "the value as a line": lambda value: Reply(body=f" {value}\r\n"),
    "a JSON text": lambda value: Reply(body=json.dumps(value), headers={"Content-Type": "application/json"}),
    "a JSON object": lambda value: Reply(
        body=json.dumps({"echo": value}), headers={"Content-Type": "application/json"}
    ),
}


@area.each("WEBHOOK-004", PROOFS, needs="ven receiver")
async def good_echo(t: Probe, challenged: Challenged) -> None:
    """200 with the value in its body proves that the URL wants to be called."""
    _challenging(t)
    callback = t.callback(challenged=challenged)
    answer = await _subscribe(t, callback.url)
    answer.expect(201)
    _called(answer, callback)


FAILURES: Final[dict[str, Challenged]] = {
    "another value": lambda value: Reply(body=value[::-1] + "x"),
    "nothing": lambda _value: Reply(),
    "404": lambda _value: Reply(404, "not here"),
    "404 with the value": lambda value: Reply(404, value),
    "204": lambda _value: Reply(204),
    "a page with the value": lambda value: Reply(body=f"<html>You asked for {value}.</html>"),
    "a long page": lambda value: Reply(body=value + " " * 8192),
    "a list with the value": lambda value: Reply(body=json.dumps([value])),
}


@area.each("WEBHOOK-005 WEBHOOK-004", FAILURES, needs="ven receiver")
async def bad_echo(t: Probe, challenged: Challenged) -> None:
    """A URL that answers the challenge in another way is refused, and no subscription exists."""
    _challenging(t)
    callback = t.callback(challenged=challenged)
    name = t.name("client")
    await t.ready(t.ven)
    answer = await t.ven.post("/subscriptions", bodies.subscription(name, callback.url))
    answer.expect(400, allowed=_REFUSED)
    _called(answer, callback)
    found = await t.all(t.ven, "/subscriptions", {"clientName": name})
    t.same("subscriptions of that name", [one["clientName"] for one in found if one["clientName"] == name], [])


@area.check("WEBHOOK-005", needs="ven receiver")
async def redirected_echo(t: Probe) -> None:
    """A redirect is no proof, also if it leads to a URL that gives the value."""
    _challenging(t)
    elsewhere = t.callback()
    callback = t.callback(challenged=lambda value: Reply(302, headers={"Location": f"{elsewhere.url}?echo={value}"}))
    answer = await _subscribe(t, callback.url)
    answer.expect(400, allowed=_REFUSED)
    _called(answer, callback)
    t.same("calls of where it leads", len(elsewhere.values), 0)


@area.check("WEBHOOK-005", needs="ven receiver")
async def nobody_there(t: Probe) -> None:
    """A URL that nobody answers at is refused, and no subscription exists."""
    _challenging(t)
    callback = t.callback()
    gone = callback.url + "-gone"
    (await _subscribe(t, gone)).expect(400, allowed=_REFUSED)


@area.check("WEBHOOK-005", needs="ven receiver")
async def the_url_is_named(t: Probe) -> None:
    """The refusal is 400 and says which URL failed."""
    _challenging(t)
    good, bad = t.callback(), t.callback(challenged=lambda _value: Reply(404))
    answer = await _subscribe(t, good.url, bad.url)
    detail = str(answer.expect(400).object().get("detail"))
    answer.true(bad.url in detail and good.url not in detail, f"a detail that names {bad.url}", detail)


@area.check("WEBHOOK-005 SUBS-010", needs="ven receiver")
async def on_put(t: Probe) -> None:
    """A changed subscription is verified too; if a new URL fails, nothing is changed."""
    _challenging(t)
    good, bad = t.callback(), t.callback(challenged=lambda _value: Reply(404))
    subscription = await t.subscription(t.ven, objectOperations=[bodies.operation(good.url)])
    path, body = f"/subscriptions/{subscription['id']}", bodies.subscription(t.name("client"), bad.url)
    (await t.ven.put(path, body)).expect(400)
    answer = await t.ven.get(path)
    answer.same("the subscription", answer.expect(200).object(), subscription)


@area.check("WEBHOOK-006", needs="ven receiver")
async def every_url(t: Probe) -> None:
    """Every URL of a subscription is verified; one that fails is enough to refuse it."""
    _challenging(t)
    good, bad = t.callback(), t.callback(challenged=lambda _value: Reply(404))
    (await _subscribe(t, good.url, bad.url)).expect(400, allowed=_REFUSED)
    (await _subscribe(t, bad.url, good.url)).expect(400, allowed=_REFUSED)


@area.check("WEBHOOK-007", SHOULD, needs="ven receiver")
async def challenge_with_token(t: Probe) -> None:
    """The challenge carries the bearerToken of the entry."""
    _challenging(t)
    callback = t.callback()
    answer = await _subscribe(t, callback.url, bearerToken="token-of-the-lab")
    _called(answer, callback)
    got = callback.challenges[0].request_headers.get("Authorization")
    answer.same("Authorization of the challenge", got, "Bearer token-of-the-lab")


@area.check("WEBHOOK-027", needs="ven receiver")
async def nothing_leaks(t: Probe) -> None:
    """Show to nobody what a callback answers."""
    _challenging(t)
    callback = t.callback(challenged=lambda _value: Reply(500, "word-of-another-server"))
    answer = await _subscribe(t, callback.url)
    answer.true(
        "word-of-another-server" not in answer.expect(400).text, "nothing of what the URL answered", answer.text
    )


_INWARD: Final = {
    "link-local": "https://169.254.169.254/latest",
    "multicast": "https://224.0.0.1/",
    "unspecified": "https://0.0.0.0/",
    "reserved": "https://240.0.0.1/",
    "IPv6 link-local": "https://[fe80::1]/",
    "IPv6 unique local": "https://[fd00::1]/",
    "IPv4 in IPv6": "https://[::ffff:169.254.169.254]/",
}
_ODD: Final = {
    "a user": "https://user:word@example.com/x",
    "a fragment": "https://example.com/x#part",
    "port 22": "https://example.com:22/x",
    "port 6379": "https://example.com:6379/x",
}


@area.each("WEBHOOK-023", _INWARD, needs="ven")
async def inward_addresses(t: Probe, url: str) -> None:
    """A URL that leads to an address of no public host is refused."""
    if not t.profile.require_https:
        raise Skipped("applies where webhook.require_https is on")
    (await _subscribe(t, url)).expect(400)


@area.each("WEBHOOK-025", _ODD, needs="ven")
async def odd_urls(t: Probe, url: str) -> None:
    """A URL with a user, a fragment or the port of another service is refused."""
    if not t.profile.require_https:
        raise Skipped("applies where webhook.require_https is on")
    (await _subscribe(t, url)).expect(400)


@area.each("WEBHOOK-008 SUBS-020", CHANGES, needs="ven receiver")
async def notified(t: Probe, change: Change) -> None:
    """A change is POSTed to the callback as JSON: the type of the object, what happened to it, and the object."""
    callback = t.callback()
    told, _ = await heard(t, change, callback)
    told.true(told.exchange.method == "POST", "POST", told.exchange.method)
    got = told.exchange.request_headers.get("Content-Type", "")
    told.true(got.partition(";")[0].strip().lower() == "application/json", "Content-Type: application/json", got)
    told.is_of(change.kind.object_type, change.operation)


@area.each("WEBHOOK-012 WEBHOOK-013", CHANGES, needs="ven receiver")
async def as_read(t: Probe, change: Change) -> None:
    """The object is the one that the subscriber reads, metadata and all; after DELETE, as it was."""
    told, shown = await heard(t, change, t.callback())
    told.has_object(shown, change.operation)
    told.same("objectType of the notification", told.notification()["objectType"], change.kind.object_type)


@area.check("WEBHOOK-009", needs="ven receiver")
async def encoded_once(t: Probe) -> None:
    """The body is a JSON object, not a text that holds one."""
    told, _ = await heard(t, CREATED, t.callback())
    told.object()
    told.true(told.exchange.request_body.lstrip()[:1] == b"{", "a body that begins with {", told.text[:50])


@area.check("WEBHOOK-010", needs="ven receiver")
async def camel_case(t: Probe) -> None:
    """Names of members are those of the schema: objectType, not object_type."""
    told, _ = await heard(t, CREATED, t.callback())
    value = told.notification()
    told.true("objectType" in value["object"], "a member objectType of the object", value["object"])
    told.true("objectType" in value, "a member objectType; another spelling may stand beside it", value)


@area.each(
    "WEBHOOK-011 SUBS-007",
    {each.operation: each for each in CHANGES.values() if each.kind.name == "event"},
    needs="ven receiver",
)
async def words(t: Probe, change: Change) -> None:
    """Say CREATE, UPDATE or DELETE for what happened."""
    told, _ = await heard(t, change, t.callback())
    told.same("operation", told.notification()["operation"], change.operation)
