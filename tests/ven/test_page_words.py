"""The words of the page: one sentence for what happens and why, and why a circuit gives nothing."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from openadr_client.clock import ManualClock
from tests.ven.builders import START, a_circuit
from ven.local_api.admission import LocalAdmission, TriedTooOften, WrongSecret
from ven.page.forms import instant_of, number_of
from ven.page.sentence import Tone, in_words
from ven.page.shown import EventCard, HomeSituation, WordCard
from ven.panel import sparing
from ven.panel.circuits import BranchCircuit
from ven.panel.constraints import Restrictions
from ven.panel.curtailment import plan_shedding
from ven.panel.sparing import why_spared

HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")
QUIET = HomeSituation(
    now=START,
    ven_name="home-1",
    read_at=START,
    power_kw=5.2,
    target_kw=None,
    link_limit_kw=None,
    reading_problem=None,
    vtn_problem=None,
    circuits=(),
    events=(),
    event_count=0,
    words=(),
    messages=(),
)


def an_event(name: str = "Peak", **members: Any) -> EventCard:
    """An event that goes on for an hour and is taken part in."""
    given: dict[str, Any] = {
        "id": name,
        "name": name,
        "program": None,
        "start": START,
        "end": START + HOUR,
        "is_under_way": members.get("start", START) <= START,
        "opted_in": True,
        "reason": None,
        "decided_at": None,
        "requested_kw": None,
        "delivered_kw": None,
        "limited": (),
        "said": False,
        "said_until": None,
    }
    return EventCard(**given | members)


ASKING = an_event(requested_kw=3.0, delivered_kw=2.9, limited=("EV", "Dryer"))
HOLIDAY = WordCard(scope="all", opted_in=False, reason="holiday", until=START + 24 * HOUR, made_at=START)


@pytest.mark.parametrize(
    ("changes", "words", "tone"),
    [
        ({}, "Nothing is asked of this home, and no event is known; it draws 5.20 kW.", Tone.CALM),
        ({"power_kw": None}, "it draws an unknown power.", Tone.CALM),
        (
            {"reading_problem": "no answer"},
            "The circuits cannot be read, so nothing is known of them now: no answer.",
            Tone.WRONG,
        ),
        (
            {"link_limit_kw": 4.2},
            "so this home is held to 4.20 kW until it is heard again; it draws 5.20 kW now.",
            Tone.ATTENTION,
        ),
        (
            {"events": [ASKING]},
            "“Peak” asks for 3.00 kW less until 13:00: EV and Dryer are limited, and this home draws 5.20 kW, 2.90 kW",
            Tone.BUSY,
        ),
        (
            {"events": [replace(ASKING, limited=(), delivered_kw=None, end=None)]},
            "“Peak” asks for 3.00 kW less: no circuit is limited, and this home draws 5.20 kW.",
            Tone.BUSY,
        ),
        (
            {"events": [ASKING, replace(ASKING, id="b", name="B", requested_kw=1.0, limited=("A", "B", "C"))]},
            "“Peak” and 1 more ask for 3.00 kW less until 13:00: EV, Dryer, A and 2 more are limited",
            Tone.BUSY,
        ),
        (
            {"events": [an_event(opted_in=False, reason="quiet hours")]},
            "“Peak” is under way until 13:00 and this home takes no part: quiet hours.",
            Tone.ATTENTION,
        ),
        (
            {"events": [an_event()]},
            "“Peak” is under way until 13:00 and asks for nothing now; this home draws 5.20 kW.",
            Tone.CALM,
        ),
        (
            {"events": [an_event(start=START + 20 * HOUR, end=None)]},
            "“Peak” begins at 08:00 on 2026-01-02, and this home takes part.",
            Tone.CALM,
        ),
        (
            {"events": [an_event(start=START + HOUR, opted_in=False)]},
            "“Peak” begins at 13:00, and this home takes no part.",
            Tone.CALM,
        ),
        (
            {"words": [HOLIDAY]},
            "This home takes no part in any event until 12:00 on 2026-01-02: holiday.",
            Tone.ATTENTION,
        ),
        ({"vtn_problem": "down"}, "The VTN cannot be reached, so newer events are not known.", Tone.ATTENTION),
        ({"events": [an_event("x" * 200)]}, f"“{'x' * 60}…” is under way", Tone.CALM),
    ],
)
def test_one_sentence_says_what_happens_and_why(changes: dict[str, Any], words: str, tone: Tone) -> None:
    found, found_tone = in_words(replace(QUIET, **changes), UTC)
    assert words in found
    assert found_tone is tone


def test_times_are_those_of_the_clocks_at_the_site() -> None:
    assert "until 14:00" in in_words(replace(QUIET, events=[ASKING]), BERLIN)[0]


def circuit(**members: Any) -> BranchCircuit:
    return a_circuit("c", **{"shed_share": Decimal(1)} | members)


@pytest.mark.parametrize(
    ("members", "given", "why"),
    [
        ({"critical": True, "shed_share": Decimal(0)}, {}, sparing.CRITICAL),
        ({"shed_share": Decimal(0)}, {}, sparing.NOTHING_TO_GIVE),
        ({}, {"left_alone": "switched on by hand"}, "switched on by hand"),
        ({}, {"restrictions": Restrictions(exhausted=frozenset("c"))}, sparing.SHED_LONG_ENOUGH),
        ({}, {"restrictions": Restrictions(resting=frozenset("c"))}, sparing.STAYS_ON),
        ({"limits_feed_in": True, "export_kw": Decimal(3)}, {}, sparing.FEED_IN_ONLY),
        ({}, {"drawn_kw": None}, sparing.NOT_READ),
        ({}, {"drawn_kw": Decimal("0.001")}, sparing.DRAWS_NOTHING),
        ({}, {}, sparing.OTHERS_GIVE_ENOUGH),
    ],
)
def test_why_a_circuit_gives_nothing(members: dict[str, Any], given: dict[str, Any], why: str) -> None:
    plan = plan_shedding([a_circuit("other", shed_share=Decimal(1))], {"other": Decimal(3)}, Decimal(2))
    assert why_spared(circuit(**members), [plan], **{"drawn_kw": Decimal(2)} | given) == why


def test_a_relay_that_would_be_too_much_is_spared_for_that() -> None:
    """Asked for 1 kW, a relay of 3 kW is beyond the tolerance: nothing is given, and the page says why."""
    relay = circuit(on_off=True)
    plan = plan_shedding([relay], {"c": Decimal(3)}, Decimal(1), tolerance_kw=Decimal("0.1"))
    assert plan.unmet_kw == 1
    assert why_spared(relay, [plan], drawn_kw=Decimal(3)) == sparing.WOULD_BE_TOO_MUCH


def test_wrong_pins_are_looked_at_ever_more_seldom_and_at_least_once_an_hour() -> None:
    clock = ManualClock(START)
    admission = LocalAdmission("the token", "493817", clock)
    waits = []
    for _ in range(14):
        with pytest.raises(WrongSecret):
            admission.sign_in("000000", "192.0.2.7")
        try:
            admission.sign_in("493817x", "192.0.2.7")
        except TriedTooOften as error:
            waits.append(error.wait_s)
            clock._now += timedelta(seconds=error.wait_s)
        except WrongSecret:
            waits.append(0)
    assert waits == sorted(waits)
    assert waits[-1] == 3600
    assert 60 in waits
    assert admission.sign_in("493817", "192.0.2.8")  # whoever guesses keeps nobody else out


def test_many_addresses_that_guess_have_to_wait_together_for_a_day_at_most() -> None:
    """A PIN is short: what one address may guess, a house full of them may not."""
    clock = ManualClock(START)
    admission = LocalAdmission("the token", "493817", clock)
    for number in range(60):
        with pytest.raises(WrongSecret):
            admission.sign_in("000000", f"192.0.2.{number // 4}")
    with pytest.raises(TriedTooOften):
        admission.sign_in("493817", "192.0.2.200")
    assert admission.sign_in("the token", "192.0.2.200")
    clock._now += timedelta(days=1, seconds=1)
    assert admission.sign_in("493817", "192.0.2.200")


def test_without_a_pin_only_the_token_signs_in() -> None:
    admission = LocalAdmission("the token", None, ManualClock(START))
    for wrong in ("", "None", "the token ", "\ud800"):
        with pytest.raises(WrongSecret):
            admission.sign_in(wrong, "192.0.2.7")
    assert admission.sign_in("the token", "192.0.2.7")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-29T01:30", datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),
        ("2026-03-29T03:30", datetime(2026, 3, 29, 1, 30, tzinfo=UTC)),
        ("2026-10-25T02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
        ("2026-07-01T12:00Z", datetime(2026, 7, 1, 12, tzinfo=UTC)),
    ],
)
def test_times_in_forms_are_those_of_the_site_also_where_clocks_change(text: str, instant: datetime) -> None:
    """Of an hour that is there twice the first is meant."""
    assert instant_of({"until": text}, "until", BERLIN) == instant


@pytest.mark.parametrize("text", ["", "x", "nan", "inf", "-1", "1e9", "1" * 21, "2,5,5"])
def test_numbers_in_forms_are_bounded(text: str) -> None:
    with pytest.raises(ValueError, match=r"value: .* is not a number from 0 to 100 kW"):
        number_of({"value": text}, "value", Decimal(0), Decimal(100), "kW")
    assert number_of({"value": "2,5"}, "value", Decimal(0), Decimal(100), "kW") == Decimal("2.5")
