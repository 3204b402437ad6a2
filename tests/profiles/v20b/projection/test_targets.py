"""Targets of OpenADR 3 as elements of 2.0b (4.3)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_profiles.v20b.projection import TargetPart, parts_for
from openadr_profiles.v20b.projection.targets import part_of, target_of

KINDS = ["ven", "group", "groupname", "resource", "party", "deviceclass", "meter", "pnode", "apnode", "sdp", "zone"]
values = st.text(min_size=1, max_size=20)
targets = st.one_of(values, st.tuples(st.sampled_from(KINDS), values).map(":".join))


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("north", ("group_id", "north")),
        ("group:north", ("group_id", "group:north")),
        ("groupname:north", ("group_name", "north")),
        ("resource:battery", ("resource_id", "battery")),
        ("pnode:a:b", ("pnode", "a:b")),
        ("ti:a/b", ("transport_interface", "a/b")),
        ("ti:a", None),
        ("area:north", None),
        ("location:home", None),
        ("ven:", ("group_id", "ven:")),
    ],
)
def test_a_target_is_a_kind_and_a_value(target: str, part: tuple[str, str] | None) -> None:
    assert part_of(target) == (None if part is None else TargetPart(*part))


@settings(max_examples=50)
@given(targets)
def test_a_target_that_is_told_comes_back_as_it_was(target: str) -> None:
    part = part_of(target)
    if part is not None:
        assert target_of(part) == target


@settings(max_examples=50)
@given(st.lists(targets, max_size=8), st.sets(targets, max_size=4), st.data())
def test_a_ven_is_told_of_targets_it_holds_and_of_itself_only(
    asked: list[str], others: set[str], data: st.DataObject
) -> None:
    """B-EVT-035, PRIV-013."""
    held = {*others, *(data.draw(st.sets(st.sampled_from(asked))) if asked else ())}
    parts = parts_for(asked, held, "VEN1")
    assert [part.value for part in parts if part.element == "ven_id"] == ["VEN1"]
    told = {target_of(part) for part in parts if part.element != "ven_id"}
    assert told == {
        target for target in asked if target in held and (part := part_of(target)) and part.element != "ven_id"
    }


def test_other_names_of_the_ven_are_not_told_as_groups() -> None:
    """4.3: the id of a ven is a target that only this VEN holds."""
    parts = parts_for(["id-1", "north"], {"id-1", "north"}, "VEN1", also_named=("id-1",))
    assert parts == (TargetPart("group_id", "north"), TargetPart("ven_id", "VEN1"))
