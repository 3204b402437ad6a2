"""Some rows of each test instead of all: what another interpreter does with one, it does with the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Protocol, TypeVar


class HasNodeId(Protocol):
    """A collected test."""

    @property
    def nodeid(self) -> str:
        """Return file, class, name, and parameters in brackets."""


T = TypeVar("T", bound=HasNodeId)


def first_rows(items: Iterable[T], most: int) -> tuple[list[T], list[T]]:
    """Return the first `most` sets of parameters of each test, and the others; without parameters a test has one."""
    seen: Counter[str] = Counter()
    kept: list[T] = []
    left: list[T] = []
    for item in items:
        test = item.nodeid.partition("[")[0]
        seen[test] += 1
        (kept if seen[test] <= most else left).append(item)
    return kept, left
