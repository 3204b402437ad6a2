"""The rule of groups in groups: no group is in itself, and none is nested too deep (COMPAT-088)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from vtn.errors import Conflict

Link: TypeAlias = tuple[str, str]
"""The id of a group, and that of a group in it."""


def check_nesting(group_id: str | None, children: Mapping[int, str], links: Sequence[Link], *, max_depth: int) -> None:
    """Raise Conflict, naming the child, if a group cannot hold these ones: ids under places in the document.

    ``links`` are all those above the group and below its children; ``group_id`` is None for a new one. A group without
    groups in it has a depth of 1. It ends also for links that are in a circle already.
    """
    above = _above(group_id, links)
    for place, child_id in children.items():
        if child_id in above:
            raise Conflict(f"children[{place}].id: the group would be in itself")
    below = _depths(links, max_depth)
    for place, child_id in children.items():
        if max(above.values()) + 1 + below[child_id] > max_depth:
            raise Conflict(f"children[{place}].id: groups would be nested more than {max_depth} deep")


def _above(group_id: str | None, links: Sequence[Link]) -> dict[str | None, int]:
    """Return the group and all that hold it, directly or not, each with the length of the longest way up to it."""
    holders = defaultdict[str | None, set[str]](set)
    for holder, held in links:
        holders[held].add(holder)
    ways: dict[str | None, int] = {group_id: 0}
    step: set[str | None] = {group_id}
    for length in range(1, len(holders) + 1):
        step = {holder for held in step for holder in holders.get(held, ())}
        ways |= dict.fromkeys(step, length)
        if not step:
            break
    return ways


def _depths(links: Sequence[Link], most: int) -> Mapping[str, int]:
    """Return the depth of each group, with all that is below it; right up to ``most``, at least more than it beyond."""
    depths = defaultdict[str, int](lambda: 1)
    for _ in range(most):
        before = dict(depths)
        for holder, held in links:
            depths[holder] = max(depths[holder], depths[held] + 1)
        if depths == before:
            break
    return depths
