"""Instants in answers and requests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def order(instant: str) -> tuple[str, str]:
    """A key that puts RFC 3339 instants in UTC into order, whatever their number of decimals."""
    second, _, fraction = instant.removesuffix("Z").partition(".")
    return second, fraction.ljust(9, "0")


def from_now(**offset: float) -> str:
    """The instant that lies `hours=...`, `minutes=...` from now (negative: ago), as RFC 3339."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(**offset)
    return moment.isoformat().replace("+00:00", "Z")
