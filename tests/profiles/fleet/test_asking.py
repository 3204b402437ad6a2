"""Tell what an event asks for in words, and what differs between two versions of it."""

from __future__ import annotations

import json
from datetime import UTC, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from openadr_profiles.fleet.asking import MOST_REQUESTS, asked_intervals, outline
from openadr_profiles.fleet.cancellation import cancelled
from openadr_profiles.fleet.differences import Difference, differences
from openadr_profiles.v31 import Event, Program, decode
from openadr_profiles.v31.codec import encode
from tests.profiles.v31.build import WRITTEN, an_event, at
from tests.profiles.v31.strategies import events

HOUR = {"start": "2025-01-01T18:00:00Z", "duration": "PT1H"}


def asking(type_: str, *values: Any, units: str | None = None, **descriptor: Any) -> Event:
    """An event of one hour with one payload."""
    described = (
        [{"payloadType": type_} | ({"units": units} if units else {}) | descriptor] if units or descriptor else None
    )
    return several([{"type": type_, "values": list(values)}], payloadDescriptors=described)


def several(*intervals: list[dict[str, Any]], **members: Any) -> Event:
    """An event of consecutive hours with these payloads each."""
    listed = [{"id": number, "payloads": payloads} for number, payloads in enumerate(intervals)]
    return an_event(intervalPeriod=HOUR, intervals=listed, **{name: each for name, each in members.items() if each})


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (asking("DISPATCH_SETPOINT_RELATIVE", -3, units="KW"), "shed 3 kW"),
        (asking("DISPATCH_SETPOINT_RELATIVE", -2.5, -3, units="kw"), "shed 2.5 kW, 3 kW"),
        (asking("DISPATCH_SETPOINT_RELATIVE", 0, units="MW"), "shed 0 MW"),
        (asking("DISPATCH_SETPOINT_RELATIVE", 4, units="W"), "change by +4 W"),
        (asking("DISPATCH_SETPOINT_RELATIVE", -3), "shed 3 kW (no unit stated)"),
        (asking("DISPATCH_SETPOINT", 2, units="KW"), "draw 2 kW"),
        (asking("IMPORT_CAPACITY_LIMIT", 0, units="KW"), "draw at most 0 kW"),
        (asking("EXPORT_CAPACITY_LIMIT", 1.5, units="KW"), "feed in at most 1.5 kW"),
        (asking("SIMPLE", 2), "level 2 of 3"),
        (asking("PRICE", 0.17, units="KWH", currency="EUR"), "price 0.17 EUR/kWh"),
        (asking("PRICE", 0.17), "price 0.17 (no currency stated)"),
        (asking("EXPORT_PRICE", 7, units="MWH", currency="USD"), "export price 7 USD/MWH"),
        (asking("GHG", 320, units="GHG"), "greenhouse gas 320 g/kWh"),
        (asking("CHARGE_STATE_SETPOINT", 0.8, units="PERCENT"), "charge to 80 %"),
        (asking("CHARGE_STATE_SETPOINT", 80, units="PERCENT"), "charge to 80 %"),
        (asking("CHARGE_STATE_SETPOINT", 12, units="KWH"), "charge to 12 kWh"),
        (asking("CONTROL_LEVEL_OFFSET", 3), "level offset 3 of 10"),
        (asking("CONTROL_LEVEL_OFFSET_PERCENT", 0.25), "level offset 25 %"),
        (asking("ALERT_GRID_EMERGENCY"), "alert: grid emergency"),
        (asking("ALERT_OTHER", "stay inside"), "alert: other, stay inside"),
        (asking("VOLTAGE_BAND", 230, units="VOLTS"), "voltage band 230 V"),
        (asking("CTA2045_REBOOT", True), "cta2045 reboot True"),
        (
            asking("PRICE", *range(20), currency="EUR"),
            ", ".join(f"{n} EUR" for n in range(8)).join(["price ", ", and 12 more"]),
        ),
        (an_event(intervalPeriod=HOUR), "asks for nothing"),
    ],
)
def test_each_payload_is_told_with_its_unit(event: Event, words: str) -> None:
    """Every number has a unit; a power without one is read as kW, which is said (VENCLIENT-022)."""
    assert outline(event, WRITTEN).summary == words


def test_the_units_of_the_program_hold_where_the_event_states_none() -> None:
    """VENCLIENT-022: the event's descriptor first, then that of the program."""
    program = decode(
        '{"id":"program-1","programName":"winter","createdDateTime":"2025-01-01T00:00:00Z",'
        '"modificationDateTime":"2025-01-01T00:00:00Z","payloadDescriptors":'
        '[{"objectType":"EVENT_PAYLOAD_DESCRIPTOR","payloadType":"PRICE","units":"KWH","currency":"EUR"}]}',
        Program,
    )

    assert outline(asking("PRICE", 0.3), WRITTEN, program=program).summary == "price 0.3 EUR/kWh"
    own = asking("PRICE", 0.3, units="KWH", currency="USD")
    assert outline(own, WRITTEN, program=program).summary == "price 0.3 USD/kWh"


def test_a_cancelled_event_keeps_its_plan_in_words() -> None:
    """EVT-019: the plan as issued stays readable; another client's cancellation says nothing of it."""
    event = several([{"type": "SIMPLE", "values": [1]}], [{"type": "SIMPLE", "values": [2]}])
    off = an_event(**json.loads(encode(cancelled(event))))

    found = outline(off, at("19:30"))
    assert (found.state, found.start, found.end) == ("cancelled", at("18:00"), at("20:00"))
    assert found.asks == ("level 1 of 3", "level 2 of 3")
    assert [(each.start, each.asks) for each in asked_intervals(off)] == [
        (at("18:00"), ("level 1 of 3",)),
        (at("19:00"), ("level 2 of 3",)),
    ]
    bare = an_event(intervalPeriod={"start": "0001-01-01T00:00:00Z", "duration": "PT0S"})
    assert (outline(bare, WRITTEN).start, outline(bare, WRITTEN).cancelled_at) == (None, WRITTEN)


def test_what_was_changed_is_told_member_by_member() -> None:
    """From what, to what; a later start moves the intervals and is told once."""
    before = several([{"type": "SIMPLE", "values": [1]}], eventName="peak", targets=["north"], priority=None)
    later = {"start": "2025-01-01T19:00:00Z", "duration": "PT2H", "randomizeStart": "PT5M"}
    after = an_event(
        eventName="peak",
        priority=0,
        intervalPeriod=later,
        intervals=[{"id": 0, "payloads": [{"type": "SIMPLE", "values": [2]}]}],
    )

    assert differences(before, after, zone=UTC) == (
        Difference("Start", "2025-01-01 18:00 UTC", "2025-01-01 19:00 UTC"),
        Difference("End", "2025-01-01 19:00 UTC", "2025-01-01 21:00 UTC"),
        Difference("Priority", None, "0 (highest)"),
        Difference("Targets", "north", "everybody"),
        Difference("Random start", None, "PT5M"),
        Difference(
            "Interval 1",
            "2025-01-01 18:00 UTC to 2025-01-01 19:00 UTC: level 1 of 3",
            "2025-01-01 19:00 UTC to 2025-01-01 21:00 UTC: level 2 of 3",
        ),
    )
    assert differences(after, after) == ()


def test_many_requests_and_differences_are_bounded() -> None:
    """The first are told, and that there are more."""
    one, other = (several(*([{"type": "PRICE", "values": [n + more]}] for n in range(300))) for more in (0, 1000))

    assert len(outline(one, WRITTEN).asks) == MOST_REQUESTS
    assert outline(one, WRITTEN).summary.endswith("; and more")
    assert len(asked_intervals(one, most=7)) == 7
    assert [each.what for each in differences(one, other)][-1] == "More intervals"
    assert len(differences(one, other)) == 21


@given(events(), events())
@settings(max_examples=50)
def test_every_event_can_be_told_and_compared(one: Event, other: Event) -> None:
    """Hold it true, whatever the VTN accepts; an event does not differ from itself."""
    for event in (one, other):
        found = outline(event, WRITTEN + timedelta(hours=1))
        assert found.state in {"scheduled", "active", "completed", "cancelled"}
        assert found.summary
        assert differences(event, event) == ()
    backwards = {each.what: (each.after, each.before) for each in differences(other, one)}
    assert {each.what: (each.before, each.after) for each in differences(one, other)} == backwards or len(
        backwards
    ) > 20
