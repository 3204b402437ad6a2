"""Events of OpenADR 3 as OpenADR 2.0b tells them (sections 4.1 and 4.2)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openadr_profiles.v20b.projection import LossKind, NoFormKind, decoded, encoded
from openadr_profiles.v31 import Duration
from tests.profiles.v20b.projection.build import BASE_URL, a_program, losses, of_type, refused, signal, told
from tests.profiles.v31.build import an_event, at


@pytest.mark.parametrize(
    ("type_", "units", "currency", "value", "name", "kind", "base"),
    [
        ("SIMPLE", None, None, 2, "SIMPLE", "level", None),
        ("PRICE", "KWH", "EUR", 0.25, "ELECTRICITY_PRICE", "price", ("currencyPerKWh", "EUR", "none")),
        ("PRICE", "THERMS", "USD", 1, "ENERGY_PRICE", "price", ("currencyPerThm", "USD", "none")),
        ("PRICE_ALTERNATE", "KWH", "USD", 1, "ENERGY_PRICE", "price", ("currencyPerKWh", "USD", "none")),
        ("OADR20B_PRICE_RELATIVE", "KWH", "USD", 1, "ELECTRICITY_PRICE", "priceRelative", ("currencyPerKWh",)),
        ("OADR20B_PRICE_MULTIPLIER", None, None, 2, "ELECTRICITY_PRICE", "priceMultiplier", None),
        ("OADR20B_DEMAND_CHARGE", "KW", "USD", 1, "DEMAND_CHARGE", "price", ("currencyPerKW", "USD", "none")),
        ("OADR20B_BID_LOAD", "KW", None, 1, "BID_LOAD", "setpoint", ("powerReal", "W", "k")),
        ("OADR20B_BID_ENERGY", "KWH", None, 1, "BID_ENERGY", "setpoint", ("energyReal", "Wh", "k")),
        ("CHARGE_STATE_SETPOINT", "KWH", None, 5, "CHARGE_STATE", "setpoint", ("energyReal", "Wh", "k")),
        ("CHARGE_STATE_SETPOINT", "PERCENT", None, 0.5, "CHARGE_STATE", "setpoint", None),
        ("DISPATCH_SETPOINT", "KVA", None, 5, "LOAD_DISPATCH", "setpoint", ("powerApparent", "VA", "k")),
        ("DISPATCH_SETPOINT", "MW", None, 5, "LOAD_DISPATCH", "setpoint", ("powerReal", "W", "M")),
        ("DISPATCH_SETPOINT_RELATIVE", "KVAR", None, -5, "LOAD_DISPATCH", "delta", ("powerReactive", "VAR", "k")),
        ("OADR20B_DISPATCH_MULTIPLIER", None, None, 0.5, "LOAD_DISPATCH", "multiplier", None),
        ("CONTROL_LEVEL_OFFSET", None, None, -10, "LOAD_CONTROL", "x-loadControlLevelOffset", None),
        ("CONTROL_LEVEL_OFFSET_PERCENT", "PERCENT", None, -1, "LOAD_CONTROL", "x-loadControlPercentOffset", None),
        ("CONTROL_SETPOINT", "CELSIUS", None, 21, "LOAD_CONTROL", "x-loadControlSetpoint", ("temperature", "celsius")),
        ("OADR20B_LOAD_CONTROL_CAPACITY", None, None, 0.4, "LOAD_CONTROL", "x-loadControlCapacity", None),
        ("OADR20B_X_MOOD", None, None, 3, "x-MOOD", "setpoint", None),
    ],
)
def test_a_payload_type_becomes_its_signal(
    type_: str, units: str, currency: str, value: Any, name: str, kind: str, base: tuple[str, ...] | None
) -> None:
    """B-EVT-031: name, type and unit belong together; the scale takes the place of a conversion."""
    part = signal(told(of_type(type_, value, units=units, currency=currency), a_program(SIMPLE="off")), name)
    assert (part.type, part.values, part.durations_s) == (kind, (value,), (3600,))
    unit = part.item_base
    found = None if unit is None else (unit.name, unit.units, unit.scale)[: len(base or ())]
    assert found == base
    if unit is not None and unit.name.startswith("power"):
        mains = unit.power_attributes
        assert mains is not None
        assert (int(mains.hertz), int(mains.voltage), mains.ac) == (50, 230, True)


@pytest.mark.parametrize("level", [4, -1, 1.5])
def test_a_level_that_2_0b_does_not_have_is_refused(level: float) -> None:
    """B-EVT-029: to send another level than was asked for would be worse than none."""
    assert refused(of_type("SIMPLE", 1, level)) is NoFormKind.LEVEL


@pytest.mark.parametrize(
    ("type_", "value", "units", "kind"),
    [
        ("EXPORT_PRICE", 1, None, LossKind.TYPE_OMITTED),
        ("GHG", 1, None, LossKind.TYPE_OMITTED),
        ("IMPORT_CAPACITY_LIMIT", 1, "KW", LossKind.TYPE_OMITTED),
        ("ALERT_FLEX_ALERT", "please", None, LossKind.TYPE_OMITTED),
        ("PRICE", "cheap", None, LossKind.NOT_A_NUMBER),
        ("PRICE", True, None, LossKind.NOT_A_NUMBER),
        ("PRICE", {"x": 1, "y": 2}, None, LossKind.NOT_A_NUMBER),
        ("PRICE", 10**39, None, LossKind.NOT_A_NUMBER),
        ("PRICE", 1, "MWH", LossKind.UNITS),
        ("DISPATCH_SETPOINT", 1, None, LossKind.UNITS),
        ("DISPATCH_SETPOINT", 1, "HORSEPOWER", LossKind.UNITS),
        ("CONTROL_SETPOINT", 21, None, LossKind.UNITS),
        ("CONTROL_SETPOINT", 294, "KELVIN", LossKind.UNITS),
        ("CONTROL_LEVEL_OFFSET", 11, None, LossKind.OUT_OF_RANGE),
        ("CONTROL_LEVEL_OFFSET_PERCENT", 50, None, LossKind.OUT_OF_RANGE),
    ],
)
def test_what_has_no_form_is_left_out_by_name(type_: str, value: Any, units: str, kind: LossKind) -> None:
    """An event of which nothing is left is not sent; beside a level it is reduced to that."""
    assert refused(of_type(type_, value, units=units)) is NoFormKind.NOTHING_LEFT
    beside = an_event(
        intervalPeriod={"start": "2025-01-01T00:00:00Z", "duration": "PT1H"},
        payloadDescriptors=[{"payloadType": type_, **({"units": units} if units else {})}],
        intervals=[
            {"id": 0, "payloads": [{"type": type_, "values": [value]}, {"type": "SIMPLE", "values": [1]}]},
        ],
    )
    projection = told(beside)
    assert [part.name for part in projection.signals] == ["SIMPLE"]
    assert losses(projection) == {kind}


def test_a_price_without_currency_is_told_without_unit() -> None:
    projection = told(of_type("PRICE", 1))
    assert signal(projection, "ELECTRICITY_PRICE").item_base is None
    assert LossKind.UNITS in losses(projection)
    assert LossKind.UNITS not in losses(told(of_type("PRICE", 1), a_program(CURRENCY="SEK")))


@pytest.mark.parametrize(
    ("event", "level"),
    [
        (of_type("PRICE", 1, currency="EUR"), 0),
        (of_type("DISPATCH_SETPOINT_RELATIVE", -5, units="KW"), 1),
        (of_type("DISPATCH_SETPOINT_RELATIVE", 5, units="KW"), 0),
        (of_type("CONTROL_SETPOINT", 21, units="CELSIUS"), 0),
        (of_type("DISPATCH_SETPOINT", 5, units="KW"), 0),
        (of_type("OADR20B_DISPATCH_MULTIPLIER", 0.5), 1),
        (of_type("OADR20B_DISPATCH_MULTIPLIER", 2), 0),
        (of_type("OADR20B_LOAD_CONTROL_CAPACITY", 0.4), 1),
        (of_type("OADR20B_LOAD_CONTROL_CAPACITY", 1), 0),
        (of_type("CONTROL_LEVEL_OFFSET", -1), 1),
        (of_type("CONTROL_LEVEL_OFFSET", 0), 0),
        (of_type("CONTROL_LEVEL_OFFSET", 3), 0),
        (of_type("CONTROL_LEVEL_OFFSET_PERCENT", -0.5, units="PERCENT"), 1),
        (of_type("CONTROL_LEVEL_OFFSET_PERCENT", 0.5, units="PERCENT"), 0),
    ],
)
def test_a_simple_signal_stands_beside_others(event: Any, level: int) -> None:
    """B-EVT-032: the same length, and a level that asks for nothing unless the event asks for less load."""
    part = signal(told(event), "SIMPLE")
    assert (part.type, part.values, part.durations_s) == ("level", (level,), (3600,))
    assert signal(told(event, a_program(SIMPLE=3)), "SIMPLE").values == (3,)
    assert [part.name for part in told(event, a_program(SIMPLE="off")).signals] != ["SIMPLE"]
    assert len(told(event, a_program(SIMPLE="off")).signals) == 1


def test_a_simple_signal_asks_for_less_only_while_the_event_does() -> None:
    """B-EVT-032: nobody sheds while more load is asked for."""
    part = signal(told(of_type("DISPATCH_SETPOINT_RELATIVE", 5, -5, -3, 0, units="KW")), "SIMPLE")
    assert (part.values, part.durations_s) == ((0, 1, 0), (3600, 7200, 3600))


@given(st.lists(st.tuples(st.integers(-2, 2), st.integers(0, 3)), min_size=1, max_size=6))
@settings(max_examples=50)
def test_a_simple_signal_sheds_while_any_other_asks_for_less(asked: list[tuple[int, int]]) -> None:
    """B-EVT-032: as long as the others, whichever of them asks."""
    payloads = [
        [
            {"type": "CONTROL_LEVEL_OFFSET", "values": [offset]},
            {"type": "OADR20B_DISPATCH_MULTIPLIER", "values": [half / 2]},
        ]
        for offset, half in asked
    ]
    event = of_type("x", intervals=[{"id": number, "payloads": each} for number, each in enumerate(payloads)])
    part = signal(told(event), "SIMPLE")
    hours = [
        level for level, length_s in zip(part.values, part.durations_s, strict=True) for _ in range(length_s // 3600)
    ]
    assert hours == [float(offset < 0 or half < 2) for offset, half in asked]


@pytest.mark.parametrize(
    ("type_", "value", "policy", "share"),
    [
        ("CHARGE_STATE_SETPOINT", 80, "hundred", 0.8),
        ("CHARGE_STATE_SETPOINT", 0.8, "fraction", 0.8),
        ("CHARGE_STATE_SETPOINT", 80, "fraction", None),
        ("CHARGE_STATE_SETPOINT", 101, "hundred", None),
        ("OADR20B_LOAD_CONTROL_CAPACITY", 80, "hundred", 0.8),
        ("CONTROL_LEVEL_OFFSET_PERCENT", -50, "hundred", -0.5),
    ],
)
def test_percentages_are_a_share_of_one(type_: str, value: float, policy: str, share: float | None) -> None:
    """4.1: whatever signal has them, and what is out of range is left out."""
    event, program = of_type(type_, value, units="PERCENT"), a_program(PERCENT=policy, SIMPLE="off")
    if share is None:
        assert refused(event, program) is NoFormKind.NOTHING_LEFT
    else:
        (part,) = told(event, program).signals
        assert part.values == (share,)


def test_percent_is_implied_where_the_type_says_so() -> None:
    (part,) = told(of_type("CONTROL_LEVEL_OFFSET_PERCENT", -50), a_program(PERCENT="hundred", SIMPLE="off")).signals
    assert part.values == (-0.5,)


def test_extensions_and_alerts_are_sent_if_the_program_says_so() -> None:
    extended = told(of_type("GHG", 400), a_program(OTHER_TYPES="extension", EXTENSION_TYPE="level"))
    assert (signal(extended, "x-GHG").type, signal(extended, "x-GHG").values) == ("level", (400,))
    alarmed = told(of_type("ALERT_GRID_EMERGENCY", "save power"), a_program(ALERT_LEVEL=2))
    assert signal(alarmed, "SIMPLE").values == (2,)
    assert alarmed.comment == "ALERT_GRID_EMERGENCY: save power"


def test_an_alert_does_not_change_the_level_of_the_event() -> None:
    payloads = [{"type": type_, "values": values} for type_, values in (("ALERT_FIRE", ["run"]), ("SIMPLE", [1]))]
    event = of_type("SIMPLE", 1, intervals=[{"id": 0, "payloads": payloads}])
    projection = told(event, a_program(ALERT_LEVEL=3))
    assert [part.values for part in projection.signals] == [(1,)]
    assert projection.comment == "ALERT_FIRE: run"


def test_several_values_share_their_interval() -> None:
    event = of_type(
        "PRICE", 1, currency="EUR", intervals=[{"id": 0, "payloads": [{"type": "PRICE", "values": [1, 2, 3]}]}]
    )
    part = signal(told(event), "ELECTRICITY_PRICE")
    assert (part.durations_s, part.values) == ((1200, 1200, 1200), (1, 2, 3))


def an_event_with_a_gap(type_: str) -> Any:
    return an_event(
        intervals=[
            {
                "id": number,
                "intervalPeriod": {"start": f"2025-01-01T0{hour}:00:00Z", "duration": "PT1H"},
                "payloads": [{"type": type_, "values": [number + 1]}],
            }
            for number, hour in enumerate((1, 3))
        ]
    )


def test_gaps_are_filled_as_the_program_says() -> None:
    """B-EVT-028: intervals are contiguous."""
    simple = told(an_event_with_a_gap("SIMPLE"))
    assert (signal(simple, "SIMPLE").values, signal(simple, "SIMPLE").durations_s) == ((1, 0, 2), (3600,) * 3)
    assert LossKind.GAP_FILLED in losses(simple)
    for policy, filled in (("repeat", 1), ("zero", 0)):
        projection = told(an_event_with_a_gap("PRICE"), a_program(GAPS=policy))
        assert signal(projection, "ELECTRICITY_PRICE").values == (1, filled, 2)
    assert refused(an_event_with_a_gap("PRICE"), a_program(GAPS="refuse")) is NoFormKind.GAP


def test_a_gap_before_the_first_value_has_nothing_to_repeat() -> None:
    payloads = [[{"type": "SIMPLE", "values": [1]}], [{"type": "PRICE", "values": [5]}]]
    event = of_type("SIMPLE", 1, intervals=[{"id": number, "payloads": each} for number, each in enumerate(payloads)])
    assert refused(event) is NoFormKind.GAP
    assert signal(told(event, a_program(GAPS="zero")), "ELECTRICITY_PRICE").values == (0, 5)


def test_intervals_that_overlap_are_refused() -> None:
    event = an_event(
        intervals=[
            {
                "id": number,
                "intervalPeriod": {"start": f"2025-01-01T00:{minute}:00Z", "duration": "PT1H"},
                "payloads": [{"type": "PRICE", "values": [1]}],
            }
            for number, minute in enumerate(("00", "30"))
        ]
    )
    assert refused(event) is NoFormKind.OVERLAP


def test_an_open_event_has_no_length_and_neither_has_its_last_interval() -> None:
    """B-EVT-025."""
    event = of_type("PRICE", 1, 2, currency="EUR")
    event = an_event(
        intervals=[
            {
                "id": number,
                "intervalPeriod": {"start": f"2025-01-01T0{number}:00:00Z", "duration": "P9999Y" if number else "PT1H"},
                "payloads": [{"type": "PRICE", "values": [number]}],
            }
            for number in range(2)
        ]
    )
    projection = told(event)
    assert (projection.duration_s, projection.end, projection.over_at) == (0, None, None)
    assert signal(projection, "ELECTRICITY_PRICE").durations_s == (3600, 0)
    assert signal(projection, "SIMPLE").durations_s == (0,)


def test_a_start_at_once_is_the_moment_it_was_asked_for() -> None:
    event = of_type("SIMPLE", 1, intervalPeriod={"start": "0001-01-01T00:00:00Z", "duration": "PT1H"})
    projection = told(event, now=at("09:00"))
    assert projection.start == at("00:00")
    assert losses(projection) == {LossKind.NOW_FROZEN}


def test_times_are_told_in_whole_seconds() -> None:
    event = of_type("SIMPLE", 1, 2, intervalPeriod={"start": "2025-01-01T00:00:00.7Z", "duration": "PT10.5S"})
    projection = told(event)
    assert (projection.start, projection.duration_s) == (at("00:00"), 21)
    assert signal(projection, "SIMPLE").durations_s == (11, 10)
    assert losses(projection) == {LossKind.WHOLE_SECONDS}


def test_what_lasts_less_than_a_second_is_not_told() -> None:
    event = of_type("SIMPLE", 1, intervalPeriod={"start": "2025-01-01T00:00:00Z", "duration": "PT0.5S"})
    assert refused(event) is NoFormKind.NOTHING_LEFT


def test_months_are_told_as_the_days_they_are() -> None:
    event = of_type("SIMPLE", 1, intervalPeriod={"start": "2025-02-01T00:00:00Z", "duration": "P1M"})
    assert told(event).duration_s == 28 * 86_400
    assert losses(told(event)) == {LossKind.CALENDAR}


def test_a_random_start_becomes_a_tolerance() -> None:
    """B-EVT-024: passed through; 2.0b shifts later only."""
    period = {"start": "2025-01-01T00:00:00Z", "duration": "PT1H", "randomizeStart": "PT5M"}
    projection = told(of_type("SIMPLE", 1, intervalPeriod=period))
    assert projection.start_after_s == 300
    assert projection.over_at == at("01:05")
    assert losses(projection) == {LossKind.RANDOMIZATION}


def test_priorities_are_turned_into_those_of_2_0b() -> None:
    """B-EVT-022: there 1 is the most important and 0 none; in OpenADR 3 that is 0 and absent."""
    events = [of_type("SIMPLE", 1), of_type("SIMPLE", 1, priority=0), of_type("SIMPLE", 1, priority=4)]
    assert [told(event).priority for event in events] == [0, 1, 5]


def test_a_program_is_the_market_context() -> None:
    """B-EVT-036."""
    assert told(of_type("SIMPLE", 1)).market_context == f"{BASE_URL}/programs/program-1"
    assert told(of_type("SIMPLE", 1), a_program(MARKET_CONTEXT="urn:peaks")).market_context == "urn:peaks"


def test_a_program_says_how_its_events_are_told() -> None:
    """B-EVT-020, B-EVT-021, B-EVT-037, B-EVT-038."""
    program = a_program(
        RESPONSE_REQUIRED="never",
        TEST_EVENT=True,
        NOTIFICATION="PT2H",
        RAMP_UP="PT10M",
        RECOVERY="-PT5M",
        EVENT_NAME="true",
    )
    projection = told(of_type("SIMPLE", 1, eventName="peak"), program)
    assert (projection.response_required, projection.test_event, projection.comment) == ("never", True, "peak")
    assert (projection.notification_s, projection.ramp_up_s, projection.recovery_s) == (7200, 600, -300)
    assert not projection.losses


def test_an_event_may_be_a_test_of_its_own() -> None:
    payloads = [{"type": "OADR20B_TEST_EVENT", "values": [True]}, {"type": "SIMPLE", "values": [1]}]
    projection = told(of_type("SIMPLE", 1, intervals=[{"id": 0, "payloads": payloads}]))
    assert projection.test_event
    assert not projection.losses


@pytest.mark.parametrize(
    "attribute",
    [
        {"RESPONSE_REQUIRED": "maybe"},
        {"SIMPLE": 4},
        {"RAMP_UP": "soon"},
        {"HORIZON": "-PT1H"},
        {"HORIZON": "P9999Y"},
        {"MARKET_CONTEXT": " "},
        {"TEST_EVENT": 1},
        {"CURRENCY": "euro"},
        {"HERTZ": 0},
    ],
)
def test_an_attribute_that_cannot_be_read_is_named_and_the_default_holds(attribute: dict[str, Any]) -> None:
    projection = told(of_type("SIMPLE", 1), a_program(**attribute))
    assert losses(projection) == {LossKind.ATTRIBUTE}
    assert f"OADR20B_{next(iter(attribute))}" in projection.losses[0].detail
    assert projection.digest() == told(of_type("SIMPLE", 1)).digest()


def test_percentages_of_a_hundred_become_fractions() -> None:
    event = of_type("CONTROL_LEVEL_OFFSET_PERCENT", 50, units="PERCENT")
    assert signal(told(event, a_program(PERCENT="hundred")), "LOAD_CONTROL").values == (0.5,)


def test_repetitions_are_told_for_the_next_time_only() -> None:
    """4.2: a rolling horizon; what is told changes only when it rolls on."""
    event = of_type("SIMPLE", 1, 2, duration="P9999Y")
    first = told(event)
    assert first.rolls_at is not None
    assert first.end is not None
    assert first.end - first.rolls_at >= timedelta(hours=48)
    assert LossKind.HORIZON in losses(first)
    assert told(event, now=first.rolls_at - timedelta(seconds=1)).digest() == first.digest()
    rolled = told(event, now=first.rolls_at)
    assert rolled.start == first.rolls_at
    assert rolled.digest() != first.digest()


def test_a_repetition_that_ends_is_told_whole() -> None:
    projection = told(of_type("SIMPLE", 1, 2, duration="PT5H"))
    assert signal(projection, "SIMPLE").values == (1, 2, 1, 2, 1)
    assert projection.rolls_at is None


def test_an_event_that_is_too_long_for_a_message_is_refused() -> None:
    period = {"start": "2025-01-01T00:00:00Z", "duration": "PT1S"}
    assert refused(of_type("SIMPLE", *[1] * 3001, intervalPeriod=period)) is NoFormKind.TOO_LONG
    often = told(of_type("SIMPLE", 1, intervalPeriod=period, duration="P9999Y"))
    assert sum(len(part.values) for part in often.signals) <= 3000


def test_an_event_that_was_called_off_has_no_form() -> None:
    event = of_type("SIMPLE", 1, intervalPeriod={"start": "0001-01-01T00:00:00Z", "duration": "PT0S"})
    assert refused(event) is NoFormKind.CANCELLED


def test_an_event_that_asks_for_reports_only_asks_vens_of_2_0b_for_nothing() -> None:
    """4.5: as the events that carry telemetry."""
    event = of_type("SIMPLE", 1, intervals=[], reportDescriptors=[{"payloadType": "USAGE"}])
    assert refused(event) is NoFormKind.NOTHING_ASKED


def test_a_projection_is_the_same_after_it_was_stored() -> None:
    """B-EVT-041."""
    projection = told(of_type("DISPATCH_SETPOINT", 1.1, 2, units="KW", targets=["group:a"]), a_program(RAMP_UP="PT1M"))
    assert decoded(encoded(projection)) == projection
    assert decoded(encoded(projection)).digest() == projection.digest()


def test_other_ids_and_names_are_lost_by_name() -> None:
    event = of_type("SIMPLE", 1, eventName="peak", targets=["area:north"])
    assert losses(told(event)) == {LossKind.EVENT_NAME, LossKind.TARGET_OMITTED}
    numbered = of_type("SIMPLE", 1, intervals=[{"id": 7, "payloads": [{"type": "SIMPLE", "values": [1]}]}])
    assert losses(told(numbered)) == {LossKind.INTERVAL_IDS}


def test_the_length_of_a_program_s_durations_is_bounded() -> None:
    assert losses(told(of_type("SIMPLE", 1), a_program(RAMP_UP=Duration.of(timedelta(days=400)).text))) == {
        LossKind.ATTRIBUTE
    }
