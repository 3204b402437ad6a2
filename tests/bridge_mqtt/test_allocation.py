"""Splitting a request over panels: the parts add up, and every part is within the limits of its panel."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from bridge_mqtt.allocation import WATT, Limits, allocate, redistribute, share_of_each

KW = st.decimals("0", "200", places=3, allow_nan=False)
NAMES = st.sampled_from([f"panel-{n:02}" for n in range(12)])
WEIGHTS = st.one_of(st.just(Decimal(1)), st.decimals("0.001", "1000", places=3))
PANELS = st.dictionaries(NAMES, st.builds(Limits, most_kw=KW, weight=WEIGHTS, turn=st.floats(0, 9)), max_size=12)
LIMITED = st.dictionaries(
    NAMES,
    st.builds(
        Limits,
        most_kw=KW,
        weight=WEIGHTS,
        least_kw=st.one_of(st.just(Decimal(0)), st.decimals("0", "40", places=3)),
        turn=st.floats(0, 9),
    ),
    max_size=12,
)


def kw(**panels: str) -> dict[str, Decimal]:
    """Powers by panel."""
    return {name: Decimal(value) for name, value in panels.items()}


def capable(**panels: str) -> dict[str, Limits]:
    """Panels that are asked in proportion to what they can shed."""
    return {name: Limits(Decimal(value), weight=Decimal(value)) for name, value in panels.items()}


def total(parts: dict[str, Decimal]) -> Decimal:
    """The sum of all parts."""
    return sum(parts.values(), Decimal(0))


def test_parts_are_proportional_to_capability() -> None:
    """Section 13: not equal parts."""
    assert allocate(Decimal(6), capable(a="8", b="4")) == kw(a="4", b="2")


def test_a_request_beyond_all_capability_takes_everything_and_no_more() -> None:
    """No. 14: a panel with 16.8 kW to give is never asked for 100 kW."""
    assert allocate(Decimal(100), capable(a="16.8", b="3.2")) == kw(a="16.8", b="3.2")


def test_watts_left_over_by_rounding_are_given_out() -> None:
    """10 kW over three equal panels: 3.334 + 3.333 + 3.333."""
    assert allocate(Decimal(10), capable(a="5", b="5", c="5")) == kw(a="3.334", b="3.333", c="3.333")


def test_without_panels_or_request_nothing_is_given() -> None:
    """Nothing is invented."""
    assert allocate(Decimal(5), {}) == {}
    assert allocate(Decimal(0), capable(a="5")) == kw(a="0")
    assert allocate(Decimal(-5), capable(a="5")) == kw(a="0")
    assert allocate(Decimal(5), capable(a="0", b="-1")) == kw(a="0", b="0")


def test_equal_parts_stop_at_what_a_panel_can_give() -> None:
    """What the weak panel cannot give goes to the others in equal parts."""
    equal = {name: Limits(limit, weight=Decimal(1)) for name, limit in kw(a="10", b="10", c="1").items()}

    assert allocate(Decimal(9), equal) == kw(a="4", b="4", c="1")


def test_weights_are_the_proportion_whatever_the_panels_can_give() -> None:
    weighted = {
        "a": Limits(Decimal(10), weight=Decimal(3)),
        "b": Limits(Decimal(10), weight=Decimal(1)),
    }

    assert allocate(Decimal(8), weighted) == kw(a="6", b="2")


def test_a_panel_below_its_least_is_asked_for_its_least_or_nothing() -> None:
    """In proportion b would get 1 kW of the first request; of the second nothing is left for it."""
    limits = {
        "a": Limits(Decimal(8), weight=Decimal(8)),
        "b": Limits(Decimal(4), weight=Decimal(4), least_kw=Decimal("1.5")),
    }

    assert allocate(Decimal(3), limits) == kw(a="1.5", b="1.5")
    assert allocate(Decimal(1), limits) == kw(a="1", b="0")


def test_of_panels_that_do_not_all_fit_those_are_asked_that_have_shed_least() -> None:
    """Fairness: a low turn goes first, then the id."""
    limits = {
        name: Limits(Decimal(4), weight=Decimal(4), least_kw=Decimal(2), turn=turn)
        for name, turn in {"a": 9.0, "b": 1.0, "c": 5.0}.items()
    }

    assert allocate(Decimal(5), limits) == kw(a="0", b="2.5", c="2.5")


def test_no_more_panels_are_asked_than_are_needed() -> None:
    limits = {
        name: Limits(Decimal(4), weight=Decimal(4), turn=turn) for name, turn in {"a": 2.0, "b": 0.0, "c": 1.0}.items()
    }

    assert allocate(Decimal(6), limits, fewest=True) == kw(a="0", b="3", c="3")
    assert allocate(Decimal(6), limits) == kw(a="2", b="2", c="2")


@given(request=KW, panels=PANELS, fewest=st.booleans())
def test_parts_always_add_up_to_the_request_or_to_all_there_is(
    request: Decimal, panels: dict[str, Limits], fewest: bool
) -> None:
    """Exact sums for any request and fleet, each part within 0 and the most of its panel."""
    parts = allocate(request, panels, fewest=fewest)

    assert set(parts) == set(panels)
    assert total(parts) == min(request, sum((limit.most_kw for limit in panels.values()), Decimal(0)))
    assert all(0 <= part <= panels[name].most_kw for name, part in parts.items())


@given(request=KW, panels=LIMITED, fewest=st.booleans())
def test_every_part_is_nothing_or_within_the_limits(request: Decimal, panels: dict[str, Limits], fewest: bool) -> None:
    """Less is given only if all who are asked give their most, and the rest is less than anybody else's least."""
    parts = allocate(request, panels, fewest=fewest)

    assert all(part == 0 or panels[name].least_kw <= part <= panels[name].most_kw for name, part in parts.items())
    missing = request - total(parts)
    assert missing >= 0
    for name, part in parts.items():
        if missing and panels[name].can_give:
            assert part == panels[name].most_kw or (part == 0 and panels[name].least_kw > missing), name


@given(request=KW, panels=LIMITED)
def test_whoever_is_between_its_limits_is_at_the_common_level(request: Decimal, panels: dict[str, Limits]) -> None:
    """To the watt: parts over weights are equal, lower only at the most and higher only at the least of a panel."""
    parts = allocate(request, panels)
    asked = {name: panels[name] for name, part in parts.items() if part}
    slack = Fraction(WATT) * 2
    for name, limit in asked.items():
        if parts[name] >= limit.most_kw:
            continue  # it could not follow the others
        for other, theirs in asked.items():
            if parts[other] <= theirs.least_kw + WATT:
                continue  # it may be above the others
            rises = Fraction(parts[name]) + slack
            assert rises / Fraction(limit.weight) >= (Fraction(parts[other]) - slack) / Fraction(theirs.weight), (
                f"{name} is below {other}"
            )


@given(request=KW, panels=PANELS, data=st.data())
def test_redistribution_touches_nobody_without_need(
    request: Decimal, panels: dict[str, Limits], data: st.DataObject
) -> None:
    """Who dropped out gets nothing, who stays keeps at least what it had, and the total is met as far as possible."""
    before = allocate(request, panels)
    lost = data.draw(st.sets(st.sampled_from(sorted(panels)))) if panels else set()
    now = {name: Limits(Decimal(0), weight=Decimal(1)) if name in lost else each for name, each in panels.items()}
    after = redistribute(request, before, now)

    assert all(after[name] == 0 for name in lost)
    assert all(before[name] <= after[name] <= now[name].most_kw for name in set(panels) - lost)
    possible = min(request, sum((limit.most_kw for limit in now.values()), Decimal(0)))
    assert possible - Decimal("0.1") < total(after) <= possible
    changed = [name for name in set(panels) - lost if before[name] and after[name] != before[name]]
    assert sum(after[name] < now[name].most_kw for name in changed) <= 1, "all but one change to their most"
    if not lost:
        assert after == before


@given(request=KW, panels=LIMITED, data=st.data())
def test_redistribution_keeps_to_the_limits(request: Decimal, panels: dict[str, Limits], data: st.DataObject) -> None:
    """Also with leasts, every part is nothing or within the limits, and never more than the request together."""
    before = allocate(request, panels)
    lost = data.draw(st.sets(st.sampled_from(sorted(panels)))) if panels else set()
    now = {name: Limits(Decimal(0), weight=Decimal(1)) if name in lost else each for name, each in panels.items()}
    after = redistribute(request, before, now)

    assert total(after) <= request
    assert all(part == 0 or now[name].least_kw <= part <= now[name].most_kw for name, part in after.items())


def test_a_panel_that_rejects_leaves_its_part_to_the_others() -> None:
    """Section 13: the remainder is redistributed."""
    before = allocate(Decimal(6), capable(a="8", b="4"))

    assert redistribute(Decimal(6), before, capable(a="8", b="0")) == kw(a="6", b="0")


def test_a_panel_that_is_idle_is_asked_before_others_are_changed() -> None:
    """Each change makes a panel restore and shed again; an idle one only sheds."""
    parts = kw(a="3", b="3", c="0", d="0")
    limits = capable(a="8", b="0", c="2", d="2")
    limits["c"] = Limits(Decimal(2), weight=Decimal(2), turn=7)

    assert redistribute(Decimal(6), parts, limits) == kw(a="3", b="0", c="1.5", d="1.5")
    assert redistribute(Decimal(5), parts, limits) == kw(a="3", b="0", c="0", d="2")


def test_a_few_watts_are_not_worth_a_new_shed() -> None:
    """Each change makes a panel restore and shed again."""
    assert redistribute(Decimal(6), kw(a="5.95"), capable(a="8")) == kw(a="5.95")


@given(share=st.decimals("0", "1", places=2), panels=LIMITED)
def test_a_level_asks_each_panel_for_its_share_or_its_least(share: Decimal, panels: dict[str, Limits]) -> None:
    """12.5: SIMPLE is a share of what each can shed."""
    for name, part in share_of_each(share, panels).items():
        limit = panels[name]
        if not share or not limit.can_give:
            assert part == 0
        else:
            assert abs(part - max(limit.least_kw, limit.most_kw * share)) <= WATT
            assert part <= limit.most_kw
