"""Tell what a message says, or what is wrong with it, in words for people: with line and path, and a second opinion.

The second validator (xmlschema) takes a hundred times as long and says better what it misses, so it is for diagnostics
only (requirements 3.6).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from lxml.etree import _Element
from msgspec import Struct
from msgspec.structs import fields
from xmlschema import XMLSchema

from openadr_profiles.v20b import messages
from openadr_profiles.v20b.durations import Duration20b
from openadr_profiles.v20b.errors import NotAMessage, Problem, Refused
from openadr_profiles.v20b.instants import format_instant_20b
from openadr_profiles.v20b.reading import parse, read
from openadr_profiles.v20b.schemas import path

MAX_BYTES: Final = 8 << 20
"""A diagnosis may look at more than a server takes."""
MOST_LINES: Final = 500
_MOST_OPINIONS: Final = 10
_SHOWN: Final = 200
_REQUIREMENT: Final = re.compile(r" \([^()]*\b[BR]-?[A-Z0-9][^()]*\)")


class Explanation(Struct, frozen=True, kw_only=True):
    """The verdict on a document.

    ``name`` is the element of the message, empty if there is none; ``code`` is the response code that its sender would
    get, empty if nothing is wrong and 400 if it would be HTTP 400. ``problems`` are ours, ``second_opinion`` is the
    other validator's; ``content`` says what a right message contains, one line for each member.
    """

    name: str = ""
    purpose: str = ""
    code: str = ""
    reason: str = ""
    problems: tuple[Problem, ...] = ()
    second_opinion: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    signed: bool = False

    @property
    def is_right(self) -> bool:
        """True if a server would take the message as far as its form goes."""
        return not self.code


def explain(body: bytes) -> Explanation:
    """Look at a document as a server would, and say what it is."""
    try:
        received = read(body, max_bytes=MAX_BYTES)
    except NotAMessage as error:
        return Explanation(code="400", reason=error.reason)
    except Refused as error:
        return Explanation(
            name=error.name,
            purpose=_purpose(error.name),
            code=error.code,
            reason=error.description,
            problems=error.problems,
            second_opinion=tuple(_second_opinion(parse(body, max_bytes=MAX_BYTES))),
        )
    lines = list(_lines(received.message, ""))
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = [f"... and {len(lines) - MOST_LINES} more lines"]
    return Explanation(
        name=received.name, purpose=_purpose(received.name), content=tuple(lines), signed=received.signed
    )


def _purpose(name: str) -> str:
    """Return the first sentence of what a message is for."""
    text = inspect.getdoc(getattr(messages, name.removeprefix("oadr"))) or ""
    return _REQUIREMENT.sub("", text.partition(". ")[0].partition("\n")[0]).removesuffix(".") + "."


@lru_cache(maxsize=1)
def _second_schema() -> XMLSchema:
    return XMLSchema(str(path()))


def _second_opinion(root: _Element) -> Iterator[str]:
    tree: Any = root  # the library takes this kind of tree, though it does not say so
    for number, error in enumerate(_second_schema().iter_errors(tree)):
        if number == _MOST_OPINIONS:
            yield "and more"
            return
        where = (error.path or "").partition("oadrSignedObject/")[2] or (error.path or "")
        line = getattr(error, "sourceline", None)
        yield f"{where}{f', line {line}' if line else ''}: {(error.reason or error.message)[:_SHOWN]}"


def _lines(value: Any, indent: str) -> Iterator[str]:
    """Yield the members of an object that are there, each on a line, those within indented."""
    for field in fields(value):
        held = getattr(value, field.name)
        if held is None or held == ():
            continue
        several = held if isinstance(held, tuple) else (held,)
        if not isinstance(several[0], Struct) or isinstance(several[0], Duration20b):
            yield f"{indent}{field.name}: {', '.join(map(_text, several))}"
            continue
        for number, each in enumerate(several):
            which = f" {number + 1} of {len(several)}" if isinstance(held, tuple) else ""
            yield f"{indent}{field.name}{which}:"
            yield from _lines(each, indent + "  ")


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return format_instant_20b(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value[:_SHOWN] or "(empty)"
    return str(value)
