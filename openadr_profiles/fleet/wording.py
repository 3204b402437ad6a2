"""Powers and instants as people read them, with unit and zone; the same words in every interface."""

from __future__ import annotations

from datetime import datetime, tzinfo
from decimal import Decimal


def local_time(at: datetime, *, zone: tzinfo | None = None) -> str:
    """Return an instant as people read it, with its zone: ``2026-01-31 18:00 CET``, seconds only if there are any."""
    try:
        local = at.astimezone(zone)
    except OverflowError:  # the first or last hours of the calendar
        local = at
    clock = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    return f"{local:%Y-%m-%d} {clock} {local.tzname() or local.strftime('%z')}"


def ago(at: datetime, *, now: datetime) -> str:
    """Say how long ago an instant was, in its largest unit: ``40 s ago``, ``12 min ago``, ``5 h ago``, ``3 d ago``."""
    seconds = max(0, int((now - at).total_seconds()))
    for unit, length_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds // length_s:,} {unit} ago"
    return f"{seconds} s ago"


def kw_text(kw: Decimal) -> str:
    """Return a power with the unit that reads best: ``500 W``, ``5 kW``, ``1.2 MW``."""
    amount = abs(kw)
    if amount >= 1000:
        return f"{_plain(kw / 1000)} MW"
    if 0 < amount < 1:
        return f"{_plain(kw * 1000)} W"
    return f"{_plain(kw)} kW"


def _plain(value: Decimal) -> str:
    text = f"{value:,.3f}"
    return text.rstrip("0").rstrip(".")
