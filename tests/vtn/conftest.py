"""Servers for the tests of this room.

One VTN per kind of database serves all tests, which each find it empty; a test that needs other settings or breaks
things starts its own. All of them share one event loop.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bench.support.postgres import PostgresServer
from tests.support.once import Once
from tests.vtn.harness import CHEAP_SECRETS, VtnUnderTest
from vtn.app import migrate_database
from vtn.settings import Settings

StartVtn = Callable[..., Awaitable[VtnUnderTest]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run every test of this room in the loop of the session, where the shared servers live."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


def settings_for(database_url: str, **members: Any) -> Settings:
    """Settings of a server in a test: a free port, cheap secrets, no log of requests; deliveries, alarms if asked."""
    auth = {"argon2": CHEAP_SECRETS} | members.pop("auth", {})
    database = {"url": database_url} | members.pop("database", {})
    notify = {"dispatch": False} | members.pop("notify", {})
    alarms = {"enabled": False} | members.pop("alarms", {})
    facts = {"read": False} | members.pop("facts", {})
    safety = {"repeat_check_s": 600} | members.pop("safety", {})  # a look is a statement that others may count
    always = {"port": 0, "alarms": alarms, "facts": facts, "safety": safety, "log_requests": False} | {
        "database": database,
        "auth": auth,
        "notify": notify,
    }
    return Settings.model_validate(always | members)


@pytest.fixture(scope="session")
def sqlite_template(once: Once) -> Path:
    """A SQLite file with the tables in it."""
    folder = once("vtn", lambda folder: asyncio.run(migrate_database(settings_for(f"sqlite:///{folder}/vtn.sqlite3"))))
    return folder / "vtn.sqlite3"


@pytest.fixture(scope="session")
def postgresql_template(postgres_server: PostgresServer) -> str:
    """The name of a PostgreSQL database with the tables in it."""
    name = postgres_server.create_database()
    asyncio.run(migrate_database(settings_for(postgres_server.url(name))))
    return name


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database; a test that uses it, directly or not, runs once on each."""
    name: str = request.param
    return name


@pytest.fixture
def migrated_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with empty tables, for this test only."""
    return _copy(kind, request, tmp_path)


@pytest.fixture(scope="session")
def shared_url(kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of the database that the shared server uses."""
    return _copy(kind, request, tmp_path_factory.mktemp("shared"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_vtn(shared_url: str) -> AsyncIterator[VtnUnderTest]:
    """The server that all tests share, one for each kind of database."""
    vtn = VtnUnderTest(settings_for(shared_url))
    await vtn.start()
    yield vtn
    await vtn.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def vtn(shared_vtn: VtnUnderTest) -> VtnUnderTest:
    """A VTN without any object."""
    await shared_vtn.wipe()
    return shared_vtn


@pytest_asyncio.fixture(loop_scope="session")
async def start_vtn(vtn: VtnUnderTest) -> AsyncIterator[StartVtn]:
    """Starts another server on the database and the clock of `vtn`, with the settings given."""
    started: list[VtnUnderTest] = []

    async def start(**members: Any) -> VtnUnderTest:
        url = vtn.server.settings.database.url.get_secret_value()
        other = VtnUnderTest(settings_for(url, **members), vtn.now)
        started.append(other)
        await other.start()
        return other

    yield start
    for other in started:
        await other.stop()


def _copy(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    template = request.getfixturevalue(f"{kind}_template")
    if kind == "sqlite":
        return f"sqlite:///{shutil.copy(template, folder / 'vtn.sqlite3')}"
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return server.url(server.create_database(template=template))
