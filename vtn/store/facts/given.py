"""Give many rows to one statement: as the text of a JSON list, which both databases take apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

INTEGER: Final = "bigint"
NUMBER: Final = "double precision"
TRUTH: Final = "boolean"
TEXT: Final = 'text COLLATE "C"'


def given(columns: Mapping[str, str], *, sqlite: bool, name: str = "rows") -> str:
    """Return a SELECT of the rows in the parameter ``name``, with columns of these kinds."""
    if sqlite:
        each = (f"json_extract(value, '$[{place}]') AS {column}" for place, column in enumerate(columns))
        return f"SELECT {', '.join(each)} FROM json_each(:{name})"  # noqa: S608 (names of columns only)
    each = (f"{_cast(place, kind)} AS {column}" for place, (column, kind) in enumerate(columns.items()))
    return f"SELECT {', '.join(each)} FROM json_array_elements(CAST(:{name} AS json))"  # noqa: S608 (names of columns only)


def _cast(place: int, kind: str) -> str:
    value = f"(value ->> {place})"
    return f'{value} COLLATE "C"' if kind == TEXT else f"CAST({value} AS {kind})"


def as_json(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows as the text of a JSON list of lists. No text of them may have a character NUL."""
    return msgspec.json.encode(list(rows)).decode()


def without_nul(text: str) -> str:
    """Return a text without the character NUL, which PostgreSQL does not store, as U+FFFD."""
    return text.replace("\0", "\ufffd")
