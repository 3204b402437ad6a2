"""Put what a join line says into settings that are there already for its VEN, and leave all else as it is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from oadr.errors import Exit, Failure
from openadr_profiles.join_line import JoinLine

_LONGEST: Final = 1_000_000
_NEEDED: Final = ("url", "client_id", "client_secret")
_TABLE: Final = re.compile(r"\s*\[")
_VTN: Final = re.compile(r"\s*\[\s*vtn\s*\]\s*(#.*)?$")
_MEMBER: Final = re.compile(r"""(\s*(?:vtn\s*\.\s*)?)(\w+)(\s*=\s*)("(?:[^"\\]|\\.)*"|'[^']*')(.*)""", re.DOTALL)


def settings_of(file: Path, told: JoinLine) -> str | None:
    """Return the text of settings that are there for the VEN of a line, at the same host; None if they are not."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LONGEST + 1)
        found = tomllib.loads(raw.decode())
        url = found["vtn"]["url"]
        is_same = found["ven_name"] == told.ven_name and urlsplit(url).hostname == urlsplit(told.url).hostname
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none, no TOML, or other things in it
        return None
    return raw.decode() if is_same and len(raw) <= _LONGEST else None


def renewed(text: str, members: Mapping[str, str], file: Path) -> tuple[str, list[str]]:
    """Return settings with other members of ``vtn``, and the names of those that have changed.

    Lines are replaced in the text, so that comments stay; what comes out must read as before but for these members.

    Raises:
        Failure: the credentials are not in the text, or not as lines of their own.
    """
    old = tomllib.loads(text)
    changed = {name: value for name, value in members.items() if old["vtn"].get(name) != value}
    missing = [name for name in _NEEDED if name not in old["vtn"]]
    new = _replaced(text, changed)
    if missing or _read(new) != old | {"vtn": old["vtn"] | changed}:
        names = ", ".join(f"vtn.{name}" for name in changed)
        why = f"vtn.{missing[0]} is not in it" if missing else "it is of another form"
        to_do = f"set {names} yourself, there or where they come from (id and secret were shown with the line)"
        raise Failure(f"{file} is there already, and cannot be renewed, for {why}: {to_do}", Exit.USAGE)
    return new, [f"vtn.{name}" for name in changed]


def _replaced(text: str, changed: Mapping[str, str]) -> str:
    """Return a text with other values in the lines of members of ``vtn``, and lines for those that it does not have."""
    left, lines, last = dict(changed), text.split("\n"), None
    is_top, is_vtn = True, False
    for number, line in enumerate(lines):
        if _TABLE.match(line):
            is_top, is_vtn = False, _VTN.match(line) is not None
        member = _MEMBER.match(line)
        if member is None or not (is_top if "vtn" in member[1] else is_vtn):
            continue
        if member[2] in left:
            lines[number] = f"{member[1]}{member[2]}{member[3]}{toml(left.pop(member[2]))}{member[5]}"
        if member[2] == "client_secret":
            last = (number, member[1], "\r" if line.endswith("\r") else "")
    if last is not None:
        number, before, end = last
        lines[number + 1 : number + 1] = [f"{before}{name} = {toml(value)}{end}" for name, value in left.items()]
    return "\n".join(lines)


def _read(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def toml(text: str) -> str:
    """Return a text as a basic string of TOML."""
    return '"' + "".join(_letter(each) for each in text) + '"'


def _letter(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return f"\\u{ord(letter):04x}" if ord(letter) < 32 or ord(letter) == 127 else letter
