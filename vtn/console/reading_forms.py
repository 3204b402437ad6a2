"""Read the forms of pages about VENs and programs: bounded texts, groups, and lists of VENs as CSV.

What is wrong is an ``Invalid`` that names the field, the problem and what was expected.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from openadr_profiles.v31 import Invalid

LONGEST_NAME: Final = 128
MOST_GROUPS: Final = 100
MOST_AT_ONCE: Final = 500
"""VENs that are made by one form: the secret of each takes a part of a second of a processor."""


@dataclass(frozen=True, slots=True)
class NamedVen:
    """A VEN as somebody wants to have it; ``line`` is that of a list, from 1 on."""

    name: str
    client_id: str
    groups: tuple[str, ...]
    line: int = 0


def text(form: Mapping[str, str], field: str, *, what: str, longest: int = LONGEST_NAME) -> str:
    """Return a field that must be there; raises Invalid."""
    found = optional(form, field, what=what, longest=longest)
    if not found:
        raise Invalid(field, f"give {what}")
    return found


def optional(form: Mapping[str, str], field: str, *, what: str, longest: int = LONGEST_NAME) -> str:
    """Return a field without blanks around it, empty if it is not there; raises Invalid."""
    return _checked(field, form.get(field, ""), what, longest)


def groups_in(form: Mapping[str, str], field: str) -> tuple[str, ...]:
    """Return the groups in a field, one on each line or between semicolons, each once; raises Invalid."""
    return _groups(field, form.get(field, ""))


def vens_in(given: str) -> list[NamedVen]:
    """Return the VENs of a list as CSV: its first line names the columns, name, client_id and groups.

    Only ``name`` is needed. Commas or semicolons are between columns, and ``|`` or semicolons between groups. Raises
    Invalid that names the line and the column.
    """
    rows = _rows(given)
    header = [each.strip().lower() for each in rows[0]] if rows else []
    if "name" not in header:
        raise Invalid("csv", "line 1: expected the names of columns, with `name` among them")
    unknown = sorted(set(header) - {"name", "client_id", "groups"} - {""})
    if unknown:
        raise Invalid("csv", f"line 1: there is no column {unknown[0]!r}; expected name, client_id or groups")
    found = list[NamedVen]()
    seen: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows[1:], 2):
        if not any(each.strip() for each in row):
            continue
        named = dict(zip(header, row, strict=False))
        ven = _ven(named, number)
        for member, value in (("name", ven.name), ("client_id", ven.client_id)):
            if (member, value) in seen:
                raise Invalid("csv", f"line {number}, {member}: {value!r} is on line {seen[member, value]} already")
            seen[member, value] = number
        found.append(ven)
        if len(found) > MOST_AT_ONCE:
            raise Invalid("csv", f"expected at most {MOST_AT_ONCE:,} VENs at once; add the others afterwards")
    if not found:
        raise Invalid("csv", "line 2: there is no VEN; expected one on each line")
    return found


def _ven(named: Mapping[str, str], number: int) -> NamedVen:
    where = f"line {number}"
    name = _checked("csv", named.get("name", ""), f"{where}, name", LONGEST_NAME)
    if not name:
        raise Invalid("csv", f"{where}, name: it is missing")
    client_id = _checked("csv", named.get("client_id", ""), f"{where}, client_id", LONGEST_NAME)
    groups = _groups("csv", named.get("groups", "").replace("|", ";"), f"{where}, groups: ")
    return NamedVen(name, client_id or name, groups, number)


def _rows(given: str) -> list[list[str]]:
    head = given.lstrip().splitlines()[0] if given.strip() else ""
    delimiter = max(",;\t", key=head.count)
    try:
        return list(csv.reader(io.StringIO(given.strip()), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise Invalid("csv", f"it cannot be read: {error}") from None


def _groups(field: str, given: str, where: str = "") -> tuple[str, ...]:
    parts: Iterable[str] = (each.strip() for line in given.splitlines() for each in line.split(";"))
    found = tuple(dict.fromkeys(each for each in parts if each))
    for each in found:
        _checked(field, each, f"{where}the group {each[:40]!r}", LONGEST_NAME)
    if len(found) > MOST_GROUPS:
        raise Invalid(field, f"{where}expected at most {MOST_GROUPS} groups")
    return found


def _checked(field: str, given: str, what: str, longest: int) -> str:
    found = given.strip()
    if len(found) > longest:
        raise Invalid(field, f"{what} has {len(found):,} characters; expected at most {longest:,}")
    if not found.isprintable():
        raise Invalid(field, f"{what} has characters that cannot be seen; expected printable ones")
    return found
