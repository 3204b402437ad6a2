"""Lays out the demo's screen for a terminal's size: lines of text, never more or wider than the terminal. No I/O.

From the top: a title, the phases with a countdown, the chart, a line a participant, and what explains the figures.
On a small terminal the explanations go first, then the chart; the phases and the verdict always stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from oadr.demo import chart
from oadr.demo.chart import ASCII, BLOCKS, Cell, Glyphs, Ink
from oadr.demo.view import PANEL_KIND, PARTS, CircuitLine, DemoView, Doing, Phase, Plan, Row

USED: Final = "#4c78a8"
DELIVERED: Final = "#57b368"
ASKED: Final = "#ffd43b"
DIM: Final = "#8a8a8a"
_INK: Final[dict[Ink, str]] = {"used": USED, "delivered": DELIVERED, "asked": f"bold {ASKED}", "planned": ASKED}
_PAPER: Final[dict[Ink, str]] = {"used": USED, "delivered": DELIVERED, "asked": ASKED, "planned": ASKED}
_DOING: Final = {
    Doing.STARTING: DIM,
    Doing.WAITING: DIM,
    Doing.READY: "cyan",
    Doing.SHEDDING: f"bold {DELIVERED}",
    Doing.RETURNED: "cyan",
    Doing.OUT: "yellow",
    Doing.SILENT: "red",
    Doing.GONE: "bold red",
}

_IS: Final = {
    "VTN": "the utility's OpenADR server: it tells what is asked and keeps what is reported",
    "MQTT broker": "carries commands to the legacy panels and their answers back",
    "bridge": "a VEN (OpenADR client) that speaks for the legacy panels",
    "panels": "3 simulated breaker panels that know MQTT only",
    "homes": "homes with 6 to 10 circuits, each a VEN of its own",
}
_GUTTER: Final = 6
_LEAST_CHART: Final = 4
_MOST_CHART: Final = 18
_NEWS_FROM: Final = 34
_CIRCUITS_FROM: Final = 120
_ON_TARGET: Final = 0.9


@dataclass(frozen=True)
class Look:
    """Capabilities of the terminal."""

    glyphs: Glyphs
    colour: bool

    @staticmethod
    def of(encoding: str, *, colour: bool) -> Look:
        """Choose the characters: blocks where the encoding has them."""
        try:
            (BLOCKS.parts + BLOCKS.bar + BLOCKS.done + BLOCKS.now + BLOCKS.bad + "".join(BLOCKS.line)).encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return Look(ASCII, colour)
        return Look(BLOCKS, colour)


def screen(view: DemoView, width: int, height: int, look: Look) -> list[Text]:
    """Give the lines of the screen; at most ``height`` lines, none wider than ``width``."""
    head = [_title(view, width), _phases(view, width, look), *_saying(view, look)]
    head += [Text(line) for line in view.pages]
    table = _table(view, width, look)
    notes = _notes(view, width, look)
    room = height - len(head) - len(table)
    if room < len(notes) + _LEAST_CHART + 3:
        notes = notes[: max(0, room - _LEAST_CHART - 3)] if room >= _LEAST_CHART + 3 else notes[: max(0, room)]
    below = _below(view, width, height, look)
    room -= len(notes)
    chart_rows = min(_MOST_CHART, room - 3 - (len(below) if room - 3 - len(below) >= _LEAST_CHART else 0))
    middle = _chart(view, width, chart_rows, look) if chart_rows >= _LEAST_CHART and view.plan else []
    if not middle and view.plan is None:
        middle = _starting(view, width, max(0, min(room, 10)), look)
    lines = [*head, *middle, *table, *notes]
    lines += below[: max(0, height - len(lines))]
    return [_fit(line, width) for line in lines[:height]]


def summary(view: DemoView, width: int, look: Look) -> list[Text]:
    """Give the table and the verdict alone, for output that is not a screen."""
    lines = [*_table(view, width, look), *_notes(view, width, look), *_verdict(view, look)]
    return [_fit(line, width) for line in lines]


def clock_text(at: datetime) -> str:
    """Give an instant as the watcher's local time of day."""
    return at.astimezone().strftime("%H:%M")


def count_text(seconds: float) -> str:
    """Give a length of time as minutes and seconds; what has begun counts."""
    whole = -int(-seconds // 1)
    return f"{whole // 60}:{whole % 60:02d}"


def _title(view: DemoView, width: int) -> Text:
    left = Text.assemble(("OpenADR Fleet", "bold"), (f"  one event in {_languages(view)}", DIM))
    right = Text.assemble((f"{clock_text(view.now)}  ", "bold"), (f"clock x{view.speed:g}", DIM))
    return _apart(left, right, width)


def _languages(view: DemoView) -> str:
    """Name every language that a participant speaks, those of homes before those of panels."""
    homes = dict.fromkeys(row.kind for row in view.rows if row.kind != PANEL_KIND)
    panels = [PANEL_KIND] if any(row.kind == PANEL_KIND for row in view.rows) else []
    return " and ".join([*([f"OpenADR {', '.join(homes)}"] if homes else []), *panels])


def _phases(view: DemoView, width: int, look: Look) -> Text:
    reached = list(Phase).index(view.phase)
    line = Text()
    for place, phase in enumerate(Phase):
        if place < reached or (place == reached and phase is Phase.VERDICT):
            bad = phase is Phase.VERDICT and view.verdict is not None and not view.verdict.passed
            mark, style = (look.glyphs.bad, "bold red") if bad else (look.glyphs.done, "green")
        elif place == reached:
            mark, style = look.glyphs.now, f"bold {ASKED}"
        else:
            mark, style = look.glyphs.ahead, DIM
        line.append(f"{mark} {phase.value}   ", style)
    line.rstrip()
    left = view.countdown_s
    if left is None:
        right = Text(f"{view.elapsed_s:.0f} s", DIM)
    else:
        words = "at most " if view.phase is Phase.RETURN else "next in "
        right = Text.assemble((words, DIM), (count_text(left), f"bold {ASKED}"))
    return _apart(line, right, width)


def _saying(view: DemoView, look: Look) -> list[Text]:
    """Describe the present phase in one line; at the end, give the verdict."""
    if view.verdict is not None:
        return _verdict(view, look)
    step = f"{view.plan.asked_kw(view.now):g} kW" if view.plan else ""
    words = {
        Phase.START: "Starting every part. All of it is real; only the circuits are simulated.",
        Phase.ANSWERS: "The utility has sent its event to the VTN (its server). Every VEN (client) answers: in or out.",
        Phase.STEP_1: f"Every VEN that takes part sheds {step}. Who has opted out is left alone.",
        Phase.STEP_2: f"The event now asks for {step}. Devices follow without anybody's help.",
        Phase.RETURN: "The event is over. Circuits return to normal, the last reports arrive.",
        Phase.VERDICT: "",
    }
    return [Text(words[view.phase], "italic")]


def _verdict(view: DemoView, look: Look) -> list[Text]:
    verdict = view.verdict
    if verdict is None:
        return []
    share = f" ({verdict.delivered_kwh / verdict.asked_kwh:.0%})" if verdict.asked_kwh else ""
    figures = f"{verdict.delivered_kwh:.2f} of {verdict.asked_kwh:.2f} kWh delivered{share}, {verdict.reports} reports"
    if verdict.ack_ms:
        low, high = verdict.ack_ms
        dash = look.glyphs.dash
        figures += f", {verdict.acks} panel acks in {low:.0f}{dash}{high:.0f} ms"
    if verdict.passed:
        return [
            Text.assemble(("PASSED ", "bold green"), "Every part did what it should; no critical circuit was touched."),
            Text(figures, "bold"),
        ]
    shown = [Text.assemble(("FAILED ", "bold red"), (verdict.findings[0], "red"))]
    more = verdict.findings[1:4]
    shown += [Text(f"       {finding}", "red") for finding in more]
    if len(verdict.findings) > 4:
        shown.append(Text(f"       and {len(verdict.findings) - 4} more", "red"))
    return [*shown, Text(figures, "bold")]


def _starting(view: DemoView, width: int, height: int, look: Look) -> list[Text]:
    """The parts and which of them run already, in place of the chart."""
    lines = [Text()]
    for part in PARTS:
        mark, style = (look.glyphs.done, "green") if part in view.running else (look.glyphs.ahead, DIM)
        lines.append(Text.assemble((f"  {mark} {part:<13}", style), (_IS[part], DIM)))
    return [*lines, Text()][:height]


def _chart(view: DemoView, width: int, height: int, look: Look) -> list[Text]:
    plan = view.plan
    if plan is None:
        return []
    across = max(10, width - _GUTTER - 1)
    end = max(plan.end + (plan.end - plan.start) * 0.2, view.now)
    shown = chart.columns(view.power, plan.issued, end, across)
    most = max(step.kw for step in plan.steps) * max(1, view.vens_in)
    scale = chart.axis(view.power, most)
    ahead = chart.planned_kw(shown, plan, end, view.vens_in)
    labels = chart.label_rows(scale, height)
    lines = [_legend(view, width, look)]
    for number, cells in enumerate(chart.draw(shown, ahead, scale, height, look.glyphs, colour=look.colour)):
        line = Text(f"{labels.get(number, ''):>{_GUTTER - 1}} ", DIM)
        line.append(look.glyphs.up, DIM)
        line.append_text(_cells(cells))
        lines.append(line)
    return [*lines, *_time_axis(plan, end, across, look)]


def _legend(view: DemoView, width: int, look: Look) -> Text:
    glyphs = look.glyphs
    delivered = glyphs.used if look.colour else glyphs.delivered
    over = view.phase in {Phase.RETURN, Phase.VERDICT}
    now = (chart.plateau(view.power) if over else None) or (view.power[-1] if view.power else None)
    line = Text.assemble(("   kW  ", DIM))
    baseline = now.baseline_kw if now else 0.0
    line.append("in step 2    " if over else "whole fleet  ", "bold")
    line.append_text(Text.assemble("baseline ", (f"{baseline:.1f}", "bold"), "  "))
    line.append_text(
        Text.assemble((glyphs.line[1], f"bold {ASKED}"), " asked ", (f"{now.asked_kw if now else 0:.1f}", "bold"), "  ")
    )
    line.append_text(
        Text.assemble((delivered, DELIVERED), " delivered ", (f"{now.delivered_kw if now else 0:.1f}", "bold"), "  ")
    )
    line.append_text(Text.assemble((glyphs.used, USED), " used ", (f"{now.used_kw if now else 0:.1f}", "bold")))
    return line


def _cells(cells: Sequence[Cell]) -> Text:
    """Join cells of one look into runs, so that a row is few escape sequences."""
    line = Text()
    for (ink, paper), run in groupby(cells, key=lambda cell: (cell.ink, cell.paper)):
        style = _INK[ink] if ink else ""
        if paper:
            style += f" on {_PAPER[paper]}"
        line.append("".join(cell.glyph for cell in run), style)
    return line


def _time_axis(plan: Plan, end: datetime, across: int, look: Look) -> list[Text]:
    glyphs = look.glyphs
    ruler = [glyphs.across] * across
    labels = [" "] * across
    length = (end - plan.issued).total_seconds()
    marks = [(step.start, f"{clock_text(step.start)} {step.kw:g} kW each") for step in plan.steps]
    for at, words in [*marks, (plan.end, f"{clock_text(plan.end)} end")]:
        place = int((at - plan.issued).total_seconds() / length * across)
        if place >= across:
            continue
        ruler[place] = glyphs.tick
        begin = max(0, min(place, across - len(words)))
        if all(label == " " for label in labels[max(0, begin - 1) : begin + len(words)]):
            labels[begin : begin + len(words)] = words
    gutter = " " * _GUTTER
    return [Text(gutter + glyphs.corner + "".join(ruler), DIM), Text(gutter + " " + "".join(labels).rstrip(), DIM)]


def _table(view: DemoView, width: int, look: Look) -> list[Text]:
    head = f"{'participant':<13}{'asked kW':>9}{'delivered kW':>14}  "
    bar_width = max(0, min(40, width - 68))
    lines = [Text(f"{head}{'':{bar_width}}{'kWh':>8}" if bar_width > 4 else head.rstrip(), DIM)]
    return lines + [_row(row, width, bar_width, look) for row in view.rows]


def _row(row: Row, width: int, bar_width: int, look: Look) -> Text:
    line = Text().append(f"{row.name:<8}", "bold")
    line.append(f"{row.kind:<5}", DIM)
    if row.doing is Doing.OUT:
        line.append(f"  opted out: {row.reason}" if row.reason else "  opted out", _DOING[Doing.OUT])
        return line
    line.append(f"{_kw(row.asked_kw, look):>9}")
    delivered = "no data" if row.no_data else _kw(row.delivered_kw, look)
    line.append(f"{delivered:>14}  ", "bold")
    share = (row.delivered_kw or 0) / row.asked_kw if row.asked_kw else 0.0
    if bar_width > 4:
        if row.asked_kw:
            filled, rest = chart.bar(share, bar_width, look.glyphs)
            line.append(filled, DELIVERED if share >= _ON_TARGET else ASKED)
            line.append(rest, DIM)
        else:
            line.append(" " * bar_width)
        line.append(f"{row.delivered_kwh:>8.2f}  " if row.asked_kwh else " " * 10)
    line.append(f"{share:>4.0%} " if row.asked_kw else "     ")
    line.append(row.doing.value, _DOING[row.doing])
    return line


def _notes(view: DemoView, width: int, look: Look) -> list[Text]:
    """Explain the figures, and the commands to look further."""
    kw = next((step.kw for step in reversed(view.plan.steps) if step.start <= view.now), None) if view.plan else None
    parts = " + ".join(f"{part:.2f}" for part in view.panels_kw)
    asked = f"{kw:g} kW" if kw is not None else "the same"
    split = f": {parts} kW." if parts else "."
    lines = [
        f"Every VEN is asked for {asked}. Each home is a VEN; the bridge is one VEN for 3",
        f"panels and splits its share by what each of them can shed{split}",
    ]
    notes = [Text(line, DIM) for line in lines]
    notes += [Text(line, DIM) for line in (view.hint, view.lacking) if line]
    return notes


def _below(view: DemoView, width: int, height: int, look: Look) -> list[Text]:
    """On a tall terminal: what happened, and beside it on a wide one the circuits."""
    room = min(16, height - _NEWS_FROM)
    if room < 3:
        return []
    rows = room - 2
    left = [Text("what happened", "bold"), *(Text(line) for line in view.news[-rows:])]
    if width < _CIRCUITS_FROM or not view.circuits:
        return [Text(), *left]
    half = width // 2
    right = [_circuit_head(), *(_circuit(line, look) for line in view.circuits[:rows])]
    joined = []
    for number in range(max(len(left), len(right))):
        line = _fit(left[number].copy() if number < len(left) else Text(), half - 2)
        line.append(" " * (half - line.cell_len))
        if number < len(right):
            line.append_text(right[number])
        joined.append(line)
    return [Text(), *joined]


def _circuit_head() -> Text:
    return Text(f"{'curtailed circuit':<24}{'before':>8}{'asked':>8}{'cut':>8} kW  state", "bold")


def _circuit(line: CircuitLine, look: Look) -> Text:
    name = set_cell_size(f"{line.participant} {line.name}", 23)
    figures = "".join(f"{_kw(kw, look):>8}" for kw in (line.before_kw, line.asked_kw, line.delivered_kw))
    return Text(f"{name} {figures}     {line.state}")


def _kw(value: float | None, look: Look) -> str:
    return look.glyphs.dash if value is None else f"{value:.2f}"


def _apart(left: Text, right: Text, width: int) -> Text:
    """Put one text at the left edge and one at the right; the left one gives way."""
    room = width - right.cell_len - 1
    line = _fit(left, max(0, room))
    line.append(" " * max(0, width - line.cell_len - right.cell_len))
    line.append_text(right)
    return line


def _fit(line: Text, width: int) -> Text:
    """Cut a line to a width."""
    if cell_len(line.plain) > width:
        line.truncate(max(0, width))
    return line
