"""Answers to GETs of any size: who has to wait for memory, or for objects to stop changing, is answered from anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from aiohttp import web

from vtn.errors import ChangedMeanwhile, Unavailable
from vtn.http import conditional
from vtn.http.responses import CachedResponse
from vtn.http.sending import Reservation, SendBudget
from vtn.http.streamed import LargeBody, streamed

_ATTEMPTS: Final = 5


async def deliver(
    request: web.Request, read: Callable[[], Awaitable[CachedResponse | LargeBody]], sending: SendBudget, *, owner: str
) -> web.StreamResponse:
    """Return the answer to a GET: 200 or 304, as a whole or object by object, with the memory that it takes.

    ``read`` gives what is to be sent. It is called again when what it read was changed before it could be sent; raises
    Unavailable if that happens again and again, Overloaded if there is no memory in time.
    """
    for _ in range(_ATTEMPTS):
        with suppress(ChangedMeanwhile):
            return await _delivered(request, read, sending, owner)
    raise Unavailable("the objects change faster than they can be read; try again later")


async def _delivered(
    request: web.Request, read: Callable[[], Awaitable[CachedResponse | LargeBody]], sending: SendBudget, owner: str
) -> web.StreamResponse:
    """Return the answer; raises ChangedMeanwhile. Who waits for memory holds nothing meanwhile, and reads again."""
    reserved: Reservation | None = None
    while True:
        try:
            content = await read()
            if not isinstance(content, CachedResponse):
                release(reserved)
                return await streamed(request, content, sending, owner=owner)
            response = conditional.read(request, content)
        except BaseException:
            release(reserved)
            raise
        if not isinstance(response, int):
            release(reserved)
            return response
        size = response
        if reserved is None:
            reserved = sending.flight.take_now(owner, size)
        if reserved is not None and reserved.is_enough_for(size):
            whole = conditional.read(request, content, reserved)
            if not isinstance(whole, int):
                return whole
        release(reserved)
        del content
        reserved = await sending.flight.take(owner, size)


def release(reserved: Reservation | None) -> None:
    """Give reserved memory back, if there is any."""
    if reserved is not None:
        reserved.release()
