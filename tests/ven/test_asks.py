from decimal import Decimal
from typing import Any

import pytest

from openadr_profiles.fleet.power import IMPORT_LIMIT, RELATIVE, SIMPLE, PayloadNotUnderstood, Sign
from openadr_profiles.v31 import EventPayloadDescriptor, Interval, ProgramPayloadDescriptor, ValuesMap
from tests.ven.builders import a_program, shed_event
from ven.asks import Context, SheddingRules


def context(*, units: str | None = "KW", program: Any = None, **rules: Any) -> Context:
    return Context(shed_event(-5, units=units), program or a_program(), SheddingRules(**rules))


def asked(context: Context, type_: str, *values: Any) -> Decimal:
    return context.requested_kw(type_, values, used_kw=Decimal(10), sheddable_kw=Decimal(6))


@pytest.mark.parametrize(
    ("units", "value", "kw"),
    [("KW", -2.5, "2.5"), ("W", -2500, "2.5"), ("MW", -0.1, "100"), (None, -2, "2"), ("kW", 1, "0")],
)
def test_relative_setpoint_below_zero_sheds(units: str | None, value: float, kw: str) -> None:
    assert asked(context(units=units), RELATIVE, value) == Decimal(kw)


@pytest.mark.parametrize(
    ("sign", "value", "kw"),
    [
        (Sign.NEGATIVE_SHEDS, 3, 0),
        (Sign.POSITIVE_SHEDS, 3, 3),
        (Sign.POSITIVE_SHEDS, -3, 0),
        (Sign.ANY_SHEDS, 3, 3),
        (Sign.ANY_SHEDS, -3, 3),
    ],
)
def test_sign_that_sheds_is_a_setting(sign: Sign, value: float, kw: int) -> None:
    assert asked(context(sign=sign), RELATIVE, value) == kw
    assert asked(context(program_signs={"peak": sign}), RELATIVE, value) == kw


@pytest.mark.parametrize(("level", "kw"), [(0, "0"), (1, "1.98"), (2, "3.96"), (3, "6"), (3.0, "6")])
def test_simple_level_sheds_a_share_of_what_can_be_shed(level: float, kw: str) -> None:
    assert asked(context(), SIMPLE, level) == Decimal(kw)


@pytest.mark.parametrize(("limit", "kw"), [(8, 2), (10, 0), (12, 0), (0, 10)])
def test_import_limit_sheds_what_exceeds_it(limit: float, kw: int) -> None:
    assert asked(context(), IMPORT_LIMIT, limit) == kw


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        (SIMPLE, (4,)),
        (SIMPLE, (True,)),
        (SIMPLE, ("1",)),
        (SIMPLE, ()),
        (RELATIVE, ("much",)),
        (RELATIVE, ()),
        (IMPORT_LIMIT, (False,)),
    ],
)
def test_values_without_meaning_are_refused_by_name(type_: str, values: tuple[Any, ...]) -> None:
    with pytest.raises(PayloadNotUnderstood, match=type_):
        asked(context(), type_, *values)


def test_units_without_meaning_are_refused_by_name() -> None:
    with pytest.raises(PayloadNotUnderstood, match="DISPATCH_SETPOINT_RELATIVE in KWH: only KW, W and MW"):
        asked(context(units="KWH"), RELATIVE, -1)


def test_units_of_the_event_come_before_those_of_the_program() -> None:
    """VENCLIENT-022."""
    program = a_program(payload_descriptors=(ProgramPayloadDescriptor(payload_type=RELATIVE, units="MW"),))
    assert asked(context(units=None, program=program), RELATIVE, -1) == 1000
    assert asked(context(units="W", program=program), RELATIVE, -1) == Decimal("0.001")


def test_largest_stated_request_looks_at_every_interval() -> None:
    event = shed_event(-1, -7.5, 0)
    assert Context(event, None, SheddingRules()).largest_stated_kw() == Decimal("7.5")


def test_event_is_not_understood_if_any_interval_is_not() -> None:
    event = shed_event(
        intervals=(
            Interval(id=0, payloads=(ValuesMap(type=SIMPLE, values=(1,)),)),
            Interval(id=1, payloads=(ValuesMap(type=SIMPLE, values=(9,)),)),
        )
    )
    with pytest.raises(PayloadNotUnderstood, match="value 9"):
        Context(event, None, SheddingRules()).largest_stated_kw()


def test_event_about_other_things_asks_for_nothing() -> None:
    event = shed_event(
        intervals=(Interval(id=0, payloads=(ValuesMap(type="PRICE", values=(0.2,)),)),),
        payload_descriptors=(EventPayloadDescriptor(payload_type="PRICE", units="KWH", currency="EUR"),),
    )
    assert not Context(event, None, SheddingRules()).asks_for_reduction
    assert context().asks_for_reduction


def about(type_: str, *values: Any, **rules: Any) -> Context:
    intervals = (Interval(id=0, payloads=(ValuesMap(type=type_, values=values),)),)
    return Context(shed_event(intervals=intervals, units=None), None, SheddingRules(**rules))


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (context(), None),
        (about("PRICE", 0.2), "nothing here acts on PRICE (no threshold for prices is set)"),
        (about("PRICE", 0.2, price_levels=[0.3]), None),
        (about("X" * 60, 1), f"nothing here acts on {'X' * 40}… (such payloads mean nothing here)"),
        (about(RELATIVE, 2), "nothing here acts on DISPATCH_SETPOINT_RELATIVE (it asks for more use)"),
        (Context(shed_event(intervals=()), None, SheddingRules()), "it has no values to act on"),
    ],
)
def test_what_is_not_acted_on_is_said_so(context: Context, said: str | None) -> None:
    """V12, ruling 22."""
    assert context.not_acted_on() == said


def test_many_types_that_are_not_acted_on_are_counted() -> None:
    payloads = tuple(ValuesMap(type=f"MY_{number}", values=(1,)) for number in range(100))
    event = shed_event(intervals=(Interval(id=0, payloads=payloads),))
    said = Context(event, None, SheddingRules()).not_acted_on()
    assert said is not None
    assert said.endswith("MY_4 (such payloads mean nothing here), 95 more types")


def test_grid_emergencies_ask_for_all_and_the_owner_may_say_otherwise() -> None:
    assert asked(about("ALERT_GRID_EMERGENCY"), "ALERT_GRID_EMERGENCY", "the grid is failing") == 6
    calm = about("ALERT_GRID_EMERGENCY", alert_levels={"ALERT_GRID_EMERGENCY": 0})
    assert calm.not_acted_on() == "nothing here acts on ALERT_GRID_EMERGENCY (such an alert asks for nothing here)"


def test_prices_and_greenhouse_gas_ask_for_levels_by_the_owners_thresholds() -> None:
    rules = {"price_levels": [0.2, 0.3, 0.4], "price_currency": "EUR", "ghg_levels": [300]}
    assert asked(about("PRICE", 0.3, **rules), "PRICE", 0.3) == Decimal("3.96")
    assert asked(about("GHG", 299, **rules), "GHG", 299) == 0
    assert asked(about("GHG", 300, **rules), "GHG", 300) == Decimal("1.98")
