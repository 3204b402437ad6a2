"""What is written can be read, and both validators accept it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.layout.messages import LAYOUTS, NAMES
from openadr_profiles.v20b.reading import read
from openadr_profiles.v20b.writing import write
from tests.profiles.v20b.judges import verdict
from tests.profiles.v20b.strategies import messages, objects


@pytest.mark.parametrize("kind", list(LAYOUTS), ids=NAMES.get)
@settings(max_examples=8)
@given(data=st.data())
def test_every_message_comes_back_as_it_was(kind: type[m.Message], data: st.DataObject) -> None:
    """B-GEN-001, B-GEN-006, B-GEN-010, B-GEN-015: texts, ids, instants and numbers survive, whatever they hold."""
    message = data.draw(objects(kind))
    received = read(write(message))

    assert received.message == message
    assert received.name == NAMES[kind]
    assert not received.signed


@settings(max_examples=60)
@given(messages)
def test_both_validators_accept_every_message(message: Any) -> None:
    """B-GEN-002, B-GEN-003, B-GEN-013: valid, of version 2.0b, without a place of schemas."""
    body = write(message)

    assert verdict(body)
    assert b'schemaVersion="2.0b"' in body
    assert b"schemaLocation" not in body
