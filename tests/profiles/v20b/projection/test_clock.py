"""Tell what the clock says of an event of 2.0b."""

from __future__ import annotations

from datetime import datetime

import pytest

from openadr_profiles.v20b.projection import EventStatus20b, current_value, order, status
from tests.profiles.v20b.projection.build import a_program, of_type, signal, told
from tests.profiles.v31.build import at


@pytest.mark.parametrize(
    ("ramp_up", "now", "expected"),
    [
        ({}, at("23:00", "2024-12-31"), EventStatus20b.FAR),
        ({}, at("23:59", "2024-12-31"), EventStatus20b.FAR),
        ({"RAMP_UP": "PT30M"}, at("23:29", "2024-12-31"), EventStatus20b.FAR),
        ({"RAMP_UP": "PT30M"}, at("23:30", "2024-12-31"), EventStatus20b.NEAR),
        ({"RAMP_UP": "-PT30M"}, at("23:45", "2024-12-31"), EventStatus20b.FAR),
        ({"RAMP_UP": "PT30M"}, at("00:00"), EventStatus20b.ACTIVE),
        ({}, at("01:59"), EventStatus20b.ACTIVE),
        ({}, at("02:00"), EventStatus20b.COMPLETED),
    ],
)
def test_the_status_of_an_event_follows_the_clock(
    ramp_up: dict[str, str], now: datetime, expected: EventStatus20b
) -> None:
    """B-EVT-013, B-EVT-019."""
    projection = told(of_type("SIMPLE", 1, 2), a_program(**ramp_up))
    assert status(projection, now) is expected
    assert status(projection, now, is_cancelled=True) is EventStatus20b.CANCELLED


def test_the_current_value_is_that_of_the_running_interval() -> None:
    """B-EVT-030: while the event is not active it is 0."""
    projection = told(of_type("SIMPLE", 1, 2))
    values = [
        current_value(signal(projection, "SIMPLE"), projection.start, now, status(projection, now))
        for now in (at("23:00", "2024-12-31"), at("00:00"), at("00:59"), at("01:00"), at("02:00"))
    ]
    assert values == [0, 1, 1, 2, 0]


def test_an_open_interval_never_ends() -> None:
    event = of_type("SIMPLE", 3, intervalPeriod={"start": "2025-01-01T00:00:00Z", "duration": "P9999Y"})
    projection = told(event)
    assert status(projection, at("00:00", "2030-01-01")) is EventStatus20b.ACTIVE
    assert current_value(projection.signals[0], projection.start, at("00:00", "2030-01-01"), EventStatus20b.ACTIVE) == 3


def test_active_events_come_first_by_priority_then_the_others_by_start() -> None:
    """B-EVT-002."""
    now = at("00:30")
    later = {"start": "2025-01-01T05:00:00Z", "duration": "PT1H"}
    soon = {"start": "2025-01-01T03:00:00Z", "duration": "PT1H"}
    events = {
        "cancelled": told(of_type("SIMPLE", 1, priority=0)),
        "least": told(of_type("SIMPLE", 1)),
        "second": told(of_type("SIMPLE", 1, priority=1)),
        "first": told(of_type("SIMPLE", 1, priority=0)),
        "later": told(of_type("SIMPLE", 1, priority=0, intervalPeriod=later)),
        "soon": told(of_type("SIMPLE", 1, intervalPeriod=soon)),
    }
    keys = {
        name: order(projection, status(projection, now, is_cancelled=name == "cancelled"), name)
        for name, projection in events.items()
    }
    assert sorted(events, key=keys.__getitem__) == ["first", "second", "least", "soon", "later", "cancelled"]
