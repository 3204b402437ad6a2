"""Filters of templates: no number without its unit, no time without its zone, and what is unknown is said to be so."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import DictLoader

from openadr_pages import environment
from openadr_pages.filters import NO_DATA, ago, aware, count, duration, kw, kwh, percent, quantity, short_ids, shown
from openadr_pages.templating import render

PAGES: dict[str, str] = {}
MADE = environment(DictLoader(PAGES))
NOON = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def shown_as(template: str, zone: str = "UTC", **values: object) -> str:
    """Return what a template of this text becomes."""
    PAGES[template] = template
    return render(MADE, template, {"zone": ZoneInfo(zone), "csrf_token": "", **values})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3.00 kW"),
        (Decimal("12345.675"), "12,345.68 kW"),
        (-0.001, "0.00 kW"),
        (-4.2, "-4.20 kW"),
        (None, NO_DATA),
        (float("nan"), NO_DATA),
        (float("inf"), NO_DATA),
    ],
)
def test_a_power_has_its_unit(value: float | Decimal | None, text: str) -> None:
    """And nothing is 0 because it is not known."""
    assert kw(value) == text


def test_other_quantities_have_theirs() -> None:
    """Energy, shares, and whatever has a unit of its own."""
    assert kwh(Decimal("0.1")) == "0.10 kWh"
    assert quantity(1234, "V", 0) == "1,234 V"
    assert percent(1, 4) == "25 %"
    assert percent(None, 4) == percent(1, 0) == percent(1, None) == NO_DATA


@given(st.floats(-1e9, 1e9), st.integers(0, 4))
@settings(max_examples=50)
def test_a_quantity_is_near_its_number(value: float, digits: int) -> None:
    """Half of the last digit at most is lost."""
    text = quantity(value, "kW", digits)

    assert text.endswith(" kW")
    lost = Decimal(text.removesuffix(" kW").replace(",", "")) - Decimal(str(value))
    assert abs(lost) <= Decimal(1).scaleb(-digits) / 2


def test_an_instant_is_in_the_zone_of_the_reader_with_utc_beside() -> None:
    """As a title always, in the text where it is asked for."""
    one = shown_as("{{ at|instant }}", "Europe/Berlin", at=NOON)
    assert one == '<time datetime="2026-06-01T12:00:00Z" title="2026-06-01 12:00:00 UTC">2026-06-01 14:00 CEST</time>'
    assert "2026-06-01 14:00 CEST (12:00 UTC)" in shown_as("{{ at|instant(utc=true) }}", "Europe/Berlin", at=NOON)
    assert "2026-06-01 12:00:07 UTC<" in shown_as("{{ at|instant }}", at="2026-06-01T12:00:07Z")
    assert shown_as("{{ at|instant }}", at=None) == NO_DATA


def test_times_in_macros_are_in_the_zone_of_the_reader_too() -> None:
    """A macro knows what its page knows."""
    page = shown_as("{{ ui.table([{'label': 'At'}], [[at|instant]]) }}", "Asia/Tokyo", at=NOON)
    assert "2026-06-01 21:00 JST" in page


@given(
    st.integers(631_152_000, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Chatham"]),
)
@settings(max_examples=50)
def test_every_instant_keeps_its_machine_form(at: datetime, zone: str) -> None:
    """Hold it true, whatever the clocks of the reader do at that time."""
    text = shown_as("{{ at|instant }}", zone, at=at)
    assert aware(text.split('"')[1]) == at


def test_a_time_without_zone_is_refused() -> None:
    """A page would show it as somebody else's."""
    with pytest.raises(ValueError, match="expected an instant with a zone"):
        aware("2026-06-01T12:00:00")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (40, "40 s ago"), (-40, "in 40 s"), (125, "2 min ago"), (7260, "2 h 1 min ago"), (400_000, "4 d ago")],
)
def test_how_long_ago_something_was(seconds: int, text: str) -> None:
    """In words, with the exact time as a title."""
    assert f">{text}</time>" in str(ago(NOON - timedelta(seconds=seconds), NOON))
    assert ago(None, NOON, "never") == "never"


@pytest.mark.parametrize(
    ("length", "text"),
    [(timedelta(minutes=90), "1 h 30 min"), (0, "0 s"), (86_461, "1 d 1 min 1 s"), (-60, "-1 min"), (None, NO_DATA)],
)
def test_lengths_of_time(length: timedelta | int | None, text: str) -> None:
    """With every unit that is there."""
    assert duration(length) == text


def test_long_ids_in_names_are_shortened() -> None:
    uuid = "5011a01b-7c55-8dd3-b7a3-000067482304"
    assert short_ids(f"status-{uuid}.2 of {uuid.upper()}") == "status-5011a01b….2 of 5011A01B…"
    assert short_ids("meter 5011a01b-7c55") == "meter 5011a01b-7c55"


def test_counts_agree_with_their_word() -> None:
    """One event, two events, no data."""
    assert [count(number, "event") for number in (0, 1, 2000)] == ["0 events", "1 event", "2,000 events"]
    assert count(2, "entry", "entries") == "2 entries"
    assert count([1, 2, 3]) == "3"
    assert count(None, "event") == NO_DATA


def test_what_cannot_be_seen_is_made_visible() -> None:
    """A name cannot turn the line around, nor hide a part of itself."""
    assert shown("a\x1b[31mb\u202ec\u2028") == r"a\x1b[31mb\u202ec\u2028"
    assert shown("Küche ✓ 東京") == "Küche ✓ 東京"


@given(st.text())
@settings(max_examples=50)
def test_nothing_of_a_text_acts_on_the_page(text: str) -> None:
    """Neither as markup nor as a control character."""
    page = shown_as("<p>{{ text|shown }}</p>", text=text)

    assert page.count("<") == 2
    assert {unicodedata.category(each)[0] for each in page} <= set("LMNPSZ")
