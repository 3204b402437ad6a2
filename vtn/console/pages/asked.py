"""Read what a page was asked for in its query."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeVar

from vtn.console.visit import Visit
from vtn.errors import Malformed, NotFound

E = TypeVar("E", bound=StrEnum)

LONGEST: Final = 128
"""Letters of an id or a search."""


def text_of(visit: Visit, name: str) -> str:
    """Return a text of the query, at most 128 letters of it; a zero character, which no name has, is left out."""
    return visit.query(name).replace("\0", "")[:LONGEST]


def id_of(visit: Visit, name: str) -> str:
    """Return an id in the path; raises NotFound for a text that no id can be."""
    text = visit.path(name)
    if len(text) > LONGEST or "\0" in text:
        raise NotFound
    return text


def chosen(visit: Visit, name: str, among: type[E]) -> E | None:
    """Return a word of the query; None without one. Raises Malformed for another word."""
    text = visit.query(name)
    if not text:
        return None
    try:
        return among(text)
    except ValueError:
        raise Malformed(f"{name}: expected {', '.join(among)}") from None
