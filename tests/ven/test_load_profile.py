"""Running sums between the edges of windows (V10): the same as measuring stored readings, and never more of them."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ven.builders import START
from ven.panel.load_profile import LoadProfile, encoded
from ven.panel.meter import Measurement, PowerReading, measure, power_of, power_of_all

HOLD = timedelta(seconds=30)
END = START + timedelta(seconds=600)


def at(second: float) -> datetime:
    return START + timedelta(seconds=second)


def reading(second: float, **kw: str) -> PowerReading:
    return PowerReading(at(second), {id_: Decimal(value) for id_, value in kw.items()})


def a_profile(*ids: str) -> LoadProfile:
    return LoadProfile(ids or ("ev",), hold=HOLD)


def take(
    profile: LoadProfile, *readings: PowerReading, edges: tuple[float, ...] = (), needed_from: float | None = 0
) -> None:
    """Give a profile readings one after the other, with the edges between them."""
    before = START - timedelta(days=1)
    for each in readings:
        since = [edge for edge in map(at, edges) if before < edge <= each.at]
        profile.take(each, each.at, needed_from=None if needed_from is None else at(needed_from), edges=since)
        before = each.at


def test_power_is_weighted_by_the_time_it_was_drawn() -> None:
    profile = a_profile()
    take(profile, reading(0, ev="1"), reading(10, ev="4"), reading(30, ev="9"), edges=(0, 30))
    measured = profile.measured(("ev",), START, at(30))
    assert measured is not None
    assert [measured.mean_kw, measured.peak_kw, measured.last_kw, measured.covered] == [3, 4, 4, 1.0]
    assert measured.energy_kwh == Decimal(3) * 30 / 3600


def test_silence_is_a_gap() -> None:
    profile = a_profile()
    take(profile, reading(0, ev="2"), reading(90, ev="8"), reading(120, ev="1"), edges=(0, 120))
    measured = profile.measured(("ev",), START, at(120))
    assert measured is not None
    assert [measured.mean_kw, measured.covered] == [5, 0.5]


def test_window_without_readings_is_unknown() -> None:
    profile = a_profile("ev", "oven")
    take(profile, reading(0, ev="2"), reading(60, ev="8"), edges=(0, 60))
    assert profile.measured(("oven",), START, at(60)) is None
    assert profile.measured(("ev", "oven"), START, at(60)) is None
    assert profile.measured(("ev",), at(60), at(120)) is None


READINGS = st.lists(
    st.tuples(st.integers(0, 600), st.booleans(), st.decimals(0, 20, places=3), st.booleans()),
    min_size=1,
    max_size=40,
    unique_by=lambda each: each[0],
)
CUTS = st.lists(st.integers(1, 599), max_size=6, unique=True)


@given(READINGS, CUTS, st.integers(0, 40))
def test_windows_measure_what_stored_readings_would(
    found: list[tuple[int, bool, Decimal, bool]], cuts: list[int], restart_at: int
) -> None:
    """Every window between any two edges, for a circuit and for several, also when the process is begun anew."""
    samples = [
        PowerReading(at(second), {id_: kw for id_, kw, read in (("ev", kw, one), ("oven", Decimal(2), other)) if read})
        for second, one, kw, other in sorted(found)
    ]
    edges = sorted({0, *cuts, 600})
    profile = a_profile("ev", "oven")
    before = START - timedelta(days=1)
    for place, each in enumerate([*samples, None]):
        now = each.at if each else END
        if place == restart_at:  # what a clean end keeps: everything that is known until then
            again = a_profile("ev", "oven")
            again._last, again._known_to = profile._last, profile._known_to
            again.load([*(text for _, text in profile._closed), *([encoded(profile.open)] if profile.open else [])])
            again._last, again._known_to = profile._last, profile._known_to
            profile = again
        profile.take(each, now, needed_from=START, edges=[edge for edge in map(at, edges) if before < edge <= now])
        before = now
    for ids in (("ev",), ("oven",), ("ev", "oven")):
        for place, first in enumerate(edges):
            for last in edges[place + 1 :]:
                power = power_of(ids[0]) if len(ids) == 1 else power_of_all(ids)
                expected = measure(samples, at(first), at(last), power=power, hold=HOLD)
                assert _rounded(profile.measured(ids, at(first), at(last))) == _rounded(expected), (ids, first, last)


def _rounded(measured: Measurement | None) -> tuple[object, ...] | None:
    if measured is None:
        return None
    return round(measured.mean_kw, 12), measured.peak_kw, measured.last_kw, round(measured.covered, 9), measured.hours


def test_a_gap_of_a_process_stays_a_gap() -> None:
    """A process that was killed has kept what it knew at its last checkpoint; the rest is not covered."""
    profile = a_profile()
    take(profile, *(reading(second, ev="3") for second in range(0, 301, 10)), edges=(0,))
    assert profile.open is not None
    again = a_profile()
    again.load([encoded(profile.open)])
    take(again, *(reading(second, ev="3") for second in range(450, 601, 10)), edges=(600,))
    measured = again.measured(("ev",), START, END)
    assert measured is not None
    assert [measured.mean_kw, measured.covered] == [3, 0.75]


def test_a_counter_knows_what_was_drawn_while_nobody_looked() -> None:
    """The energy of a window with a gap is the counter's; over an edge it is shared out by time and says so."""
    profile = a_profile()
    for second, kwh in ((0, "100"), (10, "100.1"), (590, "105.9"), (600, "106"), (1200, "112")):
        each = PowerReading(at(second), {"ev": Decimal(1)}, counter_kwh={"ev": Decimal(kwh)})
        profile.take(each, each.at, needed_from=START, edges=[each.at] if second in {0, 600} else [])
    whole = profile.measured(("ev",), START, END)
    assert whole is not None
    assert [round(whole.energy_kwh, 9), whole.covered, whole.counter_kwh] == [6, 1.0, Decimal("105.9")]
    profile = a_profile()
    for second, kwh in ((0, "100"), (400, "104"), (800, "108")):
        each = PowerReading(at(second), {"ev": Decimal(1)}, counter_kwh={"ev": Decimal(kwh)})
        edges = [edge for edge in (at(0), at(600)) if at(second - 400) < edge <= each.at]
        profile.take(each, each.at, needed_from=START, edges=edges)
    parts = [profile.measured(("ev",), START, END), profile.measured(("ev",), END, at(800))]
    assert [round(part.energy_kwh, 9) for part in parts if part] == [6, 2]
    assert [part.covered for part in parts if part] == [pytest.approx(400 / 600), 0]


def test_a_counter_over_a_restart() -> None:
    profile = a_profile()
    for second, kwh in ((0, "10"), (60, "11")):
        each = PowerReading(at(second), {}, counter_kwh={"ev": Decimal(kwh)})
        profile.take(each, each.at, needed_from=START, edges=[])
    assert profile.open is not None
    again = a_profile()
    again.load([encoded(profile.open)])
    last = PowerReading(END, {}, counter_kwh={"ev": Decimal(20)})
    again.take(last, END, needed_from=START, edges=[END])
    measured = again.measured(("ev",), START, END)
    assert measured is not None
    assert round(measured.energy_kwh, 9) == 10


def test_a_counter_that_was_replaced_is_left_out() -> None:
    profile = a_profile()
    for second, kwh in ((0, "10"), (10, "0"), (20, "0.01")):
        each = PowerReading(at(second), {"ev": Decimal(1)}, counter_kwh={"ev": Decimal(kwh)})
        profile.take(each, each.at, needed_from=START, edges=[])
    measured = profile.measured(("ev",), START, at(20))
    assert measured is not None
    assert round(measured.energy_kwh, 9) == round(Decimal(10) / 3600 + Decimal("0.01"), 9)


def test_what_no_report_needs_is_not_kept() -> None:
    """V10: an event without end that is reported hourly keeps the pieces of one report."""
    profile = a_profile("ev", "oven")
    most = 0
    for minute in range(5000):
        now = START + timedelta(minutes=minute)
        hour = now.replace(minute=0)
        profile.take(
            PowerReading(now, {"ev": Decimal(1), "oven": Decimal(2)}),
            now,
            needed_from=hour - timedelta(hours=1),
            edges=[now] if now == hour else [],
        )
        most = max(most, len(profile._closed))
    assert most <= 2
    take(profile, reading(5000 * 60, ev="1"), needed_from=None)
    assert profile.open is None
    assert not profile._closed


def test_stored_energy_of_several_is_that_of_each_and_known_only_if_all_are() -> None:
    """Of two batteries beside another circuit nothing was known together; of one that was silent, half was told."""
    profile = a_profile("heat", "b1", "b2")
    for second in range(0, 601, 10):
        kw = {id_: Decimal(1) for id_ in ("heat", "b1", "b2")}
        charge = {"b1": Decimal(5), "b2": Decimal(3)} if second < 300 else {"b1": Decimal(6)}
        each = PowerReading(at(second), kw, charge_kwh=charge, capacity_kwh={"b1": Decimal(10)})
        profile.take(each, each.at, needed_from=START, edges=[each.at] if second in {0, 300, 600} else [])
    both = profile.measured(("b1", "b2"), START, END)
    assert both is not None
    assert [both.mean_kw, both.last_kw, both.covered] == [2, 2, 1.0]
    assert [both.charge_kwh, both.capacity_kwh] == [9, None]
    later = profile.measured(("b1", "b2"), at(310), END)
    assert later is None or later.charge_kwh is None


@pytest.mark.parametrize("is_first", [True, False], ids=["first window", "next window"])
def test_what_ends_at_an_edge_is_not_told_of_the_window_that_begins_there(is_first: bool) -> None:
    """A reading comes some milliseconds after the edge: what held before it is not known to hold in that moment."""
    profile = a_profile()

    def go_on(second: float, *edges: float, limited: tuple[str, ...] = ("ev",), level: int = 2) -> None:
        needed_from = at(10 if is_first else 0)
        since = [at(edge) for edge in edges]
        one = reading(second, ev="1")
        profile.take(one, one.at, needed_from=needed_from, edges=since, limited=limited, level=level)

    go_on(0.03, 0, limited=(), level=0)
    go_on(5)
    go_on(10.03, 10)
    go_on(10.06, limited=(), level=0)
    if not is_first:
        assert profile.was_limited("ev", START, at(10))
        assert profile.level(START, at(10)) == 2
    assert not profile.was_limited("ev", at(10), at(20))
    assert profile.level(at(10), at(20)) == 0
    measured = profile.measured(("ev",), at(10), at(10.06))
    assert measured is not None
    assert measured.covered == 1
    go_on(20.03, 20, level=1)
    assert profile.was_limited("ev", at(10), at(20))
    assert profile.level(at(10), at(20)) == 1
