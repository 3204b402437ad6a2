"""Tables that fit a terminal: no word is broken; a narrow terminal is shown fewer columns, which are named below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.table import Table
from rich.text import Text

_LONG_WORDS: Final = (24, 16)
"""Words of up to so many characters stay whole; the second where there is no room for the first."""
_BETWEEN: Final = 3
"""Characters between two columns."""
_LINES: Final = 3
"""A row may take so many lines before columns that are needed less are left out."""


class FittedTable:
    """A table of ``rows``, each with a cell for every heading; those in ``numbers`` are aligned to the right.

    Where the terminal is too narrow, columns of ``least_needed`` are left out, the first of them first; where even that
    does not help, the cells of ``whole`` stay in one piece.
    """

    def __init__(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[Text | str]],
        *,
        title: str | None = None,
        numbers: Sequence[str] = (),
        least_needed: Sequence[str] = (),
        whole: Sequence[str] = (),
    ) -> None:
        self._headings = headings
        self._rows = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        self._title = title
        self._numbers = numbers
        self._whole = whole
        self._least_needed = [heading for heading in least_needed if heading in headings]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        """Lay the table out for the width that there is."""
        texts = {
            heading: [heading, *(row[place].plain for row in self._rows)]
            for place, heading in enumerate(self._headings)
        }
        widths, left_out = fitting_columns(texts, self._least_needed, options.max_width)
        table = Table(title=self._title, title_justify="left", header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
        for heading in self._headings:
            if heading not in left_out:
                table.add_column(
                    heading,
                    overflow="fold",
                    no_wrap=widths is None and heading in self._whole,
                    width=None if widths is None else widths[heading],
                    justify="right" if heading in self._numbers else "left",
                )
        for row in self._rows:
            table.add_row(*(cell for heading, cell in zip(self._headings, row, strict=True) if heading not in left_out))
        yield table
        if left_out:
            names = ", ".join(heading for heading in self._headings if heading in left_out)
            yield Text(f"Too narrow for: {names}. A wider terminal or --json shows them.")


def fitting_columns(
    columns: Mapping[str, Sequence[str]], least_needed: Sequence[str], width: int
) -> tuple[dict[str, int] | None, list[str]]:
    """Return the widths of the columns that fit, each a heading and its cells, and which are left out.

    As few are left out as make all words fit and rows at most three lines high, else as few as make all words fit.
    None for the widths if the words do not fit at all.
    """
    found: tuple[dict[str, int] | None, list[str]] = None, []
    for long_word in _LONG_WORDS:
        for count in range(len(least_needed) + 1):
            left_out = list(least_needed[:count])
            kept = {key: cells for key, cells in columns.items() if key not in left_out}
            widths = column_widths(list(zip(*kept.values(), strict=True)), width, long_word=long_word)
            if widths is None:
                continue
            named = dict(zip(kept, widths, strict=True))
            if all(len(cell) <= named[key] * _LINES for key, cells in kept.items() for cell in cells[1:]):
                return named, left_out
            if found[0] is None:
                found = named, left_out
        if found[0] is not None:
            break
    return found


def column_widths(lines: Sequence[Sequence[str]], width: int, *, long_word: int = _LONG_WORDS[-1]) -> list[int] | None:
    """Share the width of a terminal out over the columns of lines, so that no word but a long one is broken.

    The first line has the headings. What is left makes as many columns as possible wide enough for one line a row.
    None if there is not enough for the words.
    """
    columns = list(zip(*lines, strict=True))
    least = [max(min(long_word, len(word)) for cell in cells for word in cell.split() or [""]) for cells in columns]
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
