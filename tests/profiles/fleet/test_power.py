"""Test what payloads mean in kW, for all that read them."""

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openadr_profiles.fleet.power import (
    IMPORT_LIMIT,
    KINDS,
    KW_PER,
    MOST_KW,
    RELATIVE,
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
from openadr_profiles.v31 import (
    EventPayloadDescriptor,
    EventRequest,
    Interval,
    Program,
    ProgramPayloadDescriptor,
    ValuesMap,
)
from tests.ven.builders import a_program

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
@pytest.mark.parametrize("type_", [RELATIVE, IMPORT_LIMIT, SIMPLE])
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
    assert 0 <= request.value <= MOST_KW
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
