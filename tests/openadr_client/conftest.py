"""A real VTN for the tests of the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openadr_client import SystemClock
from tests.support.once import Once
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
