"""Servers on several hosts with one PostgreSQL: what one writes the others hear of, or nothing comes from memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import delete

from bench.support.postgres import PostgresServer
from tests.support.waiting import wait_until
from tests.vtn.conftest import settings_for
from tests.vtn.harness import Session, VtnUnderTest
from tests.vtn.outbox_rows import OutboxRows
from tests.vtn.statements import Statements
from tests.vtn.webhook_wire import Wire, dispatching
from vtn.access import Role
from vtn.counters.counters import ChangeCounters
from vtn.store.database import Database
from vtn.store.listener import APPLICATION, PostgresListener
from vtn.store.tables import metadata, subscriptions

WITHIN_S = 0.1


class Hosts:
    """Two servers that share a database and nothing else."""

    def __init__(self, postgres: PostgresServer, database: str, here: VtnUnderTest, there: VtnUnderTest) -> None:
        self.postgres = postgres
        self.database = database
        self.here = here
        self.there = there

    def twin(self, caller: Session, role: Role) -> Session:
        """The same client at the other host."""
        return self.there.caller(role, client_id=caller.client_id)


@pytest_asyncio.fixture(loop_scope="session")
async def hosts(
    request: pytest.FixtureRequest,
    postgres_server: PostgresServer,
    postgresql_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Hosts]:
    """Two hosts: boards that do not know each other. With the parameter False they deliver nothing themselves."""
    boards = iter(("here", "there"))

    def counters_of(_: Database) -> ChangeCounters:
        return ChangeCounters(tmp_path / next(boards), sorted(metadata.tables))

    monkeypatch.setattr("vtn.app.counters_of", counters_of)
    name = postgres_server.create_database(template=postgresql_template)
    settings = settings_for(
        postgres_server.url(name), database={"pool_size": 3}, notify={"dispatch": getattr(request, "param", True)}
    )
    servers = [VtnUnderTest(settings) for _ in range(2)]
    for server in servers:
        await server.start()
    yield Hosts(postgres_server, name, *servers)
    for server in servers:
        await server.stop()


async def _from_memory(caller: Session, path: str) -> bool:
    with Statements(caller.vtn) as statements:
        await caller.get(path)
    return not statements.sent


async def test_what_another_host_writes_shows_within_a_tenth_of_a_second(hosts: Hosts) -> None:
    """ETAG-003: changes of objects and of grants, however often; in between answers come from memory."""
    bl = hosts.there.bl
    home = hosts.here.home()
    program = await bl.program()
    event = await bl.event(program, targets=["g"])
    ven = await bl.ven_for(home, [])
    granted = {"objectType": "BL_VEN_REQUEST", "clientID": home.client_id, "venName": ven["venName"]}
    for number in range(1, 6):
        await wait_until(lambda: _from_memory(home, "/events"))
        (await bl.put(f"/vens/{ven['id']}", granted | {"targets": ["g"]})).ok()
        document = {"programID": program["id"], "targets": ["g"], "priority": number}
        (await bl.put(f"/events/{event['id']}", document)).ok()
        await asyncio.sleep(WITHIN_S)
        assert [found["priority"] for found in (await home.get("/events")).ok()] == [number]
        await wait_until(lambda: _from_memory(home, "/events"))
        (await bl.put(f"/vens/{ven['id']}", granted | {"targets": []})).ok()
        await asyncio.sleep(WITHIN_S)
        assert (await home.get("/events")).ok() == []


async def test_reports_of_another_host_show_within_a_tenth_of_a_second(hosts: Hosts) -> None:
    """They are not announced, so an answer about them is young or made anew."""
    bl, home = hosts.here.bl, hosts.there.home()
    program = await bl.program()
    event = await bl.event(program)
    for number in range(1, 4):
        await home.report(event)
        await asyncio.sleep(WITHIN_S)
        assert len(await bl.ids("/reports")) == number


async def test_a_listener_that_nobody_needs_rests_and_nothing_is_answered_from_memory_meanwhile(hosts: Hosts) -> None:
    """ETAG-003: a change that an idle host may not have heard of shows at once; then answers come from memory again."""
    bl, there = hosts.here.bl, hosts.there.bl
    program = await bl.program()
    await wait_until(lambda: _from_memory(bl, "/programs"))
    listener = hosts.here.server._revisions._listener
    assert isinstance(listener, PostgresListener)

    # Until a moment after its last question it is current, and may not have heard yet of a change of this moment.
    await wait_until(
        lambda: listener._rests and listener._clock() >= listener._current_until, what="the listener rests"
    )
    (await there.put(f"/programs/{program['id']}", {"programName": "changed"})).ok()
    with Statements(hosts.here) as statements:
        assert [found["programName"] for found in (await bl.get("/programs")).ok()] == ["changed"]
    assert statements.sent
    await wait_until(lambda: _from_memory(bl, "/programs"))


async def test_nothing_is_answered_from_memory_while_other_hosts_are_not_heard(hosts: Hosts) -> None:
    """The listener's connection is lost and cannot be made again; afterwards all is as before."""
    bl, there = hosts.here.bl, hosts.there.bl
    program = await bl.program()
    for server in (bl, there):
        await asyncio.gather(*(server.get("/programs") for _ in range(8)))  # the pools are full
    await wait_until(lambda: _from_memory(bl, "/programs"))

    def deaf(allowed: str) -> None:
        hosts.postgres.query(f"ALTER DATABASE {hosts.database} WITH ALLOW_CONNECTIONS {allowed}")
        hosts.postgres.query(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{APPLICATION}' "
            f"AND datname = '{hosts.database}'"
        )

    await asyncio.to_thread(deaf, "false")
    await asyncio.sleep(WITHIN_S)
    for number in range(3):
        assert not await _from_memory(bl, "/programs")
        name = f"changed {number}"
        (await there.put(f"/programs/{program['id']}", {"programName": name})).ok()
        assert [found["programName"] for found in (await bl.get("/programs")).ok()] == [name]

    await asyncio.to_thread(hosts.postgres.query, f"ALTER DATABASE {hosts.database} WITH ALLOW_CONNECTIONS true")
    await wait_until(lambda: _from_memory(bl, "/programs"))
    (await there.delete(f"/programs/{program['id']}")).ok()
    await asyncio.sleep(WITHIN_S)
    assert (await bl.get("/programs")).ok() == []


@pytest.mark.parametrize("hosts", [False], indirect=True)
async def test_what_is_under_way_for_a_subscription_that_another_host_deletes_is_dropped(hosts: Hosts) -> None:
    """SUBS-015: also while nobody listens to the other host, and that it announces nothing makes no difference."""
    rows, wire = OutboxRows(hosts.here), Wire()
    listener = hosts.here.server._revisions._listener
    assert isinstance(listener, PostgresListener)
    hook = await rows.endpoint()
    await rows.delivery(hook)
    wire.open.clear()
    wire.closed.add(hook)
    async with dispatching(rows, wire):
        await wait_until(lambda: wire.at_once == 1)
        await wait_until(lambda: listener._rests, what="the listener rests")
        async with OutboxRows(hosts.there).database.write() as connection:
            await connection.execute(delete(subscriptions).where(subscriptions.c.id == f"of-{hook}"))
        await wait_until(lambda: wire.at_once == 0, what="it is not sent any more")
        wire.open.set()
    assert hook not in wire.sent
