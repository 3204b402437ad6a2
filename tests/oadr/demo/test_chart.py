"""The demo's chart: cells filled by eighths, a line for what is asked, an axis that suits the fleet."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from oadr.demo.chart import ASCII, BLOCKS, Axis, Cell, axis, bar, columns, draw, label_rows, planned_kw, plateau
from oadr.demo.view import Power
from tests.oadr.demo.builders import PLAN, at, power


def sample(baseline: float, delivered: float = 0, asked: float = 0) -> Power:
    return Power(at(0), baseline, asked, delivered)


def column(shown: Power, height: int = 4, *, colour: bool = True) -> list[Cell]:
    """One column of a chart from 0 to 8 kW, lowest cell first."""
    rows = draw([shown], [None], Axis(0, 8, 2), height, BLOCKS, colour=colour)
    return [row[0] for row in reversed(rows)]


def glyphs(cells: Sequence[Cell]) -> str:
    return "".join(cell.glyph for cell in cells)


def test_a_column_is_filled_to_the_eighth() -> None:
    assert glyphs(column(sample(5))) == "██▄ "
    assert glyphs(column(sample(0))) == "    "
    assert glyphs(column(sample(20))) == "████"


def test_what_was_delivered_lies_between_the_use_and_the_baseline() -> None:
    cells = column(sample(8, delivered=3))
    assert [(cell.ink, cell.paper) for cell in cells] == [
        ("used", "used"),
        ("used", "used"),
        ("used", "delivered"),
        ("delivered", "delivered"),
    ]
    assert cells[2].glyph == "▄"
    assert glyphs(column(sample(8, delivered=3), colour=False)) == "██▄░"


@pytest.mark.parametrize(("asked", "mark"), [(4.0, "▁"), (3.0, "─"), (2.2, "▔")])
def test_a_line_marks_where_the_use_should_be(asked: float, mark: str) -> None:
    cells = column(sample(8, asked=asked))
    assert (cells[2].glyph, cells[2].ink, cells[2].paper) == (mark, "asked", "used")


def test_what_is_planned_is_a_line_in_the_future() -> None:
    shown: list[Power | None] = [sample(8), None, None]
    rows = draw(shown, [None, None, 5.0], Axis(0, 8, 2), 4, BLOCKS, colour=True)
    assert [glyphs(row) for row in rows] == ["█  ", "█ ─", "█  ", "█  "]


def test_samples_are_spread_over_the_columns_and_gaps_repeat_the_last() -> None:
    shown = columns([Power(at(m), kw, 0, 0) for m, kw in ((0, 1), (0.5, 3), (3, 5))], at(0), at(5), 5)
    assert [each and each.baseline_kw for each in shown] == [2, 2, 2, 5, None]
    assert columns([], at(0), at(0), 3) == [None, None, None]


def test_the_plan_of_the_future_follows_the_steps() -> None:
    shown: list[Power | None] = [sample(128), *[None] * 41]
    planned = planned_kw(shown, PLAN, at(36), vens_in=3)
    assert planned[0] is None
    assert (planned[5], planned[7], planned[25], planned[38]) == (None, 119, 113, None)


def test_the_axis_has_room_for_the_baseline_and_for_what_will_be_asked() -> None:
    scale = axis(power(20), most_asked_kw=15)
    assert scale.top_kw >= 128
    assert 90 <= scale.floor_kw <= 113
    assert axis([], 5).top_kw > axis([], 5).floor_kw
    assert axis([sample(3, delivered=3)], 15).floor_kw == 0


def test_the_labels_lie_at_the_edges_of_rows() -> None:
    assert label_rows(Axis(100, 130, 10), 6) == {5: "100", 3: "110", 1: "120"}


def test_the_plateau_is_the_second_half_of_the_last_step() -> None:
    found = plateau(power(40))
    assert found is not None
    assert (found.asked_kw, found.delivered_kw) == (15, 15)
    assert plateau(power(-1)) is None


@pytest.mark.parametrize(
    ("share", "text"), [(0, "────"), (0.5, "━━──"), (0.6, "━━╸─"), (1, "━━━━"), (7, "━━━━"), (-1, "────")]
)
def test_a_bar_is_as_long_as_its_share(share: float, text: str) -> None:
    assert "".join(bar(share, 4, BLOCKS)) == text
    assert "".join(bar(share, 4, ASCII)).isascii()
