"""The outbox as an operator sees it, and what an operator can change there."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from openadr_profiles.subscription_health import EndpointState
from openadr_profiles.v31 import encode
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox_rows import OutboxRows
from vtn.store.outbox.listing import OutboxListing, Selection, Waiting
from vtn.store.outbox.queue import Ended, Outcome, TurnEnd
from vtn.store.outbox.rows import Push
from vtn.store.query import Page, SubscriptionHealthQuery
from vtn.store.tables import deliveries

EVERYTHING = Selection()


def listing_of(rows: OutboxRows) -> OutboxListing:
    """The listing of the same database at the same time."""
    return OutboxListing(rows.database, rows.stamps)


def failed(endpoint_id: str, error: str, *, retry_in_s: float, broken: bool, tried: int | None = None) -> TurnEnd:
    """Return how a dispatcher leaves an endpoint after one attempt that failed."""
    return TurnEnd(endpoint_id, failures=1, failed=True, error=error, retry_in_s=retry_in_s, broken=broken, tried=tried)


async def row_of(rows: OutboxRows, delivery_id: int) -> dict[str, Any]:
    """One row of deliveries."""
    (row,) = await rows.database.rows(select(deliveries).where(deliveries.c.id == delivery_id))
    return dict(row)


async def test_what_waits_and_what_was_given_up_is_listed_in_order(vtn: VtnUnderTest) -> None:
    """With whom it is for, what it is about, and what the last attempt said; not what was delivered."""
    rows = OutboxRows(vtn)
    listing = listing_of(rows)
    hook = await rows.endpoint("home-1")
    broker = await rows.endpoint(push="MQTT")
    dead = await rows.delivery(hook, "e1")
    done = await rows.delivery(hook, "e2")
    waiting = await rows.delivery(hook, "e3", attempts=2, error="answered 500")
    published = await rows.delivery(broker, "e3")
    await rows.outbox.record([Ended(dead, Outcome.DEAD, "answered 404"), Ended(done, Outcome.DELIVERED)])

    found = await listing.deliveries(EVERYTHING, limit=10)
    assert [(one.id, one.state, one.push) for one in found] == [
        (dead, Waiting.DEAD, Push.WEBHOOK),
        (waiting, Waiting.PENDING, Push.WEBHOOK),
        (published, Waiting.PENDING, Push.MQTT),
    ]
    first, second, third = found
    assert (first.client_id, first.subscription_id, first.object_id) == ("home-1", f"of-{hook}", "e1")
    assert (first.error, first.attempts) == ("answered 404", 1)
    assert (second.error, second.attempts) == ("answered 500", 2)
    assert (third.client_id, third.subscription_id, third.url, third.error) == (None, None, None, None)
    await rows.claim()
    await rows.leave(failed(broker, "the broker cannot be reached", retry_in_s=15, broken=False))
    (unreached,) = await listing.deliveries(Selection(push=Push.MQTT), limit=10)
    assert (unreached.error, unreached.attempts) == ("the broker cannot be reached", 0)
    assert [one.id for one in await listing.deliveries(EVERYTHING, limit=2)] == [dead, waiting]
    assert [one.id for one in await listing.deliveries(Selection(waiting=Waiting.DEAD), limit=9)] == [dead]
    assert [one.id for one in await listing.deliveries(Selection(push=Push.MQTT), limit=9)] == [published]
    assert [one.id for one in await listing.deliveries(Selection(client_id="home-2"), limit=9)] == []
    both = Selection(ids=(dead, done, published), subscription_id=f"of-{hook}")
    assert [one.id for one in await listing.deliveries(both, limit=9)] == [dead]


async def test_what_was_given_up_is_made_again(vtn: VtnUnderTest) -> None:
    """WEBHOOK-019: an operator re-arms a broken endpoint, which is then tried at once and from the first attempt on."""
    rows = OutboxRows(vtn)
    listing = listing_of(rows)
    hook = await rows.endpoint("home-1")
    other = await rows.endpoint("home-2")
    dead, waiting = await rows.delivery(hook), await rows.delivery(hook)
    others = await rows.delivery(other)
    await rows.outbox.record([Ended(dead, Outcome.DEAD, "answered 404"), Ended(others, Outcome.DEAD, "answered 410")])
    await rows.leave(failed(hook, "answered 500", retry_in_s=300, broken=True, tried=waiting))
    assert await rows.claim() == []

    assert await listing.retry(Selection(subscription_id=f"of-{hook}")) == (1, 1)

    (endpoint,) = await rows.claim()
    assert (endpoint.id, endpoint.failures, endpoint.broken_at) == (hook, 0, None)
    again = await rows.pending(hook)
    assert [(one.id, one.attempts) for one in again] == [(dead, 0), (waiting, 1)]
    assert (await row_of(rows, others))["outcome"] == "DEAD"


async def test_what_an_operator_drops_nobody_hears_of(vtn: VtnUnderTest) -> None:
    rows = OutboxRows(vtn)
    listing = listing_of(rows)
    hook = await rows.endpoint()
    one, two, done = [await rows.delivery(hook, f"e{number}") for number in range(3)]
    await rows.outbox.record([Ended(done, Outcome.DELIVERED)])

    assert await listing.drop(Selection(ids=(one, done))) == 1
    assert (await row_of(rows, one))["outcome"] == "DROPPED"
    assert "operator" in (await row_of(rows, one))["error"]
    assert (await row_of(rows, done))["outcome"] == "DELIVERED"
    assert [each.id for each in await rows.pending(hook)] == [two]
    assert await listing.retry(Selection(ids=(one,))) == (0, 0)
    await rows.outbox.record([Ended(one, Outcome.DELIVERED)])  # a dispatcher had it in hand
    assert (await row_of(rows, one))["outcome"] == "DROPPED"


async def test_the_health_of_a_subscription_tells_how_its_callback_fares(vtn: VtnUnderTest) -> None:
    rows = OutboxRows(vtn)
    listing = listing_of(rows)
    states = {}
    for client in ("new", "working", "failing", "broken"):
        states[client] = await rows.endpoint(client)
    await rows.endpoint(push="MQTT")
    done = await rows.delivery(states["working"])
    await rows.leave(TurnEnd(states["working"], succeeded=True), Ended(done, Outcome.DELIVERED))
    tried = await rows.delivery(states["failing"])
    await rows.leave(failed(states["failing"], "answered 500", retry_in_s=60, broken=False, tried=tried))
    dead = await rows.delivery(states["broken"])
    first = rows.stamps.now
    await rows.delivery(states["broken"])
    vtn.now.pass_(minutes=1)
    await rows.delivery(states["broken"])
    await rows.outbox.record([Ended(dead, Outcome.DEAD, "answered 404")])
    await rows.leave(failed(states["broken"], "no answer in 10 s", retry_in_s=300, broken=True))

    new, working, failing, broken = await listing.health(SubscriptionHealthQuery())
    assert [one.client_id for one in (new, working, failing, broken)] == ["new", "working", "failing", "broken"]
    assert (new.state, new.pending, new.last_success, new.last_error) == (EndpointState.NEW, 0, None, None)
    assert (working.state, working.failures, working.last_error) == (EndpointState.WORKING, 0, None)
    assert working.last_success is not None
    assert (failing.state, failing.failures, failing.pending) == (EndpointState.FAILING, 1, 1)
    assert failing.next_attempt is not None
    assert failing.last_failure is not None
    assert failing.next_attempt - failing.last_failure == timedelta(seconds=60)
    assert (broken.state, broken.pending, broken.dead) == (EndpointState.BROKEN, 2, 1)
    assert broken.broken_since == broken.last_failure is not None
    assert broken.oldest_pending is not None
    assert first <= broken.oldest_pending.strftime("%Y-%m-%dT%H:%M:%S.%fZ") < rows.stamps.ago(timedelta(seconds=30))
    assert broken.last_error == "no answer in 10 s"
    assert b'"brokenSince":' in encode(broken)
    assert b"null" not in encode(new)

    found = await listing.health(SubscriptionHealthQuery(client_id="failing"))
    assert found == [failing]
    assert await listing.health(SubscriptionHealthQuery(subscription_id=f"of-{states['broken']}")) == [broken]
    assert await listing.health(SubscriptionHealthQuery(page=Page(skip=1, limit=2))) == [working, failing]
    assert await listing.health(SubscriptionHealthQuery(page=Page(limit=0))) == []


async def test_the_figures_of_each_channel_are_those_of_the_database(vtn: VtnUnderTest) -> None:
    """Whoever delivered it, and also when it is not kept any more."""
    rows = OutboxRows(vtn)
    listing = listing_of(rows)
    before = {one.push: one for one in await listing.figures()}
    counted = before.get(Push.WEBHOOK)
    hook, broken = await rows.endpoint(), await rows.endpoint()
    broker = await rows.endpoint(push="MQTT")
    done, dead = await rows.delivery(hook), await rows.delivery(hook)
    oldest = await rows.delivery(broken)
    vtn.now.pass_(minutes=1)
    await rows.delivery(hook)
    await rows.delivery(broker)
    ended = (Ended(done, Outcome.DELIVERED), Ended(dead, Outcome.DEAD, "answered 404"))
    await rows.leave(TurnEnd(hook, succeeded=True), *ended)
    await rows.leave(failed(broken, "no answer in 10 s", retry_in_s=1, broken=True, tried=oldest))
    vtn.now.pass_(days=9)
    week = timedelta(days=7)
    assert await rows.outbox.prune(delivered_age=week, dead_age=week, noted_age=week) > 0

    figures = {one.push: one for one in await listing.figures()}
    webhook, mqtt = figures[Push.WEBHOOK], figures[Push.MQTT]
    assert (webhook.pending, mqtt.pending) == (2, 1)
    assert webhook.endpoints == {EndpointState.WORKING: 1, EndpointState.BROKEN: 1}
    assert mqtt.endpoints == {EndpointState.NEW: 1}
    (waiting,) = [one for one in await listing.deliveries(EVERYTHING, limit=9) if one.id == oldest]
    assert webhook.oldest_pending_at == waiting.noted_at
    assert mqtt.oldest_pending_at is not None
    assert mqtt.oldest_pending_at > waiting.noted_at
    start = (0, 0, 0) if counted is None else (counted.attempts, counted.delivered, counted.dead)
    grown = (webhook.attempts, webhook.delivered, webhook.dead)
    assert tuple(after - earlier for earlier, after in zip(start, grown, strict=True)) == (3, 1, 1)


async def test_two_dispatchers_that_record_at_once_are_both_counted(vtn: VtnUnderTest) -> None:
    rows = OutboxRows(vtn)
    listing = listing_of(rows)
    ids = [await rows.delivery(await rows.endpoint()) for _ in range(8)]
    before = sum(one.delivered for one in await listing.figures())
    await asyncio.gather(*(rows.outbox.record([Ended(one, Outcome.DELIVERED)]) for one in ids))
    assert sum(one.delivered for one in await listing.figures()) - before == 8


async def test_an_endpoint_that_is_left_alone_has_no_next_attempt(vtn: VtnUnderTest) -> None:
    """WEBHOOK-019: after 410 it waits for its subscription to be put; no date in the year 9999 is shown."""
    rows = OutboxRows(vtn)
    listing = listing_of(rows)
    hook = await rows.endpoint("home-1")
    await rows.delivery(hook)
    left = TurnEnd(hook, failures=1, error="it answered 410", retry_in_s=None, broken=True)
    await rows.leave(left)

    (waiting,) = await listing.deliveries(EVERYTHING, limit=10)
    assert waiting.due_at is None
    (health,) = await listing.health(SubscriptionHealthQuery())
    assert (health.pending, health.next_attempt) == (1, None)
