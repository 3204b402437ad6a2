"""Tolerant reading of what panels send: text, numbers and instants of every dialect (rules R7 to R9, R12, R18).

A reader never raises. What cannot be used becomes None and leaves a warning in plain words.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Struct

MAX_BYTES = 256 * 1024
MOST_PANEL_KW = 1e6
"""No panel draws, feeds in or sheds more kW: a greater number is a fault of the panel, and is read as null (B3)."""
MOST_CIRCUIT_KW = 1e5
"""The same for one circuit."""
MOST_CIRCUITS = 200
"""So many circuits of a panel are read."""
MAX_DEPTH = 32
KEPT_BYTES = 1024
KEPT_OF_ACK_BYTES = 4096
"""So much of an acknowledgment is kept as it came; those of panels in use have less than a kilobyte."""
_PLAUSIBLE = timedelta(hours=24)
_MAX_DIGITS = 400
_USUAL = 1e9
"""Numbers up to here are looked at no further."""


class Unreadable(Struct, frozen=True, kw_only=True):
    """A message that cannot be used: the reason, the panel, and its first kilobyte (rule R18)."""

    topic: str
    ven_id: str | None
    reason: str
    size: int
    head: str


class Document(Struct, frozen=True, kw_only=True):
    """A message that is a JSON object, with the warnings that reading it left."""

    members: dict[str, Any]
    warnings: list[str]


def unreadable(topic: str, ven_id: str | None, reason: str, payload: bytes) -> Unreadable:
    """Return what is kept of a message that cannot be used."""
    head = printable(payload[:KEPT_BYTES])
    return Unreadable(topic=topic, ven_id=ven_id, reason=reason, size=len(payload), head=head)


def payload_hash(payload: bytes) -> str:
    """Return the hash by which two messages of one panel count as the same (rule R13)."""
    return hashlib.sha256(payload).hexdigest()


def printable(payload: bytes) -> str:
    """Return the bytes as text every database can hold; what is not UTF-8 is written with backslashes."""
    return payload.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")


def read_document(payload: bytes) -> Document | str:
    """Read the JSON object in the bytes, or say why there is none (rules R8, R18). Non-finite numbers become null."""
    if problem := _unbearable(payload):
        return problem
    try:  # the usual case: strict JSON, read four times as fast
        usual = msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        usual = None
    if isinstance(usual, dict):
        return Document(members=usual, warnings=[])
    tokens: list[str] = []
    try:
        value = json.loads(payload.decode("utf-8-sig"), parse_constant=tokens.append, parse_int=_integer)
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, RecursionError):
        return "not JSON"
    if not isinstance(value, dict):
        return f"not a JSON object but {_kind(value)}"
    return Document(members=value, warnings=[f"{token} is not a JSON number; read as null" for token in tokens])


def _unbearable(payload: bytes) -> str | None:
    if len(payload) > MAX_BYTES:
        return f"{len(payload)} bytes, more than {MAX_BYTES}"
    if not payload.strip():
        return "empty"
    if _depth(payload) > MAX_DEPTH:
        return f"nested deeper than {MAX_DEPTH} levels"
    return None


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MAX_DIGITS else math.inf


def _depth(payload: bytes) -> int:
    if payload.count(b"{") + payload.count(b"[") <= MAX_DEPTH:
        return 0  # too few brackets to be deep: the usual case, and cheap to see
    depth = deepest = 0
    in_string = escaped = False
    for byte in payload:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case _:
            return "a list"


def member(members: Mapping[str, Any], path: str) -> Any:
    """Return the value at ``name`` or ``data.name``, None if it is absent or null."""
    if "." not in path:
        return members.get(path)
    outer, _, inner = path.rpartition(".")
    nested = members.get(outer)
    return nested.get(inner) if isinstance(nested, Mapping) else None


def text_at(members: Mapping[str, Any], paths: Iterable[str], limit: int, warnings: list[str]) -> str | None:
    """Return the first usable text; numbers become text, objects and lists are refused (rule R12)."""
    for path in paths:
        value = member(members, path)
        if value is None:
            continue
        text = as_text(value)
        if text is None:
            warnings.append(f"{path} is {_article(value)}; ignored")
        elif len(text) > limit:
            warnings.append(f"{path} has {len(text)} characters, more than {limit}; ignored")
        elif text:
            return text
    return None


def as_text(value: object) -> str | None:
    """Return a text or a number as text that every database can hold, None for anything else."""
    if isinstance(value, str):
        if value.isascii() and value.isprintable():
            return value  # the usual case
        return value.encode("utf-8", "replace").decode().replace("\x00", "\ufffd")
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return str(value)


def number_at(
    members: Mapping[str, Any], paths: Iterable[str], warnings: list[str], *, most: float | None = None
) -> float | None:
    """Return the first usable number (rule R7): JSON numbers and numeric texts; anything else leaves a warning.

    With ``most``, a number that is further than that from 0 is not usable either.
    """
    for path in paths:
        value = member(members, path)
        if value is None:
            continue
        number = as_number(value)
        if number is None:
            warnings.append(f"{path} is {_article(value)}, not a number; read as null")
        elif most is not None and abs(number) > most:
            warnings.append(f"{path} is {_article(value)}, expected at most {most:,.0f} from 0; read as null")
        else:
            return number
    return None


def as_number(value: object) -> float | None:
    """Return a finite number rounded to six decimals, None for anything that is not one."""
    if type(value) is float and -_USUAL < value < _USUAL:
        return round(value, 6)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return round(number, 6) if math.isfinite(number) else None


def whole_at(members: Mapping[str, Any], paths: Iterable[str], warnings: list[str]) -> int | None:
    """Return the first usable number as a whole number that fits 63 bits."""
    number = number_at(members, paths, warnings)
    return int(number) if number is not None and abs(number) < 2**63 else None


def instant_at(
    members: Mapping[str, Any], paths: Iterable[str], received_at: datetime, warnings: list[str]
) -> datetime | None:
    """Return the first usable instant (rule R9), None with a warning if it is not within a day of its receipt."""
    for path in paths:
        value = member(members, path)
        if value is None:
            continue
        moment = as_instant(value)
        if moment is None:
            warnings.append(f"{path} is {_article(value)}, not a time; the time of receipt counts")
        elif abs(moment - received_at) > _PLAUSIBLE:
            warnings.append(
                f"{path} is {moment.isoformat()}, more than a day from its receipt; the time of receipt counts"
            )
            return None
        else:
            return moment
    return None


def as_instant(value: object) -> datetime | None:
    """Epoch seconds, milliseconds or microseconds by size, or ISO 8601 with or without offset (without: UTC)."""
    number = as_number(value)
    try:
        if number is not None:
            divisor = 1 if abs(number) < 1e11 else 1_000 if abs(number) < 1e14 else 1_000_000
            return datetime.fromtimestamp(number / divisor, UTC)
        if isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def items_at(members: Mapping[str, Any], paths: Iterable[str], warnings: list[str]) -> list[dict[str, Any]]:
    """Return the objects of a list, or of an object keyed by id, at the first path that has one (rule R10)."""
    for path in paths:
        value = member(members, path)
        if value is None:
            continue
        if isinstance(value, Mapping):
            entries = [{"id": key, **item} if isinstance(item, Mapping) else item for key, item in value.items()]
        elif isinstance(value, list):
            entries = value
        else:
            warnings.append(f"{path} is {_article(value)}, neither a list nor an object; ignored")
            continue
        kept = [item for item in entries if isinstance(item, dict)]
        if len(kept) < len(entries):
            warnings.append(f"{path}: {len(entries) - len(kept)} items are not objects; dropped")
        return kept
    return []


def circuits_at(members: Mapping[str, Any], paths: Iterable[str], warnings: list[str]) -> list[dict[str, Any]]:
    """Return the circuits of a panel as `items_at` does, `MOST_CIRCUITS` at most."""
    items = items_at(members, paths, warnings)
    if len(items) > MOST_CIRCUITS:
        warnings.append(f"{len(items)} circuits, expected {MOST_CIRCUITS} at most; the others are dropped")
    return items[:MOST_CIRCUITS]


def _article(value: object) -> str:
    shown = f"{value!r}"
    return shown if len(shown) <= 40 else f"{shown[:40]}…"
