"""An event as it was typed into the form: texts only, kept as they are whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from multidict import MultiDictProxy

from vtn.errors import Malformed

LONGEST_LINE: Final = 256
LONGEST_TEXT: Final = 200_000
MOST_ROWS: Final = 500
"""Rows of the table of intervals."""
SPARE_ROWS: Final = 3
MOST_NAMES: Final = 2000
"""Targets, vens and resources that may be named one by one."""

KINDS: Final[Mapping[str, str]] = {
    "shed": "Shed: each VEN draws so much less",
    "total": "Shed in total, shared out over the VENs",
    "level": "Level, 0 (normal) to 3 (highest)",
    "price": "Price",
    "import": "Limit of what is drawn",
    "export": "Limit of what is fed in",
    "setpoint": "Setpoint: power to draw",
    "payload": "Another payload",
    "blank": "Nothing: only reports are asked for",
}


class TypedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the form. ``who`` is empty until somebody has chosen: everybody is never meant by accident.

    To name somebody chooses ``some``.
    """

    program: str = "demand-response"
    name: str = ""
    priority: str = ""
    kind: str = "shed"
    value: str = ""
    payload_type: str = ""
    units: str = ""
    currency: str = ""
    share: str = "capacity"
    report: str = "yes"
    start: str = ""
    ends: str = "for"
    length: str = "1h"
    end: str = ""
    shape: str = "one"
    row_length: tuple[str, ...] = ()
    row_value: tuple[str, ...] = ()
    csv: str = ""
    who: str = ""
    group: tuple[str, ...] = ()
    targets: str = ""
    vens: str = ""
    resources: str = ""

    @staticmethod
    def of(form: MultiDictProxy[str]) -> TypedEvent:
        """Read a form; raises Malformed for a field that is too long. What is missing is as in a new form."""
        found: dict[str, Any] = {}
        for field in TypedEvent.__struct_fields__:
            if field in _MANY:
                given = tuple(form.getall(field, ()))
                if len(given) > MOST_ROWS:
                    raise Malformed(f"{field}: {len(given):,} were sent; expected at most {MOST_ROWS}")
                found[field] = given
            elif field in form:
                found[field] = form[field]
            elif field == "report":
                found[field] = ""  # a box that is not ticked is not sent
            for text in (found[field],) if field not in _MANY and field in found else found.get(field, ()):
                most = LONGEST_TEXT if field in _TEXTS else LONGEST_LINE
                if len(text) > most:
                    raise Malformed(f"{field}: has {len(text):,} characters; expected at most {most:,}")
        typed = TypedEvent(**found)
        return msgspec.structs.replace(typed, who="some") if not typed.who and typed.names_somebody else typed

    @staticmethod
    def stored(text: str) -> TypedEvent:
        """Read what ``text`` has made; fields that are not there are as in a new form."""
        return msgspec.json.decode(text, type=TypedEvent)

    @property
    def names_somebody(self) -> bool:
        """Say whether a group, target, VEN or resource is named."""
        return bool(self.group or self.targets.strip() or self.vens.strip() or self.resources.strip())

    @property
    def text(self) -> str:
        """Return the fields as a JSON text, to be stored."""
        return msgspec.json.encode(self).decode()

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of the table of intervals, with a few empty ones to type into."""
        filled = [pair for pair in zip(self.row_length, self.row_value, strict=False) if any(map(str.strip, pair))]
        return [*filled, *[("", "")] * SPARE_ROWS][:MOST_ROWS]


_MANY: Final = frozenset({"row_length", "row_value", "group"})
_TEXTS: Final = frozenset({"csv", "targets", "vens", "resources"})


def lines(text: str) -> list[str]:
    """Return the lines of a text that are not empty, each once."""
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
