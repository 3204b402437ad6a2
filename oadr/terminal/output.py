"""Print answers: a table on a terminal, JSON when piped or asked for. Control characters are shown, never sent."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypeAlias, TypeVar

import msgspec
import typer

from oadr.terminal.text import visible, visible_json
from openadr_profiles.fleet.wording import local_time
from openadr_profiles.v31 import encode

JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, also on a terminal (it is the default when piped).")
]

AllOption: TypeAlias = Annotated[bool, typer.Option("--all", help="Every line on a terminal (JSON is always whole).")]

Row: TypeAlias = Mapping[str, Any]
S = TypeVar("S", bound=msgspec.Struct)

ROWS_SHOWN: Final = 50
"""The number of rows of a list that a terminal shows unless asked for all."""

_SHORTEST_ID: Final = 8
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")


def wants_json(asked: bool) -> bool:
    """Return True if JSON is asked for, or standard output is not a terminal."""
    return asked or not sys.stdout.isatty()


def show_json(value: object) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(visible_json(json.dumps(value, indent=2, ensure_ascii=False, default=str)) + "\n")


def show_json_line(value: object) -> None:
    """Print one JSON document as one line on standard output, for a list that has no end."""
    sys.stdout.write(visible_json(json.dumps(value, ensure_ascii=False, default=str)) + "\n")


def show_figures(after_s: float, figures: S, line: Callable[[float, S], str], *, as_json: bool) -> None:
    """Print figures that go on changing, at once: as one line of JSON, or as ``line`` writes them."""
    if as_json:
        show_json_line({"after_s": round(after_s, 1), **msgspec.structs.asdict(figures)})
    else:
        sys.stdout.write(line(after_s, figures) + "\n")
    sys.stdout.flush()


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
    from rich.console import Console

    from oadr.terminal.tables import FittedTable

    console = Console()
    if not rows:
        console.print(empty)
        return
    shown = rows if everything else rows[:ROWS_SHOWN]
    short = unique_beginnings([str(row["id"]) for row in rows]) if "id" in columns else {}
    cells = [[_cell(short[row[key]] if key == "id" else row.get(key)) for key in columns] for row in shown]
    least = [columns[key] for key in least_needed if key in columns]
    # An id is for copying, and an instant for reading: where nothing fits, they stay in one piece.
    whole = [heading for key, heading in columns.items() if key in {"id", "startLocal"}]
    console.print(FittedTable(list(columns.values()), cells, title=title, least_needed=least, whole=whole))
    if len(shown) < len(rows):
        console.print(f"{len(rows) - len(shown):,} more of {len(rows):,}; --all shows them")


def show_one(row: Row, columns: Mapping[str, str], *, as_json: bool, title: str) -> None:
    """Print one thing: as a list of one on a terminal, else as one JSON object."""
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


def plain(wire: msgspec.Struct) -> dict[str, Any]:
    """Return an OpenADR object as a row: plain values under the standard's member names."""
    row: dict[str, Any] = msgspec.json.decode(encode(wire))
    return row


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        return local_time(datetime.fromisoformat(value).replace(microsecond=0))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return visible(", ".join(str(item) for item in value)) or "-"
    return visible(str(value))
