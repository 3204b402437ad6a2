"""Pauses: work over many panels gives others a turn of the event loop after every few of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

WITHOUT_PAUSE: Final = 50
"""So many panels, messages or rows are dealt with in one go."""


async def with_pauses(items: Iterable[T], *, size: int = WITHOUT_PAUSE) -> AsyncIterator[T]:
    """Yield the items; after every ``size`` of them others have their turn, so few items are dealt with at once."""
    for place, item in enumerate(items):
        if place and place % size == 0:
            await asyncio.sleep(0)
        yield item


def in_pieces(items: Sequence[T], *, size: int = WITHOUT_PAUSE) -> Iterator[Sequence[T]]:
    """Yield the items in pieces of ``size``, the last may be shorter."""
    for first in range(0, len(items), size):
        yield items[first : first + size]
