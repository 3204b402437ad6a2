"""Test what a state of charge means that an event asks for."""

import math
from decimal import Decimal
from typing import Any

import pytest

from openadr_profiles.fleet.charge import ChargeSetpoint, charge_setpoint
from openadr_profiles.fleet.numbers import PayloadNotUnderstood


@pytest.mark.parametrize(
    ("value", "units", "share"),
    [
        (0.5, "PERCENT", "0.5"),
        (1, "PERCENT", "1"),
        (0, "percent", "0"),
        (80, "PERCENT", "0.8"),
        (100, "PERCENTAGE", "1"),
        (6, "KWH", "0.6"),
        (6000, "WH", "0.6"),
        (0.006, "MWH", "0.6"),
        (20, "kWh", "1"),
    ],
)
def test_a_state_of_charge_is_a_share_of_the_capacity(value: float, units: str, share: str) -> None:
    """ENUM-008, ENUM-009: PERCENT is a fraction; above 1 it is read as 0 to 100."""
    assert charge_setpoint((value,), units).share_of(Decimal(10)) == Decimal(share)


def test_storage_without_capacity_is_full() -> None:
    assert ChargeSetpoint(kwh=Decimal(1)).share_of(Decimal(0)) == 1


@pytest.mark.parametrize(
    ("values", "units", "why"),
    [
        ((), "KWH", "has no value"),
        (("half",), "KWH", "expected a number"),
        ((True,), "KWH", "expected a number"),
        ((math.nan,), "KWH", "expected a number"),
        ((101,), "PERCENT", "expected 0 to 1, or up to 100"),
        ((-0.1,), "PERCENT", "expected 0 to 1"),
        ((-1,), "KWH", "expected 0 to"),
        ((1e300,), "KWH", "expected 0 to"),
        ((1,), None, "without units: only PERCENT, KWH, WH and MWH"),
        ((1,), "VOLTS", "in VOLTS: only PERCENT"),
    ],
)
def test_what_is_no_state_of_charge_is_refused_by_name(values: tuple[Any, ...], units: str | None, why: str) -> None:
    with pytest.raises(PayloadNotUnderstood, match=f"CHARGE_STATE_SETPOINT .*{why}"):
        charge_setpoint(values, units)
