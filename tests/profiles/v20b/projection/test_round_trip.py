"""From OpenADR 3 to 2.0b and back: only what is listed as lost is lost (4.7)."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_profiles.v20b.projection import LossKind, NoForm, Projection, current_value, project, status
from openadr_profiles.v20b.projection.inverse import to_core
from openadr_profiles.v31 import Event, EventRequest, Timeline
from tests.profiles.v20b.projection.build import BASE_URL, a_program
from tests.profiles.v31.build import WRITTEN, an_event
from tests.profiles.v31.strategies import durations, events, given_or_not, moments, starts

PROGRAM = a_program(GAPS="zero", EVENT_NAME=True)
FORMS: dict[str, st.SearchStrategy[Any]] = {
    "SIMPLE": st.integers(0, 3),
    "PRICE": st.floats(-1000, 1000, width=32),
    "DISPATCH_SETPOINT": st.integers(0, 100),
    "CONTROL_LEVEL_OFFSET": st.integers(-10, 10),
    "GHG": st.integers(0, 9),
}


@st.composite
def told_events(draw: st.DrawFn) -> Event:
    """Events of several payload types, mostly with a form in 2.0b."""
    types = draw(st.lists(st.sampled_from(sorted(FORMS)), min_size=1, max_size=3, unique=True))
    return an_event(
        intervalPeriod={"start": draw(starts), "duration": draw(durations)}
        | draw(given_or_not("randomizeStart", durations)),
        payloadDescriptors=[
            {"payloadType": "PRICE", "units": "KWH", "currency": "EUR"},
            {"payloadType": "DISPATCH_SETPOINT", "units": "KW"},
        ],
        intervals=[
            {
                "id": number,
                "payloads": [
                    {"type": type_, "values": draw(st.lists(FORMS[type_], min_size=1, max_size=3))} for type_ in types
                ],
            }
            for number in range(draw(st.integers(1, 5)))
        ],
        **draw(given_or_not("priority", st.integers(0, 9))),
        **draw(given_or_not("targets", st.just(["group:a", "resource:b"]))),
        **draw(given_or_not("eventName", st.just("peak"))),
    )


def projected(event: Event, now: datetime = WRITTEN) -> Projection | NoForm:
    return project(event, PROGRAM, now=now, anchor=WRITTEN, base_url=BASE_URL)


def steps(event: Event | EventRequest, *, until: datetime) -> dict[str, list[tuple[datetime, datetime | None, Any]]]:
    """The value of each payload type over time; equal neighbours are one step."""
    members = {name: getattr(event, name) for name in EventRequest.__struct_fields__}
    stored = Event(**members, id="back", created_date_time=WRITTEN, modification_date_time=WRITTEN)
    found: dict[str, list[tuple[datetime, datetime | None, Any]]] = {}
    for window in Timeline.of(stored, anchor=WRITTEN).windows(until=until):
        for held in window.held():
            if held.end is not None and held.end == held.start:
                continue
            of_type = found.setdefault(held.payload_type, [])
            if of_type and of_type[-1][1] == held.start and of_type[-1][2] == held.values:
                of_type[-1] = (of_type[-1][0], held.end, held.values)
            else:
                of_type.append((held.start, held.end, held.values))
    return found


TIMES_ARE_LOST = {LossKind.WHOLE_SECONDS, LossKind.HORIZON, LossKind.OPEN_VALUES, LossKind.GAP_FILLED}


@settings(max_examples=60, deadline=None)
@given(told_events())
def test_only_what_is_listed_as_lost_is_lost(event: Event) -> None:
    projection = projected(event)
    if isinstance(projection, NoForm):
        assert projection.reason
        return
    kinds = {loss.kind for loss in projection.losses}
    back, _ = to_core(projection, event.program_id)
    assert (back.priority, back.targets, back.event_name) == (event.priority, event.targets, event.event_name)
    randomized = event.interval_period.randomize_start if event.interval_period else None
    if LossKind.RANDOMIZATION not in kinds:
        assert randomized is None or randomized.is_zero
    else:
        assert back.interval_period is not None
    omitted = {"GHG"} if LossKind.TYPE_OMITTED in kinds else set()
    if LossKind.SIMPLE_ADDED in kinds:
        omitted |= {"SIMPLE"}
    if kinds & TIMES_ARE_LOST:
        return
    far = datetime.max.replace(tzinfo=UTC)
    before, after = steps(event, until=far), steps(back, until=far)
    assert {type_: each for type_, each in after.items() if type_ not in omitted} == {
        type_: each for type_, each in before.items() if type_ not in omitted
    }


@settings(max_examples=60, deadline=None)
@given(events(), moments)
def test_every_projection_keeps_the_rules_of_2_0b(event: Event, now: datetime) -> None:
    """B-EVT-025, B-EVT-027, B-EVT-029, B-EVT-030, B-EVT-032, B-EVT-033: also for events that make little sense."""
    projection = projected(event, now)
    if isinstance(projection, NoForm):
        assert projection.reason
        return
    assert projection.start.microsecond == 0
    assert len({part.signal_id for part in projection.signals}) == len(projection.signals)
    assert sum(part.name == "SIMPLE" for part in projection.signals) == 1
    for part in projection.signals:
        assert len(part.durations_s) == len(part.values)
        assert all(length_s > 0 for length_s in part.durations_s[:-1])
        assert (part.durations_s[-1] == 0) == (projection.duration_s == 0)
        assert projection.duration_s in {0, sum(part.durations_s)}
        assert all(struct.unpack("<f", struct.pack("<f", value)) for value in part.values)
        if part.name == "SIMPLE":
            assert (part.type, set(part.values) <= {0, 1, 2, 3}) == ("level", True)
        assert projection.over_at is None or projection.over_at >= projection.start
        value = current_value(part, projection.start, now, status(projection, now))
        assert value in {0.0, *part.values}


@settings(max_examples=50, deadline=None)
@given(told_events(), st.lists(st.timedeltas(timedelta(0), timedelta(days=9)), min_size=2, max_size=5))
def test_what_is_told_changes_only_when_it_rolls_on(event: Event, passed: list[timedelta]) -> None:
    """4.2: the same event at other times is the same projection, unless it repeats."""
    found = [projected(event, WRITTEN + length) for length in sorted(passed)]
    for one, other in pairwise(found):
        assert type(one) is type(other)
        if isinstance(one, Projection) and isinstance(other, Projection) and one.rolls_at is None:
            assert one.digest() == other.digest()
