"""A dictionary of limited length, which forgets what was unused for longest.

``cachetools.LRUCache`` does this too. It was measured beside these few lines, which are on the way of every request: it
takes up to 1.9 times as long to find a value, and 1.5 to 1.9 times as long to keep one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LruCache(Generic[K, V]):
    """Values by key, at most ``most`` of them. None is no value."""

    __slots__ = ("_most", "_values", "peek")

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()
        self.peek = self._values.get
        """Returns the value under a key, or None, without counting it as used: the quickest way there is."""

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K) -> V | None:
        """Return the value under a key, which was used now; None if there is none."""
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        """Keep a value under a key, and forget one if there are too many now."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def drop(self, key: K) -> None:
        """Forget the value under a key, if there is one."""
        self._values.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
