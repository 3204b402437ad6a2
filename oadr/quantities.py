"""What people type for power, time and duration, read once and refused clearly.

``5kW``, ``500W``, ``1.2MW`` · ``+1m``, ``now``, ``2026-01-31T16:00:00Z`` · ``1h``, ``90m``, ``1h30m``, ``PT1H``
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from openadr_profiles.v31 import Duration, Invalid, parse_instant

_POWER: Final = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<unit>kW|W|MW)?", re.IGNORECASE | re.ASCII)
_IN_KW: Final = {"w": Decimal("0.001"), "kw": Decimal(1), "mw": Decimal(1000)}
_LENGTH: Final = re.compile(r"(?=\d)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?:in)?)?(?:(\d+)s)?", re.IGNORECASE | re.ASCII)


def power_kw(text: str) -> Decimal:
    """An amount of power in kW; a number without a unit is kW."""
    match = _POWER.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a power such as 5kW, 500W or 1.2MW")
    amount = Decimal(match["amount"]) * _IN_KW[(match["unit"] or "kW").lower()]
    if amount <= 0:
        raise ValueError(f"{text!r} must be more than zero")
    return amount.normalize()


def length(text: str) -> timedelta:
    """A length of time above zero, such as ``1h``, ``1h30m``, ``45s`` or ``PT1H``."""
    match = _LENGTH.fullmatch(text.strip())
    if match is not None:
        days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
        found = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    else:
        found = _iso_length(text.strip())
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


def moment(text: str, *, now: datetime) -> datetime:
    """An instant: ``now``, ``+`` and a length from now, or RFC 3339 with an offset."""
    text = text.strip()
    if text.lower() == "now":
        return now
    if text.startswith("+"):
        return now + length(text[1:])
    try:
        return parse_instant(text)
    except Invalid:
        raise ValueError(f"{text!r} is not a moment such as now, +1m or 2026-01-31T16:00:00Z") from None
