"""Waiting for a fact instead of sleeping for a while."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

_POLL_S = 0.01


@overload
async def wait_until(fact: Callable[[], Awaitable[T]], *, timeout_s: float = ..., what: str = ...) -> T: ...
@overload
async def wait_until(fact: Callable[[], T], *, timeout_s: float = ..., what: str = ...) -> T: ...
async def wait_until(fact: Callable[[], object], *, timeout_s: float = 60.0, what: str = "") -> object:
    """The first true value of `fact`, a plain or an async function without arguments.

    Raises:
        AssertionError: nothing true within `timeout_s` seconds; the message names `what` and the last value.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        answer = fact()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(_too_late(fact, value, timeout_s, what))
        await asyncio.sleep(_POLL_S)


def wait_until_sync(fact: Callable[[], T], *, timeout_s: float = 60.0, what: str = "") -> T:
    """The same for tests and fixtures without an event loop."""
    deadline = time.monotonic() + timeout_s
    while not (value := fact()):
        if time.monotonic() >= deadline:
            raise AssertionError(_too_late(fact, value, timeout_s, what))
        time.sleep(_POLL_S)
    return value


def _too_late(fact: object, value: object, timeout_s: float, what: str) -> str:
    name = what or getattr(fact, "__qualname__", repr(fact))
    return f"not within {timeout_s:g} s: {name} (last value: {value!r})"
