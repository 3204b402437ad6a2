"""The console as somebody who is signed in uses it, without a browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.vtn.console.visitor import ConsoleUnderTest
from tests.vtn.harness import VtnUnderTest


@pytest_asyncio.fixture(loop_scope="session")
async def console(vtn: VtnUnderTest) -> AsyncIterator[ConsoleUnderTest]:
    """The console of an empty VTN, signed in as an admin; ``console.as_role("viewer")`` is somebody else."""
    signed_in = await ConsoleUnderTest.signed_in(vtn, "admin")
    yield signed_in
    await signed_in.close()
