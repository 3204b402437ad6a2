"""Let others write in the middle of a write: an object is told of in its last state, and nobody is in the way.

PostgreSQL only: SQLite has one writer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any

import asyncpg
import pytest_asyncio
from sqlalchemy import delete, select

from bench.support.postgres import PostgresServer
from tests.support.running import running
from tests.support.waiting import wait_until
from tests.vtn.conftest import settings_for
from tests.vtn.harness import Answer, Session, VtnUnderTest
from tests.vtn.outbox import LAB, Recorded, subscribe, with_mqtt
from tests.vtn.outbox_rows import OutboxRows
from vtn.store.tables import deliveries, endpoints, notifications

LATER = "2035-01-01T00:00:00.000000Z"


@pytest_asyncio.fixture(loop_scope="session")
async def vtn(postgres: PostgresServer, postgresql_template: str) -> AsyncIterator[VtnUnderTest]:
    """A server of one's own, whose changes are recorded for a broker."""
    url = postgres.url(postgres.create_database(template=postgresql_template))
    started = VtnUnderTest(settings_for(url, webhook=LAB))
    await started.start()
    await with_mqtt(started)
    yield started
    await started.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def other(vtn: VtnUnderTest) -> AsyncIterator[asyncpg.Connection]:
    """A transaction of somebody else."""
    connection = await asyncpg.connect(vtn.server.settings.database.url.get_secret_value().replace("+asyncpg", ""))
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await connection.close()


async def asked_meanwhile(asking: Coroutine[Any, Any, Answer], other: asyncpg.Connection) -> None:
    """Make a request that has to wait for the other transaction, which is then committed."""

    async def waits() -> bool:
        return bool(await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

    async with running(asking) as task:
        await wait_until(waits, what="the request waits for the other transaction")
        await other.execute("COMMIT")
        (await task).ok()


async def deleted_meanwhile(vtn: VtnUnderTest, bl: Session, path: str, other: asyncpg.Connection) -> dict[str, str]:
    """Delete an object whose deletion has to wait for the other transaction; the last state told of each object."""
    recorded = Recorded(vtn)
    await recorded.new()
    await asked_meanwhile(bl.delete(path), other)
    told = [each.notification for each in await recorded.new()]
    assert {str(each.operation) for each in told} == {"DELETE"}
    return {each.object_id: each.now.modified_at for each in told}


async def test_an_event_that_changes_while_its_program_goes_is_told_as_it_was_last(
    vtn: VtnUnderTest, other: asyncpg.Connection
) -> None:
    bl = vtn.bl
    program = await bl.program()
    event = await bl.event(program)
    await other.execute("UPDATE events SET modified_at = $1 WHERE id = $2", LATER, event["id"])
    told = await deleted_meanwhile(vtn, bl, f"/programs/{program['id']}", other)
    assert told[event["id"]] == LATER


async def test_a_report_that_comes_while_the_program_goes_is_told_to_be_deleted(
    vtn: VtnUnderTest, other: asyncpg.Connection
) -> None:
    bl = vtn.bl
    program = await bl.program()
    event = await bl.event(program)
    report = await vtn.home().report(event)
    copy = "INSERT INTO reports SELECT 'another', created_at, modified_at, event_id, client_id, client_name, members "
    await other.execute(f"{copy} FROM reports WHERE id = $1", report["id"])
    told = await deleted_meanwhile(vtn, bl, f"/programs/{program['id']}", other)
    assert told.keys() == {program["id"], event["id"], report["id"], "another"}


async def test_a_resource_that_changes_while_its_ven_goes_is_told_as_it_was_last(
    vtn: VtnUnderTest, other: asyncpg.Connection
) -> None:
    home = vtn.home()
    ven = await home.ven()
    resource = await home.resource(ven, objectType="VEN_RESOURCE_REQUEST")
    await other.execute("UPDATE resources SET modified_at = $1 WHERE id = $2", LATER, resource["id"])
    told = await deleted_meanwhile(vtn, vtn.bl, f"/vens/{ven['id']}", other)
    assert told[resource["id"]] == LATER


async def test_a_subscription_that_is_being_deleted_is_in_the_way_of_no_write(
    vtn: VtnUnderTest, other: asyncpg.Connection
) -> None:
    """SUBS-015: its endpoint was there when the recipients were looked for, and is gone when they are told."""
    bl = vtn.bl
    event = await bl.event(program := await bl.program())
    subscription = await subscribe(bl, objects=["EVENT"])
    recorded = Recorded(vtn)
    await recorded.new()
    await other.execute("DELETE FROM subscriptions WHERE id = $1", subscription)
    await asked_meanwhile(bl.put(f"/events/{event['id']}", {"programID": program["id"]}), other)
    assert [each.endpoint_id for each in await recorded.new()] == ["mqtt"]


async def test_what_is_written_for_a_subscription_while_it_is_deleted_goes_with_it(
    vtn: VtnUnderTest, other: asyncpg.Connection
) -> None:
    """SUBS-015: the endpoint is locked by who writes, and the deletion sees what was written meanwhile."""
    rows = OutboxRows(vtn)
    await vtn.bl.program()  # a delivery to the broker, which stays
    endpoint_id = await rows.endpoint()
    await rows.delivery(endpoint_id)
    columns = "seq, endpoint_id, operation, attempts"
    await other.execute("SELECT id FROM endpoints WHERE id = $1 FOR KEY SHARE", endpoint_id)
    await other.execute(
        f"INSERT INTO deliveries ({columns}) SELECT {columns} FROM deliveries WHERE endpoint_id = $1", endpoint_id
    )
    await asked_meanwhile(vtn.bl.delete(f"/subscriptions/of-{endpoint_id}"), other)
    kept = await vtn.server._database.rows(select(deliveries.c.endpoint_id))
    assert {row["endpoint_id"] for row in kept} == {"mqtt"}


async def test_deliveries_go_with_their_change(vtn: VtnUnderTest) -> None:
    """No delivery is left whose change is not there any more."""
    await vtn.bl.program()
    database = vtn.server._database
    assert await database.rows(select(deliveries.c.id))
    async with database.write() as connection:
        await connection.execute(delete(notifications))
    assert await database.rows(select(deliveries.c.id)) == []


async def test_an_endpoint_is_leased_while_others_write_for_it(vtn: VtnUnderTest, other: asyncpg.Connection) -> None:
    """Writes that never pause would else keep it from ever being told of any of them."""
    rows = OutboxRows(vtn)
    endpoint_id = await rows.endpoint()
    await rows.delivery(endpoint_id)
    columns = "seq, endpoint_id, operation, attempts"
    await other.execute(f"INSERT INTO deliveries ({columns}) SELECT {columns} FROM deliveries")
    assert [each.id for each in await rows.claim()] == [endpoint_id]


async def test_who_subscribes_is_answered_when_older_writes_have_ended(
    vtn: VtnUnderTest, other: asyncpg.Connection
) -> None:
    """They may not know of the subscription; who reads after the answer sees what they wrote."""
    bl = vtn.bl
    event = await bl.event(await bl.program())
    await other.execute("UPDATE events SET modified_at = $1 WHERE id = $2", LATER, event["id"])

    async def is_stored() -> bool:
        return bool(await vtn.server._database.rows(select(endpoints.c.id).where(endpoints.c.push == "WEBHOOK")))

    async with running(subscribe(bl, objects=["EVENT"])) as subscribing:
        await wait_until(is_stored, what="the subscription is stored")
        assert (await bl.get(f"/events/{event['id']}")).ok()["modificationDateTime"] != LATER
        assert not subscribing.done()
        await other.execute("COMMIT")
        await subscribing
    assert (await bl.get(f"/events/{event['id']}")).ok()["modificationDateTime"] == LATER
