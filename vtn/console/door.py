"""The door of the console: what a server has of it before the first visitor. The rest is loaded when somebody comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from vtn.console.console import PATH, Console

if TYPE_CHECKING:
    from vtn.console.application import ConsoleApplication

METHODS = (hdrs.METH_GET, hdrs.METH_POST)


class ConsoleDoor:
    """Answers everything at and below ``/console``."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._application: ConsoleApplication | None = None
        self._loading = asyncio.Lock()
        self._compiling: asyncio.Task[None] | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        if self._application is None:
            async with self._loading:
                if self._application is None:
                    self._application = await asyncio.to_thread(self._load, request.app)
                    self._compiling = asyncio.create_task(asyncio.to_thread(self._application.pages.compile))
        return await self._application.answer(request)

    def paths(self) -> tuple[str, ...]:
        """Return the paths that come here, as a router has them.

        Both are patterns: a usual path without any goes past the router, and its request would know no application.
        """
        return PATH + "{end:/?}", PATH + "/{rest:.+}"

    def _load(self, app: web.Application) -> ConsoleApplication:
        from vtn.console.application import ConsoleApplication  # noqa: PLC0415 (most servers have no visitor)

        return ConsoleApplication(self._console, app)
