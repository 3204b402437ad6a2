"""The rule of groups in groups, without a database (COMPAT-088)."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtn.errors import Conflict
from vtn.nesting import Link, check_nesting

IDS = "abcdefg"

forests = st.lists(
    st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)).filter(lambda link: link[0] < link[1]), unique=True
)
"""Links that are in no circle: from a letter to a later one."""


def around(group: str, children: list[str], links: list[Link]) -> list[Link]:
    """Return the links that are above a group or below its children."""

    def reached(start: set[str], of: int) -> set[str]:
        while True:
            further = start | {link[of] for link in links if link[1 - of] in start}
            if further == start:
                return start
            start = further

    above, below = reached({group}, 0), reached(set(children), 1)
    return [link for link in links if link[1] in above or link[0] in below]


def depth(links: list[Link]) -> int:
    """Return the number of groups on the longest way down, 9 for a circle and whatever is deeper."""
    below = dict.fromkeys(IDS, 1)
    for _ in range(8):
        below = {one: 1 + max((below[held] for holder, held in links if holder == one), default=0) for one in IDS}
    return max(below.values())


@given(forests, st.sampled_from(IDS), st.lists(st.sampled_from(IDS), unique=True), st.integers(1, 8))
def test_a_group_may_hold_what_leaves_no_circle_and_no_long_way(
    links: list[Link], group: str, children: list[str], max_depth: int
) -> None:
    """The same as to put it in and look at every way there is, if there was none too long before."""
    links = [link for link in links if link[0] != group]  # its children are replaced
    after = [*links, *((group, child) for child in children)]
    if depth(links) > max_depth:
        return
    longest = depth(after)

    with pytest.raises(Conflict) if longest > max_depth else nullcontext():
        check_nesting(group, dict(enumerate(children)), around(group, children, links), max_depth=max_depth)


@pytest.mark.parametrize(
    ("children", "problem"),
    [
        ({4: "c", 7: "b"}, r"children\[4\]\.id: groups would be nested more than 3 deep"),
        ({2: "d", 3: "top"}, r"children\[3\]\.id: the group would be in itself"),
        ({0: "g"}, r"children\[0\]\.id: the group would be in itself"),
    ],
)
def test_the_child_is_named(children: dict[int, str], problem: str) -> None:
    """By its place in the document."""
    with pytest.raises(Conflict, match=problem):
        check_nesting("g", children, [("top", "g"), ("c", "d")], max_depth=3)


@given(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)), unique=True), st.sampled_from(IDS))
def test_it_ends_where_there_is_a_circle_already(links: list[Link], group: str) -> None:
    """A backup may hold one, made by hand: it gives an answer, whatever it is."""
    with pytest.raises(Conflict):
        check_nesting(group, {0: group}, links, max_depth=8)


def test_a_new_group_is_above_all_others() -> None:
    """It has no id yet."""
    check_nesting(None, {0: "a", 1: "b"}, [("a", "b"), ("b", "c")], max_depth=4)
    with pytest.raises(Conflict, match=r"children\[0\]"):
        check_nesting(None, {0: "a", 1: "b"}, [("a", "b"), ("b", "c")], max_depth=3)
