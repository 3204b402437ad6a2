"""WEBHOOK: how notifications are delivered: with whose token, how often, in what order, how soon."""

from __future__ import annotations

from typing import Final

from oadr_conformance.callbacks import Reply
from oadr_conformance.changes import CREATED, REMOVED, create_event, entry, heard
from oadr_conformance.probe import Probe
from oadr_conformance.registry import SHOULD, Area

area = Area("Definition: Webhooks, Subscriptions; API description: subscriptionRequest")

_SOON_S: Final = 2.0
_TOKEN: Final = "token-of-the-lab"


@area.check("WEBHOOK-015", needs="ven receiver")
async def bearer_token(t: Probe) -> None:
    """A notification carries the bearerToken of its entry."""
    callback = t.callback()
    await t.subscription(t.ven, objectOperations=[entry(callback, CREATED, bearerToken=_TOKEN)])
    event = await create_event(t, await t.program())
    told = await callback.told(event["id"])
    told.same("Authorization", told.exchange.request_headers.get("Authorization"), f"Bearer {_TOKEN}")


@area.check("WEBHOOK-015", needs="ven receiver")
async def no_token(t: Probe) -> None:
    """Without a bearerToken there is no Authorization, least of all with a token of the VTN."""
    told, _ = await heard(t, CREATED, t.callback())
    told.same("Authorization", told.exchange.request_headers.get("Authorization"), None)


@area.each("WEBHOOK-016", {str(status): status for status in (200, 201, 202, 204)}, needs="ven receiver")
async def any_success(t: Probe, status: int) -> None:
    """Any 2xx is a success: nothing is sent again, and the next notification follows."""
    callback = t.callback(notified=lambda _earlier: Reply(status))
    await t.subscription(t.ven, objectOperations=[entry(callback, CREATED)])
    program = await t.program()
    first, second = await create_event(t, program), await create_event(t, program)
    await callback.told(second["id"])
    t.same("how often the first came", len(callback.inbox.about(first["id"])), 1)


@area.check("WEBHOOK-016", needs="ven receiver")
async def redirects(t: Probe) -> None:
    """A redirect is not followed."""
    elsewhere = t.callback()
    callback = t.callback(notified=lambda _earlier: Reply(307, headers={"Location": elsewhere.url}))
    other = t.callback()
    await t.subscription(t.ven, objectOperations=[entry(callback, CREATED), entry(other, CREATED)])
    event = await create_event(t, await t.program())
    await callback.told(event["id"])
    await other.told(event["id"])
    await elsewhere.inbox.quiet_about(event["id"])


@area.each("WEBHOOK-018", {str(status): status for status in (500, 503)}, SHOULD, needs="ven receiver")
async def tried_again(t: Probe, status: int) -> None:
    """Send again what a callback could not take."""
    callback = t.callback(notified=lambda earlier: Reply(200 if earlier else status))
    await t.subscription(t.ven, objectOperations=[entry(callback, CREATED)])
    event = await create_event(t, await t.program())
    await callback.inbox.told_of(event["id"], number=2)


@area.each("WEBHOOK-020", {str(status): status for status in (400, 403, 404)}, needs="ven receiver")
async def refused_for_good(t: Probe, status: int) -> None:
    """Do not send again what a callback refuses; go on with the next notification."""
    callback = t.callback(notified=lambda earlier: Reply(200 if earlier else status))
    await t.subscription(t.ven, objectOperations=[entry(callback, CREATED)])
    program = await t.program()
    first, second = await create_event(t, program), await create_event(t, program)
    await callback.told(second["id"])
    t.same("how often the first came", len(callback.inbox.about(first["id"])), 1)


@area.each("WEBHOOK-020", {str(status): status for status in (429, 503)}, needs="ven receiver")
async def patience(t: Probe, status: int) -> None:
    """A callback that asks for patience gets it, and the notification afterwards."""
    busy = Reply(status, headers={"Retry-After": "2"})
    callback = t.callback(notified=lambda earlier: Reply() if earlier else busy)
    await t.subscription(t.ven, objectOperations=[entry(callback, CREATED)])
    event = await create_event(t, await t.program())
    told = await callback.inbox.told_of(event["id"], number=2)
    pause_s = callback.answers[1] - callback.answers[0]
    told.true(pause_s >= 1.9, "a pause of 2 s", f"{pause_s:.1f} s")


@area.check("WEBHOOK-021", needs="ven receiver")
async def in_order(t: Probe) -> None:
    """Notifications arrive in the order of the changes, also when one had to be sent again."""
    callback = t.callback(notified=lambda earlier: Reply(503 if earlier == 1 else 200))
    await t.subscription(t.ven, objectOperations=[entry(callback, CREATED)])
    program = await t.program()
    made = [(await create_event(t, program))["id"] for _ in range(5)]
    await callback.inbox.told_of(made[1], number=2)
    await callback.told(made[-1])
    came = [told.subject()["id"] for told in callback.inbox.told]
    last = [one for number, one in enumerate(came) if one not in came[number + 1 :]]
    t.same("the order of arrival", last, made)


@area.check("WEBHOOK-021", needs="ven receiver")
async def a_slow_one(t: Probe) -> None:
    """A callback that does not answer keeps no other waiting."""
    slow, other = t.callback(notified=lambda _earlier: None), t.callback()
    await t.subscription(t.ven, objectOperations=[entry(slow, CREATED), entry(other, CREATED)])
    program = await t.program()
    for _ in range(3):
        event = await create_event(t, program)
        await other.told(event["id"])
    t.same("calls of the slow one that came", bool(slow.inbox.told), True)


@area.check("WEBHOOK-031", needs="ven receiver")
async def soon(t: Probe) -> None:
    """A notification is there within two seconds."""
    callback = t.callback()
    await t.subscription(t.ven, objectOperations=[entry(callback, CREATED)])
    program = await t.program()
    event = await create_event(t, program)
    inbox = callback.inbox
    inbox.patience_s = min(_SOON_S, inbox.patience_s)
    await inbox.told_of(event["id"])


@area.check("WEBHOOK-032", needs="ven receiver")
async def request_ids(t: Probe) -> None:
    """Each notification has an X-Request-Id of its own, which stays when it is sent again."""
    callback = t.callback(notified=lambda earlier: Reply(200 if earlier else 503))
    await t.subscription(t.ven, objectOperations=[entry(callback, CREATED)])
    program = await t.program()
    first = await create_event(t, program)
    again = await callback.inbox.told_of(first["id"], number=2)
    second = await callback.told((await create_event(t, program))["id"])
    ids = [one.exchange.request_headers.get("X-Request-Id") for one in (*callback.inbox.about(first["id"])[:2], second)]
    again.true(ids[0] and ids[0] == ids[1], "the same X-Request-Id when it is sent again", ids[:2])
    second.true(ids[2] and ids[2] != ids[0], "another X-Request-Id for another notification", ids)


@area.check("SUBS-015", needs="ven receiver")
async def no_longer_subscribed(t: Probe) -> None:
    """A deleted subscription is told of nothing any more."""
    callback, other = t.callback(), t.callback()
    await t.subscription(t.ven, objectOperations=[entry(other, CREATED, REMOVED)])
    subscription = await t.subscription(t.ven, objectOperations=[entry(callback, CREATED, REMOVED)])
    program = await t.program()
    await callback.told((await create_event(t, program))["id"])
    (await t.ven.delete(f"/subscriptions/{subscription['id']}")).expect(200)
    event = await create_event(t, program)
    await other.told(event["id"])
    await callback.inbox.quiet_about(event["id"])
