"""The dispatcher: what the outbox holds is sent in order, at least once, and a recipient that fails harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from structlog.testing import capture_logs

from tests.support.waiting import wait_until
from tests.vtn.harness import VtnUnderTest
from tests.vtn.outbox_rows import OutboxRows
from tests.vtn.webhook_wire import LARGE, Wire, dispatching
from vtn.notify.channel import NotDelivered
from vtn.notify.dispatcher import _LARGE_AT_ONCE
from vtn.store.outbox.queue import Ended, TurnEnd
from vtn.store.outbox.rows import Delivery, Endpoint
from vtn.store.tables import deliveries, endpoints, subscriptions


def answering(status: int, **members: Any) -> Callable[[Delivery], NotDelivered]:
    """A recipient that refuses everything."""
    return lambda delivery: NotDelivered(delivery, f"it answered {status}", **members)


def unreachable(_: Delivery) -> NotDelivered:
    """A recipient that is not there."""
    return NotDelivered(None, "it cannot be reached")


async def rows_of(rows: OutboxRows, endpoint_id: str) -> list[Any]:
    """The deliveries of an endpoint, in order."""
    found = select(deliveries).where(deliveries.c.endpoint_id == endpoint_id).order_by(deliveries.c.id)
    return list(await rows.database.rows(found))


async def endpoint_of(rows: OutboxRows, endpoint_id: str) -> Any:
    """The row of an endpoint."""
    return await rows.database.row(select(endpoints).where(endpoints.c.id == endpoint_id))


async def outcomes(rows: OutboxRows, endpoint_id: str) -> list[str | None]:
    """Return how the deliveries of an endpoint ended, in order."""
    return [row["outcome"] for row in await rows_of(rows, endpoint_id)]


async def ended(rows: OutboxRows, endpoint_id: str) -> bool:
    """Return True if nothing waits for an endpoint, and nobody holds it."""
    return all(await outcomes(rows, endpoint_id)) and (await endpoint_of(rows, endpoint_id))["leased_by"] is None


async def test_deliveries_are_made_in_order_and_once(vtn: VtnUnderTest) -> None:
    """WEBHOOK-021: more than is read at once, by several dispatchers."""
    rows, wire = OutboxRows(vtn), Wire()
    ids: dict[str, list[int]] = {await rows.endpoint(f"home-{number}"): [] for number in range(5)}
    for _ in range(70):
        for endpoint_id, its in ids.items():
            its.append(await rows.delivery(endpoint_id))
    async with dispatching(rows, wire), dispatching(rows, wire):
        for endpoint_id in ids:
            await wait_until(partial(ended, rows, endpoint_id))
        late = await rows.delivery(next(iter(ids)))
        await wait_until(lambda: ended(rows, next(iter(ids))))
    ids[next(iter(ids))].append(late)
    assert wire.sent == ids
    for endpoint_id in ids:
        assert {row["attempts"] for row in await rows_of(rows, endpoint_id)} == {1}
        assert (await endpoint_of(rows, endpoint_id))["last_success_at"] is not None


async def test_a_failure_is_tried_again_later_and_nothing_overtakes_it(vtn: VtnUnderTest) -> None:
    """WEBHOOK-018, WEBHOOK-021: pauses double up to the longest one; what comes behind waits."""
    rows, wire = OutboxRows(vtn), Wire()
    hook, other = await rows.endpoint("home-1"), await rows.endpoint("home-2")
    first, second = await rows.delivery(hook), await rows.delivery(hook)
    wire.failing[hook] = answering(500)
    async with dispatching(rows, wire, max_attempts=8, longest_retry_s=20):
        for failures, pause in enumerate((1, 2, 4, 8, 16, 20, 20), start=1):
            await wait_until(partial(_has_failed, rows, hook, failures))
            row = await endpoint_of(rows, hook)
            assert pause / 2 <= _seconds_until(row["due_at"], vtn) <= pause
            assert row["last_error"] == "it answered 500"
            await rows.delivery(other)
            await wait_until(lambda: ended(rows, other))
            assert [attempt for attempt in wire.attempts if attempt[0] == hook] == [(hook, first)] * failures
            if failures == 7:
                del wire.failing[hook]
            vtn.now.pass_(seconds=pause)
        await wait_until(lambda: ended(rows, hook))
    assert wire.sent[hook] == [first, second]
    assert [row["attempts"] for row in await rows_of(rows, hook)] == [8, 1]
    row = await endpoint_of(rows, hook)
    assert (row["failures"], row["due_at"], row["broken_at"]) == (0, None, None)


async def test_a_poison_message_is_a_dead_letter_in_the_end(vtn: VtnUnderTest) -> None:
    """WEBHOOK-018: it holds up those behind it for its attempts and no longer; the operator is told who it was for."""
    rows, wire = OutboxRows(vtn), Wire()
    hook = await rows.endpoint("home-1")
    poison, good = await rows.delivery(hook), await rows.delivery(hook)
    wire.failing[hook] = lambda delivery: NotDelivered(delivery, "it answered 500") if delivery.id == poison else None
    with capture_logs() as logs:
        async with dispatching(rows, wire, max_attempts=3):
            for failures in (1, 2, 3):
                await wait_until(partial(_has_failed, rows, hook, failures))
                vtn.now.pass_(seconds=300)
            await wait_until(lambda: ended(rows, hook))
    assert wire.attempts == [(hook, poison)] * 3 + [(hook, good)]
    dead, made = await rows_of(rows, hook)
    assert (dead["outcome"], dead["attempts"], dead["error"]) == ("DEAD", 3, "it answered 500")
    assert made["outcome"] == "DELIVERED"
    (told,) = [log for log in logs if log["event"] == "a notification is given up"]
    assert (told["client_id"], told["subscription_id"], told["host"]) == ("home-1", f"of-{hook}", f"{hook}.example")


async def test_a_final_refusal_is_not_repeated(vtn: VtnUnderTest) -> None:
    """WEBHOOK-020: the next one is sent at once."""
    rows, wire = OutboxRows(vtn), Wire()
    hook = await rows.endpoint()
    refused, good = await rows.delivery(hook), await rows.delivery(hook)
    wire.failing[hook] = lambda delivery: (
        NotDelivered(delivery, "it answered 404", final=True) if delivery.id == refused else None
    )
    async with dispatching(rows, wire):
        await wait_until(lambda: ended(rows, hook))
    assert wire.attempts == [(hook, refused), (hook, good)]
    assert await outcomes(rows, hook) == ["DEAD", "DELIVERED"]
    assert (await endpoint_of(rows, hook))["failures"] == 0


async def test_an_outage_turns_nothing_into_a_dead_letter(vtn: VtnUnderTest) -> None:
    """A recipient that is not reached is tried on and on; once it is broken it is probed, and told of once."""
    rows, wire = OutboxRows(vtn), Wire()
    hook = await rows.endpoint("home-1")
    ids = [await rows.delivery(hook), await rows.delivery(hook)]
    wire.failing[hook] = unreachable
    with capture_logs() as logs:
        async with dispatching(rows, wire, max_attempts=2, broken_after=4, probe_s=1000):
            for failures in range(1, 8):
                await wait_until(partial(_has_failed, rows, hook, failures))
                row = await endpoint_of(rows, hook)
                assert (row["broken_at"] is not None) == (failures >= 4)
                if failures >= 4:
                    assert _seconds_until(row["due_at"], vtn) == 1000
                vtn.now.pass_(seconds=1000)
                if failures == 7:
                    del wire.failing[hook]
            await wait_until(lambda: ended(rows, hook))
    assert wire.sent[hook] == ids
    assert [row["attempts"] for row in await rows_of(rows, hook)] == [1, 1]
    row = await endpoint_of(rows, hook)
    assert (row["failures"], row["broken_at"]) == (0, None)
    assert [log["client_id"] for log in logs if "broken" in log["event"]] == ["home-1"]


async def test_a_recipient_that_is_gone_is_left_alone(vtn: VtnUnderTest) -> None:
    """WEBHOOK-019: 410 says that nobody wants to be called; what waits stays there until somebody sets it going."""
    rows, wire = OutboxRows(vtn), Wire()
    hook = await rows.endpoint()
    await rows.delivery(hook)
    wire.failing[hook] = answering(410, final=True, gone=True)
    async with dispatching(rows, wire):
        await rows.delivery(hook)
        await wait_until(lambda: _has_failed(rows, hook, 1))
        vtn.now.pass_(days=3)
        other = await rows.endpoint()
        await rows.delivery(other)
        await wait_until(lambda: ended(rows, other))
    assert len(wire.attempts) == 2
    assert await outcomes(rows, hook) == ["DEAD", None]
    row = await endpoint_of(rows, hook)
    assert row["broken_at"] is not None


async def test_what_a_recipient_asks_for_is_respected_within_limits(vtn: VtnUnderTest) -> None:
    """WEBHOOK-020: Retry-After, up to the longest pause."""
    rows, wire = OutboxRows(vtn), Wire()
    patient, greedy = await rows.endpoint("a"), await rows.endpoint("b")
    for hook, asked in ((patient, 90.0), (greedy, 9000.0)):
        await rows.delivery(hook)
        wire.failing[hook] = answering(503, retry_after_s=asked)
    async with dispatching(rows, wire):
        for hook, pause in ((patient, 90), (greedy, 300)):
            await wait_until(partial(_has_failed, rows, hook, 1))
            assert _seconds_until((await endpoint_of(rows, hook))["due_at"], vtn) == pause


async def test_the_dead_and_the_slow_leave_room_for_others(vtn: VtnUnderTest) -> None:
    """WEBHOOK-021: many that hang, of one client and of many, and one that works."""
    rows, wire = OutboxRows(vtn), Wire()
    wire.open.clear()
    for number in range(12):
        slow = await rows.endpoint("a client with many")
        wire.closed.add(slow)
        await rows.delivery(slow)
        failing = await rows.endpoint(f"home-{number}", failures=3)
        wire.closed.add(failing)
        await rows.delivery(failing)
    async with dispatching(rows, wire, endpoints_at_once=16):
        await wait_until(lambda: wire.at_once >= 8)
        for number in range(8):
            hook = await rows.endpoint(f"works-{number}")
            await rows.delivery(hook)
            await wait_until(partial(ended, rows, hook))
        assert wire.most_at_once <= 16
        wire.open.set()
        for slow in wire.closed:
            await wait_until(partial(ended, rows, slow))


async def test_what_is_under_way_for_a_deleted_subscription_is_dropped(vtn: VtnUnderTest) -> None:
    """SUBS-015."""
    rows, wire = OutboxRows(vtn), Wire()
    hook = await rows.endpoint()
    for _ in range(5):
        await rows.delivery(hook)
    wire.open.clear()
    wire.closed.add(hook)
    async with dispatching(rows, wire):
        await wait_until(lambda: wire.at_once == 1)
        async with rows.database.write() as connection:
            await connection.execute(delete(subscriptions).where(subscriptions.c.id == f"of-{hook}"))
        await wait_until(lambda: wire.at_once == 0, what="it is not sent any more")
        wire.open.set()
        other = await rows.endpoint()
        await rows.delivery(other)
        await wait_until(lambda: ended(rows, other))
    assert hook not in wire.sent


async def test_a_change_between_the_claim_and_the_turn_is_seen(vtn: VtnUnderTest) -> None:
    """SUBS-015: another turn had the change looked at before this one began, whose token may be an old one."""
    rows, wire = OutboxRows(vtn), Wire()
    busy, hook = await rows.endpoint(), await rows.endpoint()
    wire.open.clear()
    wire.closed |= {busy, hook}
    claim = rows.outbox.claim

    async def changed_after_the_claim(**named: Any) -> list[Endpoint]:
        found = await claim(**named)
        if hook in [endpoint.id for endpoint in found] and not changed:
            changed.append(rows.stamps.next())
            async with rows.database.write() as connection:
                its = update(subscriptions).where(subscriptions.c.id == f"of-{hook}")
                await connection.execute(its.values(modified_at=changed[0]))
            seen = len(looks)
            await wait_until(lambda: len(looks) > seen, what="what is under way is looked at")
        return found

    there = rows.outbox.there

    async def looked_at(endpoint_ids: Collection[str]) -> Mapping[str, str]:
        found = await there(endpoint_ids)
        looks.append(endpoint_ids)
        return found

    changed: list[str] = []
    looks: list[Any] = []
    rows.outbox.there = looked_at  # type: ignore[method-assign] # counted on its way
    rows.outbox.claim = changed_after_the_claim  # type: ignore[method-assign]
    async with dispatching(rows, wire):
        await rows.delivery(busy)
        await wait_until(lambda: wire.at_once == 1)
        await rows.delivery(hook)
        await wait_until(lambda: bool(changed) and (hook, changed[0]) in wire.began, what="it is claimed anew")
        wire.open.set()
        await wait_until(lambda: ended(rows, hook))


async def test_an_end_in_order_loses_and_repeats_nothing(vtn: VtnUnderTest) -> None:
    """Record what was accepted, give leases back, and let another dispatcher go on at once."""
    rows, wire = OutboxRows(vtn), Wire()
    hook = await rows.endpoint()
    ids = [await rows.delivery(hook) for _ in range(3)]
    stuck = asyncio.Event()

    class Stuck(Wire):
        async def send(self, endpoint: Endpoint, batch: Sequence[Delivery], done: Callable[[Delivery], None]) -> None:
            """Accept two deliveries, and never end."""
            await wire.send(endpoint, batch[:2], done)
            stuck.set()
            await asyncio.get_running_loop().create_future()

    async with dispatching(rows, Stuck()):
        await asyncio.wait_for(stuck.wait(), 60)
    assert await outcomes(rows, hook) == ["DELIVERED", "DELIVERED", None]
    assert (await endpoint_of(rows, hook))["leased_by"] is None
    async with dispatching(rows, wire):
        await wait_until(lambda: ended(rows, hook))
    assert wire.sent[hook] == ids


async def test_a_lease_that_ends_is_taken_over(vtn: VtnUnderTest) -> None:
    """WEBHOOK-022: a dispatcher that was killed keeps nothing to itself for longer than its lease."""
    rows, wire = OutboxRows(vtn), Wire()
    hook = await rows.endpoint()
    await rows.delivery(hook)
    assert [one.id for one in await rows.claim(by="one that was killed")] == [hook]
    async with dispatching(rows, wire):
        other = await rows.endpoint()
        await rows.delivery(other)
        await wait_until(lambda: ended(rows, other))
        assert hook not in wire.sent
        vtn.now.pass_(seconds=10)
        await wait_until(lambda: ended(rows, hook))


async def test_an_error_of_ours_is_the_failure_of_one_delivery(vtn: VtnUnderTest) -> None:
    """Log what cannot even be written, and give it up in the end; others go on."""
    rows, wire = OutboxRows(vtn), Wire()
    hook = await rows.endpoint()
    bad, good = await rows.delivery(hook), await rows.delivery(hook)

    def broken(delivery: Delivery) -> None:
        if delivery.id == bad:
            raise KeyError("x")

    wire.failing[hook] = broken
    with capture_logs() as logs:
        async with dispatching(rows, wire, max_attempts=1):
            await wait_until(lambda: _has_failed(rows, hook, 1))
            vtn.now.pass_(seconds=1)
            await wait_until(lambda: ended(rows, hook))
    assert wire.sent[hook] == [good]
    assert [row["error"] for row in await rows_of(rows, hook)] == ["an error of ours: KeyError", None]
    assert [log["log_level"] for log in logs if log["event"] == "a notification cannot be sent"] == ["error"]


async def test_few_large_objects_are_in_memory_at_once(vtn: VtnUnderTest) -> None:
    """However many endpoints have one waiting; small ones go on meanwhile."""
    rows, wire = OutboxRows(vtn), Wire()
    wire.large_may_go.clear()
    hooks = [await rows.endpoint(f"home-{number}") for number in range(8)]
    for hook in hooks:
        await rows.delivery(hook)
        await rows.delivery(hook, text="x" * 2 * LARGE)
        await rows.delivery(hook)
    async with dispatching(rows, wire):
        await wait_until(lambda: wire.large_at_once == _LARGE_AT_ONCE)
        other = await rows.endpoint("somebody-else")
        await rows.delivery(other)
        await wait_until(partial(ended, rows, other))
        wire.large_may_go.set()
        for hook in hooks:
            await wait_until(partial(ended, rows, hook))
    assert wire.most_large_at_once == _LARGE_AT_ONCE
    for hook in hooks:
        assert wire.sent[hook] == [row["id"] for row in await rows_of(rows, hook)]


async def test_a_lease_that_nobody_uses_is_not_prolonged(vtn: VtnUnderTest) -> None:
    """One whose claim was committed and never answered ends by itself, however busy its dispatcher is."""
    rows = OutboxRows(vtn)
    used, forgotten = await rows.endpoint("home-1"), await rows.endpoint("home-2")
    for hook in (used, forgotten):
        await rows.delivery(hook)
    await rows.claim(by="me")
    until = (await endpoint_of(rows, forgotten))["leased_until"]
    vtn.now.pass_(seconds=5)

    await rows.outbox.prolong([used], by="me", lease_s=9)

    assert (await endpoint_of(rows, used))["leased_until"] > until
    assert (await endpoint_of(rows, forgotten))["leased_until"] == until


async def test_a_turn_that_dies_leaves_its_endpoint_to_others(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever went wrong is logged with its traceback, and tried again like any failure."""
    rows, wire = OutboxRows(vtn), Wire()
    hook = await rows.endpoint()
    one = await rows.delivery(hook)
    with capture_logs() as logs:
        with monkeypatch.context() as patch:

            async def broken(*_: object, **__: object) -> None:
                raise KeyError("a row that cannot be read")

            patch.setattr(rows.outbox, "pending", broken)
            async with dispatching(rows, wire):
                await wait_until(lambda: _has_failed(rows, hook, 1))
        vtn.now.pass_(seconds=2)
        async with dispatching(rows, wire):
            await wait_until(lambda: ended(rows, hook))
    assert wire.sent[hook] == [one]
    assert [log["log_level"] for log in logs if log["event"] == "the deliveries of an endpoint failed"] == ["error"]


async def test_a_subscription_that_is_put_undoes_what_an_older_turn_says(vtn: VtnUnderTest) -> None:
    """WEBHOOK-019: it works at once, although a turn that began before ends with a failure."""
    rows = OutboxRows(vtn)
    hook = await rows.endpoint()
    await rows.delivery(hook)
    (leased,) = await rows.claim(by="me")
    put = {"modified_at": rows.stamps.next()}
    async with rows.database.write() as connection:
        its = subscriptions.c.id == leased.subscription_id
        await connection.execute(update(subscriptions).where(its).values(put))

    await rows.outbox.record(
        (), [TurnEnd(hook, failures=20, retry_in_s=None, broken=True, error="gone", as_of=leased.as_of)], by="me"
    )

    row = await endpoint_of(rows, hook)
    assert (row["failures"], row["due_at"], row["broken_at"], row["leased_by"]) == (0, None, None, None)


async def test_what_the_database_refuses_to_record_keeps_nothing_else_from_it(
    vtn: VtnUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is recorded by itself then; the one that is refused is delivered again."""
    rows, wire = OutboxRows(vtn), Wire()
    good, bad = await rows.endpoint("home-1"), await rows.endpoint("home-2")
    await rows.delivery(good)
    refused = await rows.delivery(bad)
    record = rows.outbox.record

    async def recorded(ended: Sequence[Ended], turns: Sequence[TurnEnd] = (), *, by: str = "") -> None:
        if any(one.delivery_id == refused for one in ended):
            raise ValueError("not this one")
        await record(ended, turns, by=by)

    with monkeypatch.context() as patch, capture_logs() as logs:
        patch.setattr(rows.outbox, "record", recorded)
        async with dispatching(rows, wire):
            await wait_until(lambda: ended(rows, good))
            await wait_until(lambda: wire.sent[bad])
            await wait_until(lambda: any(log["event"] == "a delivery cannot be recorded" for log in logs))
    assert set(wire.sent[bad]) == {refused}


def _seconds_until(due: str, vtn: VtnUnderTest) -> float:
    """Stamps are some microseconds ahead of the clock, which stands still."""
    return round((datetime.fromisoformat(due) - vtn.now()).total_seconds(), 2)


async def _has_failed(rows: OutboxRows, endpoint_id: str, times: int) -> bool:
    row = await endpoint_of(rows, endpoint_id)
    return bool(row["failures"] == times and row["leased_by"] is None)
