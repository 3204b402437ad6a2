"""Records of targets: what is stored of a type and a value, and what comes back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_profiles.v31 import Invalid, ValuesMap, decode
from openadr_profiles.v301 import targets as typed
from openadr_profiles.v301.targets import TargetRecord
from tests.profiles.v301 import strategies


def records_of(maps: object) -> tuple[TargetRecord, ...]:
    """The records in valuesMaps, given as Python."""
    return typed.records_of(decode(json.dumps(maps), tuple[ValuesMap, ...]))


@settings(max_examples=50)
@given(strategies.targets)
def test_what_is_stored_comes_back(maps: list[dict[str, object]]) -> None:
    """V301-001, V301-002, V301-003, V301-046: types, values and their kinds."""
    records = records_of(maps)
    text = typed.stored(records)

    assert text is not None
    assert typed.read(text) == records
    assert json.loads(typed.shown(typed.read(text), typed.texts_of(records), "GROUP")) == maps


@settings(max_examples=50)
@given(strategies.targets, st.data())
def test_a_filter_finds_exactly_what_has_its_type_and_value(maps: list[dict[str, object]], data: st.DataObject) -> None:
    """V301-005: no other type, no value that is only written alike."""
    records = records_of(maps)
    listed = set(json.loads(typed.stored(records) or "[]"))
    type_ = data.draw(strategies.types)
    text = data.draw(st.sampled_from([record.text for record in records]))

    found = not listed.isdisjoint(typed.searched(type_, [text]))

    assert found == any(record.type == type_ and record.text == text for record in records)
    of_type = not listed.isdisjoint(typed.searched(type_, None))
    assert of_type == any(record.type == type_ for record in records)


@settings(max_examples=50)
@given(strategies.targets, st.data())
def test_plain_targets_keep_the_types_they_had(maps: list[dict[str, object]], data: st.DataObject) -> None:
    """V301-004: and what is new has none."""
    before = records_of(maps)
    texts = typed.texts_of(before)
    chosen = (*data.draw(st.lists(st.sampled_from(texts), unique=True)), "brand new")

    after = typed.kept(before, chosen)

    assert typed.texts_of(after) == chosen
    assert [one for one in after if one.text == "brand new"] == [TargetRecord(None, '"brand new"')]
    assert {one for one in after if one.text != "brand new"} == {one for one in before if one.text in chosen}


def test_plain_texts_need_no_records() -> None:
    """V301-001: what is written on 3.1 takes no more room than before."""
    assert typed.stored((TargetRecord(None, '"a"'),)) is None
    assert typed.kept((), ("a", "b")) == ()


@pytest.mark.parametrize("value", ["", "x" * 129, "a\0b"])
def test_values_that_cannot_be_matched_are_refused(value: str) -> None:
    """OBJ-007: with their place."""
    with pytest.raises(Invalid) as refused:
        typed.records_of([ValuesMap(type="GROUP", values=("a", value))])

    assert refused.value.member == "targets[0].values[1]"
