"""Instants in answers and requests."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_INSTANT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[Tt ](?P<time>\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?(?P<offset>[Zz]|[+-]\d\d:\d\d)"
)


def instant(text: str) -> tuple[datetime, str] | None:
    """Return the second, in UTC, and its fraction; None when the text is no RFC 3339 instant."""
    match = _INSTANT.fullmatch(text)
    if match is None:
        return None
    offset = "+00:00" if match["offset"] in "Zz" else match["offset"]
    try:
        second = datetime.fromisoformat(f"{match['day']}T{match['time']}{offset}").astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return second, (match["fraction"] or "").rstrip("0")


def order(text: str) -> tuple[datetime, str]:
    """Return a key that puts RFC 3339 instants into order, whatever their offset and number of decimals.

    Raises:
        ValueError: the text is none.
    """
    found = instant(text)
    if found is None:
        raise ValueError(f"no RFC 3339 instant: {text!r}")
    return found


def same_instant(left: str, right: str) -> bool:
    """Return True if two texts are the same instant, at the coarser precision of the two."""
    one, other = instant(left), instant(right)
    if one is None or other is None or one[0] != other[0]:
        return False
    digits = min(len(one[1]), len(other[1])) if one[1] and other[1] else 0
    return digits == 0 or one[1][:digits] == other[1][:digits]


def from_now(**offset: float) -> str:
    """Return the instant that lies `hours=...`, `minutes=...` from now (negative: ago), as RFC 3339."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(**offset)
    return moment.isoformat().replace("+00:00", "Z")
