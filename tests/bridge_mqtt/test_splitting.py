"""One window's split: capability, limits, levels, and what is kept when panels change."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_mqtt.decisions import Policy
from bridge_mqtt.model import Allocation, PanelRecord, WindowPlan
from bridge_mqtt.requests import Asked
from bridge_mqtt.settings import Dispatch
from bridge_mqtt.splitting import Circumstances, split
from bridge_mqtt.store.events import Baseline
from openadr_profiles.fleet.power import PowerRequest, RequestKind
from openadr_profiles.panel import FLAT, Load

START = datetime(2026, 11, 29, 17, 0, tzinfo=UTC)
POLICY = Policy(
    ack_timeout=timedelta(seconds=10),
    offline_after=timedelta(seconds=60),
    least_remaining=timedelta(seconds=5),
    ping_every=timedelta(seconds=60),
)
END = START + timedelta(hours=1)


def a_panel(ven_id: str, capability_kw: str | None = "8", **members: Any) -> PanelRecord:
    capability = None if capability_kw is None else Decimal(capability_kw)
    return PanelRecord(ven_id=ven_id, dialect=FLAT, last_seen_at=START, capability_kw=capability, **members)


def split_now(
    panels: list[PanelRecord],
    *,
    kind: RequestKind = RequestKind.SHED,
    value: str = "6",
    before: WindowPlan | None = None,
    offline: tuple[str, ...] = (),
    baselines: dict[str, Baseline] | None = None,
    shed_kwh: dict[str, float] | None = None,
    each_alone: bool = False,
    **dispatch: Any,
) -> WindowPlan:
    """The split of one hour that asks for 6 kW less, unless told otherwise."""
    asked = Asked(request=PowerRequest(kind, Decimal(value)), start=START, end=END, until=END)
    circumstances = Circumstances(
        event_id="evt-1",
        asked=asked,
        now=START,
        policy=POLICY,
        panels=[replace(panel, last_seen_at=None) if panel.ven_id in offline else panel for panel in panels],
        taken={},
        before=before,
        earlier={},
        holdings={},
        baselines=baselines or {},
        shed_kwh=shed_kwh or {},
        each_alone=each_alone,
    )
    return split(circumstances, Dispatch.model_validate(dispatch))


def parts_of(plan: WindowPlan) -> dict[str, str]:
    """The parts in kW, as short as they can be written."""
    return {ven_id: f"{part.requested_kw.normalize():f}" for ven_id, part in plan.parts.items()}


@pytest.mark.parametrize(
    ("share", "parts"),
    [
        ("capability", {"a": "4", "b": "2"}),
        ("equal", {"a": "3", "b": "3"}),
        ("weight", {"a": "2", "b": "4"}),
    ],
)
def test_parts_follow_what_the_settings_say(share: str, parts: dict[str, str]) -> None:
    panels = [a_panel("a", "8"), a_panel("b", "4", weight=Decimal(2))]

    assert parts_of(split_now(panels, share=share)) == parts


def test_the_most_of_a_panel_holds_in_every_split_of_a_window() -> None:
    """Also when another panel drops out and its part is given to others."""
    panels = [a_panel("a", most_kw=Decimal(1)), a_panel("b"), a_panel("c")]
    first = split_now(panels)
    then = split_now(panels, before=first, offline=("b",))

    assert parts_of(first) == {"a": "1", "b": "2.5", "c": "2.5"}
    assert parts_of(then) == {"a": "1", "b": "0", "c": "5"}


def test_of_equal_panels_those_are_asked_that_have_shed_least() -> None:
    panels = [a_panel("a"), a_panel("b"), a_panel("c")]
    plan = split_now(panels, value="10", ask="fewest", shed_kwh={"a": 2.0, "b": 9.0})

    assert parts_of(plan) == {"a": "5", "b": "0", "c": "5"}


def test_a_level_asks_for_a_share_of_what_each_may_be_asked_for() -> None:
    panels = [a_panel("a"), a_panel("b", most_kw=Decimal(2)), a_panel("c", least_kw=Decimal(7))]
    plan = split_now(panels, kind=RequestKind.LEVEL, value="2", level_shares=[0, "0.25", "0.5", 1])

    assert parts_of(plan) == {"a": "4", "b": "1", "c": "7"}
    assert plan.request_kw == 12


def test_a_limit_counts_every_baseline_that_is_a_measurement() -> None:
    """B3: a baseline of 1e308 kW is none."""

    def baseline(ven_id: str, power_kw: float) -> Baseline:
        return Baseline(ven_id=ven_id, frozen_at=START, power_kw=power_kw, circuits_kw={}, samples=9)

    baselines = {"a": baseline("a", 7.5), "b": baseline("b", 1e308)}
    plan = split_now([a_panel("a"), a_panel("b")], kind=RequestKind.LIMIT, value="4", baselines=baselines)

    assert plan.request_kw == Decimal("3.5")


@given(
    capabilities=st.lists(st.decimals(0, 50, places=3), min_size=1, max_size=6),
    value=st.decimals(0, 60, places=3),
    least_kw=st.decimals(0, 5, places=3),
)
def test_panels_that_are_vens_of_their_own_are_each_asked_for_all(
    capabilities: list[Decimal], value: Decimal, least_kw: Decimal
) -> None:
    """Each does what it would do if it were the only one; nothing is shared out, and no limit is exceeded."""
    panels = [a_panel(f"p{n}", str(each), least_kw=least_kw) for n, each in enumerate(capabilities)]
    together = split_now(panels, value=str(value), each_alone=True)

    for panel, capability_kw in zip(panels, capabilities, strict=True):
        alone = split_now([panel], value=str(value), each_alone=True)
        part = together.parts[panel.ven_id]
        assert part == alone.parts[panel.ven_id]
        assert part.requested_kw in {Decimal(0), min(value, capability_kw)}
        assert part.requested_kw == 0 or part.requested_kw >= least_kw
    assert together.request_kw == sum(part.requested_kw for part in together.parts.values())


def test_a_limit_of_a_ven_of_its_own_is_compared_with_its_own_baseline() -> None:
    """5 kW at most: one that draws 7 sheds 2, one that draws 4 nothing, one whose power is not known nothing."""
    baselines = {
        ven_id: Baseline(ven_id=ven_id, frozen_at=START, power_kw=power_kw, circuits_kw={}, samples=9)
        for ven_id, power_kw in (("a", 7.0), ("b", 4.0))
    }
    panels = [a_panel("a"), a_panel("b"), a_panel("c")]
    plan = split_now(panels, kind=RequestKind.LIMIT, value="5", baselines=baselines, each_alone=True)

    assert parts_of(plan) == {"a": "2", "b": "0", "c": "0"}


def test_a_panel_that_measures_nonsense_is_left_out_alone() -> None:
    """B3: the others take part."""
    absurd = a_panel("a", None, loads=(Load(id="ev1", current_power_kw=1e308, enabled=True),))
    plan = split_now([absurd, a_panel("b")])

    assert parts_of(plan) == {"a": "0", "b": "6"}
    assert plan.parts["a"].excluded == "measures nonsense"


def test_a_panel_that_delivers_less_keeps_its_shed_and_others_make_it_up() -> None:
    """Section 13: the remainder is redistributed, and the weak panel is not told anything new."""
    panels = [a_panel("a"), a_panel("b")]
    first = split_now(panels)
    weaker = replace(first, parts=first.parts | {"a": replace(first.parts["a"], delivered_kw=Decimal(1))})

    assert parts_of(split_now(panels, before=weaker)) == {"a": "3", "b": "5"}


def test_a_rejection_holds_for_the_window_and_being_offline_only_while_it_lasts() -> None:
    panels = [a_panel("a"), a_panel("b"), a_panel("c")]
    first = split_now(panels, offline=("b",))
    refused = first.parts | {"a": replace(first.parts["a"], excluded="rejected: unknown load")}
    then = split_now(panels, before=replace(first, parts=refused))

    assert parts_of(first) == {"a": "3", "b": "0", "c": "3"}
    assert {ven_id: part.excluded for ven_id, part in then.parts.items()} == {
        "a": "rejected: unknown load",
        "b": None,
        "c": None,
    }
    assert parts_of(then) == {"a": "0", "b": "3", "c": "3"}


def test_too_many_recoveries_end_the_part_of_a_panel() -> None:
    """Also if it is heard all the time."""
    panels = [a_panel("a"), a_panel("b")]
    lost = Allocation(ven_id="a", requested_kw=Decimal(3), capability_kw=Decimal(8), recoveries=3)
    before = split_now(panels)

    then = split_now(panels, before=replace(before, parts=before.parts | {"a": lost}))
    assert (parts_of(then), then.parts["a"].excluded) == ({"a": "0", "b": "6"}, "unresponsive")
