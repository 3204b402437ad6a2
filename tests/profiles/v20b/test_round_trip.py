"""Read back what is written, and have both validators accept it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.errors import Unwritable
from openadr_profiles.v20b.layout.messages import LAYOUTS, NAMES
from openadr_profiles.v20b.reading import read
from openadr_profiles.v20b.writing import KeptIntervals, write
from tests.profiles.v20b.judges import verdict
from tests.profiles.v20b.samples import DATA, DESCRIPTION, METADATA, an_event
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


def test_intervals_that_are_kept_are_written_once() -> None:
    """Issue 12, speed: an event is built once for all VENs that are told it, and reads the same."""
    event = an_event(intervals=24)
    signal = event.signals[0]
    kept = KeptIntervals(signal.intervals)
    message = m.DistributeEvent(
        request_id="r", vtn_id="VTN", events=(replace(event, signals=(replace(signal, intervals=kept),)),)
    )
    plain = m.DistributeEvent(request_id="r", vtn_id="VTN", events=(event,))

    assert write(message) == write(plain) == write(message)
    assert kept.text is not None
    kept.text = "<!--kept-->"
    assert b"<strm:intervals><!--kept--></strm:intervals>" in write(message)


@pytest.mark.parametrize(
    "message",
    [
        m.UpdateReport(
            request_id="r",
            reports=(replace(DATA, intervals=(m.Interval(payloads=(m.ReportPayload(r_id="r", value=math.nan),)),)),),
        ),
        m.RegisterReport(
            request_id="r",
            reports=(
                replace(
                    METADATA,
                    descriptions=(replace(DESCRIPTION, item_base=m.ItemBase(name="watt", description="", units="")),),
                ),
            ),
        ),
        m.UpdateReport(
            request_id="r", reports=(replace(DATA, intervals=(m.Interval(payloads=(m.GreenButtonPayload(),)),)),)
        ),
        m.RequestEvent(request_id="r", ven_id="v", reply_limit=-1),
    ],
    ids=["NaN", "unknown unit", "Green Button", "negative count"],
)
def test_what_has_no_form_is_not_written(message: m.Message) -> None:
    """B-GEN-013: a mistake of ours is an error of ours, never an invalid message."""
    with pytest.raises(Unwritable, match="expected"):
        write(message)
