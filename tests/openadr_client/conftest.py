"""A real VTN for the tests of the client, and a scripted one with a client that repeats nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from openadr_client import ManualClock, PooledTransport, ShortTransport, SystemClock
from openadr_client.backoff import NO_RETRY
from openadr_client.client import VtnClient
from openadr_client.transport import BaseTransport
from tests.support.once import Once
from tests.support.scripted_vtn import ScriptedVtn, scripted_vtn
from tests.ven.home import Town
from tests.ven.home import town as a_town
from vtn.app import migrate_database
from vtn.settings import Settings


@pytest.fixture(scope="session")
def empty_database(once: Once) -> Path:
    """The file of a VTN's database with tables and nothing in them."""

    def fill(folder: Path) -> None:
        settings = Settings.model_validate({"database": {"url": f"sqlite:///{folder}/vtn.sqlite3"}})
        asyncio.run(migrate_database(settings))

    return once("town", fill) / "vtn.sqlite3"


@pytest.fixture
async def town(tmp_path: Path, empty_database: Path) -> AsyncIterator[Town]:
    """A real VTN on the machine's clock, and its business logic."""
    async with a_town(tmp_path, SystemClock(), database=empty_database) as town:
        yield town


@pytest.fixture
async def vtn() -> AsyncIterator[ScriptedVtn]:
    async with scripted_vtn() as server:
        yield server


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(params=[PooledTransport, ShortTransport])
def transport(request: pytest.FixtureRequest) -> type[BaseTransport]:
    """Both that there are: of a VEN, and of a command that ends."""
    kind: type[BaseTransport] = request.param
    return kind


@pytest.fixture
async def client(vtn: ScriptedVtn, clock: ManualClock, transport: type[BaseTransport]) -> AsyncIterator[VtnClient]:
    async with VtnClient(
        base_url=vtn.base_url,
        client_id="home",
        client_secret="s3cret",
        clock=clock,
        transport=transport,
        retry=NO_RETRY,
    ) as client:
        yield client
