"""Takes the values out of what a database says about a statement that failed.

Rows hold bearer tokens, keys and readings, and errors are logged. PostgreSQL quotes the row that breaks a constraint
("DETAIL: Failing row contains ..."), and its driver the argument that it cannot send.
"""

from __future__ import annotations

import re
from typing import Final

_QUOTED: Final = (
    (re.compile(r"\n(?:DETAIL|CONTEXT):.*", re.DOTALL), ""),
    (re.compile(r"(invalid input (?:for query argument \$\d+|syntax for [^:\n]*)):.*", re.DOTALL), r"\1"),
)


def withhold_values(error: BaseException | None) -> None:
    """Shorten the texts of an error, and of those it came from, to what holds no value of a row."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if getattr(error, "detail", None):
            error.detail = None  # type: ignore[attr-defined] # of the PostgreSQL driver's errors
        error.args = tuple(_shortened(one) if isinstance(one, str) else one for one in error.args)
        error = getattr(error, "orig", None) or error.__cause__ or error.__context__


def _shortened(message: str) -> str:
    for pattern, instead in _QUOTED:
        message = pattern.sub(instead, message)
    return message
