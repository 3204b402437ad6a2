"""VEN and bridge read the payloads of an event alike."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge_mqtt.allocation import whole_watts
from bridge_mqtt.requests import Unusable, asked_at
from openadr_profiles.fleet.power import KINDS, PayloadNotUnderstood, PayloadReader
from openadr_profiles.v31 import EventPayloadDescriptor, Interval, ProgramPayloadDescriptor, Timeline, ValuesMap
from tests.bridge_mqtt.conftest import World, an_event
from tests.ven.builders import START, a_program, shed_event
from ven.asks import Context, SheddingRules

SHARES = (Decimal(0), Decimal("0.33"), Decimal("0.66"), Decimal(1))


def by_the_ven(event: Any, program: Any, rules: SheddingRules, type_: str) -> Decimal | None:
    """Return the kW that the VEN sheds of 6 that can be shed and 10 that are used, to the watt; None if it opts out."""
    context = Context(event, program, rules)
    payload = event.intervals[0].payloads[0]
    try:
        context.largest_stated_kw()
        kw = context.requested_kw(type_, payload.values, used_kw=Decimal(10), sheddable_kw=Decimal(6))
    except PayloadNotUnderstood:
        return None
    return whole_watts(kw)


def by_the_bridge(event: Any, program: Any, rules: SheddingRules) -> Decimal | None:
    """The same of the bridge; None if the event fails."""
    timeline = Timeline.of(event, anchor=START)
    try:
        asked = asked_at(timeline, START + timedelta(seconds=1), PayloadReader(event, program, rules.signs))
    except Unusable:
        return None
    assert asked is not None
    return whole_watts(asked.request.reduction_kw(used_kw=Decimal(10), sheddable_kw=Decimal(6), level_shares=SHARES))


UNITS = st.sampled_from([None, "KW", "kW", "W", "w", "MW", "mw", "KWH", ""])
VALUES = st.one_of(
    st.floats(-20, 20, allow_nan=False).map(lambda value: round(value, 3)),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.text(max_size=3),
)


@given(
    type_=st.sampled_from([type_ for type_ in KINDS if PayloadReader(shed_event()).why_not(type_) is None]),
    value=VALUES,
    units=UNITS,
    default_units=UNITS,
    sign=st.sampled_from(["negative_sheds", "positive_sheds", "any_sheds"]),
    known=st.booleans(),
)
def test_ven_and_bridge_agree(
    type_: str, value: Any, units: str | None, default_units: str | None, sign: str, known: bool
) -> None:
    """ENUM-020, VENCLIENT-022: the same kW, or both refuse, whatever the units, the sign and the program."""
    described = None if units is None else (EventPayloadDescriptor(payload_type=type_, units=units),)
    payload = ValuesMap(type=type_, values=(value,))
    event = shed_event(intervals=(Interval(id=0, payloads=(payload,)),), payload_descriptors=described)
    defaults = None
    if default_units is not None:
        defaults = (ProgramPayloadDescriptor(payload_type=type_, units=default_units),)
    program = a_program("peak", payload_descriptors=defaults) if known else None
    rules = SheddingRules.model_validate({"program_signs": {"peak": sign}})
    assert by_the_bridge(event, program, rules) == by_the_ven(event, program, rules, type_)


@pytest.mark.parametrize(("units", "value"), [("kW", -1.5), ("W", -1500), ("MW", -0.0015), (None, -1.5), ("KW", -1.5)])
async def test_two_panels_shed_the_same_in_whatever_units_it_is_asked(
    sqlite_world: World, units: str | None, value: float
) -> None:
    """One event for a group of two panels: carried out as 1.5 kW, as the VEN reads it."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.add_panel("panel-2")
    await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: all(panel["online"] for panel in panels))
    event = an_event(values=(value,), units=units, targets=("group:all",))
    await sqlite_world.post(event)

    carried = await sqlite_world.until(
        "/api/events/evt-1", lambda e: len(e["panels"]) == 2 and all(p["holds"] == "held" for p in e["panels"])
    )
    assert carried["windows"][0]["requestedKw"] == 1.5
    assert sum(Decimal(str(panel["requestedKw"])) for panel in carried["panels"]) == Decimal("1.5")
    context = Context(event, None, SheddingRules())
    assert context.requested_kw(
        "DISPATCH_SETPOINT_RELATIVE", (value,), used_kw=Decimal(9), sheddable_kw=Decimal(9)
    ) == Decimal("1.5")


@pytest.mark.parametrize(
    ("units", "value", "reason"),
    [
        ("KWH", -1.5, "interval 0: DISPATCH_SETPOINT_RELATIVE in KWH: only KW, W and MW are understood"),
        ("KW", 1e308, "expected at most 1,000,000,000 kW"),
    ],
)
async def test_what_has_no_meaning_fails_alone_and_says_why(
    sqlite_world: World, units: str, value: float, reason: str
) -> None:
    """The reason names interval, payload, problem and what was expected; other events are carried out."""
    await sqlite_world.add_panel("panel-1")
    await sqlite_world.start()
    await sqlite_world.until("/api/panels", lambda panels: panels[0]["online"])
    await sqlite_world.post(an_event("evt-bad", values=(value,), units=units))
    await sqlite_world.post(an_event("evt-good"))

    bad = await sqlite_world.until("/api/events/evt-bad", lambda e: e["isFinal"])
    assert bad["state"] == "failed"
    assert reason in bad["reason"]
    await sqlite_world.until("/api/events/evt-good", lambda e: e["panels"] and e["panels"][0]["holds"] == "held")
