"""The tables: made at start, kept as the code thinks they are, never taken backwards."""

from __future__ import annotations

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text

from bench.support.postgres import PostgresServer
from tests.vtn.conftest import settings_for
from tests.vtn.harness import VtnUnderTest
from vtn.app import migrate_database
from vtn.errors import MigrationMissing, MigrationTooNew, Unavailable
from vtn.store.database import Database
from vtn.store.indexes import metadata


def differences(connection: Connection) -> list[object]:
    """Return the differences between the tables and the code, except what only one of the databases has."""

    def include(object_: object, name: str | None, type_: str, *_: object) -> bool:
        if (name or "").startswith(("event_targets", "ix_event_targets")):
            return False  # kept by triggers, on SQLite only
        if type_ == "foreign_key_constraint" and (name or "").startswith("fk_deliveries_"):
            return connection.dialect.name == "sqlite"  # on PostgreSQL triggers take their place
        only_postgresql = type_ == "index" and (name or "").endswith("_targets")
        return not only_postgresql or connection.dialect.name == "postgresql"

    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True, "include_object": include}
    )
    found: list[object] = compare_metadata(context, metadata)
    return found


async def test_the_migrations_make_the_tables_that_the_code_describes(database_url: str) -> None:
    """From nothing to the newest."""
    await migrate_database(settings_for(database_url))

    database = Database(settings_for(database_url).database)
    async with database.write() as connection:
        assert await connection.run_sync(differences) == []
    await database.close()


async def test_servers_that_start_together_make_the_tables_once(database_url: str) -> None:
    """Under a lock: all of them start, with one key to sign tokens."""
    servers = [VtnUnderTest(settings_for(database_url)) for _ in range(4)]

    await asyncio.gather(*(server.start() for server in servers))

    token = servers[0].home().headers["Authorization"].removeprefix("Bearer ")
    for server in servers:
        (await server.with_token(token).get("/events")).ok()
    await asyncio.gather(*(server.stop() for server in servers))


async def test_a_migration_may_take_longer_than_a_statement_of_a_request(
    postgres_server: PostgresServer, postgresql_template: str
) -> None:
    """An index over ten million reports takes half a minute; a request is told after `database.timeout_s`."""
    url = postgres_server.url(postgres_server.create_database(template=postgresql_template))
    database = Database(settings_for(url, database={"timeout_s": 0.2}).database)
    slow = text("SELECT pg_sleep(0.5)")

    with pytest.raises(Unavailable):
        async with database.write() as connection:
            await connection.execute(slow)
    async with database.alter() as connection:
        await connection.execute(slow)
    await database.close()


async def test_a_second_start_changes_nothing(database_url: str) -> None:
    """Idempotent: data, clients and tokens stay."""
    first = VtnUnderTest(settings_for(database_url))
    await first.start()
    program, home = await first.bl.program(), first.home()
    await first.stop()

    second = VtnUnderTest(settings_for(database_url))
    await second.start()
    caller = second.with_token(home.headers["Authorization"].removeprefix("Bearer "))
    assert (await caller.get("/programs")).ok() == [program]
    await second.stop()


async def test_a_database_of_a_newer_version_is_left_alone(migrated_url: str) -> None:
    """The message says what to do."""
    database = Database(settings_for(migrated_url).database)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(MigrationTooNew, match="revision 9999"):
        await VtnUnderTest(settings_for(migrated_url)).start()
    with pytest.raises(MigrationTooNew):
        await VtnUnderTest(settings_for(migrated_url, database={"migrate": False})).start()
    await database.close()


async def test_a_server_that_may_not_migrate_says_what_is_missing(database_url: str) -> None:
    """The setting `database.migrate`."""
    settings = settings_for(database_url, database={"migrate": False})

    with pytest.raises(MigrationMissing, match="oadr vtn migrate"):
        await VtnUnderTest(settings).start()

    await migrate_database(settings)
    server = VtnUnderTest(settings)
    await server.start()
    await server.stop()
