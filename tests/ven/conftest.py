"""Fixtures of the VEN's room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from openadr_client.clock import ManualClock
from tests.support.once import Once
from tests.ven.builders import START
from tests.ven.home import Home, Town
from tests.ven.home import town as a_town
from vtn.app import migrate_database
from vtn.settings import Settings

StartHome = Callable[..., Awaitable[Home]]


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands an hour before the events of these tests."""
    return ManualClock(START - timedelta(hours=1))


@pytest.fixture(scope="session")
def empty_database(once: Once) -> Path:
    """The file of a VTN's database with tables and nothing in them."""

    def fill(folder: Path) -> None:
        settings = Settings.model_validate({"database": {"url": f"sqlite:///{folder}/vtn.sqlite3"}})
        asyncio.run(migrate_database(settings))

    return once("town", fill) / "vtn.sqlite3"


@pytest.fixture
async def town(tmp_path: Path, clock: ManualClock, empty_database: Path) -> AsyncIterator[Town]:
    """A real VTN and its business logic."""
    async with a_town(tmp_path, clock, database=empty_database) as town:
        yield town


@pytest.fixture
async def start_home(town: Town) -> AsyncIterator[StartHome]:
    """Starts homes of the town; they are stopped after the test."""
    homes: list[Home] = []

    async def start(name: str = "home-1", **members: Any) -> Home:
        home = await town.home(name, **members)
        homes.append(home)
        await home.start()
        return home

    yield start
    for home in homes:
        await home.kill()
