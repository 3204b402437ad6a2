"""Test what is wanted now, without a device or a disk: each event for itself."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from openadr_profiles.fleet.charge import ChargeSetpoint
from openadr_profiles.v31 import Event
from openadr_profiles.v31.timeline import Held, Timeline
from tests.ven.builders import START, a_circuit, shed_event
from ven.asks import Context, SheddingRules
from ven.panel.charging import StoredEnergy, plan_charging
from ven.panel.curtailment import CircuitPlan
from ven.panel.wanted import (
    PanelSituation,
    Trouble,
    WantedCurtailment,
    as_promised,
    asks_in_force,
    corrected_kw,
    lowest_limits,
    want,
)
from ven.records import Stretch

KW = {"heater": Decimal(2), "ev": Decimal(3)}
CIRCUITS = (a_circuit("heater", priority=3), a_circuit("ev", priority=8))
RULES = SheddingRules()
MINUTE = timedelta(minutes=1)


class BrokenTimeline:
    """A timeline that nothing can be read from."""

    def values_at(self, at: datetime) -> dict[str, Held]:
        raise ZeroDivisionError("by zero")


def placed(*events: Event, broken: str = "") -> list[tuple[Context, Timeline]]:
    return [
        (
            Context(event, None, RULES),
            BrokenTimeline() if event.id == broken else Timeline.of(event, anchor=START),  # type: ignore[misc] # on purpose
        )
        for event in events
    ]


def wanted_now(
    *events: Event, now: datetime = START, open_: tuple[Stretch, ...] = (), drawn_kw: dict[str, Decimal] = KW
) -> list[WantedCurtailment]:
    asks, _ = asks_in_force(placed(*events), now)
    situation = PanelSituation(CIRCUITS, RULES, drawn_kw, open_)
    found, troubles = want(asks, situation, {event.id: KW for event in events})
    assert troubles == []
    return found


def begun(wanted: WantedCurtailment, **members: Any) -> Stretch:
    """The stretch that a wanted curtailment becomes."""
    return replace(wanted.as_stretch(id_=1, start=wanted.ask.start), **members)


def limits(wanted: list[WantedCurtailment]) -> dict[str, Decimal]:
    return {id_: limit.limit_kw for id_, limit in lowest_limits(wanted, {}).items()}


def test_event_that_cannot_be_placed_in_time_is_named_and_the_others_are_looked_after() -> None:
    """V1."""
    asks, troubles = asks_in_force(placed(shed_event(-1, id_="a"), shed_event(-2, id_="b"), broken="b"), START)
    assert [ask.event_id for ask in asks] == ["a"]
    assert troubles == [Trouble("b", "the event cannot be read: ZeroDivisionError: by zero")]


def test_value_that_means_nothing_is_named_and_the_others_are_looked_after() -> None:
    events = shed_event(-1, id_="a"), shed_event("soon", id_="b", type_="SIMPLE")  # type: ignore[arg-type] # on purpose
    asks, _ = asks_in_force(placed(*events), START)
    found, troubles = want(asks, PanelSituation(CIRCUITS, RULES, KW), {event.id: KW for event in events})
    assert [each.ask.event_id for each in found] == ["a"]
    assert [trouble.event_id for trouble in troubles] == ["b"]


def test_value_under_way_that_cannot_be_planned_any_more_keeps_its_plan() -> None:
    (first,) = wanted_now(shed_event(-3))
    asks, _ = asks_in_force(placed(shed_event(-3)), START)

    def fail(used_kw: Decimal, most_kw: Decimal) -> Decimal:
        raise ZeroDivisionError("by zero")

    broken = [replace(ask, reduction_kw=fail) for ask in asks]
    stretch = begun(first)
    found, troubles = want(broken, PanelSituation(CIRCUITS, RULES, KW, (stretch,)), {"e1": KW})
    assert limits(found) == limits([first]) == {"ev": 0}
    assert [trouble.event_id for trouble in troubles] == ["e1"]
    assert limits([as_promised(stretch)]) == {"ev": 0}


def test_stretch_goes_on_for_its_value_and_ends_with_it() -> None:
    event = shed_event(-3, -1, minutes=15)
    (first,) = wanted_now(event)
    stretch = begun(first)
    (later,) = wanted_now(event, now=START + 14 * MINUTE, open_=(stretch,))
    assert later.kept is stretch
    (next_,) = wanted_now(event, now=START + 15 * MINUTE, open_=(stretch,))
    assert (next_.kept, next_.ask.interval_id) == (None, 1)


def test_baseline_that_is_not_frozen_yet_is_waited_for() -> None:
    asks, _ = asks_in_force(placed(shed_event(-3)), START)
    assert want(asks, PanelSituation(CIRCUITS, RULES, KW), {}) == ([], [])


@pytest.mark.parametrize(("ev", "kept"), [("3.02", True), ("3.2", False), ("2", True)])
def test_plan_for_a_limit_stays_while_it_is_enough(ev: str, kept: bool) -> None:
    """V6: give or take 1 %."""
    event = shed_event(4, type_="IMPORT_CAPACITY_LIMIT")
    (first,) = wanted_now(event)
    assert limits([first]) == {"ev": 2}
    stretch = begun(first)
    drawn = {"heater": Decimal(ev) - 1, "ev": Decimal(2)}
    (next_,) = wanted_now(event, open_=(stretch,), drawn_kw=drawn)
    assert (next_.plan.circuits == stretch.plan) is kept


def test_plan_for_a_limit_is_given_back_when_it_is_not_needed_but_stays_the_same_stretch() -> None:
    event = shed_event(4, type_="IMPORT_CAPACITY_LIMIT")
    (first,) = wanted_now(event)
    stretch = begun(first)
    (next_,) = wanted_now(event, open_=(stretch,), drawn_kw={"heater": Decimal("0.5"), "ev": Decimal(2)})
    assert (limits([next_]), next_.kept) == ({}, stretch)


def test_of_one_event_only_one_stretch_is_under_way_at_a_time() -> None:
    """V6: no two intervals of one resource overlap; the larger of the two reductions holds."""
    relative, limit = shed_event(-1), shed_event(2.5, type_="IMPORT_CAPACITY_LIMIT")
    assert relative.intervals is not None
    assert limit.intervals is not None
    both = (*relative.intervals[0].payloads, *limit.intervals[0].payloads)
    event = shed_event(-1, intervals=(type(relative.intervals[0])(id=0, payloads=both),))
    (found,) = wanted_now(event)
    assert found.plan.shed_kw == Decimal("2.5")
    assert found.plan.requested_kw == Decimal("2.5")


@pytest.mark.parametrize(
    ("net", "unmet", "before", "after"),
    [
        ("2", "0", "0", "0"),
        ("1.99", "0", "0", "0"),
        ("1.5", "0", "0", "0.5"),
        ("1.5", "0", "0.25", "0.75"),
        ("1.5", "0.5", "0", "0"),
        ("2.15", "0", "0.5", "0.5"),
        ("2.3", "0", "0.5", "0.2"),
        ("4", "0", "0.5", "0"),
    ],
)
def test_correction_makes_up_for_the_net_and_is_given_back(net: str, unmet: str, before: str, after: str) -> None:
    """V9."""
    stretch = begun(
        wanted_now(shed_event(-2))[0],
        unmet_kw=Decimal(unmet),
        correction_kw=Decimal(before),
        plan=(CircuitPlan("ev", Decimal(3), Decimal(2)),),
    )
    assert corrected_kw(stretch, Decimal(net), RULES) == Decimal(after)


@pytest.mark.parametrize(
    ("charge_kwh", "shed"),
    [("39.9", {}), ("40", {"ev": Decimal(0)}), ("50", {"ev": Decimal(0)})],
)
def test_storage_is_charged_up_to_the_setpoint_and_no_further(charge_kwh: str, shed: dict[str, Decimal]) -> None:
    """CHARGE_STATE_SETPOINT: 80 % of 50 kWh; the heater stores nothing."""
    rules = SheddingRules(storage=("ev",))
    event = shed_event(0.8, type_="CHARGE_STATE_SETPOINT", units="PERCENT")
    asks, _ = asks_in_force([(Context(event, None, rules), Timeline.of(event, anchor=START))], START)
    stored = {"ev": StoredEnergy(Decimal(charge_kwh), Decimal(50))}
    found, troubles = want(asks, PanelSituation(CIRCUITS, rules, KW, stored=stored), {event.id: KW})
    assert troubles == []
    assert limits(found) == shed


def test_a_setpoint_of_charge_that_is_not_understood_is_a_trouble_of_its_event_alone() -> None:
    rules = SheddingRules(storage=("ev",))
    event = shed_event(0.8, type_="CHARGE_STATE_SETPOINT", units="VOLTS")
    asks, _ = asks_in_force([(Context(event, None, rules), Timeline.of(event, anchor=START))], START)
    found, (trouble,) = want(asks, PanelSituation(CIRCUITS, rules, KW), {event.id: KW})
    assert found == []
    assert "CHARGE_STATE_SETPOINT in VOLTS: only PERCENT" in trouble.problem


def test_a_setpoint_of_charge_changes_nothing_where_nothing_stores_energy() -> None:
    """V12."""
    event = shed_event(0.8, type_="CHARGE_STATE_SETPOINT", units="PERCENT")
    assert wanted_now(event) == []
    said = Context(event, None, RULES).not_acted_on()
    assert said == "nothing here acts on CHARGE_STATE_SETPOINT (no circuit is said to store energy)"


def test_a_setpoint_in_kwh_is_shared_out_by_capacity() -> None:
    stored = {"ev": StoredEnergy(Decimal(30), Decimal(60)), "heater": StoredEnergy(Decimal(5), Decimal(20))}
    plan = plan_charging(CIRCUITS, KW, ChargeSetpoint(kwh=Decimal(40)), stored)
    assert [each.shed_kw for each in plan.circuits] == [0, 3]
    assert plan.requested_kw == 3
    assert plan.unmet_kw == 0


def test_a_smaller_event_uses_the_relays_that_a_larger_one_switches_off_anyway() -> None:
    circuits = [a_circuit(id_, on_off=True) for id_ in ("three", "two", "too")]
    kw = {"three": Decimal(3), "two": Decimal(2), "too": Decimal(2)}
    larger = shed_event(-4, id_="larger")
    smaller = shed_event(4, id_="smaller", type_="IMPORT_CAPACITY_LIMIT")
    asks, _ = asks_in_force(placed(smaller, larger), START)
    situation = PanelSituation(circuits, RULES, kw)
    found, troubles = want(asks, situation, {"larger": kw, "smaller": kw})
    assert troubles == []
    assert {each.ask.event_id: each.plan.requested_kw for each in found} == {"larger": 4, "smaller": 3}
    assert limits(found) == {"two": 0, "too": 0}
    (alone,) = want(asks_in_force(placed(smaller), START)[0], situation, {"smaller": kw})[0]
    assert limits([alone]) == {"three": 0}


def test_a_smaller_event_that_cannot_share_relays_keeps_its_own_plan_and_is_named() -> None:
    circuits = [a_circuit(id_, on_off=True) for id_ in ("three", "two", "too")]
    kw = {"three": Decimal(3), "two": Decimal(2), "too": Decimal(2)}
    smaller = shed_event(4, id_="smaller", type_="IMPORT_CAPACITY_LIMIT")
    asks, _ = asks_in_force(placed(smaller, shed_event(-4, id_="larger")), START)
    answers = iter([Decimal(3)])

    def answer_once(used_kw: Decimal, most_kw: Decimal) -> Decimal:
        return next(answers)

    asks = [replace(ask, reduction_kw=answer_once) if ask.event_id == "smaller" else ask for ask in asks]
    found, troubles = want(asks, PanelSituation(circuits, RULES, kw), {"larger": kw, "smaller": kw})
    assert limits(found) == {"three": 0, "two": 0, "too": 0}
    assert troubles == [Trouble("smaller", "value cannot share circuits: StopIteration: ")]
    assert isinstance(troubles[0].error, StopIteration), "it is logged with its traceback"
