"""Send files of lists while they are read: a few at once for each user; one that nobody takes is cut off."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Final

import structlog
from aiohttp import hdrs, web

from vtn.errors import TooManyRequests

_log = structlog.get_logger(__name__)

_OF_ONE_USER: Final = 4
_IN_ALL: Final = 32


class Exports:
    """The files that are being sent by this process."""

    def __init__(self) -> None:
        self._sending: Counter[str] = Counter()
        self.taken_s = 60.0
        """Time within which a reader has to take a piece."""

    async def send(
        self, request: web.Request, user_name: str, headers: Mapping[str, str], pieces: AsyncGenerator[bytes, None]
    ) -> web.StreamResponse:
        """Send the pieces of a file; raises TooManyRequests, and whatever the first piece raises.

        What goes wrong later ends the connection, so that a part of a file does not look like the whole.
        """
        with self._counted(user_name):
            async with aclosing(pieces):
                piece = await anext(pieces, b"")
                response = web.StreamResponse(headers=headers)
                await response.prepare(request)
                if request.method == hdrs.METH_HEAD:
                    await response.write_eof()
                    return response
                try:
                    await self._taken(response.write(piece))
                    async for piece in pieces:
                        await self._taken(response.write(piece))
                    await self._taken(response.write_eof())
                except ConnectionError:  # the reader has gone
                    pass
                except Exception as error:  # the head is sent: there is no page to say it on
                    is_slow = isinstance(error, TimeoutError)
                    reason = "it was not taken in time" if is_slow else type(error).__name__
                    _log.warning("a file was not sent whole", path=request.path, reason=reason, exc_info=not is_slow)
                    if request.transport is not None:
                        request.transport.abort()
                return response

    async def _taken(self, writing: Awaitable[None]) -> None:
        async with asyncio.timeout(self.taken_s):
            await writing

    @contextmanager
    def _counted(self, user_name: str) -> Iterator[None]:
        if self._sending[user_name] >= _OF_ONE_USER:
            raise TooManyRequests(
                f"{_OF_ONE_USER} files are being sent to you: wait for one of them, or end it", retry_after_s=10
            )
        if self._sending.total() >= _IN_ALL:
            raise TooManyRequests("too many files are being sent to others: try again later", retry_after_s=10)
        self._sending[user_name] += 1
        try:
            yield
        finally:
            self._sending[user_name] -= 1
            if not self._sending[user_name]:
                del self._sending[user_name]
