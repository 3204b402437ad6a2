"""Test what payloads mean in kW, for all that read them."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.fleet.power import (
    EXPORT_LIMIT,
    IMPORT_LIMIT,
    KINDS,
    KW_PER,
    MOST_KW,
    OFFSET,
    OFFSET_PERCENT,
    RELATIVE,
    SETPOINT,
    SIMPLE,
    PayloadNotUnderstood,
    PayloadReader,
    PowerRequest,
    RequestKind,
    Sign,
    Signs,
    asked_kw,
    unreadable_power,
)
from openadr_profiles.fleet.thresholds import ALERT_LEVELS, ALERTS, GHG, PRICE, Thresholds
from openadr_profiles.v31 import (
    EventPayloadDescriptor,
    EventRequest,
    Interval,
    Program,
    ProgramPayloadDescriptor,
    ValuesMap,
)
from tests.ven.builders import a_program

IN_KW = {RequestKind.SHED, RequestKind.SETPOINT, RequestKind.LIMIT, RequestKind.EXPORT}
OWNER = Thresholds(
    prices=(Decimal("0.3"), Decimal("0.5")),
    currency="EUR",
    ghg=(Decimal(200), Decimal(300), Decimal(400)),
    alerts=ALERT_LEVELS,
)
SHARES = (Decimal(0), Decimal("0.33"), Decimal("0.66"), Decimal(1))


def an_event(type_: str = RELATIVE, *values: Any, units: str | None = None) -> EventRequest:
    described = None if units is None else (EventPayloadDescriptor(payload_type=type_, units=units),)
    payload = ValuesMap(type=type_, values=values)
    return EventRequest(program_id="p", payload_descriptors=described, intervals=(Interval(id=0, payloads=(payload,)),))


def read(type_: str, value: Any, *, units: str | None = None, program: Program | None = None) -> PowerRequest:
    return PayloadReader(an_event(type_, value, units=units), program).request(type_, (value,))


@pytest.mark.parametrize(
    ("units", "value"), [("kW", -1.5), ("W", -1500), ("MW", -0.0015), (None, -1.5), ("KW", -1.5), ("kw", -1.5)]
)
def test_units_are_read_without_regard_to_case_and_none_are_kilowatts(units: str | None, value: float) -> None:
    assert read(RELATIVE, value, units=units) == PowerRequest(RequestKind.SHED, Decimal("1.5"))


def test_units_of_the_event_come_before_those_of_its_program() -> None:
    """VENCLIENT-022."""
    program = a_program(payload_descriptors=(ProgramPayloadDescriptor(payload_type=RELATIVE, units="MW"),))
    assert read(RELATIVE, -1, program=program).value == 1000
    assert read(RELATIVE, -1, program=program, units="W").value == Decimal("0.001")


@pytest.mark.parametrize(("sign", "kw"), [("negative_sheds", 0), ("positive_sheds", 3), ("any_sheds", 3)])
def test_the_sign_goes_by_the_name_of_the_program(sign: str, kw: int) -> None:
    """ENUM-020: the standard does not say which sign asks for less; without a rule a negative one does."""
    signs = Signs(by_program={"peak": Sign(sign)})
    event = an_event(RELATIVE, 3)
    assert PayloadReader(event, a_program("peak"), signs).request(RELATIVE, (3,)).value == kw
    assert PayloadReader(event, a_program("other"), signs).request(RELATIVE, (3,)).value == 0
    assert PayloadReader(event, None, signs).request(RELATIVE, (-3,)).value == 3


@pytest.mark.parametrize("value", [1e308, -1e308, 10**400, 1.1e9])
def test_a_setpoint_beyond_all_measure_is_refused_and_such_a_limit_is_none(value: float) -> None:
    with pytest.raises(PayloadNotUnderstood, match="expected at most 1,000,000,000 kW"):
        read(RELATIVE, value)
    assert read(IMPORT_LIMIT, value).value == (MOST_KW if value > 0 else 0)


def test_a_whole_number_of_any_length_is_refused_without_being_spelt_out() -> None:
    with pytest.raises(PayloadNotUnderstood, match="the value of 16610 bits: expected at most"):
        read(RELATIVE, -(10**5000))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, True, False, "5", None, "x" * 10_000])
@pytest.mark.parametrize("type_", [RELATIVE, SETPOINT, IMPORT_LIMIT, SIMPLE, OFFSET, PRICE, GHG])
def test_what_is_no_number_is_refused_by_name_and_with_what_was_expected(type_: str, value: Any) -> None:
    with pytest.raises(PayloadNotUnderstood, match=f"{type_} has the value .*: expected") as refusal:
        read(type_, value)
    assert len(str(refusal.value)) < 150


def test_units_that_are_no_power_are_refused_by_name() -> None:
    with pytest.raises(PayloadNotUnderstood, match="DISPATCH_SETPOINT_RELATIVE in KWH: only KW, W and MW"):
        read(RELATIVE, -1, units="KWH")


def test_a_payload_without_values_is_refused() -> None:
    with pytest.raises(PayloadNotUnderstood, match="SIMPLE has no value"):
        PayloadReader(an_event(SIMPLE)).largest_stated_kw()


@given(
    type_=st.sampled_from(sorted(KINDS)),
    value=st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=5)),
    units=st.sampled_from([None, "KW", "kW", "W", "MW", "mw", "KWH"]),
    used_kw=st.decimals(0, 10**6, places=3),
    sheddable_kw=st.decimals(0, 10**6, places=3),
)
def test_a_request_is_understood_within_bounds_or_refused(
    type_: str, value: Any, units: str | None, used_kw: Decimal, sheddable_kw: Decimal
) -> None:
    try:
        request = read(type_, value, units=units)
    except PayloadNotUnderstood:
        return
    assert 0 <= request.value <= (MOST_KW if request.kind in IN_KW else 3)
    reduction = request.reduction_kw(used_kw=used_kw, sheddable_kw=sheddable_kw, level_shares=SHARES)
    assert 0 <= reduction <= max(used_kw, sheddable_kw, request.value)


@given(kw=st.decimals(-(10**6), 10**6, places=3), units=st.sampled_from([*KW_PER, "kW", "mw"]))
def test_who_issues_and_who_carries_out_read_the_same_kilowatts(kw: Decimal, units: str) -> None:
    value = float(kw / KW_PER[units.upper()])
    event = an_event(RELATIVE, value, units=units)
    asked = asked_kw(event)
    assert asked is not None
    either = Signs(default=Sign.ANY_SHEDS)
    assert asked == PayloadReader(event, None, either).request(RELATIVE, (value,)).value
    assert unreadable_power(event) is None


@pytest.mark.parametrize(("value", "why"), [(1e308, "at most"), (True, "expected a number"), ("much", "a number")])
def test_power_that_no_ven_can_read_is_named_before_it_is_issued(value: Any, why: str) -> None:
    problem = unreadable_power(an_event(RELATIVE, value, units="KW"))
    assert problem is not None
    assert why in problem
    assert asked_kw(an_event(RELATIVE, value, units="KW")) is None


@pytest.mark.parametrize(("value", "units", "kw"), [(4, "KW", 4), (4000, "W", 4), (-1, "KW", 0), (0, None, 0)])
def test_an_absolute_setpoint_asks_for_what_is_drawn_above_it(value: float, units: str | None, kw: int) -> None:
    request = read(SETPOINT, value, units=units)
    assert request == PowerRequest(RequestKind.SETPOINT, Decimal(kw))
    for used_kw, reduction in ((10, 10 - kw), (0, 0)):
        reduced = request.reduction_kw(used_kw=Decimal(used_kw), sheddable_kw=Decimal(6), level_shares=SHARES)
        assert reduced == reduction


@pytest.mark.parametrize(
    ("offset", "kw"), [(0, "0"), (1, "0.6"), (5, "3"), (10, "6"), (-1, "0"), (-10, "0"), (3.0, "1.8")]
)
def test_a_level_offset_asks_for_tenths_of_what_can_be_shed(offset: float, kw: str) -> None:
    request = read(OFFSET, offset)
    assert request.reduction_kw(used_kw=Decimal(10), sheddable_kw=Decimal(6), level_shares=SHARES) == Decimal(kw)


@pytest.mark.parametrize("value", [11, -11, 0.5, "1", True])
def test_a_level_offset_is_a_whole_number_up_to_ten(value: Any) -> None:
    with pytest.raises(
        PayloadNotUnderstood, match=r"CONTROL_LEVEL_OFFSET has .*: expected a whole number from -10 to 10"
    ):
        read(OFFSET, value)


def a_described(type_: str, *values: Any, units: str | None = None, currency: str | None = None) -> EventRequest:
    described = EventPayloadDescriptor(payload_type=type_, units=units, currency=currency)
    payload = ValuesMap(type=type_, values=values)
    return EventRequest(
        program_id="p", payload_descriptors=(described,), intervals=(Interval(id=0, payloads=(payload,)),)
    )


def level(event: EventRequest, thresholds: Thresholds = OWNER) -> Decimal:
    payload = (event.intervals or ())[0].payloads[0]
    request = PayloadReader(event, None, thresholds=thresholds).request(payload.type, payload.values)
    assert request.kind is RequestKind.LEVEL
    return request.value


@pytest.mark.parametrize(
    ("price", "units", "currency", "expected"),
    [
        (0.29, "KWH", "EUR", 0),
        (0.3, "KWH", "eur", 1),
        (0.3, None, None, 1),
        (0.51, "kWh", "EUR", 2),
        (500, "MWH", "EUR", 2),
        (299, "MWH", "EUR", 0),
        (-1, "KWH", "EUR", 0),
    ],
)
def test_a_price_asks_for_the_level_whose_threshold_it_reaches(
    price: float, units: str | None, currency: str | None, expected: int
) -> None:
    assert level(a_described(PRICE, price, units=units, currency=currency)) == expected


@pytest.mark.parametrize(("grams", "expected"), [(0, 0), (200, 1), (399.9, 2), (400, 3), (10**6, 3)])
def test_greenhouse_gas_asks_for_the_level_whose_threshold_it_reaches(grams: float, expected: int) -> None:
    assert level(a_described(GHG, grams, units="GHG")) == expected


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (a_described(PRICE, 1, units="KWH", currency="USD"), "PRICE in USD: the thresholds for prices are in EUR"),
        (a_described(PRICE, 1, units="THERMS"), "PRICE per THERMS: only KWH, MWH and WH"),
        (a_described(PRICE, 1e300), "PRICE has the value 1e[+]300: expected at most"),
        (a_described(GHG, 1, units="KG"), "GHG in KG: only GHG"),
    ],
)
def test_a_price_or_gas_that_the_thresholds_do_not_fit_is_refused(event: EventRequest, why: str) -> None:
    with pytest.raises(PayloadNotUnderstood, match=why):
        level(event)


def test_alerts_ask_for_what_the_owner_says_whatever_their_text() -> None:
    for type_ in ALERTS:
        assert level(an_event(type_, "the grid is failing")) == ALERT_LEVELS.get(type_, 0)
        assert level(an_event(type_)) == ALERT_LEVELS.get(type_, 0)
    assert level(an_event("ALERT_FIRE", "x"), Thresholds(alerts={"ALERT_FIRE": 2})) == 2


@pytest.mark.parametrize(
    ("event", "thresholds", "ignored"),
    [
        (an_event(SIMPLE, 1), OWNER, {}),
        (an_event(PRICE, 1), OWNER, {}),
        (an_event(PRICE, 1), Thresholds(), {PRICE: "no threshold for prices is set"}),
        (an_event(GHG, 1), Thresholds(), {GHG: "no threshold for greenhouse gas is set"}),
        (an_event("ALERT_WIND", "x"), OWNER, {"ALERT_WIND": "such an alert asks for nothing here"}),
        (an_event("MY_OWN", "x"), OWNER, {"MY_OWN": "such payloads mean nothing here"}),
        (an_event("CONTROL_SETPOINT", 21), OWNER, {"CONTROL_SETPOINT": "such payloads mean nothing here"}),
        (an_event(RELATIVE, 3), OWNER, {RELATIVE: "it asks for more use"}),
        (an_event(RELATIVE, 3, -3), OWNER, {}),
        (an_event(RELATIVE, 0), OWNER, {}),
        (an_event(OFFSET, -2), OWNER, {OFFSET: "it asks for more use"}),
        (an_event(EXPORT_LIMIT, 2), OWNER, {EXPORT_LIMIT: "no circuit can be limited in what it feeds in"}),
        (an_event(OFFSET_PERCENT, 0.5), OWNER, {OFFSET_PERCENT: "nobody has said which sign of it sheds"}),
        (EventRequest(program_id="p"), OWNER, {}),
    ],
)
def test_what_can_change_nothing_is_named_with_the_reason(
    event: EventRequest, thresholds: Thresholds, ignored: dict[str, str]
) -> None:
    """V12, ruling 22: an operator can tell an indifferent home from a dead one."""
    reader = PayloadReader(event, None, thresholds=thresholds)
    assert reader.not_acted_on() == ignored
    has_payloads = bool(event.intervals)
    assert reader.asks_for_reduction is (has_payloads and ignored.keys() <= {RELATIVE, OFFSET})


@pytest.mark.parametrize(
    ("sign", "value", "share"),
    [
        (Sign.POSITIVE_SHEDS, 0.25, "0.25"),
        (Sign.POSITIVE_SHEDS, -0.25, "0"),
        (Sign.NEGATIVE_SHEDS, -1, "1"),
        (Sign.NEGATIVE_SHEDS, -40, "0.4"),
        (Sign.ANY_SHEDS, 100, "1"),
    ],
)
def test_an_offset_in_percent_is_a_share_by_the_sign_that_the_owner_says(sign: Sign, value: float, share: str) -> None:
    """ENUM-001, ENUM-009: the standard's text says both of the sign."""
    event = an_event(OFFSET_PERCENT, value)
    reader = PayloadReader(event, signs=Signs(percent_offset=sign))
    assert reader.request(OFFSET_PERCENT, (value,)) == PowerRequest(RequestKind.SHARE, Decimal(share))
    assert reader.not_acted_on() == ({} if Decimal(share) else {OFFSET_PERCENT: "it asks for more use"})


@pytest.mark.parametrize("value", [100.5, -1000, True, "half"])
def test_an_offset_that_is_no_percentage_is_refused(value: Any) -> None:
    reader = PayloadReader(an_event(OFFSET_PERCENT, value), signs=Signs(percent_offset=Sign.POSITIVE_SHEDS))
    with pytest.raises(PayloadNotUnderstood, match=r"CONTROL_LEVEL_OFFSET_PERCENT has the value .*: expected"):
        reader.largest_stated_kw()


def test_an_export_limit_is_about_what_is_fed_in() -> None:
    request = read(EXPORT_LIMIT, 2500.0, units="W")
    shares = (Decimal(0),) * 4
    for used_kw, kw in ((Decimal(-4), "1.5"), (Decimal(-2), "0"), (Decimal(9), "0")):
        asked = request.reduction_kw(used_kw=used_kw, sheddable_kw=Decimal(8), level_shares=shares)
        assert asked == Decimal(kw)


@pytest.mark.parametrize("bad", [math.nan, math.inf, True, "much", -2e9])
@pytest.mark.parametrize("place", [0, 50, 99])
def test_one_value_without_meaning_among_many_is_found(bad: Any, place: int) -> None:
    values: list[Any] = [-number / 10 for number in range(100)]
    assert PayloadReader(an_event(RELATIVE, *values)).largest_stated_kw() == Decimal("9.9")
    values[place] = bad
    with pytest.raises(PayloadNotUnderstood, match=RELATIVE):
        PayloadReader(an_event(RELATIVE, *values)).largest_stated_kw()


def test_a_hundred_thousand_values_take_two_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    read_values = []
    honest = PayloadReader.request

    def counted(self: PayloadReader, payload_type: str, values: Any) -> PowerRequest:
        read_values.append(values)
        return honest(self, payload_type, values)

    monkeypatch.setattr(PayloadReader, "request", counted)
    event = an_event(RELATIVE, *(-number / 100 for number in range(100_000)))
    assert PayloadReader(event).largest_stated_kw() == Decimal("999.99")
    assert len(read_values) == 2
