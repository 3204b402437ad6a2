from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.ven.builders import a_circuit, total
from ven.panel.circuits import BranchCircuit, operating_state
from ven.panel.curtailment import plan_shedding, sheddable_kw

kilowatts = st.decimals(min_value=-5, max_value=50, places=3)
requests = st.decimals(min_value=-5, max_value=200, places=3)
EITHER = st.booleans()
shares = st.decimals(min_value=0, max_value=1, places=2)


@st.composite
def panels(draw: st.DrawFn, on_off: st.SearchStrategy[bool] = EITHER) -> tuple[list[BranchCircuit], dict[str, Decimal]]:
    circuits = []
    for number in range(draw(st.integers(0, 8))):
        critical = draw(st.booleans())
        circuits.append(
            a_circuit(
                f"c{number}",
                critical=critical,
                priority=draw(st.integers(1, 4)),
                on_off=draw(on_off),
                **({} if critical else {"shed_share": draw(shares)}),
            )
        )
    known = {circuit.id: draw(kilowatts) for circuit in circuits if draw(st.integers(0, 9))}
    return circuits, known


@given(panels(), requests, st.decimals(min_value=0, max_value=5, places=2))
def test_no_circuit_gives_more_than_it_may(
    panel: tuple[list[BranchCircuit], dict[str, Decimal]], requested: Decimal, tolerance: Decimal
) -> None:
    circuits, original = panel
    result = plan_shedding(circuits, original, requested, tolerance_kw=tolerance)

    assert [each.circuit_id for each in result.circuits] == [circuit.id for circuit in circuits]
    for circuit, each in zip(circuits, result.circuits, strict=True):
        assert each.shed_kw >= 0
        assert each.shed_kw <= max(original.get(circuit.id, Decimal(0)), Decimal(0)) * circuit.shed_share
        assert each.limit_kw == each.original_kw - each.shed_kw
        if circuit.critical or circuit.id not in original:
            assert each.shed_kw == 0


@given(panels(), requests, st.decimals(min_value=0, max_value=5, places=2))
def test_all_together_give_what_is_asked_or_say_what_is_missing(
    panel: tuple[list[BranchCircuit], dict[str, Decimal]], requested: Decimal, tolerance: Decimal
) -> None:
    circuits, original = panel
    result = plan_shedding(circuits, original, requested, tolerance_kw=tolerance)

    asked = max(requested, Decimal(0))
    assert result.shed_kw == total(each.shed_kw for each in result.circuits)
    assert asked - result.unmet_kw <= result.shed_kw <= asked + tolerance


@given(panels(on_off=st.just(False)), requests)
def test_what_can_be_given_is_given(panel: tuple[list[BranchCircuit], dict[str, Decimal]], requested: Decimal) -> None:
    circuits, original = panel
    result = plan_shedding(circuits, original, requested)

    asked = max(requested, Decimal(0))
    assert result.shed_kw == min(asked, sheddable_kw(circuits, original))
    assert result.shed_kw + result.unmet_kw == asked


@given(panels(on_off=st.just(False)), requests)
def test_more_important_circuits_give_only_when_the_others_are_exhausted(
    panel: tuple[list[BranchCircuit], dict[str, Decimal]], requested: Decimal
) -> None:
    circuits, original = panel
    result = plan_shedding(circuits, original, requested)
    sheds = {each.circuit_id: each.shed_kw for each in result.circuits}
    for giving in circuits:
        for other in circuits:
            if sheds[giving.id] > 0 and other.priority > giving.priority:
                assert sheds[other.id] == other.sheddable_kw(original.get(other.id, Decimal(0)))


@given(panels(on_off=st.just(False)), requests, requests)
def test_larger_request_takes_no_less_from_any_circuit(
    panel: tuple[list[BranchCircuit], dict[str, Decimal]], one: Decimal, other: Decimal
) -> None:
    """So that of several events in force the largest request serves them all."""
    circuits, original = panel
    smaller, larger = (plan_shedding(circuits, original, kw).circuits for kw in sorted((one, other)))
    assert all(few.shed_kw <= many.shed_kw for few, many in zip(smaller, larger, strict=True))


def test_least_important_gives_first_and_of_equals_the_largest() -> None:
    circuits = [
        a_circuit("fridge", critical=True, priority=1),
        a_circuit("heater", priority=2),
        a_circuit("ev", priority=5),
        a_circuit("pool", priority=5, shed_share=Decimal("0.5")),
    ]
    original = {"fridge": Decimal("0.2"), "heater": Decimal(3), "ev": Decimal("7.2"), "pool": Decimal("1.1")}
    result = plan_shedding(circuits, original, Decimal(8))
    assert {each.circuit_id: each.shed_kw for each in result.circuits} == {
        "fridge": 0,
        "heater": Decimal("0.25"),
        "ev": Decimal("7.2"),
        "pool": Decimal("0.55"),
    }
    assert result.unmet_kw == 0


def test_sums_are_exact() -> None:
    circuits = [a_circuit(f"c{number}", shed_share=Decimal("0.1")) for number in range(3)]
    result = plan_shedding(circuits, dict.fromkeys(("c0", "c1", "c2"), Decimal(1)), Decimal(5))
    assert result.shed_kw == Decimal("0.3")
    assert result.unmet_kw == Decimal("4.7")


def test_switched_circuit_gives_all_or_nothing() -> None:
    circuits = [a_circuit("heater", on_off=True, priority=9), a_circuit("ev")]
    original = {"heater": Decimal(3), "ev": Decimal(1)}

    def sheds(requested: str, tolerance: str = "0") -> list[Decimal]:
        result = plan_shedding(circuits, original, Decimal(requested), tolerance_kw=Decimal(tolerance))
        return [each.shed_kw for each in result.circuits]

    assert sheds("3.5") == [3, Decimal("0.5")]
    assert sheds("2.9") == [0, 1]
    assert sheds("2.9", tolerance="0.1") == [3, 0]


def test_critical_circuit_with_a_share_is_a_mistake_of_configuration() -> None:
    with pytest.raises(ValidationError, match="fridge is critical and is never shed"):
        a_circuit("fridge", critical=True, shed_share=Decimal("0.5"))


@pytest.mark.parametrize(
    ("power_kw", "curtailed", "opted_out", "state"),
    [
        (None, False, False, "ERROR"),
        ("0", False, False, "IDLE_NORMAL"),
        ("1", False, False, "RUNNING_NORMAL"),
        ("0.009", True, False, "IDLE_CURTAILED"),
        ("1", True, False, "RUNNING_CURTAILED"),
        ("0", False, True, "IDLE_OPTED_OUT"),
        ("1", False, True, "RUNNING_OPTED_OUT"),
    ],
)
def test_operating_states_of_the_standard(power_kw: str | None, curtailed: bool, opted_out: bool, state: str) -> None:
    """ENUM-004."""
    power = None if power_kw is None else Decimal(power_kw)
    assert operating_state(power, curtailed=curtailed, opted_out=opted_out) == state
