"""Instants as the tables of facts have them: milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MS: Final = timedelta(milliseconds=1)


def in_ms(instant: datetime) -> int:
    """Return an instant as milliseconds since 1970, rounded down."""
    return (instant - _EPOCH) // _MS


def from_ms(at_ms: int) -> datetime:
    """Return the instant of milliseconds since 1970."""
    return _EPOCH + at_ms * _MS


def known_from_ms(at_ms: int | None) -> datetime | None:
    """Return the instant of milliseconds since 1970; None if they are not known."""
    return None if at_ms is None else from_ms(at_ms)
