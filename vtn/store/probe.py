"""Asks PostgreSQL whether it answers and can be written, on a connection that no request has to wait for."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from sqlalchemy.engine import URL

from vtn.store.prepared import connect_arguments

_ANSWER_S: Final = 0.75
"""Time limit of a query, in seconds. One that takes longer goes on, and the next caller gets its result."""


class DatabaseProbe:
    """Sends one query at a time, shared by all callers who wait for it."""

    def __init__(self, url: URL) -> None:
        self._arguments = connect_arguments(url)
        self._connection: Any = None
        self._asking: asyncio.Task[bool] | None = None

    async def is_read_only(self) -> bool:
        """True if no transaction can write: a standby, or a server that was told so.

        Raises TimeoutError when there is no answer within a second, else what the driver raises.
        """
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="readiness")
            self._asking.add_done_callback(_seen)
        asking = self._asking
        # Not a timeout of the task: in a busy process both come late, and the answer would be thrown away.
        done, _ = await asyncio.wait({asking}, timeout=_ANSWER_S)
        if not done:
            raise TimeoutError("no answer in time")
        return asking.result()

    async def close(self) -> None:
        """Close the connection."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cancel()
            await asyncio.wait({asking})
        self._hang_up()

    async def _ask(self) -> bool:
        import asyncpg  # type: ignore[import-untyped,unused-ignore] # noqa: PLC0415 (untyped; an extra, installed where it is used)

        if self._connection is not None:
            try:
                return await self._answer()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
                self._hang_up()  # perhaps the server was started again meanwhile
        self._connection = await asyncpg.connect(timeout=_ANSWER_S, command_timeout=_ANSWER_S, **self._arguments)
        try:
            read_only = await self._answer()
        except BaseException:
            self._hang_up()
            raise
        if read_only:
            self._hang_up()  # the next one may lead to the server that took over
        return read_only

    async def _answer(self) -> bool:
        return bool(await self._connection.fetchval("SELECT current_setting('transaction_read_only')") == "on")

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


def _seen(asking: asyncio.Task[bool]) -> None:
    """Retrieve the error of a query whose callers have gone, so that asyncio does not report it as unhandled."""
    if not asking.cancelled():
        asking.exception()
