"""Compare plans with all that are possible (V14): none meets the request at less cost of comfort."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import chain, combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.ven.builders import a_circuit, total
from ven.panel import curtailment, subset
from ven.panel.circuits import BranchCircuit
from ven.panel.curtailment import SheddingPlan, plan_shedding

NOTHING = Decimal(0)
Panel = tuple[list[BranchCircuit], dict[str, Decimal]]


@st.composite
def panels(draw: st.DrawFn) -> Panel:
    """Panels of up to eight circuits that can be shed, most of them switched, in whole watts."""
    circuits = [
        a_circuit(f"c{number}", priority=draw(st.integers(1, 4)), on_off=draw(st.integers(0, 3)) > 0)
        for number in range(draw(st.integers(0, 8)))
    ]
    few = st.sampled_from([Decimal(kw) for kw in ("0.001", "0.5", "1", "2", "3", "7.2")])
    powers = st.one_of(few, st.decimals(min_value=0, max_value=12, places=3))
    return circuits, {circuit.id: draw(powers) for circuit in circuits}


def cost(
    circuits: Sequence[BranchCircuit], sheds: dict[str, Decimal], requested: Decimal
) -> tuple[Decimal, tuple[Decimal, ...]]:
    """Return what is missing of the request, then what is taken from each rank, the most important first."""
    ranks = sorted({circuit.priority for circuit in circuits})
    taken = (total(sheds[each.id] for each in circuits if each.priority == rank) for rank in ranks)
    return max(requested - total(sheds.values()), NOTHING), tuple(taken)


def filled_up(panel: Panel, switched: Sequence[str], requested: Decimal) -> dict[str, Decimal]:
    """Return what all give when these are switched off and the others fill up, the least important first."""
    circuits, original = panel
    sheds = {each.id: original[each.id] if each.id in switched else NOTHING for each in circuits}
    for each in sorted((each for each in circuits if not each.on_off), key=lambda each: -each.priority):
        sheds[each.id] = min(original[each.id], max(requested - total(sheds.values()), NOTHING))
    return sheds


def best_cost(panel: Panel, requested: Decimal, tolerance: Decimal | None) -> tuple[Decimal, tuple[Decimal, ...]]:
    """Return the least cost of all plans, by trying every choice of switched circuits."""
    circuits = panel[0]
    switched = [each.id for each in circuits if each.on_off]
    choices = chain.from_iterable(combinations(switched, count) for count in range(len(switched) + 1))
    plans = [filled_up(panel, choice, requested) for choice in choices]
    allowed = [each for each in plans if tolerance is None or total(each.values()) <= requested + tolerance]
    enough = [each for each in allowed if total(each.values()) >= requested]
    short = [each for each in allowed if total(each.values()) < requested]
    return min(cost(circuits, each, requested) for each in enough or short)


def sheds_of(plan: SheddingPlan) -> dict[str, Decimal]:
    return {each.circuit_id: each.shed_kw for each in plan.circuits}


def relays(*kw: str, priority: Sequence[int] = ()) -> Panel:
    circuits = [
        a_circuit(f"c{number}", on_off=True, priority=priority[number] if priority else 5) for number in range(len(kw))
    ]
    return circuits, {each.id: Decimal(power) for each, power in zip(circuits, kw, strict=True)}


@given(
    panel=panels(),
    requested=st.decimals(min_value=0, max_value=40, places=3),
    tolerance=st.one_of(st.none(), st.decimals(min_value=0, max_value=2, places=3)),
)
@example(panel=relays("3", "2", "2"), requested=Decimal(4), tolerance=Decimal(0))
def test_no_other_plan_costs_less(panel: Panel, requested: Decimal, tolerance: Decimal | None) -> None:
    circuits, original = panel
    plan = plan_shedding(circuits, original, requested, tolerance_kw=tolerance)
    assert cost(circuits, sheds_of(plan), requested) == best_cost(panel, requested, tolerance)
    assert plan.unmet_kw == cost(circuits, sheds_of(plan), requested)[0]


@given(panel=panels(), requested=st.decimals(min_value=0, max_value=40, places=3))
def test_a_limit_is_kept_whenever_the_circuits_can_keep_it(panel: Panel, requested: Decimal) -> None:
    circuits, original = panel
    plan = plan_shedding(circuits, original, requested, tolerance_kw=None)
    assert plan.shed_kw >= min(requested, total(original.values()))


@given(
    panel=panels(),
    requested=st.decimals(min_value=0, max_value=40, places=3),
    marks=st.lists(st.sampled_from(["held", "resting", "free"]), min_size=8, max_size=8),
)
def test_circuits_that_are_held_give_all_and_those_at_rest_nothing(
    panel: Panel, requested: Decimal, marks: list[str]
) -> None:
    circuits, original = panel
    mark = {each.id: mark for each, mark in zip(circuits, marks, strict=False)}
    held, resting = ({id_ for id_ in mark if mark[id_] == word} for word in ("held", "resting"))
    sheds = sheds_of(plan_shedding(circuits, original, requested, held=held, resting=resting))
    assert all(sheds[id_] == original[id_] for id_ in held)
    assert all(sheds[id_] == 0 for id_ in resting)
    rest = max(requested - total(original[id_] for id_ in held), NOTHING)
    free = [each for each in circuits if mark[each.id] == "free"]
    alone = sheds_of(plan_shedding(free, original, rest))
    assert {id_: sheds[id_] for id_ in alone} == alone


@pytest.mark.parametrize(
    ("kw", "requested", "tolerance", "shed"),
    [
        (("3", "2", "2"), "4", "0", ["0", "2", "2"]),
        (("3", "2", "2"), "4.9", "0.49", ["3", "2", "0"]),
        (("3",), "2.9", "0.29", ["3"]),
        (("3",), "2.9", "0", ["0"]),
        (("3", "2", "2"), "6", "0", ["3", "2", "0"]),
        (("3", "2", "2"), "0.1", None, ["0", "2", "0"]),
        (("3", "2", "2"), "7", "0", ["3", "2", "2"]),
        (("3", "2", "2"), "70", "0", ["3", "2", "2"]),
    ],
)
def test_relays_give_what_they_can(kw: tuple[str, ...], requested: str, tolerance: str | None, shed: list[str]) -> None:
    circuits, original = relays(*kw)
    allowed = None if tolerance is None else Decimal(tolerance)
    plan = plan_shedding(circuits, original, Decimal(requested), tolerance_kw=allowed)
    assert [each.shed_kw for each in plan.circuits] == [Decimal(each) for each in shed]


def test_an_important_relay_is_spared_if_another_choice_meets_the_request_within_the_tolerance() -> None:
    panel = relays("0.5", "4.2", "3.5", priority=(1, 5, 9))
    plan = plan_shedding(*panel, Decimal(4), tolerance_kw=Decimal("0.4"))
    assert [each.shed_kw for each in plan.circuits] == [0, Decimal("4.2"), 0]


def test_of_equals_an_adjustable_circuit_is_lowered_before_a_relay_opens() -> None:
    circuits = [a_circuit("dryer", on_off=True), a_circuit("ev")]
    original = {"dryer": Decimal(3), "ev": Decimal("7.2")}
    assert sheds_of(plan_shedding(circuits, original, Decimal(3))) == {"dryer": 0, "ev": 3}


@pytest.mark.parametrize("largest", ["0.5", "7", "100", "100000"])
def test_the_work_for_a_plan_does_not_grow_with_the_power(largest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """One shift of so many bits for each circuit and pass is all the work there is."""
    most_units = []

    def counted(ranks: Sequence[subset.Rank], least: int, most: int) -> list[str]:
        most_units.append(most)
        return subset.choose(ranks, least, most)

    monkeypatch.setattr(curtailment, "choose", counted)
    circuits = [a_circuit(f"c{n}", on_off=True, priority=1 + n) for n in range(64)]
    original = {f"c{n}": Decimal(largest) / (1 + n) for n in range(64)}
    plan_shedding(circuits, original, total(original.values()) * Decimal("0.9"), tolerance_kw=None)
    assert [units <= 2**17 for units in most_units] == [True]


@pytest.mark.parametrize("scale", [Decimal("0.1"), Decimal(1), Decimal(1000), Decimal(100_000)])
def test_sixty_four_circuits_of_any_size_are_planned_within_the_tolerance(scale: Decimal) -> None:
    circuits = [a_circuit(f"c{n}", on_off=n % 8 > 0, priority=1 + n, rated_kw=100_000) for n in range(64)]
    original = {f"c{n}": Decimal(1 + n * n % 89) / 7 * scale for n in range(64)}
    for part in ("0.1", "0.37", "0.5", "0.93"):
        requested = total(original.values()) * Decimal(part)
        plan = plan_shedding(circuits, original, requested, tolerance_kw=requested / 1000)
        assert requested <= plan.shed_kw <= requested * Decimal("1.001")
        assert plan.unmet_kw == 0
