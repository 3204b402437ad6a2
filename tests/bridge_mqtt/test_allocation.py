"""Splitting a request over panels: the parts add up, nobody gets more than it can give."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bridge_mqtt.allocation import allocate, redistribute

KW = st.decimals("0", "200", places=3, allow_nan=False)
PANELS = st.dictionaries(st.sampled_from([f"panel-{n}" for n in range(12)]), KW, max_size=12)


def kw(**panels: str) -> dict[str, Decimal]:
    """Powers by panel."""
    return {name: Decimal(value) for name, value in panels.items()}


def test_parts_are_proportional_to_capability() -> None:
    """Section 13: not equal parts."""
    assert allocate(Decimal(6), kw(a="8", b="4")) == kw(a="4", b="2")


def test_a_request_beyond_all_capability_takes_everything_and_no_more() -> None:
    """A panel with 16.8 kW to give is never asked for 100 kW."""
    assert allocate(Decimal(100), kw(a="16.8", b="3.2")) == kw(a="16.8", b="3.2")


def test_watts_left_over_by_rounding_are_given_out() -> None:
    """10 kW over three equal panels: 3.334 + 3.333 + 3.333."""
    assert allocate(Decimal(10), kw(a="5", b="5", c="5")) == kw(a="3.334", b="3.333", c="3.333")


def test_without_panels_or_request_nothing_is_given() -> None:
    """Nothing is invented."""
    assert allocate(Decimal(5), {}) == {}
    assert allocate(Decimal(0), kw(a="5")) == kw(a="0")
    assert allocate(Decimal(-5), kw(a="5")) == kw(a="0")


@given(request=KW, panels=PANELS)
def test_parts_always_add_up_to_the_request_or_to_all_there_is(request: Decimal, panels: dict[str, Decimal]) -> None:
    """Exact sums for any request and fleet, each part within 0 and the capability."""
    parts = allocate(request, panels)

    assert set(parts) == set(panels)
    assert sum(parts.values(), Decimal(0)) == min(request, sum(panels.values(), Decimal(0)))
    assert all(0 <= part <= panels[name] for name, part in parts.items())


@given(request=KW, panels=PANELS, data=st.data())
def test_redistribution_touches_nobody_without_need(
    request: Decimal, panels: dict[str, Decimal], data: st.DataObject
) -> None:
    """Who dropped out gets nothing, who stays keeps at least what it had, and the total is met as far as possible."""
    before = allocate(request, panels)
    lost = data.draw(st.sets(st.sampled_from(sorted(panels)))) if panels else set()
    now = {name: Decimal(0) if name in lost else limit for name, limit in panels.items()}
    after = redistribute(request, before, now)

    assert all(after[name] == 0 for name in lost)
    assert all(before[name] <= after[name] <= now[name] for name in set(panels) - lost)
    possible = min(request, sum(now.values(), Decimal(0)))
    assert possible - Decimal("0.1") < sum(after.values(), Decimal(0)) <= possible
    if not lost:
        assert after == before


def test_a_panel_that_rejects_leaves_its_part_to_the_others() -> None:
    """Section 13: the remainder is redistributed."""
    before = allocate(Decimal(6), kw(a="8", b="4"))

    assert redistribute(Decimal(6), before, kw(a="8", b="0")) == kw(a="6", b="0")


def test_a_few_watts_are_not_worth_a_new_shed() -> None:
    """Each change makes a panel restore and shed again."""
    assert redistribute(Decimal(6), kw(a="5.95"), kw(a="8")) == kw(a="5.95")
