"""Test that circuits are not switched too often, nor shed for too long (V17)."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.ven.builders import START, a_circuit
from ven.panel.circuits import BranchCircuit
from ven.panel.constraints import Restrictions, SwitchingTimes
from ven.panel.curtailment import plan_shedding

POWER = {"a": Decimal(3), "b": Decimal(3), "c": Decimal(3)}


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def a_relay(id_: str, **members: float) -> BranchCircuit:
    return a_circuit(id_, on_off=True, **members)


def shed_and_noted(circuits: Iterable[BranchCircuit], requests: Iterable[str], step_s: float) -> list[frozenset[str]]:
    """Carry out requests in kW, one after the other; return which circuits were off after each."""
    circuits = tuple(circuits)
    times, off = SwitchingTimes(circuits), []
    for number, kw in enumerate(requests):
        now = times.restrictions(at(number * step_s))
        resting = now.resting | now.exhausted
        plan = plan_shedding(circuits, POWER, Decimal(kw), held=now.held, resting=resting)
        off.append(frozenset(each.circuit_id for each in plan.circuits if each.shed_kw > 0))
        times.note(off[-1], at(number * step_s))
    return off


def switchings(off: list[frozenset[str]], circuit_id: str) -> int:
    states = [False, *(circuit_id in each for each in off)]
    return sum(one is not other for one, other in pairwise(states))


def test_simple_levels_that_change_every_ten_seconds_do_not_wear_a_relay() -> None:
    """V17: SIMPLE 3 and 0 in turn gave 60 switchings in ten minutes."""
    asked = ["3" if number % 2 == 0 else "0" for number in range(60)]
    assert switchings(shed_and_noted([a_relay("a", min_on_s=0)], asked, 10), "a") == 60
    assert switchings(shed_and_noted([a_relay("a")], asked, 10), "a") <= 8
    assert switchings(shed_and_noted([a_relay("a", min_on_s=300, min_off_s=300)], asked, 10), "a") <= 2


def test_times_do_not_last_longer_when_the_clock_is_set_back() -> None:
    circuits = [a_relay("a", min_off_s=60), a_relay("b", min_on_s=60), a_relay("c", max_shed_s=60)]
    times = SwitchingTimes(circuits)
    times.note({"a", "b", "c"}, at(0))
    times.note({"a", "c"}, at(1))
    a_week = 7 * 86_400
    times.note({"a", "c"}, at(1 - a_week))
    times.note({"a", "c"}, at(62 - a_week))
    now = times.restrictions(at(62 - a_week))
    assert [set(now.held), set(now.resting), set(now.exhausted)] == [set(), set(), {"c"}]


def test_another_circuit_gives_while_one_rests() -> None:
    circuits = [a_relay("a", priority=9, min_on_s=60), a_relay("b", priority=8)]
    assert shed_and_noted(circuits, ["3", "0", "3", "3"], 30) == [{"a"}, set(), {"b"}, {"a"}]


def test_circuits_that_may_be_shed_for_half_an_hour_take_turns() -> None:
    circuits = [a_relay(id_, max_shed_s=1800) for id_ in ("a", "b")]
    off = shed_and_noted(circuits, ["3"] * 120, 60)
    assert all(len(each) == 1 for each in off)
    for id_ in ("a", "b"):
        assert max(map(len, "".join("x" if id_ in each else " " for each in off).split())) == 30


def test_short_pauses_do_not_make_a_circuit_fresh_again() -> None:
    circuit = a_circuit("a", max_shed_s=600, min_on_s=60)
    times = SwitchingTimes([circuit])
    for number in range(4):
        times.note({"a"}, at(number * 170))
        times.note((), at(number * 170 + 150))
    times.note({"a"}, at(590))
    assert "a" not in times.restrictions(at(599)).exhausted
    times = SwitchingTimes([circuit])
    times.note({"a"}, at(0))
    times.note((), at(500))
    times.note({"a"}, at(550))
    assert times.restrictions(at(600)).exhausted == {"a"}
    times.note((), at(600))
    assert times.restrictions(at(1199)).exhausted == {"a"}
    assert times.restrictions(at(1200)) == Restrictions()


def test_a_circuit_that_was_switched_off_stays_off_for_its_time() -> None:
    times = SwitchingTimes([a_relay("a", min_off_s=100, min_on_s=50)])
    times.note({"a"}, at(0))
    assert times.restrictions(at(99)).held == {"a"}
    assert times.held_until("a") == at(100)
    assert times.restrictions(at(100)).held == frozenset()
    times.note((), at(100))
    assert times.held_until("a") is None
    assert times.restrictions(at(149)).resting == {"a"}
    assert times.restrictions(at(150)) == Restrictions()


@given(
    moves=st.lists(st.tuples(st.floats(0.5, 500), st.booleans()), max_size=20),
    min_on_s=st.integers(0, 300),
    min_off_s=st.integers(0, 300),
    max_shed_s=st.one_of(st.none(), st.integers(300, 900)),
)
def test_restrictions_change_only_at_the_moments_that_are_told(
    moves: list[tuple[float, bool]], min_on_s: int, min_off_s: int, max_shed_s: int | None
) -> None:
    circuit = a_relay("a", min_on_s=min_on_s, min_off_s=min_off_s).model_copy(update={"max_shed_s": max_shed_s})
    times, now = SwitchingTimes([circuit]), at(0)
    for seconds, off in moves:
        times.note({"a"} if off else (), now)
        until, moment = now + timedelta(seconds=seconds), now
        while (change := times.next_change(moment)) is not None and change < until:
            just_before = change - timedelta.resolution
            assert times.restrictions(moment) == times.restrictions(max(just_before, moment))
            moment = change
        now = until


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 100)], Restrictions(resting=frozenset("a"))),
        ([(0, None)], Restrictions(settling=frozenset("a"))),
        ([(0, 100), (50, None)], Restrictions(settling=frozenset("a"))),
        ([(50, None), (0, 100)], Restrictions(settling=frozenset("a"))),
        ([(-1000, -900)], Restrictions()),
        ([], Restrictions()),
    ],
)
def test_times_are_remembered_over_a_restart(
    spans: Collection[tuple[float, float | None]], expected: Restrictions
) -> None:
    times = SwitchingTimes([a_relay("a")])
    times.remember([("a", at(start), None if end is None else at(end)) for start, end in spans])
    times.remember([("gone", at(0), None)])
    assert times.restrictions(at(120)) == expected


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"min_off_s": 60}, "not switched: min_off_s is for circuits with on_off"),
        ({"min_off_s": 120, "max_shed_s": 60, "on_off": True}, "min_off_s is more than max_shed_s"),
        ({"min_off_s": 4000, "on_off": True}, "min_off_s"),
        ({"max_shed_s": 0}, "max_shed_s"),
    ],
)
def test_times_that_do_not_fit_are_mistakes_of_configuration(members: dict[str, float], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        a_circuit("a", **members)
