"""Random documents for the property tests."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

from hypothesis import strategies as st

from openadr_profiles.v31 import Duration, Event, Start
from tests.profiles.v31.build import WRITTEN, an_event

moments = st.integers(-2 * 86_400, 9 * 86_400).map(lambda seconds: WRITTEN + timedelta(seconds=seconds))
any_moment = st.one_of(moments, st.datetimes(timezones=st.just(UTC)))

lengths = st.integers(1, 60 * 60 * 24).map(lambda seconds: timedelta(seconds=seconds))
exact_durations = lengths.map(lambda length: Duration.of(length).text)
odd_durations = st.sampled_from(["PT0S", "-PT5M", "P1M", "P1Y", "P9999Y", "P9998Y", "PT0.000001S", "P3W", "P99999999D"])
durations = st.one_of(exact_durations, odd_durations)

starts = st.one_of(
    any_moment.map(lambda moment: Start.of(moment).text),
    st.sampled_from(["0001-01-01", "0001-01-01T00:00:00Z", "0001-01-01T00:00:01Z", "9999-12-31T23:59:60Z"]),
)


def given_or_not(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(st.just({}), values.map(lambda value: {name: value}))


@st.composite
def periods(draw: st.DrawFn) -> dict[str, Any]:
    return (
        draw(given_or_not("start", starts))
        | draw(given_or_not("duration", durations))
        | draw(given_or_not("randomizeStart", durations))
    )


payloads = st.lists(
    st.fixed_dictionaries(
        {
            "type": st.sampled_from(["PRICE", "GHG", "CURVE", "SIMPLE"]),
            "values": st.lists(st.integers(0, 9), max_size=4),
        }
    ),
    max_size=3,
)


@st.composite
def interval_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [
        {"id": draw(st.integers(-5, 5)), "payloads": draw(payloads)} | draw(given_or_not("intervalPeriod", periods()))
        for _ in range(draw(st.integers(0, 5)))
    ]


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Any event that the VTN would accept, sensible or not."""
    return an_event(
        **draw(given_or_not("intervalPeriod", periods())),
        **draw(given_or_not("intervals", interval_lists())),
        **draw(given_or_not("duration", durations)),
        **draw(given_or_not("reportDescriptors", st.just([{"payloadType": "USAGE"}]))),
    )


@st.composite
def contiguous_events(draw: st.DrawFn, /, **members: Any) -> Event:
    """Events whose intervals follow each other, of one to eight exact lengths."""
    return an_event(
        intervalPeriod={"start": draw(moments.map(lambda moment: Start.of(moment).text))},
        intervals=[
            {
                "id": number,
                "intervalPeriod": {"duration": draw(exact_durations)},
                "payloads": [{"type": "PRICE", "values": draw(st.lists(st.integers(), min_size=1, max_size=4))}],
            }
            for number in range(draw(st.integers(1, 8)))
        ],
        **members,
    )


@st.composite
def usual_events(draw: st.DrawFn) -> Event:
    """Events with a start or none, a length for all intervals, and none of their own."""
    return an_event(
        intervalPeriod={"start": draw(starts), "duration": draw(durations)}
        | draw(given_or_not("randomizeStart", durations)),
        intervals=[{"id": number, "payloads": []} for number in range(draw(st.integers(0, 20)))],
        **draw(given_or_not("duration", durations)),
        **draw(given_or_not("reportDescriptors", st.just([{"payloadType": "USAGE"}]))),
    )
