"""A VTN whose reports are read when a test says so."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.vtn.facts.fleet import Fleet
from tests.vtn.harness import VtnUnderTest


@pytest_asyncio.fixture(loop_scope="session")
async def fleet(vtn: VtnUnderTest) -> AsyncIterator[Fleet]:
    """A VTN without any object or fact, whose reports are read by `fleet.read()`."""
    fleet = Fleet(vtn)
    await fleet.forget()
    yield fleet
    await fleet.forget()
