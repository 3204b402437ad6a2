"""Leases: one bridge leads, by the clock of the database; pure rules, and the statements on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_mqtt.leases import LEAD, BridgeLease, claim
from bridge_mqtt.store import Store, inbox, leases
from openadr_client import Received

START = datetime(2026, 1, 1, tzinfo=UTC)
VALID = timedelta(seconds=6)
LONG, OVER = timedelta(hours=1), timedelta(0)
BRIDGES = ("north", "south", "east")

# what a bridge does: it asks for the lease, or it forgets everything because it has been started again
STEPS = st.lists(
    st.tuples(st.sampled_from(BRIDGES), st.sampled_from(["ask", "start again"]), st.integers(0, 9_000)), max_size=60
)


@given(STEPS)
def test_whoever_asks_in_whatever_order_only_one_leads_at_a_time(steps: list[tuple[str, str, int]]) -> None:
    """Epochs only rise, another one never takes what is valid, and who has lost knows it by its epoch."""
    kept: BridgeLease | None = None
    known: dict[str, int | None] = dict.fromkeys(BRIDGES)
    now = START
    for holder, step, pause_ms in steps:
        now += timedelta(milliseconds=pause_ms)
        if step == "start again":
            known[holder] = None
        claimed = claim(kept, LEAD, holder, epoch=known[holder], now=now, valid=VALID)
        if claimed is None:
            assert kept is not None
            assert kept.expires_at > now
            assert (kept.holder, kept.epoch) != (holder, known[holder])
            known[holder] = -1 if known[holder] is None else known[holder]  # it has asked once and is not new any more
            continue
        if kept is not None and claimed.epoch == kept.epoch:
            assert (kept.holder, kept.epoch) == (holder, known[holder])
        elif kept is not None:
            assert claimed.epoch == kept.epoch + 1
            assert kept.expires_at <= now
        assert claimed.expires_at == now + VALID
        kept, known[holder] = claimed, claimed.epoch
        assert sum(1 for each in BRIDGES if (each, known[each]) == (kept.holder, kept.epoch)) == 1


async def test_the_first_bridge_leads_and_others_wait_until_its_lease_is_over(database_url: str) -> None:
    """A renewal keeps the epoch; after the end another one leads, and the first one is told."""
    store = await Store.open(database_url)
    try:
        async with store.transaction() as connection:
            first = await leases.renew(connection, "north", epoch=None, wants_lead=True, valid=LONG)
            assert first is not None
            assert first.epoch == 1
            assert await leases.renew(connection, "south", epoch=None, wants_lead=True, valid=LONG) is None
            again = await leases.renew(connection, "north", epoch=1, wants_lead=True, valid=OVER)
            assert again is not None
            assert again.epoch == 1
            assert await leases.leads(connection, "north", 1)
        async with store.transaction() as connection:
            second = await leases.renew(connection, "south", epoch=None, wants_lead=True, valid=LONG)
            assert second is not None
            assert (second.holder, second.epoch) == ("south", 2)
            assert not await leases.leads(connection, "north", 1)
            assert await leases.leads(connection, "south", 2)
            assert await leases.renew(connection, "north", epoch=1, wants_lead=True, valid=LONG) is None
            found = await leases.leader(connection)
            assert found is not None
            assert found.holder == "south"
    finally:
        await store.close()


async def test_a_name_is_taken_until_its_lease_is_over(database_url: str) -> None:
    """A second process under the same name changes nothing; after a kill it leads under a new epoch."""
    store = await Store.open(database_url)
    try:
        async with store.transaction() as connection:
            assert await leases.held_until(connection, "north") is None
            await leases.renew(connection, "north", epoch=None, wants_lead=True, valid=LONG)
        async with store.transaction() as connection:
            assert await leases.held_until(connection, "north") is not None
            assert await leases.held_until(connection, "south") is None
            assert await leases.renew(connection, "north", epoch=None, wants_lead=True, valid=LONG) is None
            assert await leases.leads(connection, "north", 1)
            await leases.renew(connection, "north", epoch=1, wants_lead=True, valid=OVER)
        async with store.transaction() as connection:
            assert await leases.held_until(connection, "north") is None
            again = await leases.renew(connection, "north", epoch=None, wants_lead=True, valid=LONG)
            assert again is not None
            assert again.epoch == 2
            assert not await leases.leads(connection, "north", 1)
    finally:
        await store.close()


async def test_who_gives_up_is_followed_at_once_and_who_is_gone_is_known(database_url: str) -> None:
    """A stop in order costs no waiting; the others see whose session is left at the broker."""
    store = await Store.open(database_url)
    try:
        async with store.transaction() as connection:
            await leases.renew(connection, "north", epoch=None, wants_lead=True, valid=LONG)
            await leases.renew(connection, "south", epoch=None, wants_lead=True, valid=LONG)
            assert await leases.others(connection, "south") == ["north"]
            assert await leases.absent(connection, "south") == []
            await leases.give_up(connection, "north", epoch=1)
        async with store.transaction() as connection:
            assert await leases.absent(connection, "south") == ["north"]
            taken = await leases.renew(connection, "south", epoch=-1, wants_lead=True, valid=LONG)
            assert taken is not None
            assert taken.epoch == 2
            await leases.renew(connection, "east", epoch=None, wants_lead=False, valid=OVER)
            await leases.forget(connection, ["north"])
            assert await leases.others(connection, "south") == ["east"]
            await leases.renew(connection, "east", epoch=None, wants_lead=False, valid=LONG)
            await leases.forget(connection, ["east"])  # it has come back meanwhile
            assert await leases.others(connection, "south") == ["east"]
    finally:
        await store.close()


async def test_while_the_leader_is_in_a_transaction_nobody_takes_over(postgresql_url: str) -> None:
    """What it decides there is stored before the next leader reads anything."""
    north, south = await Store.open(postgresql_url), await Store.open(postgresql_url)

    async def take_over() -> str:
        async with south.transaction() as connection:
            await leases.renew(connection, "south", epoch=None, wants_lead=True, valid=LONG)
            messages = await inbox.oldest(connection, 10)
        return str(messages[0][1].topic)

    try:
        async with north.transaction() as connection:
            await leases.renew(connection, "north", epoch=None, wants_lead=True, valid=OVER)
        async with north.transaction() as connection:
            assert await leases.leads(connection, "north", 1)
            taking = asyncio.create_task(take_over())
            await connection.exec_driver_sql(
                "SELECT 1"
            )  # the other one is let run, and waits for the lock wherever it is now
            await inbox.put(connection, [Received("decided", b"", START, False)])
            assert not taking.done()
        assert await asyncio.wait_for(taking, 60) == "decided"
    finally:
        await north.close()
        await south.close()


@pytest.mark.parametrize("payload", [b"", b"\x00\xff", b"x" * 300_000], ids=["empty", "binary", "long"])
async def test_messages_wait_in_their_order_for_the_leader(database_url: str, payload: bytes) -> None:
    """Any bytes, until they are taken."""
    store = await Store.open(database_url)
    messages = [Received(f"ven/ack/panel-{n}", payload, START + timedelta(seconds=n), False) for n in range(3)]
    try:
        async with store.transaction() as connection:
            await inbox.put(connection, messages)
            await inbox.put(connection, [])
        async with store.transaction() as connection:
            found = await inbox.oldest(connection, 2)
            assert [message for _, message in found] == messages[:2]
            await inbox.remove(connection, [number for number, _ in found])
            assert [message for _, message in await inbox.oldest(connection, 9)] == messages[2:]
    finally:
        await store.close()
