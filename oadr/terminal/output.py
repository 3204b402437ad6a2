"""Print answers: a table on a terminal, JSON when piped or asked for. Control characters are shown, never sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
import typer

from oadr.terminal.text import visible, visible_json
from openadr_profiles.v31 import encode

JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, also on a terminal (it is the default when piped).")
]

AllOption: TypeAlias = Annotated[bool, typer.Option("--all", help="Every line on a terminal (JSON is always whole).")]

Row: TypeAlias = Mapping[str, Any]

ROWS_SHOWN: Final = 50
"""The number of rows of a list that a terminal shows unless asked for all."""

_SHORTEST_ID: Final = 8
_LONG_WORD: Final = 16
_BETWEEN: Final = 3
"""Characters between two columns."""
_LINES: Final = 3
"""A row may take so many lines before columns that are needed less are left out."""


def wants_json(asked: bool) -> bool:
    """Return True if JSON is asked for, or standard output is not a terminal."""
    return asked or not sys.stdout.isatty()


def show_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(visible_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)) + "\n")


def show_rows(
    rows: Sequence[Row],
    columns: Mapping[str, str],
    *,
    as_json: bool,
    title: str,
    empty: str,
    everything: bool = True,
    least_needed: Sequence[str] = (),
) -> None:
    """Print a list: ``columns`` maps a row's key to its heading; JSON carries the whole rows.

    On a terminal, without ``everything``, the first ROWS_SHOWN are shown and the others counted, and ids are shown by
    their beginnings, which commands take as well. Where the terminal is too narrow, columns of ``least_needed`` are
    left out, the first of them first, and named below the list.
    """
    if wants_json(as_json):
        show_json(list(rows))
        return
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not rows:
        console.print(empty)
        return
    shown = rows if everything else rows[:ROWS_SHOWN]
    short = unique_beginnings([str(row["id"]) for row in rows]) if "id" in columns else {}
    texts = {key: [_cell(short[row[key]] if key == "id" else row.get(key)) for row in shown] for key in columns}
    left_out = [key for key in least_needed if key in columns]
    widths, left_out = _fitted({key: [columns[key], *texts[key]] for key in columns}, left_out, console.width)
    kept = {key: heading for key, heading in columns.items() if key not in left_out}
    cells = list(zip(*(texts[key] for key in kept), strict=True))
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for place, (key, heading) in enumerate(kept.items()):
        # An id is for copying, and an instant for reading: where nothing fits, they stay in one piece.
        width = None if widths is None else widths[place]
        table.add_column(heading, overflow="fold", no_wrap=widths is None and key in {"id", "start"}, width=width)
    for line in cells:
        table.add_row(*map(Text, line))
    console.print(table)
    if left_out:
        names = ", ".join(heading for key, heading in columns.items() if key in left_out)
        console.print(f"Too narrow for: {names}. A wider terminal or --json shows them.")
    if len(shown) < len(rows):
        console.print(f"{len(rows) - len(shown):,} more of {len(rows):,}; --all shows them")


def show_one(row: Row, columns: Mapping[str, str], *, as_json: bool, title: str) -> None:
    """One thing: as a list of one on a terminal, as one JSON object."""
    if wants_json(as_json):
        show_json(row)
    else:
        show_rows([row], columns, as_json=False, title=title, empty="")


def unique_beginnings(ids: Iterable[str]) -> dict[str, str]:
    """Return for each id its shortest beginning, of at least eight characters, that no other of them has."""
    ordered = sorted(set(ids))
    found = {}
    for place, id_ in enumerate(ordered):
        beside = ordered[max(0, place - 1) : place] + ordered[place + 1 : place + 2]
        length = _SHORTEST_ID
        while any(other[:length] == id_[:length] for other in beside) and length < len(id_):
            length += 1
        found[id_] = id_[:length]
    return found


def column_widths(lines: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Share the width of a terminal out over the columns of lines, so that no word of up to 16 characters is broken.

    The first line has the headings. What is left makes as many columns as possible wide enough for one line a row.
    None if there is not enough for the words.
    """
    columns = list(zip(*lines, strict=True))
    least = [max(min(_LONG_WORD, len(word)) for cell in cells for word in cell.split() or [""]) for cells in columns]
    left = width - sum(least) - _BETWEEN * len(columns)
    if left < 0:
        return None
    wanted = [max(0, max(map(len, cells[1:]), default=0) - has) for cells, has in zip(columns, least, strict=True)]
    found = list(least)
    for column in sorted(range(len(columns)), key=wanted.__getitem__):
        more = min(wanted[column], left)
        found[column] += more
        left -= more
    return found


def _fitted(
    columns: Mapping[str, Sequence[str]], least_needed: Sequence[str], width: int
) -> tuple[list[int] | None, list[str]]:
    """Return the widths of the columns that fit, each a heading and its cells, and the keys of those left out.

    As few are left out as make all words fit and rows at most three lines high, else as few as make all words fit.
    """
    found: tuple[list[int] | None, list[str]] = None, []
    for count in range(len(least_needed) + 1):
        left_out = list(least_needed[:count])
        kept = [cells for key, cells in columns.items() if key not in left_out]
        widths = column_widths(list(zip(*kept, strict=True)), width)
        if widths is None:
            continue
        if all(len(cell) <= most * _LINES for cells, most in zip(kept, widths, strict=True) for cell in cells[1:]):
            return widths, left_out
        if found[0] is None:
            found = widths, left_out
    return found


def plain(wire: msgspec.Struct) -> dict[str, Any]:
    """An OpenADR object as a row: plain values under the standard's member names."""
    row: dict[str, Any] = msgspec.json.decode(encode(wire))
    return row


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return visible(", ".join(str(item) for item in value)) or "-"
    return visible(str(value))
