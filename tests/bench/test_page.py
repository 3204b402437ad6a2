"""The figures as they appear in a page."""

from array import array
from pathlib import Path

import pytest

from bench.errors import Unusable
from bench.load import Sample
from bench.measure import Series
from bench.page import markdown, write
from bench.results import BenchRun, Case, Goal, Growth


def a_run() -> BenchRun:
    """One case with a reference four times as fast, a growth and a goal."""
    own, bare = Series("VTN"), Series("bare")
    own.add(Sample(1.0, array("d", [0.002] * 1000)), cpu_s=0.5, rss_mb=81.6)
    bare.add(Sample(1.0, array("d", [0.001] * 4000)), cpu_s=1.0, rss_mb=40.0)
    case = Case("poll", "hit", "SQLite", 16, own, (bare,), 50, "events", (Goal("fast enough", 0.25, 0.6),))
    grown = Growth("poll", "cached", "SQLite", 16, "events", ((50, 1.0), (1000, 0.9)))
    return BenchRun({"processor": "any"}, {"rounds": 1}, "2026-01-01T00:00:00+00:00", [case], [grown])


def test_page_shows_the_case_its_ratio_its_growth_and_the_missed_goal() -> None:
    lines = markdown(a_run()).splitlines()

    assert (
        "| poll hit | SQLite | 50 events | 16 | 1,000 | 2.00 | 2.00 | 500 | 82 | bare: 4,000, 250 (0%) | 0.25 (0.50) |"
        in lines
    )
    assert "| poll cached | SQLite | 16 | 50 events: 1.00, 1,000 events: 0.90 |" in lines
    assert "| fast enough | at least 0.6 | 0.25 | **missed** |" in lines


def test_new_figures_replace_the_old_ones_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n<!-- figures -->\nold\n<!-- end of figures -->\nWhy.\n")

    write(a_run(), page)
    first = page.read_text()
    write(a_run(), page)

    assert page.read_text() == first
    assert first.startswith("# Title\n<!-- figures -->\nMeasured 2026-01-01")
    assert first.endswith("\n<!-- end of figures -->\nWhy.\n")
    assert "old" not in first


def test_page_without_a_place_for_figures_stays_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n")

    with pytest.raises(Unusable, match="has no <!-- figures -->"):
        write(a_run(), page)

    assert page.read_text() == "# Title\n"
