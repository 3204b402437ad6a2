"""Read what people type for power, time and duration; refuse clearly.

``5kW``, ``500W``, ``1.2MW`` · ``now``, ``+1m``, ``18:00``, ``tomorrow 18:00``, ``2026-01-31T16:00:00Z`` ·
``1h``, ``90m``, ``1h30m``, ``PT1H``
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Final

from openadr_profiles.v31 import Duration, Invalid, parse_instant

_POWER: Final = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>kW|W|MW)", re.IGNORECASE | re.ASCII)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
_IN_KW: Final = {"w": Decimal("0.001"), "kw": Decimal(1), "mw": Decimal(1000)}
_MOST_KW: Final = Decimal(10) ** 9
_LENGTH: Final = re.compile(r"(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s)?", re.IGNORECASE | re.ASCII)
_LOCAL: Final = re.compile(
    r"(?:(?P<day>today|tomorrow|\d{4}-\d{2}-\d{2})[ T]+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}))?",
    re.IGNORECASE | re.ASCII,
)


def power_kw(text: str) -> Decimal:
    """Return an amount of power in kW, zero or more; the unit is required, so that nobody sheds MW for kW.

    Raises:
        ValueError: not a power, without a unit, with a sign, or beyond all measure (10^9 kW).
    """
    given = text.strip()
    match = _POWER.fullmatch(given)
    if match is None:
        if _NUMBER.fullmatch(given):
            raise ValueError(f"{text!r} has no unit: write {given}kW, {given}W or {given}MW")
        if given[:1] in {"-", "+"} and _POWER.fullmatch(given[1:].strip()):
            raise ValueError(f"{text!r}: write a shed or a limit without a sign, as {given[1:].strip()}")
        raise ValueError(f"{text!r} is not a power such as 5kW, 500W or 1.2MW")
    amount = Decimal(match["amount"]) * _IN_KW[match["unit"].lower()]
    if amount > _MOST_KW:
        raise ValueError(f"{text!r} is more than {_MOST_KW:,} kW, which no fleet has")
    return amount.normalize() + 0


def length(text: str) -> timedelta:
    """Return a length of time above zero, such as ``1h``, ``1h30m``, ``45s`` or ``PT1H``."""
    match = _LENGTH.fullmatch(text.strip())
    try:
        if match is not None:
            days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
            found = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        else:
            found = _iso_length(text.strip())
    except OverflowError:
        raise ValueError(f"{text!r} is longer than a calendar; expected a length of time such as 1h or 2d") from None
    if found <= timedelta(0):
        raise ValueError(f"{text!r} must be longer than zero")
    return found


def _iso_length(text: str) -> timedelta:
    try:
        duration = Duration.parse(text.upper())
    except Invalid:
        raise ValueError(f"{text!r} is not a length of time such as 1h, 90m, 45s or PT1H") from None
    if duration.forever or duration.months:
        raise ValueError(f"{text!r}: years and months have no fixed length here; use days, hours, minutes or seconds")
    return -duration.time if duration.negative else duration.time


def moment(text: str, *, now: datetime, zone: tzinfo | None = None) -> datetime:
    """Return an instant: ``now``, ``+`` and a length from now, a local time, or RFC 3339 with an offset.

    A local time is ``18:00`` (today), ``tomorrow 18:00`` or ``2026-01-31 18:00``, read in ``zone`` (default: the zone
    of this machine). What is printed back names the zone.

    Raises:
        ValueError: not a moment, or a local time that does not exist because clocks are set forward then.
    """
    text = text.strip()
    if text.lower() == "now":
        return now
    if text.startswith("+"):
        try:
            return now + length(text[1:])
        except OverflowError:
            raise ValueError(f"{text!r} lies beyond the year 9999") from None
    if match := _LOCAL.fullmatch(text):
        return _local(text, match, now, zone)
    try:
        return parse_instant(text)
    except Invalid:
        raise ValueError(
            f"{text!r} is not a moment such as now, +1m, 18:00, tomorrow 18:00 or 2026-01-31T16:00:00Z"
        ) from None


def _local(text: str, match: re.Match[str], now: datetime, zone: tzinfo | None) -> datetime:
    today = now.astimezone(zone).date()
    day = (match["day"] or "today").lower()
    try:
        if day == "today":
            date = today
        elif day == "tomorrow":
            date = today + timedelta(days=1)
        else:
            date = datetime.fromisoformat(day).date()
        clock = time(int(match["hour"]), int(match["minute"]), int(match["second"] or 0))
        wall = datetime.combine(date, clock, tzinfo=zone)
        found = wall.astimezone(now.tzinfo)
        back = found.astimezone(zone)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a time of day or a date that exists") from None
    if back.replace(tzinfo=None) != wall.replace(tzinfo=None):
        raise ValueError(f"{text!r} does not exist here: clocks are set forward then; add an offset, as +01:00")
    return found
