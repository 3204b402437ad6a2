"""Instants as the store writes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

_TICK: Final = timedelta(microseconds=1)
NEVER: Final = "9999-12-31T23:59:59.999999Z"
"""The last stamp there is."""


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC with six digits of a second: texts of one width that sort as the moments do (GEN-019)."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Stamps:
    """The time for metadata: never the same twice, so that "newest first" is the order of creation."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._last = datetime.min.replace(tzinfo=UTC)

    @property
    def now(self) -> str:
        """Return the present time, never before a stamp that was given: no new object is in the future."""
        return self.ago(timedelta())

    def ago(self, length: timedelta) -> str:
        """Return the time that is this long before the present."""
        return stamp(max(self._last, self._now().astimezone(UTC)) - length)

    def next(self, *, after: str | None = None) -> str:
        """Return a time later than every one given before, and than ``after`` (COMPAT-044: a PUT moves the date)."""
        last = self._last if after is None else max(self._last, datetime.fromisoformat(after))
        self._last = max(self._now().astimezone(UTC), last + _TICK)
        return stamp(self._last)
