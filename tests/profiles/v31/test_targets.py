"""Who may see what: the rule without a server around it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.v31.targets import admits, effective, visible_targets

EVENTS = {
    "E0": [],
    "E1": ["g1"],
    "E2": ["g1", "g2"],
    "E3": ["g2"],
    "E4": ["r1"],
    "E5": ["V1.id"],
}
V1 = {"g1", "areaX", "r1", "V1.id"}


def seen(granted: set[str], asked: list[str] | None) -> dict[str, list[str]]:
    return {
        name: list(visible_targets(targets, granted, asked))
        for name, targets in EVENTS.items()
        if admits(targets, granted, asked)
    }


@pytest.mark.parametrize(
    ("granted", "asked", "expected"),
    [
        pytest.param(V1, None, {"E0": [], "E1": ["g1"], "E2": ["g1"], "E4": ["r1"], "E5": ["V1.id"]}, id="PRIV-EX-03"),
        pytest.param(V1, ["g1"], {"E1": ["g1"], "E2": ["g1"]}, id="PRIV-EX-04"),
        pytest.param(V1, ["g2"], {}, id="PRIV-EX-05"),
        pytest.param(V1, ["g1", "g2"], {"E1": ["g1"], "E2": ["g1"]}, id="PRIV-EX-06"),
        pytest.param(V1, ["areaX"], {}, id="PRIV-EX-07"),
        pytest.param(V1, ["r1"], {"E4": ["r1"]}, id="PRIV-EX-08"),
        pytest.param(set(), None, {"E0": []}, id="PRIV-EX-11"),
        pytest.param(set(), ["g1"], {}, id="PRIV-EX-12"),
        pytest.param(
            {"g2", "r1", "V1.id"},
            None,
            {"E0": [], "E2": ["g2"], "E3": ["g2"], "E4": ["r1"], "E5": ["V1.id"]},
            id="PRIV-EX-14",
        ),
        pytest.param({"g2", "V1.id"}, None, {"E0": [], "E2": ["g2"], "E3": ["g2"], "E5": ["V1.id"]}, id="PRIV-EX-15"),
        pytest.param(
            {"g1", "areaX", "r1"}, None, {"E0": [], "E1": ["g1"], "E2": ["g1"], "E4": ["r1"]}, id="PRIV-EX-17"
        ),
    ],
)
def test_worked_examples(granted: set[str], asked: list[str] | None, expected: dict[str, list[str]]) -> None:
    """PRIV-005, PRIV-006, PRIV-007, PRIV-008, PRIV-009, PRIV-012, PRIV-013 and the worked examples."""
    assert seen(granted, asked) == expected


def test_targets_are_compared_exactly() -> None:
    """PAGE-026: case, blanks and prefixes matter."""
    for granted in ("G1", "g1 ", "g", "g1x"):
        assert not admits(["g1"], {granted}, None)


def test_asking_for_nothing_sees_nothing() -> None:
    """PRIV-008: an empty list was asked; it is not the same as not asking."""
    assert seen(V1, []) == {}


names = st.sets(st.sampled_from("abcdef"), max_size=4)
lists = st.lists(st.sampled_from("abcdef"), max_size=4, unique=True)


@given(lists, names, st.none() | lists)
def test_what_is_seen_is_granted_and_asked_for(targets: list[str], granted: set[str], asked: list[str] | None) -> None:
    """PRIV-006, PRIV-007, PRIV-013: shown targets are the object's, in its order, and never more than one holds."""
    shown = visible_targets(targets, granted, asked)

    assert set(shown) == set(targets) & effective(granted, asked)
    assert list(shown) == [target for target in targets if target in shown]
    assert effective(granted, asked) <= granted
    if targets:
        assert admits(targets, granted, asked) == bool(shown)
    else:
        assert admits(targets, granted, asked) == (asked is None)


@given(lists, names, lists, names)
def test_asking_narrows_and_granting_widens(
    targets: list[str], granted: set[str], asked: list[str], more: set[str]
) -> None:
    """PRIV-003, PRIV-007: no question can show what is hidden without it."""
    if admits(targets, granted, asked):
        assert admits(targets, granted, None)
    if admits(targets, granted, None):
        assert admits(targets, granted | more, None)
