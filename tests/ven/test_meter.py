from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ven.builders import START
from ven.panel.meter import PowerReading, RollingBaseline, measure, power_of, power_of_all

HOLD = timedelta(seconds=30)


def at(second: float, **kw: str) -> PowerReading:
    return PowerReading(START + timedelta(seconds=second), {id_: Decimal(value) for id_, value in kw.items()})


def second(number: float) -> timedelta:
    return timedelta(seconds=number)


def test_power_is_weighted_by_the_time_it_was_drawn() -> None:
    """1 kW for 10 s and 4 kW for 20 s are 3 kW for 30 s."""
    measured = measure([at(0, ev="1"), at(10, ev="4")], START, START + second(30), power=power_of("ev"), hold=HOLD)
    assert measured is not None
    assert [measured.mean_kw, measured.peak_kw, measured.last_kw] == [3, 4, 4]
    assert measured.covered == 1.0
    assert measured.energy_kwh == Decimal(3) * 30 / 3600


def test_reading_before_the_interval_holds_at_its_start() -> None:
    measured = measure([at(-5, ev="2"), at(10, ev="5")], START, START + second(20), power=power_of("ev"), hold=HOLD)
    assert measured is not None
    assert measured.mean_kw == Decimal("3.5")


def test_silence_is_not_covered() -> None:
    measured = measure([at(0, ev="2"), at(90, ev="8")], START, START + second(120), power=power_of("ev"), hold=HOLD)
    assert measured is not None
    assert measured.mean_kw == 5
    assert measured.covered == 0.5


@pytest.mark.parametrize("samples", [[], [at(-100, ev="1")], [at(0, oven="1")], [at(60, ev="1")]])
def test_interval_without_readings_is_unknown(samples: list[PowerReading]) -> None:
    assert measure(samples, START, START + second(60), power=power_of("ev"), hold=HOLD) is None


def test_sum_is_known_only_when_every_part_is() -> None:
    samples = [at(0, ev="1", oven="2"), at(10, ev="1")]
    measured = measure(samples, START, START + second(20), power=power_of_all(("ev", "oven")), hold=HOLD)
    assert measured is not None
    assert measured.mean_kw == 3
    assert measured.covered == 0.5


@given(
    st.lists(st.tuples(st.integers(0, 600), st.decimals(0, 20, places=3)), min_size=1, unique_by=lambda pair: pair[0]),
    st.integers(1, 599),
)
def test_energy_of_two_halves_is_the_energy_of_the_whole(readings: list[tuple[int, Decimal]], cut: int) -> None:
    samples = [at(0, ev="1"), *(at(each, ev=str(kw)) for each, kw in sorted(readings) if each > 0)]
    end, middle = START + second(600), START + second(cut)
    forever = timedelta(days=1)
    parts = [
        measure(samples, since, until, power=power_of("ev"), hold=forever)
        for since, until in ((START, middle), (middle, end), (START, end))
    ]
    left, right, whole = (part.energy_kwh if part else Decimal("NaN") for part in parts)
    assert abs(left + right - whole) < Decimal("1e-20")


def test_baseline_is_the_mean_before_the_moment() -> None:
    baseline = RollingBaseline(span=second(60), hold=HOLD)
    for each, kw in ((0, "9"), (70, "1"), (90, "3"), (110, "2")):
        baseline.add(at(each, ev=kw))
    assert baseline.at(START + second(120), ["ev", "oven"]) == {"ev": Decimal("2.000")}


def test_baseline_of_a_single_reading_is_that_reading() -> None:
    baseline = RollingBaseline(span=second(60), hold=HOLD)
    baseline.add(at(0, ev="2.5"))
    assert baseline.at(START, ["ev"]) == {"ev": Decimal("2.500")}
