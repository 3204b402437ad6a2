"""How commands speak: a table on a terminal, JSON when piped or asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from openadr_profiles.v31 import encode

JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print JSON, also on a terminal (it is the default when piped).")
]

Row: TypeAlias = Mapping[str, Any]


def wants_json(asked: bool) -> bool:
    """True when the answer is for a program: asked for, or standard output is not a terminal."""
    return asked or not sys.stdout.isatty()


def show_json(value: object) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def show_rows(rows: Sequence[Row], columns: Mapping[str, str], *, as_json: bool, title: str, empty: str) -> None:
    """A list: ``columns`` maps a row's key to its heading; JSON carries the whole rows."""
    if wants_json(as_json):
        show_json(list(rows))
        return
    console = Console()
    if not rows:
        console.print(empty)
        return
    table = Table(title=title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    for key, heading in columns.items():
        # An id is for copying, and an instant for reading: they stay in one piece.
        table.add_column(heading, overflow="fold", no_wrap=key in {"id", "start"})
    for row in rows:
        table.add_row(*(_cell(row.get(key)) for key in columns))
    console.print(table)


def show_one(row: Row, columns: Mapping[str, str], *, as_json: bool, title: str) -> None:
    """One thing: as a list of one on a terminal, as one JSON object."""
    if wants_json(as_json):
        show_json(row)
    else:
        show_rows([row], columns, as_json=False, title=title, empty="")


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
        return ", ".join(str(item) for item in value) or "-"
    return str(value)
