"""The messages that are measured: ours and the other implementation's say the same."""

from __future__ import annotations

from datetime import timedelta

from openleadr import messaging

from bench.messages_20b import EVENTS, INTERVALS, distribution, events_of_openleadr
from openadr_profiles.v20b import messages as m
from openadr_profiles.v20b.reading import read
from openadr_profiles.v20b.writing import KeptIntervals, write


def test_what_is_compared_is_the_same() -> None:
    """As many events and intervals, with the same values at the same times; kept intervals change nothing."""
    ours = distribution()
    body = messaging.create_message(
        "oadrDistributeEvent", request_id="r", vtn_id="VTN", events=events_of_openleadr()
    ).encode()
    theirs = read(body).message
    assert isinstance(theirs, m.DistributeEvent)

    assert len(ours.events) == len(theirs.events) == EVENTS
    for own, other in zip(ours.events, theirs.events, strict=True):
        assert own.descriptor.event_id == other.descriptor.event_id
        assert own.active_period.start == other.active_period.start
        values = [[each.payloads for each in event.signals[0].intervals] for event in (own, other)]
        assert values[0] == values[1]
        assert len(values[0]) == INTERVALS
        lengths = {each.duration for event in (own, other) for each in event.signals[0].intervals}
        assert [each.to_core().time for each in lengths if each is not None] == [timedelta(hours=1)]
    assert write(distribution(KeptIntervals)) == write(ours)
    assert read(write(ours)).message == ours
