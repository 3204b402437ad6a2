"""The demo's screen: it fits every terminal, and shows what a watcher must know at every phase."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product

import pytest
from rich.text import Text

from oadr.demo.chart import ASCII, BLOCKS
from oadr.demo.command import WITHOUT_20B
from oadr.demo.layout import Look, count_text, screen, summary
from oadr.demo.view import DemoView, Doing, Row
from tests.oadr.demo.builders import PASSED, at, starting, view

LOOK = Look(BLOCKS, colour=True)
FAILED = replace(PASSED, findings=tuple(f"panel-{number}: was sent no command" for number in range(9)))
VIEWS = {
    "first": starting(),
    "starting": starting("VTN", "bridge"),
    "answers": view(-3),
    "step 1": view(5),
    "step 2": view(20),
    "return": view(35),
    "passed": view(36, verdict=PASSED),
    "failed": view(36, verdict=FAILED),
    "silent": view(36, rows=[Row("panel-1", "MQTT", Doing.SILENT)], power=()),
}


def plain(lines: list[Text]) -> str:
    return "\n".join(line.plain for line in lines)


@pytest.mark.parametrize("name", VIEWS)
def test_no_terminal_is_too_small_and_none_is_overrun(name: str) -> None:
    for width, height in product((1, 20, 40, 79, 80, 100, 120, 160, 300), (1, 3, 10, 23, 24, 30, 50, 100)):
        lines = screen(VIEWS[name], width, height, LOOK)
        assert len(lines) <= height
        assert max(line.cell_len for line in lines) <= width, (width, height)


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (starting(), ["▶ start", "Starting every part", "· VTN", "home-1", "panel-3"]),
        (starting("VTN"), ["✓ VTN", "· homes"]),
        (view(-3), ["✓ start   ▶ answers", "next in 0:03"]),
        (view(5), ["▶ step 1", "next in 0:10", "baseline 128.0", "asked 9.0", "delivered 9.0", "used 119.0"]),
        (view(20), ["▶ step 2", "next in 0:10", "asked 15.0", "2.00 + 2.16 + 0.84 kW", "asked for 5 kW"]),
        (view(35), ["▶ return", "at most 0:15", "in step 2", "asked 15.0"]),
        (view(36, verdict=PASSED), ["PASSED", "5.90 of 6.00 kWh", "98%", "13 panel acks in 4–30 ms", "11 reports"]),
        (view(36, verdict=FAILED), ["FAILED", "panel-0: was sent no command", "and 5 more", "✗ verdict"]),
    ],
)
@pytest.mark.parametrize("size", [(80, 23), (80, 24), (160, 50)])
def test_each_phase_says_what_happens_at_every_size(shown: DemoView, words: list[str], size: tuple[int, int]) -> None:
    text = plain(screen(shown, *size, LOOK))
    assert [word for word in words if word not in text] == [], text


@pytest.mark.parametrize("minutes", [-3, 5, 20, 35])
def test_a_screen_of_80_by_24_has_chart_participants_and_explanation(minutes: float) -> None:
    """O5: everything at a glance on the smallest usual terminal."""
    lines = screen(view(minutes), 80, 24, LOOK)
    text = plain(lines)
    assert len(lines) <= 24
    assert text.count("│") >= 5
    assert "3 kW each" in text
    assert "5 kW each" in text
    for name in ("home-1", "home-2", "home-3", "home-4", "panel-1", "panel-2", "panel-3"):
        assert name in text
    assert "one event in OpenADR 3.1, 3.0.1, 2.0b and MQTT" in text
    for spoken in (r"home-1 +3\.1 ", r"home-2 +3\.0\.1 ", r"home-4 +2\.0b ", r"panel-1 +MQTT "):
        assert re.search(spoken, text)
    assert "opted out: 5 kW asked for, at most 1 kW accepted" in text
    assert "Every VEN is asked for" in text
    assert "splits its share by what each of them can shed" in text


def test_a_home_without_telemetry_is_said_to_have_no_data() -> None:
    rows = [Row("home-4", "2.0b", Doing.READY, 3.0, None, 1.0, 0.0, no_data=True)]
    assert re.search(r"home-4 +2\.0b +3\.00 +no data ", plain(screen(view(5, rows=rows), 80, 24, LOOK)))


@pytest.mark.parametrize("minutes", [-3, 5, 36])
def test_the_screen_says_that_a_language_is_lacking(minutes: float) -> None:
    rows = [row for row in view(minutes).rows if row.kind != "2.0b"]
    shown = view(minutes, rows=rows, lacking=WITHOUT_20B, verdict=PASSED if minutes == 36 else None)
    text = plain(screen(shown, 80, 23, LOOK))
    assert "one event in OpenADR 3.1, 3.0.1 and MQTT" in text
    assert WITHOUT_20B in text
    assert text.count("│") >= 4


def test_a_large_screen_also_has_the_news_and_the_circuits() -> None:
    small, large = (plain(screen(view(20), *size, LOOK)) for size in ((80, 24), (160, 50)))
    assert "18:39  something happened" in large
    assert "curtailed circuit" in large
    assert "something happened" not in small


def test_a_very_small_screen_keeps_the_phase_and_the_verdict() -> None:
    text = plain(screen(view(36, verdict=PASSED), 60, 4, LOOK))
    assert "PASSED" in text
    assert "5.90 of 6.00 kWh" in text


def test_a_terminal_without_unicode_gets_ascii() -> None:
    look = Look.of("iso8859-1", colour=False)
    assert look.glyphs is ASCII
    for each in VIEWS.values():
        for size in ((80, 24), (160, 50)):
            assert plain(screen(each, *size, look)).isascii()
        assert plain(summary(each, 100, look)).isascii()
    assert Look.of("utf-8", colour=True).glyphs is BLOCKS
    assert Look.of("no such encoding", colour=True).glyphs is ASCII


def test_without_a_screen_the_end_is_the_table_and_the_verdict() -> None:
    text = plain(summary(view(36, verdict=PASSED), 100, LOOK))
    assert "PASSED" in text
    assert "home-1" in text
    assert "back to normal" in plain(
        summary(view(36, rows=[Row("home-1", "3.1", Doing.RETURNED, 5.0, 5.0, 1.0, 1.0)]), 100, LOOK)
    )


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (0.1, "0:01"), (9.9, "0:10"), (60, "1:00"), (61.5, "1:02")])
def test_a_countdown_counts_what_has_begun(seconds: float, text: str) -> None:
    assert count_text(seconds) == text


def test_the_phases_end_when_the_event_says_so() -> None:
    assert view(-3).countdown_s == 3
    assert view(0).countdown_s == 15
    assert view(15).countdown_s == 15
    assert view(40).countdown_s == 10
    assert view(99).countdown_s == 0
    assert starting().countdown_s is None
    assert view(36, verdict=PASSED).countdown_s is None
    assert view(0).plan is not None
    assert at(0) == view(0).now
