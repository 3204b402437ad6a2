"""Which value holds: payloads with several values, and events that contradict each other."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from openadr_profiles.v31 import Event, Held, Timeline, in_force
from tests.profiles.v31.build import WRITTEN, an_event, at, hourly, placed

MIDNIGHT = "2025-01-01T00:00:00Z"


def packed(*payloads: tuple[str, list[Any]], duration: str | None = "PT3H", **members: Any) -> Event:
    """One interval from midnight with these payloads."""
    period = {"start": MIDNIGHT} | ({"duration": duration} if duration else {})
    listed = [{"type": name, "values": values} for name, values in payloads]
    return an_event(intervals=[{"id": 0, "intervalPeriod": period, "payloads": listed}], **members)


def held(event: Event) -> list[Held]:
    return [held for window in placed(event).windows() for held in window.held()]


def test_values_of_a_single_valued_type_follow_each_other() -> None:
    """TIME-029: three prices in three hours."""
    timeline = placed(packed(("PRICE", [0.17, 0.03, 0.11])))

    assert [timeline.values_at(at(clock))["PRICE"].values for clock in ("0:00", "0:59", "1:00", "2:00", "2:59")] == [
        (0.17,),
        (0.17,),
        (0.03,),
        (0.11,),
        (0.11,),
    ]
    assert timeline.next_change(at("0:30")) == at("1:00")
    assert timeline.values_at(at("3:00")) == {}


@pytest.mark.parametrize("payload_type", ["EXPORT_PRICE", "GHG", "IMPORT_CAPACITY_LIMIT", "MY_OWN_TYPE"])
def test_any_type_that_is_not_naturally_multi_valued_is_split(payload_type: str) -> None:
    """TIME-029, ENUM-017, ENUM-018."""
    assert [(part.values, part.start, part.end) for part in held(packed((payload_type, [1, 2])))] == [
        ((1,), at("0:00"), at("1:30")),
        ((2,), at("1:30"), at("3:00")),
    ]


@pytest.mark.parametrize(
    ("payload_type", "values"),
    [
        ("CURVE", [{"x": 0, "y": 1}, {"x": 1, "y": 2}]),
        ("OLS", [0.1, 0.9]),
        ("DISPATCH_INSTRUCTION", ["start", "pump 2"]),
        ("OPERATING_STATE", ["NORMAL", "ERROR"]),
        ("LOCATION", [-122.3, 37.8]),
        ("AREA", ["a", "b"]),
    ],
)
def test_values_that_belong_together_are_not_split(payload_type: str, values: list[Any]) -> None:
    """TIME-030."""
    (whole,) = held(packed((payload_type, values)))

    assert (len(whole.values), whole.start, whole.end, whole.unplaced) == (2, at("0:00"), at("3:00"), 0)


def test_payloads_of_one_interval_are_split_independently() -> None:
    """TIME-031."""
    timeline = placed(packed(("PRICE", [1, 2, 3]), ("GHG", [10, 20]), ("SIMPLE", [1])))

    def values(clock: str) -> list[Any]:
        return [part.values[0] for part in timeline.values_at(at(clock)).values()]

    assert [values(clock) for clock in ("0:59", "1:00", "1:30", "2:00")] == [
        [1, 10, 1],
        [2, 10, 1],
        [2, 20, 1],
        [3, 20, 1],
    ]
    assert timeline.next_change(at("1:00")) == at("1:30")


def test_open_interval_holds_its_first_value_and_counts_the_others() -> None:
    """TIME-032: what has no time of its own is worth a warning."""
    (only,) = held(packed(("PRICE", [1, 2, 3]), duration=None))

    assert (only.values, only.end, only.unplaced) == ((1,), None, 2)


def test_event_duration_gives_an_open_interval_a_length_to_split() -> None:
    """TIME-029, TIME-022."""
    payloads = [{"type": "PRICE", "values": [1, 2]}]
    event = an_event(intervalPeriod={"start": MIDNIGHT}, intervals=[{"id": 0, "payloads": payloads}], duration="PT2H")

    assert [(part.values, part.end) for part in held(event)] == [((1,), at("1:00")), ((2,), at("2:00"))]


def test_cut_interval_keeps_the_length_of_its_parts() -> None:
    """TIME-022, TIME-034: hours stay hours when half of the day is left out."""
    timeline = placed(_day_in_one_interval(duration="PT2H30M"))

    assert [(part.values, part.start, part.end) for window in timeline.windows() for part in window.held()] == [
        ((0,), at("0:00"), at("1:00")),
        ((1,), at("1:00"), at("2:00")),
        ((2,), at("2:00"), at("2:30")),
    ]


def _day_in_one_interval(**members: Any) -> Event:
    payloads = [{"type": "PRICE", "values": list(range(24))}]
    return an_event(
        intervalPeriod={"start": MIDNIGHT, "duration": "PT24H"}, intervals=[{"id": 0, "payloads": payloads}], **members
    )


@pytest.mark.parametrize("members", [{}, {"duration": "PT12H"}, {"duration": "P7D"}])
def test_serial_and_compact_schedules_are_the_same(members: dict[str, Any]) -> None:
    """TIME-034."""
    assert [(part.values, part.start, part.end) for part in held(hourly(24, **members))] == [
        (part.values, part.start, part.end) for part in held(_day_in_one_interval(**members))
    ]


def test_boundaries_do_not_drift() -> None:
    """TIME-033: seven parts of an hour end exactly with the hour."""
    event = packed(("PRICE", list(range(7))), duration="PT1H")
    parts = held(event)

    assert parts[-1].end == at("1:00")
    assert all(one.end == other.start for one, other in pairwise(parts))
    assert [placed(event).values_at(part.start)["PRICE"] for part in parts] == parts


def test_payload_without_values_holds_nothing_for_its_whole_interval() -> None:
    """TIME-029: an empty list is legal and says so."""
    (empty,) = held(packed(("ALERT_OTHER", [])))

    assert (empty.values, empty.end) == ((), at("3:00"))


# --- several events ---------------------------------------------------------------------------------------------------


def priced(name: str, *, priority: int | None = None, written: str = MIDNIGHT, **members: Any) -> Timeline:
    more = {} if priority is None else {"priority": priority}
    return placed(hourly(2, id=name, modificationDateTime=written, **more, **members))


def winner(*timelines: Timeline) -> str:
    winners = {in_force(order, at("0:30"))["PRICE"].event.id for order in (timelines, timelines[::-1])}
    assert len(winners) == 1, "the order in which events are known must not matter"
    return winners.pop()


def test_lowest_priority_number_wins_and_none_loses() -> None:
    """TIME-036."""
    assert winner(priced("urgent", priority=0), priced("normal", priority=5), priced("silent")) == "urgent"
    assert winner(priced("lowest", priority=10**9), priced("silent", written="2025-06-01T00:00:00Z")) == "lowest"


def test_among_equals_the_event_modified_last_wins() -> None:
    """TIME-036."""
    later = "2025-01-01T00:00:01Z"
    assert winner(priced("old", priority=1), priced("new", priority=1, written=later)) == "new"
    assert winner(priced("old"), priced("new", written=later)) == "new"


def test_complete_tie_is_settled_the_same_way_every_time() -> None:
    """TIME-036: the standard is silent; it must at least be stable."""
    assert winner(priced("a"), priced("b")) == "b"


def test_events_of_different_payload_types_do_not_conflict() -> None:
    """TIME-037."""
    alert = placed(packed(("ALERT_FIRE", ["leave"]), priority=9))
    chosen = in_force([priced("price", priority=0), alert], at("0:30"))

    assert {name: answer.held.values for name, answer in chosen.items()} == {"PRICE": (0,), "ALERT_FIRE": ("leave",)}


def test_less_important_event_holds_where_the_other_says_nothing() -> None:
    """TIME-036: in gaps, before and after."""
    urgent = priced("urgent", priority=0)
    base = placed(hourly(1, id="base", intervalPeriod={"start": MIDNIGHT, "duration": "P1D"}))

    assert in_force([urgent, base], at("1:59"))["PRICE"].event.id == "urgent"
    assert in_force([urgent, base], at("2:00"))["PRICE"].event.id == "base"
    assert in_force([urgent, base], at("24:00")) == {}
    assert in_force([], WRITTEN) == {}
