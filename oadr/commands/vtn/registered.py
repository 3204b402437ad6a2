"""The clients in a VTN's database, for commands that ask or change them without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from oadr.commands.vtn.options import load_settings
from oadr.errors import reporting

if TYPE_CHECKING:
    from vtn.auth.clients import Clients
    from vtn.settings import Settings

T = TypeVar("T")


def with_clients(
    config: Path | None, database_url: str | None, act: Callable[[Clients], Awaitable[T]], *, make: bool = True
) -> T:
    """Return what ``act`` makes of the clients in the database; ``make`` creates its tables where there are none."""
    with reporting():
        settings = load_settings(config, {"database.url": database_url})
    return run_with_clients(settings, act, make=make)


def run_with_clients(settings: Settings, act: Callable[[Clients], Awaitable[T]], *, make: bool = True) -> T:
    """Return what ``act`` makes of the clients in the database that the settings name; else as `with_clients`."""

    async def run_() -> T:
        from vtn.app import client_registry

        async with client_registry(settings, make=make) as clients:
            return await act(clients)

    with reporting():
        return asyncio.run(run_())
    raise AssertionError  # reporting() leaves by an exception or lets the answer through
