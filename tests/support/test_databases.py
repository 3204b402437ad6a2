"""The databases that the other tests rely on."""

from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from bench.support.postgres import PostgresServer


async def _run(url: str, *statements: str) -> list[object]:
    """Run the statements on a connection of its own; the first column of the last one's rows."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            for statement in statements:
                result = await connection.execute(text(statement))
            return list(result.scalars()) if result.returns_rows else []
    finally:
        await engine.dispose()


@pytest.mark.parametrize("time", ["first", "second"])
async def test_every_test_gets_an_empty_database(database_url: str, time: str) -> None:
    """Creating the same table twice works because no test sees what another one left."""
    await _run(database_url, "create table t (name text)", f"insert into t values ('{time}')")

    assert await _run(database_url, "select name from t") == [time]


async def test_committed_rows_outlive_a_crash_of_the_server(postgres: PostgresServer, postgresql_url: str) -> None:
    """A killed server keeps what it acknowledged, at the same URL."""
    await _run(postgresql_url, "create table t (n int)", "insert into t values (7)")

    postgres.crash()
    with pytest.raises((OSError, DBAPIError)):
        await _run(postgresql_url, "select n from t")
    postgres.start()

    assert await _run(postgresql_url, "select n from t") == [7]


async def test_a_test_may_leave_the_server_stopped(postgres: PostgresServer, postgresql_url: str) -> None:
    """The fixtures start it again for the next test and remove the database."""
    assert await _run(postgresql_url, "select 1") == [1]
    postgres.stop()

    assert not postgres.running


async def test_the_server_runs_after_a_test_that_stopped_it(postgresql_url: str) -> None:
    """Tests may run in any order, so this one never starts the server itself."""
    assert await _run(postgresql_url, "select 1") == [1]


def test_a_database_can_be_copied_from_a_prepared_one(postgres: PostgresServer) -> None:
    """A schema is built once and copied for each test that needs it."""
    prepared = postgres.create_database()
    postgres.query("create table t (n int); insert into t values (1)", database=prepared)

    copy = postgres.create_database(template=prepared)

    assert postgres.query("select n from t", database=copy) == "1"
    postgres.drop_database(copy)
    postgres.drop_database(prepared)


def test_a_wrong_statement_says_what_is_wrong(postgres: PostgresServer) -> None:
    """Not an exit status."""
    with pytest.raises(RuntimeError, match='relation "nowhere" does not exist'):
        postgres.query("select * from nowhere")


def test_sqlite_file_is_in_the_tests_own_folder(sqlite_url: str, tmp_path: Path) -> None:
    """Four slashes: the path is absolute."""
    assert sqlite_url == f"sqlite+aiosqlite:///{tmp_path}/test.sqlite3"
