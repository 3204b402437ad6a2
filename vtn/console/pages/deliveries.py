"""Deliveries of notifications: how subscriptions and the broker fare, what waits or was given up, and trials."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from vtn.console.routes import ConsoleRoute, Role
from vtn.console.visit import Visit
from vtn.errors import Malformed, NotFound, Refused
from vtn.notify.topics import Tree
from vtn.store.console.deliveries import DeliveryPages
from vtn.store.outbox.listing import Selection, Waiting
from vtn.store.outbox.rows import Push
from vtn.store.query import Page, SubscriptionHealthQuery

_AT_ONCE: Final = 100
_LONGEST_NUMBER: Final = 18
_LONGEST_ID: Final = 256


async def show(visit: Visit) -> web.StreamResponse:
    """Show the ways to tell clients, and how each subscription's callbacks fare."""
    page, client, bad = visit.page_asked(), visit.query("client"), visit.query("bad")
    query = SubscriptionHealthQuery(page=Page(page.skip, page.limit), client_id=client or None, troubled=bool(bad))
    listing = visit.console.stores.outbox_listing
    mqtt = visit.console.settings.mqtt
    return visit.render(
        "deliveries.html",
        found=page.of(await listing.health(query)),
        figures=await listing.figures(),
        broker=None if mqtt is None else await visit.console.store(DeliveryPages).broker(),
        mqtt=mqtt,
        topics=[] if mqtt is None else [f"{mqtt.prefix}{_said(tree)}/+" for tree in Tree],
        asked={"client": client, "bad": bad},
        dispatches=visit.console.settings.notify.dispatch,
    )


async def show_subscription(visit: Visit) -> web.StreamResponse:
    """Show one subscription's callbacks, what waits for them, and its trials; raises NotFound."""
    subscription_id = visit.path("subscription_id")
    listing = visit.console.stores.outbox_listing
    found = await listing.health(SubscriptionHealthQuery(subscription_id=subscription_id))
    if not found:
        raise NotFound("there is no such subscription, or it has no callback URL")
    chosen = Selection(subscription_id=subscription_id)
    return visit.render(
        "subscription.html",
        found=found,
        waiting=await listing.deliveries(chosen, limit=_AT_ONCE),
        trials=await visit.console.store(DeliveryPages).trials(subscription_id),
        subscription_id=subscription_id,
    )


async def show_waiting(visit: Visit) -> web.StreamResponse:
    """Show notifications that wait or were given up, in the order of the changes."""
    after = visit.query("after")
    selection = _selection(
        {name: visit.query(name) for name in _FIELDS}, after=_number("after", after) if after else None
    )
    found = await visit.console.stores.outbox_listing.deliveries(selection, limit=_AT_ONCE + 1)
    more = found[_AT_ONCE - 1].id if len(found) > _AT_ONCE else None
    asked = {name: visit.query(name) for name in _FIELDS}
    return visit.render("waiting.html", found=found[:_AT_ONCE], more=more, asked=asked, after=after)


async def retry(visit: Visit) -> web.StreamResponse:
    """Have notifications sent at once: those that were chosen, or all of the selection."""
    selection = await _posted(visit)
    if isinstance(selection, web.StreamResponse):
        return selection
    again, tried = await visit.console.stores.outbox_listing.retry(selection)
    await visit.audit("notifications sent again", _words(selection), after={"sent_again": again, "endpoints": tried})
    return await _back(visit, f"{again:,} that were given up are sent again; {tried:,} endpoints are tried at once.")


async def drop(visit: Visit) -> web.StreamResponse:
    """Take notifications out, so that nobody hears of them: those that were chosen, or all of the selection."""
    selection = await _posted(visit)
    if isinstance(selection, web.StreamResponse):
        return selection
    dropped = await visit.console.stores.outbox_listing.drop(selection)
    await visit.audit("notifications dropped", _words(selection), after={"dropped": dropped})
    return await _back(visit, f"{dropped:,} notifications are dropped.")


async def try_subscription(visit: Visit) -> web.StreamResponse:
    """Have a subscription's endpoints be told that it was read, as a trial."""
    subscription_id = visit.path("subscription_id")
    try:
        count = await visit.console.store(DeliveryPages).try_subscription(subscription_id)
    except Refused as error:
        return visit.refuse(f"Nothing is sent: {error}.")
    await visit.audit("test notification", f"subscription {subscription_id}", after={"endpoints": count})
    said = f"A test notification goes to {count} callback{'s' if count != 1 else ''}; its outcome shows below."
    return visit.redirect("subscription", said=said, subscription_id=subscription_id)


_FIELDS: Final = ("subscription", "client", "channel", "state")


async def _posted(visit: Visit) -> Selection | web.StreamResponse:
    """Return what a form means; nothing at all is refused, so that nobody means everything by mistake."""
    form = await visit.form()
    numbers = tuple(_number("id", each) for each in form.getall("id", []))
    chosen = {name: form.get(name, "").strip() for name in _FIELDS}
    if form.get("which") == "chosen" and not numbers:
        return visit.refuse("Nothing is chosen: mark the notifications that you mean.")
    if not numbers and not any(chosen.values()) and form.get("which") != "all":
        return visit.refuse("Which ones? Mark notifications, or choose a subscription, client, channel or state.")
    return _selection(chosen, ids=numbers or None)


def _selection(chosen: dict[str, str], *, ids: tuple[int, ...] | None = None, after: int | None = None) -> Selection:
    """Return a selection; raises Malformed for words that are none."""
    for name in ("subscription", "client"):
        if len(chosen[name]) > _LONGEST_ID:
            raise Malformed(f"{name}: expected an id of at most {_LONGEST_ID} characters")
    if chosen["channel"] not in {"", Push.WEBHOOK, Push.MQTT}:
        raise Malformed("channel: expected WEBHOOK or MQTT")
    if chosen["state"] not in {"", *Waiting}:
        raise Malformed("state: expected PENDING or DEAD")
    return Selection(
        ids=ids,
        after=after,
        subscription_id=chosen["subscription"] or None,
        client_id=chosen["client"] or None,
        push=Push(chosen["channel"]) if chosen["channel"] else None,
        waiting=Waiting(chosen["state"]) if chosen["state"] else None,
    )


async def _back(visit: Visit, said: str) -> web.StreamResponse:
    form = await visit.form()
    return visit.redirect("waiting", said=said, **{name: form.get(name, "") for name in _FIELDS})


def _words(selection: Selection) -> str:
    if selection.ids is not None:
        return "numbers " + ", ".join(map(str, selection.ids[:20])) + (" …" if len(selection.ids) > 20 else "")
    named = {
        "subscription": selection.subscription_id,
        "client": selection.client_id,
        "channel": selection.push,
        "state": selection.waiting,
    }
    return ", ".join(f"{name} {value}" for name, value in named.items() if value) or "all"


def _number(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise Malformed(f"{name}: expected the number of a notification")
    return int(text)


def _said(tree: Tree) -> str:
    return tree.value.replace("{program}", "<program id>").replace("{ven}", "<ven id>")


ROUTES = (
    ConsoleRoute("GET", "/deliveries", show, name="deliveries", nav="Deliveries"),
    ConsoleRoute("GET", "/deliveries/waiting", show_waiting, name="waiting", title="Notifications that wait"),
    ConsoleRoute("POST", "/deliveries/retry", retry, role=Role.OPERATOR, name="retry_deliveries", title="Deliveries"),
    ConsoleRoute("POST", "/deliveries/drop", drop, role=Role.OPERATOR, name="drop_deliveries", title="Deliveries"),
    ConsoleRoute(
        "GET",
        "/deliveries/subscriptions/{subscription_id}",
        show_subscription,
        name="subscription",
        title="Subscription",
    ),
    ConsoleRoute(
        "POST",
        "/deliveries/subscriptions/{subscription_id}/test",
        try_subscription,
        role=Role.OPERATOR,
        name="try_subscription",
        title="Subscription",
        most_bytes=16 * 1024,
    ),
)
